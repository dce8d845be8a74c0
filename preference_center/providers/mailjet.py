"""Mailjet: nothing is signed; the login in the URL proves the sender. One object a post, or an array ("group events")."""

from datetime import datetime
from typing import Any

from preference_center.providers.base import BounceClass, Event, Kind
from preference_center.providers.parts import facts
from preference_center.providers.parts.logins import ByLogin

_KINDS = {
    "sent": Kind.delivered,  # the recipient's server took it
    "bounce": Kind.bounced,
    "blocked": Kind.rejected,
    "spam": Kind.complained,
    "unsub": Kind.unsubscribed,
    "open": Kind.opened,
    "click": Kind.clicked,
}
# what they call the cause of a bounce, where that says more than `hard_bounce`
_ABOUT_US = {"spam", "content", "policy", "mailjet"}
_CAUSES = {
    "relay/access denied": BounceClass.block,
    "sender blocked": BounceClass.block,
    "content blocked": BounceClass.block,
    "policy issue": BounceClass.block,
    "quota exceeded": BounceClass.soft,
    "connection issue": BounceClass.soft,
    "system issue": BounceClass.soft,
    "protocol issue": BounceClass.soft,
}


class Mailjet(ByLogin):
    name = "mailjet"
    page = "https://dev.mailjet.com/email/guides/webhooks/"

    def read_one(self, item: dict[str, Any]) -> list[Event]:
        event, error = facts.words(item.get("event")), facts.words(item.get("error")).lower()
        kind = _KINDS.get(event, Kind.unknown)
        hard = facts.yes(item.get("hard_bounce"))
        if kind is Kind.bounced and error == "greylisted" and not hard:
            kind = Kind.deferred
        recipient = facts.address(item.get("email"))
        message = facts.words(item.get("MessageID"))  # more than 2 to the 53rd: a text from here on
        return [
            Event(
                kind,
                _key(event, message, item, recipient),
                recipient=recipient,
                occurred_at=facts.seconds(item.get("time")),
                mark=facts.mark(item.get("CustomID")),
                provider_message_id=message or None,
                bounce_class=_class(item, error, hard) if kind is Kind.bounced else None,
                url=facts.words(item.get("url"), 2000) or None if kind is Kind.clicked else None,
                status=facts.status_in(item.get("comment")) if kind is Kind.bounced else None,
                detail=facts.detail(item.get("comment"), item.get("error"), item.get("smtp_reply")),
            )
        ]

    def correlation(self, mark: str) -> list[tuple[str, str]]:
        return [("X-MJ-CustomID", mark)]

    def delivered(self, mark: str, recipient: str, now: datetime) -> Any:
        return {
            "event": "sent",
            "time": int(now.timestamp()),
            "MessageID": 10000000000000001,
            "email": recipient,
            "CustomID": mark,
            "smtp_reply": "sent (250 2.0.0 OK)",
        }


def _class(item: dict[str, Any], error: str, hard: bool) -> BounceClass:
    if facts.words(item.get("error_related_to")).lower() in _ABOUT_US:
        return BounceClass.block
    return _CAUSES.get(error) or (BounceClass.hard if hard else BounceClass.soft)


def _key(event: str, message: str, item: dict[str, Any], recipient: str | None) -> str:
    """They send no id of the event."""
    if not message:
        return facts.key("mailjet", event, facts.digest(item))
    more = filter(None, [facts.words(item.get("time")), facts.words(item.get("url"), 2000)])
    return facts.key("mailjet", event, message, *more, about=recipient or "")


provider = Mailjet()
