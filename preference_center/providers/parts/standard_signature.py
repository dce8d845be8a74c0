"""Providers that sign as Standard Webhooks, which Svix (and so Resend) does too: an HMAC over id, time and raw body.

The library signs; the comparison is ours, because it must know the time from outside and must not stumble over odd headers.
"""

import base64
import binascii
import json
from abc import abstractmethod
from datetime import UTC, datetime, timedelta
from typing import Any

from standardwebhooks.webhooks import Webhook

from preference_center.providers.base import CannotBeMadeUp, Forged, Post, Provider, Secrets, Setting
from preference_center.providers.parts import facts, proofs

OLDEST = timedelta(minutes=5)
PREFIXES = ("webhook-", "svix-")

_SHORTEST, _LONGEST = 16, 128  # octets of a secret; the standard wants 24 to 64
_MOST_SIGNATURES = 20


def _fault(value: str) -> str | None:
    return None if _webhook(value) else "must be whsec_ and at least 16 octets in base64"


SECRETS = Setting(
    "SECRETS",
    "the signing secret, which begins with whsec_",
    many=True,
    example="whsec_bm9ib2R5LWd1ZXNzZXMtdGhpcy1zZWNyZXQ=",
    fault=_fault,
)


class BySignature(Provider):
    settings: tuple[Setting, ...] = (SECRETS,)
    prefix = PREFIXES[0]

    def verify(self, post: Post, secrets: Secrets, now: datetime) -> str | None:
        _verify(post, secrets, now)
        return None

    @abstractmethod
    def delivered(self, mark: str, recipient: str, now: datetime) -> Any:
        """A delivered event in the provider's words, for a sample."""

    def sample(self, secrets: Secrets, public_url: str, mark: str, recipient: str, now: datetime) -> Post:
        number = "msg_" + facts.digest([mark, now.isoformat()])[:27]
        return _signed(self.prefix, secrets, public_url, number, json.dumps(self.delivered(mark, recipient, now)), now)


def id_of(post: Post) -> str:
    """The id of the message, the same when it is sent again; it stands in the headers alone."""
    return next((found for prefix in PREFIXES if (found := post.headers.get(f"{prefix}id", ""))), "")


def _verify(post: Post, secrets: Secrets, now: datetime) -> None:
    webhooks = [_webhook(value) for value in proofs.needed(secrets, SECRETS.name)]
    prefix = next((prefix for prefix in PREFIXES if f"{prefix}signature" in post.headers), PREFIXES[0])
    number, timestamp, signatures = (post.headers.get(prefix + part, "") for part in ("id", "timestamp", "signature"))
    if not (number and timestamp and signatures):
        raise Forged("the signature is missing")
    if not number.isascii() or len(number) > 200:
        raise Forged("the id is none")
    then = proofs.signed_at(timestamp, now, at_most=OLDEST)
    body = _text(post.body)
    wanted = [webhook.sign(number, then, body).encode() for webhook in webhooks if webhook]
    # several are sent while the sender changes its secret; `v1a` would be of another kind
    given = signatures.split(" ", _MOST_SIGNATURES)[:_MOST_SIGNATURES]
    if not any([proofs.equals_one_of(proofs.plain(one), wanted) for one in given]):  # noqa: C419 - looks at all of them
        raise Forged("the signature is wrong")


def _signed(prefix: str, secrets: Secrets, url: str, number: str, body: str, now: datetime) -> Post:
    webhook = _webhook(proofs.own(secrets, SECRETS.name))
    if webhook is None:
        raise CannotBeMadeUp(f"The setting {SECRETS.name} of this hook {_fault('')}.")
    headers = {
        "content-type": "application/json",
        f"{prefix}id": number,
        f"{prefix}timestamp": str(int(now.timestamp())),
        f"{prefix}signature": webhook.sign(number, now.astimezone(UTC), body),
    }
    return Post("POST", url, headers, body.encode())


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Forged("the body is not text") from None


def _webhook(secret: str) -> Webhook | None:
    try:
        octets = base64.b64decode(secret.removeprefix("whsec_") + "==")
    except (binascii.Error, ValueError):
        return None
    return Webhook(octets) if _SHORTEST <= len(octets) <= _LONGEST else None
