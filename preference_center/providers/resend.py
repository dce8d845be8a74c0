"""Resend: webhooks signed by Svix, one event a post. The id of an event stands in the `svix-id` header alone."""

from datetime import datetime
from typing import Any

from preference_center.providers.base import BounceClass, Event, Kind, Post
from preference_center.providers.parts import facts, standard_signature
from preference_center.providers.parts.standard_signature import BySignature

_KINDS = {
    "email.sent": Kind.accepted,
    "email.delivered": Kind.delivered,
    "email.delivery_delayed": Kind.deferred,
    "email.bounced": Kind.bounced,
    "email.failed": Kind.rejected,
    "email.suppressed": Kind.rejected,
    "email.complained": Kind.complained,
    "email.opened": Kind.opened,
    "email.clicked": Kind.clicked,
}
# the words of Amazon SES, which carries their mail
_NOT_TRIED = {"Suppressed", "OnAccountSuppressionList"}
_ABOUT_US = {"ContentRejected", "AttachmentRejected", "MessageTooLarge"}
_CLASSES = {"Permanent": BounceClass.hard, "Transient": BounceClass.soft}
# before there were types, only their sentences told; these are theirs, not those of the remote server
_SENTENCES = {
    "sent a hard bounce message": BounceClass.hard,
    "sent a general bounce message": BounceClass.soft,
    "inbox was full": BounceClass.soft,
}
_SUPPRESSED = "has suppressed sending to this address"


class Resend(BySignature):
    name = "resend"
    page = "https://resend.com/docs/webhooks/introduction"
    prefix = "svix-"

    def read(self, post: Post) -> list[Event]:
        number = standard_signature.id_of(post)
        return facts.each(facts.json_of(post.body), self.name, lambda item: [_event(item, number)])

    def correlation(self, mark: str) -> list[tuple[str, str]]:
        # tags exist for their API alone; the headers of the message come back in the event
        return [(facts.MARK_HEADER, mark)]

    def delivered(self, mark: str, recipient: str, now: datetime) -> Any:
        return {
            "type": "email.delivered",
            "created_at": now.isoformat(),
            "data": {
                "email_id": "00000000-0000-4000-8000-000000000001",
                "to": [recipient],
                "headers": [{"name": facts.MARK_HEADER, "value": mark}],
            },
        }


def _event(item: dict[str, Any], number: str) -> Event:
    data = facts.record(item.get("data"))
    bounce = facts.record(data.get("bounce"))
    kind = _KINDS.get(facts.words(item.get("type")), Kind.unknown)
    if kind is Kind.bounced and _not_tried(bounce):
        kind = Kind.rejected
    return Event(
        kind,
        facts.key("resend", number or facts.digest(item)),
        recipient=_recipient(data.get("to")),
        occurred_at=facts.iso(item.get("created_at")),  # data.created_at is when the message was made
        mark=facts.mark_in_headers(data.get("headers")),
        message_id=facts.message_id(data.get("message_id")),
        provider_message_id=facts.words(data.get("email_id")) or None,
        bounce_class=_class(bounce) if kind is Kind.bounced else None,
        url=facts.words(facts.record(data.get("click")).get("link"), 2000) or None if kind is Kind.clicked else None,
        status=facts.status_in(bounce.get("message")) if kind is Kind.bounced else None,
        detail=facts.detail(bounce.get("message"), facts.record(data.get("failed")).get("reason")),
    )


def _not_tried(bounce: dict[str, Any]) -> bool:
    said = facts.words(bounce.get("message"), 1000)
    return facts.words(bounce.get("subType")) in _NOT_TRIED or _SUPPRESSED in said


def _class(bounce: dict[str, Any]) -> BounceClass:
    if facts.words(bounce.get("subType")) in _ABOUT_US:
        return BounceClass.block
    said = facts.words(bounce.get("message"), 1000)
    given = _CLASSES.get(facts.words(bounce.get("type")))
    given = given or next((meant for sentence, meant in _SENTENCES.items() if sentence in said), None)
    return given or facts.classed(None, bounce.get("message"), otherwise=BounceClass.soft)


def _recipient(to: Any) -> str | None:
    """Of a message for several people an event does not say whom it is about; ours have one."""
    return facts.address(to[0]) if isinstance(to, list) and len(to) == 1 else facts.address(to)


provider = Resend()
