"""Proofs of where a post comes from: the secrets that are set, passwords and tokens, signatures, times.

Every comparison takes the same time whatever differs, and looks at all secrets: two are valid while one replaces the other.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from preference_center.providers.base import CannotBeMadeUp, Forged, Post, Secrets, Setting

SHORTEST = 22  # characters of base64 that hold 128 bits
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


def _login_fault(value: str) -> str | None:
    user, colon, password = value.partition(":")
    if not (user and colon and password):
        return "must be written as user:password, with a space or % in it as in a URL (%20, %25)"
    return _short(unquote(password))


def _short(value: str) -> str | None:
    # No signature protects these posts: whoever guesses the secret can silence anybody's mail.
    return None if len(value) >= SHORTEST else f"is too short to be safe: {SHORTEST} characters or more"


LOGINS = Setting(
    "LOGINS",
    "user:password of the URL you gave to the provider, written as in that URL (a space is %20)",
    many=True,
    example="hook:a-password-nobody-guesses-00",
    fault=_login_fault,
)
TOKENS = Setting(
    "TOKENS",
    "the token sent as `Authorization: Bearer …`",
    many=True,
    example="a-token-nobody-guesses-00",
    fault=_short,
)


def authorised(post: Post, secrets: Secrets, *settings: Setting) -> None:
    """HTTP Basic with one of the logins or, where `settings` has them, one of the bearer tokens."""
    needed(secrets, *(setting.name for setting in settings))
    scheme, _, given = post.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        wanted = [unquote(login).encode() for login in secrets.all(LOGINS.name)] if LOGINS in settings else []
        right = equals_one_of(decoded(given.strip(), "the login"), wanted)
    elif scheme.lower() == "bearer":
        tokens = secrets.all(TOKENS.name) if TOKENS in settings else ()
        right = equals_one_of(plain(given.strip()), [token.encode() for token in tokens])
    else:
        raise Forged("the post brings no login")
    if not right:
        raise Forged("the login is wrong")


def basic(login: str) -> str:
    """The Authorization header that proves this login."""
    return "Basic " + base64.b64encode(unquote(login).encode()).decode()


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
