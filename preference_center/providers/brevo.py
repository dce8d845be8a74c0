"""Brevo (Sendinblue): nothing is signed; a login in the URL or a bearer token proves the sender. One object, or an array."""

import json
from datetime import datetime
from typing import Any

from preference_center.providers.base import BounceClass, Event, Kind, Unreadable
from preference_center.providers.parts import facts
from preference_center.providers.parts.logins import LOGINS, TOKENS, ByLogin

# transactional events, and what the same are called for marketing mail
_KINDS = {
    "request": Kind.accepted,
    "sent": Kind.accepted,
    "delivered": Kind.delivered,
    "deferred": Kind.deferred,
    "hard_bounce": Kind.bounced,
    "hardbounce": Kind.bounced,
    "soft_bounce": Kind.bounced,
    "softbounce": Kind.bounced,
    "blocked": Kind.rejected,
    "invalid_email": Kind.rejected,
    "invalid": Kind.rejected,
    "error": Kind.rejected,
    "complaint": Kind.complained,
    "spam": Kind.complained,
    "unsubscribe": Kind.unsubscribed,
    "unsubscribed": Kind.unsubscribed,
    "opened": Kind.opened,
    "unique_opened": Kind.opened,
    "proxy_open": Kind.opened,
    "unique_proxy_open": Kind.opened,
    "click": Kind.clicked,
}


class Brevo(ByLogin):
    name = "brevo"
    page = "https://developers.brevo.com/docs/transactional-webhooks"
    settings = (LOGINS, TOKENS)

    def read_one(self, item: dict[str, Any]) -> list[Event]:
        event = facts.words(item.get("event"))
        kind = _KINDS.get(event.lower(), Kind.unknown)
        recipient = facts.address(item.get("email"))
        message_id = facts.message_id(item.get("message-id"))
        return [
            Event(
                kind,
                _key(event, message_id, item, recipient),
                recipient=recipient,
                # `ts`, `ts_event` and `date` follow the clock of the account, so without this one nobody knows
                occurred_at=facts.milliseconds(item.get("ts_epoch")),
                mark=_mark(item.get("X-Mailin-custom")),
                message_id=message_id,
                provider_message_id=message_id,
                bounce_class=_class(event) if kind is Kind.bounced else None,
                machine="proxy" in event and kind is Kind.opened,
                url=facts.words(item.get("link"), 2000) or None if kind is Kind.clicked else None,
                status=facts.status_in(item.get("reason")) if kind is Kind.bounced else None,
                detail=facts.detail(item.get("reason")),
            )
        ]

    def correlation(self, mark: str) -> list[tuple[str, str]]:
        return [("X-Mailin-custom", json.dumps({facts.MARK: mark}))]

    def delivered(self, mark: str, recipient: str, now: datetime) -> Any:
        return {
            "event": "delivered",
            "email": recipient,
            "ts_epoch": int(now.timestamp() * 1000),
            "message-id": "<sample@smtp-relay.example>",
            "X-Mailin-custom": json.dumps({facts.MARK: mark}),
        }


def _class(event: str) -> BounceClass:
    return BounceClass.hard if event.lower().startswith("hard") else BounceClass.soft


def _mark(custom: Any) -> str | None:
    """The header comes back as it was sent: JSON in a text."""
    if not isinstance(custom, str) or len(custom) > 1000:
        return None
    try:
        return facts.mark(facts.record(facts.json_of(custom)).get(facts.MARK))
    except Unreadable:
        return None


def _key(event: str, message_id: str | None, item: dict[str, Any], recipient: str | None) -> str:
    """They send no id of the event; `id` is that of the webhook."""
    time = next((said for name in ("ts_epoch", "ts_event", "ts") if (said := facts.words(item.get(name)))), "")
    if not message_id:
        return facts.key("brevo", event, facts.digest(item))
    more = filter(None, [time, facts.words(item.get("link"), 2000)])
    return facts.key("brevo", event, message_id, *more, about=recipient or "")


provider = Brevo()
