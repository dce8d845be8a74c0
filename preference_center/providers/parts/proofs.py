"""Proofs of where a post comes from: the secrets that are set, comparisons, times.

Every comparison takes the same time whatever differs, and looks at all secrets: two are valid while one replaces the other.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from preference_center.providers.base import CannotBeMadeUp, Forged, Secrets

CLOCK_TROUBLE = timedelta(minutes=5)  # how far ahead of ours another clock may be


def needed(secrets: Secrets, *names: str) -> tuple[str, ...]:
    """The values of these settings, of which one at least must be set: without a secret nothing is believed."""
    values = tuple(value for name in names for value in secrets.all(name))
    if not values:
        raise Forged(f"nothing is accepted while the setting {' or '.join(names)} is missing")
    return values


def own(secrets: Secrets, name: str) -> str:
    """The secret to sign a sample with: the first, which is the one in use."""
    if not (value := secrets.one(name)):
        raise CannotBeMadeUp(
            f"Nothing can be signed: this hook has no secret yet. Its setting ends with _{name}; its page in docs/providers shows it whole."
        )
    return value


def equals_one_of(given: bytes, wanted: Iterable[bytes]) -> bool:
    found = False
    for one in wanted:
        found |= hmac.compare_digest(given, one)
    return found


def decoded(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(plain(text), validate=True)
    except binascii.Error:
        raise Forged(f"{what} is not base64") from None


def plain(text: str) -> bytes:
    """A header's value as bytes; whatever is in it, this does not fail."""
    return text.encode("utf-8", "surrogatepass")


def signed_at(text: object, now: datetime, *, at_most: timedelta) -> datetime:
    """The time in a signed timestamp (Unix seconds): not older than `at_most`, not ahead of our clock."""
    if not (isinstance(text, str) and re.fullmatch(r"[0-9]{1,11}", text)):
        raise Forged("the timestamp is not a number")
    then = datetime.fromtimestamp(int(text), UTC)
    if then < now - at_most:
        raise Forged("the timestamp is too old")
    if then > now + CLOCK_TROUBLE:
        raise Forged("the timestamp lies in the future")
    return then
