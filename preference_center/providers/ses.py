"""Amazon SES: events by way of SNS, from a configuration set (event publishing) or an identity (feedback notifications).

One bounce can come both ways, under two ids of SNS and one `feedbackId`; a post can name several people.
"""

import re
from datetime import datetime
from typing import Any

from preference_center import clock
from preference_center.providers.base import (
    BounceClass,
    CannotBeMadeUp,
    Event,
    Kind,
    Post,
    Provider,
    Secrets,
    Setting,
    Unreadable,
)
from preference_center.providers.parts import facts, sns

# what the event is called, where it lies in the message, and who it is about there
_KINDS = {
    "Send": (Kind.accepted, "send", ""),
    "Delivery": (Kind.delivered, "delivery", "recipients"),
    "DeliveryDelay": (Kind.deferred, "deliveryDelay", "delayedRecipients"),
    "Bounce": (Kind.bounced, "bounce", "bouncedRecipients"),
    "Complaint": (Kind.complained, "complaint", "complainedRecipients"),
    "Reject": (Kind.rejected, "reject", ""),
    "Rendering Failure": (Kind.rejected, "failure", ""),
    "Subscription": (Kind.unsubscribed, "subscription", ""),
    "Open": (Kind.opened, "open", ""),
    "Click": (Kind.clicked, "click", ""),
}
# their own list: they did not try, so it is no news of the address
_NOT_TRIED = {"Suppressed", "OnAccountSuppressionList", "UnsubscribedRecipient"}
_ABOUT_US = {"MessageTooLarge", "ContentRejected", "AttachmentRejected"}
_CLASSES = {"Permanent": BounceClass.hard, "Transient": BounceClass.soft}
_NO_COMPLAINT = {"not-spam", "auth-failure"}


