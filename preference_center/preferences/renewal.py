"""A consent that ends soon: the person is told once, some days before, and may say yes again on a page of their own."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from preference_center import clock
from preference_center.consent import ledger, wordings
from preference_center.consent import standing as consents
from preference_center.consent.law import validity
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import ConsentRecord, Wording
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.errors import Conflict
from preference_center.notices import sending as notices
from preference_center.notices.models import Kind, Notice
from preference_center.preferences import choices
from preference_center.suppressions import register
from preference_center.topics import catalogue
from preference_center.topics.models import Topic

STEP = 200
AGAIN = timedelta(days=1)


@dataclass(frozen=True)
class Ending:
    """A topic whose consent ends soon, and the text that saying yes again would rest on."""

    topic: Topic
    until: datetime
    wording: Wording | None  # none: there is no text in this language


def ask(limit: int = STEP) -> int:
    """Write to some of those whose consent ends soon, inside a `transaction()`; how many were looked at. Each end is told once."""
    now = clock.now()
    waiting = validity.to_ask(now, limit)
    contacts.lock(waiting)
    keys = {topic.id: topic.key for topic in catalogue.live()}
    for contact_id in waiting:
        contact = db.session.get_one(Contact, contact_id)
        ends = validity.ending(contact, now)
        topics = [topic_id for topic_id in validity.asked(contact, now) if topic_id in keys]
        if topics:
            until = min(ends[topic_id] for topic_id in topics)
            payload = {"topics": sorted(keys[topic_id] for topic_id in topics), "until": until.isoformat()}
            notices.owe(Kind.consent_ending, contact, payload)
    return len(waiting)


def today(notice: Notice, contact: Contact | None) -> dict[str, Any] | datetime | None:
    """What a notice has to say when it goes: of what ends soon only what still does. One may have left or renewed since.

    Whose address is closed is left alone. In a break, while the address rests or their data may not be used it waits, and is
    looked at each day, as that may end early.
    """
    if notice.kind is not Kind.consent_ending or contact is None:
        return notice.payload
    now, rests_until = clock.now(), register.rests_until(contact.address_hash)
    if not contact.address_hash or (rests_until is None and register.standing([contact.address_hash])):
        return None
    ends = validity.ending(contact, now)
    still = {topic.key: topic for topic in catalogue.live() if topic.id in ends}
    told = [still[key] for key in notice.payload.get("topics", []) if key in still]
    if not told:
        return None
    restricted = now + AGAIN if contact.restricted_at is not None else None
    if waits := [until for until in (_break_ends(contact, told, now), rests_until, restricted) if until]:
        return min(*waits, now + AGAIN)
    return {"topics": [topic.key for topic in told], "until": min(ends[topic.id] for topic in told).isoformat()}


def _break_ends(contact: Contact, topics: list[Topic], now: datetime) -> datetime | None:
    stands = [consents.on_purpose(contact, key) for key in {topic.purpose_key for topic in topics}]
    until = [stand.paused_until for stand in stands if stand and stand.paused_until and stand.paused_until > now]
    return max(until, default=None)


def endings(contact: Contact, language: str) -> list[Ending]:
    """What ends soon, in the owner's order."""
    soon = validity.ending(contact, clock.now())
    topics = [topic for topic in catalogue.live() if topic.id in soon]
    texts = wordings.current_of(topics, language)
    return [Ending(topic, soon[topic.id], texts.get(topic.id)) for topic in topics]


def renew(contact: Contact, key: str, wording_id: int, evidence: Evidence) -> ConsentRecord:
    """The person says yes again to the text that was shown. Conflict when there is nothing to renew any more."""
    contacts.lock([contact.id], for_withdrawal=True)
    found = {one.topic.key: one for one in endings(contact, evidence.language or "en")}.get(key)
    text = consents.texts([wording_id]).get(wording_id)
    if found is None or text is None or text.topic_id != found.topic.id or text.shown_on != "form":
        raise Conflict("This consent does not end soon any more, or has ended.")
    record = ledger.renew(contact, found.topic, replace(evidence, wording_id=text.id, language=text.language))
    if record is None:
        raise Conflict("This consent has ended.")
    choices.tell(contact, Kind.consent_renewed, [key])
    return record
