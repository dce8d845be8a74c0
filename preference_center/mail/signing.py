"""The DKIM signers that the settings name. A key is read again when its file has changed: to check one takes as long as 50 mails."""

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
        *(
            (selector, file, Path(file).stat().st_mtime_ns)
            for selector, file in (
                (settings.dkim_selector, settings.dkim_key_file),
                (settings.dkim_ed25519_selector, settings.dkim_ed25519_key_file),
            )
            if file
        ),
    )


@lru_cache(maxsize=4)
def _signers(domain: str, *keys: tuple[str, str, int]) -> dkim.Signers:
    return dkim.Signers([dkim.Signer(domain, selector, Path(file).read_bytes()) for selector, file, _changed in keys])
