"""Mailgun: webhooks signed in the body, by an HMAC over a timestamp and a token. The events themselves are not signed.

So a signature that somebody caught would prove any event: a token is good once, and whoever keeps tokens must keep them for
longer than `OLDEST`.
"""

import hashlib
import hmac
import json
from datetime import datetime, timedelta
from typing import Any

from preference_center.providers.base import BounceClass, Event, Forged, Kind, Post, Secrets, Setting, Unreadable
from preference_center.providers.parts import facts, proofs
from preference_center.providers.parts.json_posts import JsonPosts

OLDEST = timedelta(hours=10)  # they go on trying for eight hours

_KINDS = {
    "accepted": Kind.accepted,
    "rejected": Kind.rejected,
    "delivered": Kind.delivered,
    "failed": Kind.bounced,
    "complained": Kind.complained,
    "unsubscribed": Kind.unsubscribed,
    "opened": Kind.opened,
    "clicked": Kind.clicked,
}
_SUPPRESSED = {"605", "606", "607"}  # codes of their own: they did not try, for what happened before


class Mailgun(JsonPosts):
    name = "mailgun"
    page = "https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhooks"
    settings = (
        Setting(
            "KEYS",
            "the HTTP webhook signing key (not an API key)",
            many=True,
            example="an-http-webhook-signing-key",
        ),
    )

    def verify(self, post: Post, secrets: Secrets, now: datetime) -> str | None:
        keys = proofs.needed(secrets, "KEYS")
        try:
            given = facts.record(facts.record(facts.json_of(post.body)).get("signature"))
        except Unreadable:
            raise Forged("the body that should hold the signature is not JSON") from None
        timestamp, token, signature = (given.get(part) for part in ("timestamp", "token", "signature"))
        if not (isinstance(timestamp, str) and isinstance(token, str) and isinstance(signature, str) and token):
            raise Forged("the signature is missing")
        right = [_signature(key, timestamp, token) for key in keys]
        if not proofs.equals_one_of(proofs.plain(signature), right):
            raise Forged("the signature is wrong")
        proofs.signed_at(timestamp, now, at_most=OLDEST)
        return facts.key("mailgun", token)

    def read_one(self, item: dict[str, Any]) -> list[Event]:
        event = facts.record(item.get("event-data"))
        delivery = facts.record(event.get("delivery-status"))
        kind = _kind(event, facts.words(delivery.get("code")))
        message_id = facts.message_id(facts.record(facts.record(event.get("message")).get("headers")).get("message-id"))
        status = facts.status_in(delivery.get("enhanced-code"), delivery.get("message"), delivery.get("description"))
        return [
            Event(
                kind,
                _key(item, event),
                recipient=facts.address(event.get("recipient")),
                occurred_at=facts.seconds(event.get("timestamp")),
                mark=facts.mark(facts.record(event.get("user-variables")).get(facts.MARK)),
                message_id=message_id,
                provider_message_id=message_id,
                bounce_class=_class(delivery, status) if kind is Kind.bounced else None,
                # `client-info.bot` names the proxy or scanner behind an open or click
                machine=kind in (Kind.opened, Kind.clicked)
                and bool(facts.words(facts.record(event.get("client-info")).get("bot"))),
                url=facts.words(event.get("url"), 2000) or None if kind is Kind.clicked else None,
                status=status if kind in (Kind.bounced, Kind.deferred) else None,
                detail=facts.detail(delivery.get("message"), delivery.get("description"), event.get("reason")),
            )
        ]

    def correlation(self, mark: str) -> list[tuple[str, str]]:
        return [("X-Mailgun-Variables", json.dumps({facts.MARK: mark}))]

    def sample(self, secrets: Secrets, public_url: str, mark: str, recipient: str, now: datetime) -> Post:
        timestamp = str(int(now.timestamp()))
        token = hashlib.sha256(f"{mark} {now.isoformat()}".encode()).hexdigest()[:50]
        key = proofs.own(secrets, "KEYS")
        body = {
            "signature": {
                "timestamp": timestamp,
                "token": token,
                "signature": _signature(key, timestamp, token).decode(),
            },
            "event-data": {
                "event": "delivered",
                "id": token[:22],
                "timestamp": now.timestamp(),
                "recipient": recipient,
                "user-variables": {facts.MARK: mark},
                "delivery-status": {"code": 250, "message": "OK"},
            },
        }
        return Post("POST", public_url, {"content-type": "application/json"}, json.dumps(body).encode())


def _signature(key: str, timestamp: str, token: str) -> bytes:
    return hmac.new(key.encode(), proofs.plain(timestamp + token), hashlib.sha256).hexdigest().encode()


def _kind(item: dict[str, Any], code: str) -> Kind:
    kind = _KINDS.get(facts.words(item.get("event")), Kind.unknown)
    if kind is not Kind.bounced:
        return kind
    if facts.words(item.get("severity")) == "temporary":
        return Kind.deferred
    if code in _SUPPRESSED or facts.words(item.get("reason")).startswith("suppress-"):
        return Kind.rejected
    return Kind.bounced


def _class(delivery: dict[str, Any], status: str | None) -> BounceClass:
    """They say "permanent" of whatever they give up, spam filters included: what it was for, only the words tell."""
    text = delivery.get("message") or delivery.get("description")
    return facts.classed(status, text, delivery.get("code"), otherwise=BounceClass.hard)


def _key(post: dict[str, Any], item: dict[str, Any]) -> str:
    """Their ids are unique within a day only; the token may be another one when a post is tried again."""
    if own := facts.words(item.get("id")):
        return facts.key("mailgun", own, facts.words(item.get("timestamp")))
    return facts.key("mailgun", facts.words(facts.record(post.get("signature")).get("token")) or facts.digest(post))


provider = Mailgun()
