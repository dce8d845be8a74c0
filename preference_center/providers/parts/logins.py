"""Providers that sign nothing: HTTP Basic with the login of the hook's URL, or a bearer token."""

import base64
import json
from abc import abstractmethod
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from preference_center.providers.base import Forged, Post, Secrets, Setting
from preference_center.providers.parts import proofs
from preference_center.providers.parts.json_posts import JsonPosts

SHORTEST = 22  # characters of base64 that hold 128 bits


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


class ByLogin(JsonPosts):
    """A provider that signs nothing: the login in the hook's URL, or a bearer token, is all that proves it."""

    settings: tuple[Setting, ...] = (LOGINS,)

    def verify(self, post: Post, secrets: Secrets, now: datetime) -> str | None:
        authorised(post, secrets, *self.settings)
        return None

    @abstractmethod
    def delivered(self, mark: str, recipient: str, now: datetime) -> Any:
        """A delivered event in the provider's words, for a sample."""

    def sample(self, secrets: Secrets, public_url: str, mark: str, recipient: str, now: datetime) -> Post:
        token = secrets.one(TOKENS.name) if TOKENS in self.settings else ""
        login = f"Bearer {token}" if token else basic(proofs.own(secrets, LOGINS.name))
        headers = {"content-type": "application/json", "authorization": login}
        return Post("POST", public_url, headers, json.dumps(self.delivered(mark, recipient, now)).encode())


def authorised(post: Post, secrets: Secrets, *settings: Setting) -> None:
    """HTTP Basic with one of the logins or, where `settings` has them, one of the bearer tokens."""
    proofs.needed(secrets, *(setting.name for setting in settings))
    scheme, _, given = post.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        wanted = [unquote(login).encode() for login in secrets.all(LOGINS.name)] if LOGINS in settings else []
        right = proofs.equals_one_of(proofs.decoded(given.strip(), "the login"), wanted)
    elif scheme.lower() == "bearer":
        tokens = secrets.all(TOKENS.name) if TOKENS in settings else ()
        right = proofs.equals_one_of(proofs.plain(given.strip()), [token.encode() for token in tokens])
    else:
        raise Forged("the post brings no login")
    if not right:
        raise Forged("the login is wrong")


def basic(login: str) -> str:
    """The Authorization header that proves this login."""
    return "Basic " + base64.b64encode(unquote(login).encode()).decode()