def _topic_fault(value: str) -> str | None:
    right = re.fullmatch(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+(\.fifo)?", value)
    return None if right else "must be the ARN of an SNS topic, such as arn:aws:sns:eu-west-1:123456789012:mail-events"


class Ses(Provider):
    name = "ses"
    page = "https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns.html"
    settings = (
        Setting(
            "TOPICS",
            "the ARNs of your SNS topics; posts from any other are refused",
            many=True,
            example="arn:aws:sns:eu-west-1:123456789012:mail-events",
            fault=_topic_fault,
        ),
    )

    def __init__(self, fetch: sns.Fetch = sns.download) -> None:
        self.certificates = sns.Certificates(fetch)

    def verify(self, post: Post, secrets: Secrets, now: datetime) -> str | None:
        sns.verified(post, secrets, self.certificates, now)
        return None

    def greet(self, post: Post, secrets: Secrets) -> str | None:
        """Confirms the subscription of a topic of ours, by the one GET that Amazon asks for."""
        try:
            if sns.envelope(post).get("Type") != "SubscriptionConfirmation":
                return None
        except Unreadable:
            return None
        found = sns.verified(post, secrets, self.certificates, clock.now())
        sns.confirm(found["SubscribeURL"], self.certificates.fetch)
        return "confirmed"

    def read(self, post: Post) -> list[Event]:
        envelope = sns.envelope(post)
        if envelope.get("Type") != "Notification":
            return []
        text = envelope.get("Message")
        if not isinstance(text, str):
            raise Unreadable("the envelope holds no message")
        if text.startswith("Successfully validated SNS topic"):
            return []
        number = facts.words(envelope.get("MessageId"))
        return facts.each(facts.json_of(text), self.name, lambda item: _read(item, number))

    def correlation(self, mark: str) -> list[tuple[str, str]]:
        return [("X-SES-MESSAGE-TAGS", f"{facts.MARK}={mark}")]

    def sample(self, secrets: Secrets, public_url: str, mark: str, recipient: str, now: datetime) -> Post:
        raise CannotBeMadeUp(
            "Only Amazon can sign its posts. Send a message through SES to success@simulator.amazonses.com, or to bounce@ or "
            "complaint@ the same domain: its events come by your topic, are about an address we never mailed, and so change "
            "nothing."
        )


def _read(item: dict[str, Any], number: str) -> list[Event]:
    called = facts.words(item.get("eventType") or item.get("notificationType"))
    kind, place, about = _KINDS.get(called, (Kind.unknown, "", ""))
    said, mail = facts.record(item.get(place)), facts.record(item.get("mail"))
    kind = _kind(kind, said)
    people = said.get(about) if about else mail.get("destination")
    people = people if isinstance(people, list) and people else [None]
    common: dict[str, Any] = {
        "occurred_at": facts.iso(said.get("timestamp")) or facts.iso(mail.get("timestamp")),
        "mark": _mark(mail),
        "message_id": _message_id(mail),
        "provider_message_id": facts.words(mail.get("messageId")) or None,
        "scope_all": kind is Kind.unsubscribed
        and facts.record(said.get("newTopicPreferences")).get("unsubscribeAll") is True,
        "url": facts.words(said.get("link"), 2000) or None if kind is Kind.clicked else None,
    }
    return [_event(kind, person, said, _key(called, item, number), common) for person in people[: facts.MOST_EVENTS]]


def _event(kind: Kind, person: Any, said: dict[str, Any], key: tuple[str, ...], common: dict[str, Any]) -> Event:
    about = facts.record(person)
    recipient = facts.address(about.get("emailAddress") if about else person)
    status = facts.status_in(about.get("status"), about.get("diagnosticCode"))
    words = about.get("diagnosticCode")
    return Event(
        kind,
        facts.key("ses", *key, about=recipient or ""),
        recipient=recipient,
        bounce_class=_class(said, status, words) if kind is Kind.bounced else None,
        status=status if kind in (Kind.bounced, Kind.deferred) else None,
        detail=facts.detail(words, said.get("smtpResponse"), said.get("reason"), said.get("errorMessage")),
        **common,
    )


def _kind(kind: Kind, said: dict[str, Any]) -> Kind:
    if kind is Kind.bounced and facts.words(said.get("bounceSubType")) in _NOT_TRIED:
        return Kind.rejected
    if kind is Kind.complained and facts.words(said.get("complaintSubType")) in _NOT_TRIED:
        return Kind.rejected
    if kind is Kind.complained and facts.words(said.get("complaintFeedbackType")) in _NO_COMPLAINT:
        return Kind.unknown
    if kind is Kind.unsubscribed and not _left(said):
        return Kind.provider_reactivated
    return kind


def _left(said: dict[str, Any]) -> bool:
    """Whether somebody left a topic, or all, and did not come back."""
    new, old = facts.record(said.get("newTopicPreferences")), facts.record(said.get("oldTopicPreferences"))
    return new.get("unsubscribeAll") is True or bool(_topics_out(new) - _topics_out(old))


def _topics_out(preferences: dict[str, Any]) -> set[str]:
    topics = facts.rows(preferences.get("topicSubscriptionStatus"))
    return {facts.words(topic.get("topicName")) for topic in topics if topic.get("subscriptionStatus") == "OptOut"}


def _class(said: dict[str, Any], status: str | None, words: Any) -> BounceClass:
    if facts.words(said.get("bounceSubType")) in _ABOUT_US:
        return BounceClass.block
    given = _CLASSES.get(facts.words(said.get("bounceType")))
    return given or facts.classed(status, words, otherwise=BounceClass.soft)


def _key(called: str, item: dict[str, Any], number: str) -> tuple[str, ...]:
    place = _KINDS.get(called, (Kind.unknown, "", ""))[1]
    if feedback := facts.words(facts.record(item.get(place)).get("feedbackId")):
        return called, feedback
    if called == "Delivery" and (message := facts.words(facts.record(item.get("mail")).get("messageId"))):
        return called, message
    return "sns", number or facts.digest(item)


def _mark(mail: dict[str, Any]) -> str | None:
    """Out of the tags (event publishing gives them back as lists), else out of the headers."""
    tagged = facts.record(mail.get("tags")).get(facts.MARK)
    if isinstance(tagged, list) and tagged and (found := facts.mark(tagged[0])):
        return found
    for header in facts.rows(mail.get("headers")):
        if facts.words(header.get("name")).upper() == "X-SES-MESSAGE-TAGS":
            tags = [tag.strip().partition("=") for tag in facts.words(header.get("value"), 1000).split(",")]
            return next((facts.mark(value) for name, _, value in tags if name == facts.MARK), None)
    return None


def _message_id(mail: dict[str, Any]) -> str | None:
    """The one we wrote; they put another into what they send."""
    for header in facts.rows(mail.get("headers")):
        if facts.words(header.get("name")).lower() == "message-id":
            return facts.message_id(header.get("value"))
    return facts.message_id(facts.record(mail.get("commonHeaders")).get("messageId"))


provider = Ses()
