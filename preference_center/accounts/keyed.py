"""Keys and keyed hashes of this room, each use apart, all from the secret that never changes."""

import base64
import hashlib
import hmac

from flask import current_app

from preference_center.config import Settings


def subkey(settings: Settings, use: str) -> str:
    """A key for one use. From the address key, so that one-time codes survive a new SECRET_KEY."""
    digest = hmac.new(settings.address_key.encode(), f"accounts.{use}".encode(), hashlib.sha256).digest()
    return base64.b32encode(digest).decode()


def keyed(use: str, text: str) -> bytes:
    """16 bytes that mean nothing without our secret."""
    settings: Settings = current_app.extensions["settings"]
    return hmac.new(subkey(settings, use).encode(), text.encode(), hashlib.sha256).digest()[:16]
