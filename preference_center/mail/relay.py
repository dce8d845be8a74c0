"""The relay that takes our mail: how it is called in our words, and its TLS context."""

import functools
import ssl
from dataclasses import dataclass

from preference_center.relay_url import RelayUrl, is_loopback


@dataclass(frozen=True)
class Relay(RelayUrl):
    """One relay, as its URL describes it (`Relay.from_url`)."""

    @property
    def name(self) -> str:
        """How it is called in our tables and words: never with its login."""
        return f"{self.host}:{self.port}"[:120]

    @property
    def is_here(self) -> bool:
        """Whether it is this very machine."""
        return is_loopback(self.host)

    def tls_context(self) -> ssl.SSLContext:
        """The context for this relay, made once a process: making one costs as much as sending a hundred messages."""
        return _tls_context(self.verify, self.ca_file)


@functools.lru_cache(maxsize=16)
def _tls_context(verify: bool, ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
