"""Today's state, projected from consent records: one pure step, used both when a record is written and when all is rebuilt.

A topic's record moves the topic; a purpose's record (no topic) moves the standing and every topic of that purpose with it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby

from sqlalchemy import select

from preference_center.consent.models import Action, ConsentRecord, Standing, State, Subscription
from preference_center.db import db
from preference_center.topics.models import Topic

_TOPIC_STATE = {
    Action.requested: State.requested,
    Action.given: State.given,
    Action.confirmed: State.given,
    Action.refused: State.refused,
    Action.withdrawn: State.withdrawn,
    Action.objected: State.objected,
    Action.expired: State.expired,
    Action.invalidated: State.invalidated,
}
_STOPS = (State.withdrawn, State.objected)


@dataclass(frozen=True)
class OneTopic:
    state: State
    record_id: int
    until: datetime | None
    changed_at: datetime


@dataclass(frozen=True)
class OnePurpose:
    state: State
    record_id: int
    paused_until: datetime | None
    changed_at: datetime


@dataclass(frozen=True)
class Stand:
    """All that one contact's records say today, by topic id and by purpose key."""

    topics: dict[int, OneTopic] = field(default_factory=dict)
    purposes: dict[str, OnePurpose] = field(default_factory=dict)


def step(stand: Stand, record: ConsentRecord, topics_of_purpose: Iterable[int]) -> Stand:
    """The stand after one more record. Pure: nothing is read or written."""
    at, purposes = record.recorded_at, dict(stand.purposes)
    before = purposes.get(record.purpose_key) or OnePurpose(State.open, record.id, None, at)
    if record.topic_id is not None:
        now = OneTopic(state_after(record.action), record.id, record.until, at)
        if now.state is State.given and before.state in _STOPS:
            purposes[record.purpose_key] = replace(before, state=State.open, record_id=record.id, changed_at=at)
        return Stand(stand.topics | {record.topic_id: now}, purposes)
    if record.action in (Action.paused, Action.resumed):
        purposes[record.purpose_key] = replace(before, paused_until=record.until, record_id=record.id, changed_at=at)
        return Stand(stand.topics, purposes)
    state = _TOPIC_STATE[record.action]
    purposes[record.purpose_key] = replace(before, state=state, record_id=record.id, changed_at=at)
    if state not in _STOPS:
        return Stand(stand.topics, purposes)
    stopped = OneTopic(state, record.id, None, at)
    own = set(topics_of_purpose)
    return Stand({topic: stopped if topic in own else was for topic, was in stand.topics.items()}, purposes)


def state_after(action: Action) -> State:
    """The state of a topic after a record of its own."""
    return _TOPIC_STATE[action]


def apply(record: ConsentRecord) -> None:
    """Bring one contact's subscriptions and standings up to a record just written, inside the same transaction."""
    before = _load(record.contact_id)
    _store(record.contact_id, before, step(before, record, _topics_by_purpose().get(record.purpose_key, [])))


def stand_at(contact_id: int, at: datetime) -> Stand:
    """What one contact's records said at a moment that has passed, by the time they were recorded."""
    by_purpose, stand = _topics_by_purpose(), Stand()
    records = db.session.scalars(
        select(ConsentRecord)
        .where(ConsentRecord.contact_id == contact_id, ConsentRecord.recorded_at <= at)
        .order_by(ConsentRecord.id)
    )
    for record in records:
        stand = step(stand, record, by_purpose.get(record.purpose_key, []))
    return stand


def today(contact_id: int) -> Stand:
    """Where the contact stands, as stored."""
    return _load(contact_id)


def before(record: ConsentRecord) -> Stand:
    """Where the contact stood just before this record."""
    by_purpose = _topics_by_purpose()
    stand = Stand()
    earlier = select(ConsentRecord).where(ConsentRecord.contact_id == record.contact_id, ConsentRecord.id < record.id)
    for past in db.session.scalars(earlier.order_by(ConsentRecord.id)):
        stand = step(stand, past, by_purpose.get(past.purpose_key, []))
    return stand


def differences() -> Iterator[tuple[int, Stand, Stand]]:
    """Contacts whose stored state is not what their records say: (contact id, stored, rebuilt). Streams by contact."""
    by_purpose = _topics_by_purpose()
    records = db.session.scalars(
        select(ConsentRecord).order_by(ConsentRecord.contact_id, ConsentRecord.id).execution_options(yield_per=2000)
    )
    seen: set[int] = set()
    for contact_id, own in groupby(records, key=lambda record: record.contact_id):
        rebuilt = Stand()
        for record in own:
            rebuilt = step(rebuilt, record, by_purpose.get(record.purpose_key, []))
        stored = _load(contact_id)
        seen.add(contact_id)
        if stored != rebuilt:
            yield contact_id, stored, rebuilt
    for contact_id in db.session.scalars(select(Subscription.contact_id).distinct().order_by(Subscription.contact_id)):
        if contact_id not in seen:
            yield contact_id, _load(contact_id), Stand()


def _load(contact_id: int) -> Stand:
    topics = db.session.execute(select(Subscription.__table__).where(Subscription.contact_id == contact_id))
    purposes = db.session.execute(select(Standing.__table__).where(Standing.contact_id == contact_id))
    return Stand(
        {row.topic_id: OneTopic(row.state, row.record_id, row.until, row.changed_at) for row in topics},
        {row.purpose_key: OnePurpose(row.state, row.record_id, row.paused_until, row.changed_at) for row in purposes},
    )


def _store(contact_id: int, before: Stand, after: Stand) -> None:
    for topic_id, topic in after.topics.items():
        if before.topics.get(topic_id) != topic:
            db.session.merge(Subscription(contact_id=contact_id, topic_id=topic_id, **vars(topic)))
    for purpose_key, purpose in after.purposes.items():
        if before.purposes.get(purpose_key) != purpose:
            db.session.merge(Standing(contact_id=contact_id, purpose_key=purpose_key, **vars(purpose)))
    db.session.flush()


def _topics_by_purpose() -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for topic_id, purpose_key in db.session.execute(select(Topic.id, Topic.purpose_key)):
        found.setdefault(purpose_key, []).append(topic_id)
    return found
