"""The mark of a message: a short keyed text that stands in its Message-ID, return path and unsubscribe mailbox.

It survives case changes and fits a local part (64 octets, RFC 5321). Whoever reads one back knows which message is meant and
that we made it, so a forged bounce or unsubscribe mail changes nothing.
"""

import hashlib
import hmac
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache

from flask import current_app

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS = [one + other for one in _DIGITS for other in _DIGITS]


class Place(StrEnum):
    """Where a mark stands; one cut out of one place is worthless in another."""

    message_id = "message-id"
    return_path = "return-path"
    unsubscribe = "unsubscribe"
    metadata = "metadata"  # in a header for the provider, which brings it back with its events


def make(message_id: int, place: Place) -> str:
    return maker(place)(message_id)[0]


def maker(*places: Place) -> Callable[[int], list[str]]:
    """What makes the marks of many messages, one for each of these places."""
    each = [_keyed(current_app.extensions["address_key"], place) for place in places]

    def made(message_id: int) -> list[str]:
        number = _base36(message_id)
        return [f"{number}-{_hashed(keyed, number)}" for keyed in each]

    return made


def read(mark: str, place: Place) -> int | None:
    """The message's id, or None when we did not make this mark for this place."""
    number, _, proof = mark.lower().partition("-")
    if (
        not mark.isascii()
        or not number
        or len(number) > 13
        or not hmac.compare_digest(proof.encode(), _proof(number, place).encode())
    ):
        return None
    try:
        return int(number, 36)
    except ValueError:
        return None


def _proof(number: str, place: Place) -> str:
    return _hashed(_keyed(current_app.extensions["address_key"], place), number)


def _hashed(keyed: "hashlib.blake2b", number: str) -> str:
    hashed = keyed.copy()
    hashed.update(number.encode())
    return hashed.hexdigest()


@lru_cache(maxsize=16)
def _keyed(key: bytes, place: Place) -> "hashlib.blake2b":
    return hashlib.blake2b(f"{place} ".encode(), key=key, digest_size=10, person=b"pc.mark.v1")


def _base36(number: int) -> str:
    text = ""
    while number:
        number, pair = divmod(number, len(_PAIRS))
        text = _PAIRS[pair] + text
    return text.lstrip("0") or "0"
