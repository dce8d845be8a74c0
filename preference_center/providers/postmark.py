"""Postmark: nothing is signed; the login in the URL proves the sender. One event a post, told apart by `RecordType`."""

from datetime import datetime
from typing import Any

from preference_center.providers.base import BounceClass, Event, Kind
from preference_center.providers.parts import facts
from preference_center.providers.parts.logins import ByLogin

_RECORDS = {
    "Delivery": Kind.delivered,
    "SpamComplaint": Kind.complained,
    "Open": Kind.opened,
    "Click": Kind.clicked,
}
# what the `Type` of a bounce means (read it, not TypeCode); Transient and DnsError are tried again
_BOUNCES: dict[str, tuple[Kind, BounceClass | None]] = {
    "HardBounce": (Kind.bounced, BounceClass.hard),
    "SoftBounce": (Kind.bounced, BounceClass.soft),
    "Transient": (Kind.deferred, None),
    "DnsError": (Kind.deferred, None),
    "OpenRelayTest": (Kind.deferred, None),
    "Unsubscribe": (Kind.unsubscribed, None),
    "Subscribe": (Kind.provider_reactivated, None),
    "AutoResponder": (Kind.auto_replied, None),
    "AddressChange": (Kind.auto_replied, None),
    "ChallengeVerification": (Kind.auto_replied, None),
    "SpamNotification": (Kind.bounced, BounceClass.block),  # a filter, no person
    "VirusNotification": (Kind.bounced, BounceClass.block),
    "Blocked": (Kind.bounced, BounceClass.block),
    "DMARCPolicy": (Kind.bounced, BounceClass.block),
    "SpamComplaint": (Kind.complained, None),
    "BadEmailAddress": (Kind.rejected, None),
    "ManuallyDeactivated": (Kind.rejected, None),
    "Unconfirmed": (Kind.rejected, None),
    "SMTPApiError": (Kind.rejected, None),
    "TemplateRenderingFailed": (Kind.rejected, None),
}
# why Postmark will send no more to somebody
_SUPPRESSED: dict[str, tuple[Kind, BounceClass | None]] = {
    "ManualSuppression": (Kind.unsubscribed, None),
    "HardBounce": (Kind.bounced, BounceClass.hard),
    "SpamComplaint": (Kind.complained, None),
}


class Postmark(ByLogin):
    name = "postmark"
    page = "https://postmarkapp.com/developer/webhooks/webhooks-overview"

    def read_one(self, item: dict[str, Any]) -> list[Event]:
        record = facts.words(item.get("RecordType"))
        kind, given = _kind(record, item)
        status = facts.status_in(item.get("Details"), item.get("Description")) if kind is Kind.bounced else None
        recipient = facts.address(item.get("Email") or item.get("Recipient"))
        return [
            Event(
                kind,
                _key(record, item, recipient),
                recipient=recipient,
                occurred_at=facts.iso(_time(item)),
                mark=_mark(facts.record(item.get("Metadata"))),
                provider_message_id=facts.words(item.get("MessageID")) or None,
                bounce_class=given or (_class(item, status) if kind is Kind.bounced else None),
                url=facts.words(item.get("OriginalLink"), 2000) or None if kind is Kind.clicked else None,
                status=status,
                detail=facts.detail(item.get("Details"), item.get("Description")),
            )
        ]

    def correlation(self, mark: str) -> list[tuple[str, str]]:
        # Without X-PM-KeepID they put in a Message-ID of their own, which breaks our signature too.
        return [(f"X-PM-Metadata-{_MARK}", mark), ("X-PM-KeepID", "true")]

    def delivered(self, mark: str, recipient: str, now: datetime) -> Any:
        return {
            "RecordType": "Delivery",
            "MessageID": "00000000-0000-4000-8000-000000000001",
            "Recipient": recipient,
            "DeliveredAt": now.isoformat(),
            "Details": "sample",
            "Metadata": {_MARK: mark},
        }


_MARK = facts.MARK.replace("_", "-")  # it travels in the name of a header


def _kind(record: str, item: dict[str, Any]) -> tuple[Kind, BounceClass | None]:
    if record == "Bounce":
        return _BOUNCES.get(facts.words(item.get("Type")), (Kind.bounced, None))
    if record == "SubscriptionChange" and item.get("SuppressSending") is True:
        return _SUPPRESSED.get(facts.words(item.get("SuppressionReason")), (Kind.unknown, None))
    if record == "SubscriptionChange" and item.get("SuppressSending") is False:
        return Kind.provider_reactivated, None
    return _RECORDS.get(record, Kind.unknown), None


def _class(item: dict[str, Any], status: str | None) -> BounceClass:
    return facts.classed(status, item.get("Details") or item.get("Description"), otherwise=BounceClass.soft)


def _time(item: dict[str, Any]) -> Any:
    return next((item[name] for name in ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt") if name in item), None)


def _key(record: str, item: dict[str, Any], recipient: str | None) -> str:
    """A bounce and the complaint that follows it may carry the same `ID`; other records have none."""
    if own := facts.words(item.get("ID")):
        return facts.key("postmark", record, own)
    if not (message := facts.words(item.get("MessageID"))):
        return facts.key("postmark", record, facts.digest(item))
    more = [facts.words(_time(item)), str(item.get("SuppressSending") is True), facts.words(item.get("OriginalLink"))]
    return facts.key("postmark", record, message, *filter(None, more), about=recipient or "")


def _mark(metadata: dict[str, Any]) -> str | None:
    """Our mark, whatever they made of the case of its name."""
    return next((facts.mark(value) for name, value in metadata.items() if name.lower() == _MARK), None)


provider = Postmark()
