"""Mandrill (Mailchimp Transactional): a form whose one field holds a JSON array, signed together with the public URL."""

import base64
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from preference_center.providers.base import (
    BounceClass,
    Event,
    Forged,
    Kind,
    Post,
    Provider,
    Secrets,
    Setting,
    Unreadable,
)
from preference_center.providers.parts import facts, proofs

_FIELD = "mandrill_events"
_MOST_FIELDS = 20
# When a webhook is made, they first ask by HEAD, unsigned, and then send an empty list under this key, known to all.
_TEST_KEY = "test-webhook"

_KINDS = {
    "send": Kind.accepted,
    "delivered": Kind.delivered,
    "deferral": Kind.deferred,
    "hard_bounce": Kind.bounced,
    "soft_bounce": Kind.bounced,
    "reject": Kind.rejected,
    "spam": Kind.complained,
    "unsub": Kind.unsubscribed,
    "open": Kind.opened,
    "click": Kind.clicked,
}
# the cause, where it says more than "for now" or "for good"
_CAUSES = {
    "spam": BounceClass.block,
    "content": BounceClass.block,
    "invalid_sender": BounceClass.block,
    "relaying_denied": BounceClass.block,
    "mailbox_full": BounceClass.soft,
}


class Mandrill(Provider):
    name = "mandrill"
    page = "https://mailchimp.com/developer/transactional/docs/webhooks/"
    settings = (
        Setting(
            "KEYS",
            "the key that stands beside the webhook in their settings",
            many=True,
            example="a-key-nobody-guesses-00",
        ),
    )

    def verify(self, post: Post, secrets: Secrets, now: datetime) -> str | None:
        if post.method == "HEAD":
            return None
        keys = [*proofs.needed(secrets, "KEYS")]
        fields = _fields(post)
        if _is_test(fields):
            keys.append(_TEST_KEY)
        given = proofs.plain(post.headers.get("x-mandrill-signature", ""))
        if not proofs.equals_one_of(given, [_signature(key, post.url, fields) for key in keys]):
            raise Forged("the signature is wrong")
        return None

    def greet(self, post: Post, secrets: Secrets) -> str | None:
        if post.method == "HEAD":
            return ""
        if not _is_test(_fields(post)):
            return None
        # Whoever sends it learns nothing and changes nothing, so the key known to all is enough.
        given = proofs.plain(post.headers.get("x-mandrill-signature", ""))
        keys = [*secrets.all("KEYS"), _TEST_KEY]
        if not proofs.equals_one_of(given, [_signature(key, post.url, _fields(post)) for key in keys]):
            raise Forged("the signature is wrong")
        return "ok"

    def read(self, post: Post) -> list[Event]:
        if post.method == "HEAD":
            return []
        try:
            text = dict(_fields(post)).get(_FIELD, "")
        except Forged as fault:
            raise Unreadable(str(fault)) from None
        return facts.each(facts.json_of(text), self.name, _read)

    def correlation(self, mark: str) -> list[tuple[str, str]]:
        return [("X-MC-Metadata", json.dumps({facts.MARK: mark}))]

    def sample(self, secrets: Secrets, public_url: str, mark: str, recipient: str, now: datetime) -> Post:
        number = facts.digest([mark, now.isoformat()])[:32]
        message = {"_id": number, "email": recipient, "metadata": {facts.MARK: mark}}
        events = [{"event": "delivered", "_id": number, "ts": int(now.timestamp()), "msg": message}]
        fields = [(_FIELD, json.dumps(events))]
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-mandrill-signature": _signature(proofs.own(secrets, "KEYS"), public_url, fields).decode(),
        }
        return Post("POST", public_url, headers, urlencode(fields).encode())


def _fields(post: Post) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            post.body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="surrogateescape"
        )
    except ValueError:
        raise Forged("the body is not a form") from None


def _signature(key: str, url: str, fields: list[tuple[str, str]]) -> bytes:
    signed = url + "".join(name + value for name, value in sorted(fields))
    octets = signed.encode("utf-8", "surrogateescape")
    return base64.b64encode(hmac.new(key.encode(), octets, hashlib.sha1).digest())


def _is_test(fields: list[tuple[str, str]]) -> bool:
    return dict(fields).get(_FIELD, "").strip() == "[]"


def _read(item: dict[str, Any]) -> list[Event]:
    event = facts.words(item.get("event"))
    if not event and facts.words(item.get("type")) in {"blacklist", "whitelist"}:
        return []  # somebody edited their lists; no message, no time, no fact about a contact
    message = facts.record(item.get("msg"))
    kind = _KINDS.get(event, Kind.unknown)
    status = facts.status_in(message.get("diag")) if kind is Kind.bounced else None
    return [
        Event(
            kind,
            _key(event, item),
            recipient=facts.address(message.get("email")),
            occurred_at=facts.seconds(item.get("ts")),
            mark=facts.mark(facts.record(message.get("metadata")).get(facts.MARK)),
            provider_message_id=facts.words(item.get("_id") or message.get("_id")) or None,
            bounce_class=_class(event, message) if kind is Kind.bounced else None,
            url=facts.words(item.get("url"), 2000) or None if kind is Kind.clicked else None,
            status=status,
            detail=facts.detail(message.get("diag"), message.get("bounce_description"), message.get("reject_reason")),
        )
    ]


def _class(event: str, message: dict[str, Any]) -> BounceClass:
    given = _CAUSES.get(facts.words(message.get("bounce_description")))
    return given or (BounceClass.hard if event == "hard_bounce" else BounceClass.soft)


def _key(event: str, item: dict[str, Any]) -> str:
    """`_id` names the message; two clicks in one second differ by their link."""
    if not (number := facts.words(item.get("_id"))):
        return facts.key("mandrill", event, facts.digest(item))
    more = filter(None, [facts.words(item.get("ts")), facts.words(item.get("url"), 2000)])
    return facts.key("mandrill", event, number, *more)


provider = Mandrill()
