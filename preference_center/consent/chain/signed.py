"""Signed data (Ed25519 over canonical JSON), and the checkpoint, which is one kind of it. Knows no database and no settings.

Canonical JSON: keys sorted, no spaces, ASCII; every number is whole. Digests, keys and signatures are small hexadecimal letters,
so each has one spelling only.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from preference_center.errors import Invalid

CHECKPOINT = "pc.checkpoint.v1"


def canonical(data: Any) -> bytes:
    return json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"), sort_keys=True).encode()


def sign(key: Ed25519PrivateKey, data: dict[str, Any]) -> dict[str, Any]:
    """The data with the public key and the signature over both."""
    whole = data | {"key": key.public_key().public_bytes_raw().hex()}
    return whole | {"signature": key.sign(canonical(whole)).hex()}


def render(data: dict[str, Any]) -> bytes:
    """Signed data as a file for people and programs: one spelling only, so that no byte of it can change unseen."""
    return (json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True) + "\n").encode()


def is_signed(data: dict[str, Any]) -> bool:
    """Was this data signed, as it is, with the key it names?"""
    signed = {name: value for name, value in data.items() if name != "signature"}
    try:
        key, signature = from_hex(data["key"], 32), from_hex(data["signature"], 64)
        Ed25519PublicKey.from_public_bytes(key).verify(signature, canonical(signed))
    except (InvalidSignature, Invalid, KeyError, ValueError):
        return False
    return True


def from_hex(text: Any, length: int) -> bytes:
    """Bytes from their one spelling."""
    if not isinstance(text, str) or not re.fullmatch(f"[0-9a-f]{{{2 * length}}}", text):
        raise Invalid(f"{text!r} is not {length} bytes in small hexadecimal letters.")
    return bytes.fromhex(text)


@dataclass(frozen=True)
class Checkpoint:
    """What the chain was at a moment: so many links, the hash of the last, the root of the tree over all (merkle.py)."""

    seq: int
    hash: bytes
    root: bytes
    at: str
    key: str
    data: dict[str, Any]  # as it was signed

    @classmethod
    def read(cls, data: Any) -> "Checkpoint":
        """From its data; Invalid when it is no checkpoint or was not signed as it is."""
        if not isinstance(data, dict) or data.get("schema") != CHECKPOINT:
            raise Invalid("it is no checkpoint")
        if not is_signed(data):
            raise Invalid("its signature does not belong to it: it was changed")
        if set(data) != {"schema", "seq", "hash", "root", "at", "key", "signature"} or type(data["seq"]) is not int:
            raise Invalid("it has other fields than a checkpoint")
        return cls(
            data["seq"], from_hex(data["hash"], 32), from_hex(data["root"], 32), str(data["at"]), data["key"], data
        )
