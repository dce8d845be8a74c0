"""SparkPost (Bird): nothing is signed; the login proves the sender. Arrays of `{"msys": {kind of event: event}}`."""

import json
from datetime import datetime
from typing import Any

from preference_center.providers.base import BounceClass, Event, Kind
from preference_center.providers.parts import facts
from preference_center.providers.parts.logins import ByLogin

_KINDS = {
    "injection": Kind.accepted,
    "delivery": Kind.delivered,
    "delay": Kind.deferred,
    "bounce": Kind.bounced,
    "out_of_band": Kind.bounced,
    "policy_rejection": Kind.rejected,
    "generation_failure": Kind.rejected,
    "generation_rejection": Kind.rejected,
    "spam_complaint": Kind.complained,
    "list_unsubscribe": Kind.unsubscribed,
    "link_unsubscribe": Kind.unsubscribed,
    "open": Kind.opened,
    "initial_open": Kind.opened,
    "amp_open": Kind.opened,
    "amp_initial_open": Kind.opened,
    "click": Kind.clicked,
    "amp_click": Kind.clicked,
}
# their codes for why a message bounced; some are no bounce at all
_CLASSES = {
    **dict.fromkeys(["10", "30"], BounceClass.hard),
    **dict.fromkeys(["20", "21", "22", "23", "24", "40", "70"], BounceClass.soft),
    **dict.fromkeys(["50", "51", "52", "53", "54"], BounceClass.block),
}
_NO_BOUNCE = {
    "25": Kind.rejected,  # their own policy
    "26": Kind.rejected,
    "60": Kind.auto_replied,
    "80": Kind.unknown,  # somebody asks for a subscription: nothing that may come this way
    "90": Kind.unsubscribed,
    "100": Kind.auto_replied,  # a challenge
}


class SparkPost(ByLogin):
    name = "sparkpost"
    page = "https://developers.sparkpost.com/api/webhooks/"

    def read_one(self, item: dict[str, Any]) -> list[Event]:
        """One object of the array; `{"msys": {}}` is a ping."""
        envelope = item.get("msys")
        if envelope == {}:
            return []
        if not isinstance(envelope, dict):
            return [facts.unknown("sparkpost", item)]
        return [_event(event) for event in envelope.values() if isinstance(event, dict)] or [
            facts.unknown("sparkpost", item)
        ]

    def correlation(self, mark: str) -> list[tuple[str, str]]:
        return [("X-MSYS-API", json.dumps({"metadata": {facts.MARK: mark}}))]

    def delivered(self, mark: str, recipient: str, now: datetime) -> Any:
        event = {
            "type": "delivery",
            "event_id": facts.digest([mark, now.isoformat()])[:18],
            "rcpt_to": recipient,
            "raw_rcpt_to": recipient,
            "rcpt_meta": {facts.MARK: mark},
            "timestamp": str(int(now.timestamp())),
        }
        return [{"msys": {"message_event": event}}]


def _event(event: dict[str, Any]) -> Event:
    kind, code = _kind(event)
    text = event.get("raw_reason") or event.get("reason")
    status = facts.status_in(text) if kind in (Kind.bounced, Kind.deferred) else None
    return Event(
        kind,
        facts.key("sparkpost", facts.words(event.get("event_id")) or facts.digest(event)),
        # the raw one keeps the case that was written
        recipient=facts.address(event.get("raw_rcpt_to")) or facts.address(event.get("rcpt_to")),
        occurred_at=facts.seconds(event.get("timestamp")),
        mark=facts.mark(facts.record(event.get("rcpt_meta")).get(facts.MARK)),
        provider_message_id=facts.words(event.get("message_id")) or None,
        bounce_class=_class(code, status, text, event) if kind is Kind.bounced else None,
        machine=kind is Kind.opened and facts.yes(facts.record(event.get("user_agent_parsed")).get("is_prefetched")),
        url=facts.words(event.get("target_link_url"), 2000) or None if kind is Kind.clicked else None,
        status=status,
        detail=facts.detail(text),
    )


def _kind(event: dict[str, Any]) -> tuple[Kind, str]:
    kind, code = _KINDS.get(facts.words(event.get("type")), Kind.unknown), facts.words(event.get("bounce_class"))
    if kind is Kind.complained and facts.words(event.get("fbtype")) == "not-spam":
        return Kind.unknown, code  # a person took a message out of the spam folder
    return (_NO_BOUNCE.get(code, kind) if kind is Kind.bounced else kind), code


def _class(code: str, status: str | None, text: Any, event: dict[str, Any]) -> BounceClass:
    return _CLASSES.get(code) or facts.classed(status, text, event.get("error_code"), otherwise=BounceClass.soft)


provider = SparkPost()
