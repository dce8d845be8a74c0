"""Keys of the ledger, derived from ADDRESS_KEY, which lies outside the database and its backup (HKDF-SHA256, RFC 5869).

Whoever has the database alone can neither re-make the chain nor open the evidence.
"""

from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import current_app


def chain_key() -> bytes:
    """Makes the links of the chain."""
    return derive(current_app.extensions["settings"].address_key, "pc.seal.v1")


def vault_key() -> bytes:
    """Wraps the keys of contacts."""
    return derive(current_app.extensions["settings"].address_key, "pc.vault.v1")


@lru_cache(maxsize=16)
def derive(secret: str, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=b"preference-center", info=purpose.encode()).derive(secret.encode())
