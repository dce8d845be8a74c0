"""Any sender of Standard Webhooks, such as a mail server of your own: our words, in the shape docs/providers/standard.md shows."""

from datetime import datetime
from typing import Any

from preference_center.providers.base import BounceClass, Event, Kind, Post, Unreadable
from preference_center.providers.parts import facts, standard_signature
from preference_center.providers.parts.standard_signature import BySignature

_BATCH = "mail.events"


class Standard(BySignature):
    name = "standard"
    page = "https://www.standardwebhooks.com/"

    def read(self, post: Post) -> list[Event]:
        body = facts.json_of(post.body)
        number = standard_signature.id_of(post)
        if not isinstance(body, dict) or body.get("type") != _BATCH:
            return facts.each(body, self.name, lambda item: [_event(item, number or facts.digest(item))])
        batch = facts.record(body.get("data")).get("events")
        if not isinstance(batch, list):
            raise Unreadable(f"{_BATCH} holds no list data.events")
        return facts.each(batch, self.name, lambda item: [_event(item, _own(item, number))])

    def correlation(self, mark: str) -> list[tuple[str, str]]:
        return [(facts.MARK_HEADER, mark)]

    def delivered(self, mark: str, recipient: str, now: datetime) -> Any:
        return {
            "type": "mail.delivered",
            "timestamp": now.isoformat(),
            "data": {"recipient": recipient, "mark": mark, "detail": "250 2.0.0 sample"},
        }


def _own(item: dict[str, Any], number: str) -> str:
    """An event of a batch is known by its own id, so that it may come again in another batch."""
    return facts.words(item.get("id")) or f"{number}:{facts.digest(item)}"


def _event(item: dict[str, Any], number: str) -> Event:
    data = facts.record(item.get("data"))
    said = facts.words(item.get("type")).removeprefix("mail.")
    kind = Kind(said) if said in list(Kind) else Kind.unknown
    status = facts.status_in(data.get("status"), data.get("detail"))
    return Event(
        kind,
        facts.key("standard", number),
        recipient=facts.address(data.get("recipient")),
        occurred_at=facts.iso(item.get("timestamp")),
        mark=facts.mark(data.get("mark")),
        message_id=facts.message_id(data.get("message_id")),
        provider_message_id=facts.words(data.get("provider_message_id")) or None,
        bounce_class=_class(data, status) if kind is Kind.bounced else None,
        scope_all=kind is Kind.unsubscribed and data.get("scope") == "all",
        machine=kind in (Kind.opened, Kind.clicked) and data.get("machine") is True,
        url=facts.words(data.get("url"), 2000) or None if kind is Kind.clicked else None,
        status=status if kind in (Kind.bounced, Kind.deferred) else None,
        detail=facts.detail(data.get("detail")),
    )


def _class(data: dict[str, Any], status: str | None) -> BounceClass:
    given = facts.words(data.get("bounce_class"))
    if given in list(BounceClass):
        return BounceClass(given)
    return facts.classed(status, data.get("detail"), otherwise=BounceClass.soft)


provider = Standard()
