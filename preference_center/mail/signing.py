"""The DKIM signers that the settings name, read once a process."""

from functools import lru_cache
from pathlib import Path

from preference_center.config import Settings
from preference_center.mail import dkim


def signers(settings: Settings) -> dkim.Signers | None:
    """RSA first, Ed25519 beside it if set; none without a key."""
    if not settings.dkim_key_file:
        return None
    return _signers(
        settings.dkim_domain or settings.sending_domain,
        (settings.dkim_selector, settings.dkim_key_file),
        (settings.dkim_ed25519_selector, settings.dkim_ed25519_key_file),
    )


@lru_cache(maxsize=4)
def _signers(domain: str, *keys: tuple[str, str]) -> dkim.Signers:
    return dkim.Signers([dkim.Signer(domain, selector, Path(file).read_bytes()) for selector, file in keys if file])
