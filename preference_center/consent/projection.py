"""Today's state, projected from consent records: one pure step, used both when a record is written and when all is rebuilt.

A topic's record moves the topic; a purpose's record (no topic) moves the standing and every topic of that purpose with it.
"""

from collections import namedtuple
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, cast

from sqlalchemy import Table, bindparam, insert, null, select, union_all, update
from sqlalchemy.engine import Connection
from sqlalchemy.orm.util import identity_key

from preference_center.consent.chain import rows
from preference_center.consent.models import (
    BASES,
    CADENCES,
    STATES,
    Action,
    Cadence,
    ConsentRecord,
    Standing,
    State,
    Subscription,
)
from preference_center.db import Base, db, session_in_use, write_out
from preference_center.prepared import Prepared
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis

_TOPIC_STATE = {
    Action.requested: State.requested,
    Action.given: State.given,
    Action.confirmed: State.given,
    Action.renewed: State.given,
    Action.refused: State.refused,
    Action.withdrawn: State.withdrawn,
    Action.objected: State.objected,
    Action.expired: State.expired,
    Action.invalidated: State.invalidated,
}
_CADENCE = {Action(cadence): cadence for cadence in Cadence}
_STOPS = (State.withdrawn, State.objected)
GUARDIAN = "guardian"  # the actor of a record that a parent or guardian is behind


class OneTopic(NamedTuple):  # a tuple, since verifying makes millions of them: a third of a frozen dataclass's time
    state: State
    record_id: int
    until: datetime | None
    legal_basis: LegalBasis | None = None
    by_guardian: bool = False
    cadence: Cadence = Cadence.each


class OnePurpose(NamedTuple):
    state: State
    record_id: int
    paused_until: datetime | None


@dataclass(frozen=True)
class Stand:
    """All that one contact's records say today, by topic id and by purpose key."""

    topics: dict[int, OneTopic] = field(default_factory=dict)
    purposes: dict[str, OnePurpose] = field(default_factory=dict)


def step(stand: Stand, record: ConsentRecord, topics_of_purpose: Iterable[int]) -> Stand:
    """The stand after one more record. Pure: nothing is read or written."""
    topic_id, key, purposes = record.topic_id, record.purpose_key, stand.purposes
    before = purposes.get(key)
    if topic_id is not None:
        earlier = stand.topics.get(topic_id)
        if record.action in _CADENCE:  # how often is no consent: the record that decided stays
            paced = {topic_id: earlier._replace(cadence=_CADENCE[record.action])} if earlier else {}
            return Stand(stand.topics | paced, purposes)
        cadence = earlier.cadence if earlier else Cadence.each
        state, by_guardian = state_after(record.action), record.actor == GUARDIAN
        now = OneTopic(state, record.id, record.until, record.legal_basis, by_guardian, cadence)
        if state is State.given and before is not None and before.state in _STOPS:
            purposes = purposes | {key: before._replace(state=State.open, record_id=record.id)}
        return Stand(stand.topics | {topic_id: now}, purposes)
    before = before or OnePurpose(State.open, record.id, None)
    if record.action in (Action.paused, Action.resumed):
        return Stand(stand.topics, purposes | {key: before._replace(paused_until=record.until, record_id=record.id)})
    state = _TOPIC_STATE[record.action]
    purposes = purposes | {key: before._replace(state=state, record_id=record.id)}
    if state not in _STOPS:
        return Stand(stand.topics, purposes)
    own = set(topics_of_purpose)
    stopped = {
        topic: was._replace(state=state, record_id=record.id, until=None)
        for topic, was in stand.topics.items()
        if topic in own
    }
    return Stand(stand.topics | stopped, purposes)


def state_after(action: Action) -> State:
    """The state of a topic after a record of its own."""
    return _TOPIC_STATE[action]


def apply(record: ConsentRecord, before: Stand) -> None:
    """Bring one contact's subscriptions and standings up to a record just written, inside the same transaction."""
    others = _topics_by_purpose().get(record.purpose_key, []) if record.topic_id is None else []
    _store(record.contact_id, before, step(before, record, others))


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
    write_out()
    stand = Stand()
    for topic_id, purpose_key, *said in _stand.rows(of_contact=contact_id):
        if purpose_key is None:
            stand.topics[topic_id] = OneTopic(*said)
        else:
            stand.purposes[purpose_key] = OnePurpose(*said[: len(_PURPOSE)])
    return stand


def before(record: ConsentRecord) -> Stand:
    """Where the contact stood just before this record."""
    by_purpose = _topics_by_purpose()
    stand = Stand()
    earlier = select(ConsentRecord).where(ConsentRecord.contact_id == record.contact_id, ConsentRecord.id < record.id)
    for past in db.session.scalars(earlier.order_by(ConsentRecord.id)):
        stand = step(stand, past, by_purpose.get(past.purpose_key, []))
    return stand


def differences(connection: Connection | None = None) -> Iterator[tuple[int, Stand, Stand]]:
    """Contacts whose stored state is not what their records say: (contact id, stored, rebuilt).

    Three streams side by side, each in the order of contacts, so that a million records need neither memory nor the ORM.
    """
    connection = connection or db.session.connection()
    by_purpose = _topics_by_purpose()
    records = _by_contact(connection, _OF_RECORD, ConsentRecord.id)
    topics = _by_contact(connection, _OF_TOPIC, Subscription.topic_id)
    purposes = _by_contact(connection, _OF_PURPOSE, Standing.purpose_key)
    next_record, next_topic, next_purpose = next(records, _NO_ONE), next(topics, _NO_ONE), next(purposes, _NO_ONE)
    while (contact_id := min(next_record[0], next_topic[0], next_purpose[0])) < _NO_ONE[0]:
        rebuilt, stored_topics, stored_purposes = Stand(), {}, {}
        if next_record[0] == contact_id:
            for record in next_record[1]:
                rebuilt = step(rebuilt, record, by_purpose.get(record.purpose_key, ()))
            next_record = next(records, _NO_ONE)
        if next_topic[0] == contact_id:
            for row in next_topic[1]:
                stored_topics[row.topic_id] = _kept_topic(row)
            next_topic = next(topics, _NO_ONE)
        if next_purpose[0] == contact_id:
            for row in next_purpose[1]:
                stored_purposes[row.purpose_key] = OnePurpose(_state(row.state), row.record_id, row.paused_until)
            next_purpose = next(purposes, _NO_ONE)
        stored = Stand(stored_topics, stored_purposes)
        if stored != rebuilt:
            yield contact_id, stored, rebuilt


_NO_ONE: tuple[int, list[Any]] = (2**63, [])


def _by_contact(connection: Connection, columns: Sequence[Any], then: Any) -> Iterator[tuple[int, Iterable[Any]]]:
    """The rows of each contact, as the database keeps them: moments and words are compared, not used, so they stay as they are."""
    plain = str(select(*columns).order_by(columns[0], then))
    row = namedtuple("row", [column.key for column in columns])  # type: ignore[misc]
    return groupby(map(row._make, rows.stream(connection, plain)), key=attrgetter("contact_id"))


_OF_RECORD = (
    ConsentRecord.contact_id,
    ConsentRecord.id,
    ConsentRecord.purpose_key,
    ConsentRecord.topic_id,
    ConsentRecord.action,
    ConsentRecord.legal_basis,
    ConsentRecord.actor,
    ConsentRecord.until,
)
_OF_TOPIC = (
    Subscription.contact_id,
    Subscription.topic_id,
    Subscription.state,
    Subscription.record_id,
    Subscription.until,
    Subscription.legal_basis,
    Subscription.by_guardian,
    Subscription.cadence,
)
_OF_PURPOSE = (
    Standing.contact_id,
    Standing.purpose_key,
    Standing.state,
    Standing.record_id,
    Standing.paused_until,
)
# a number that means nothing is no reason to stop: it differs from what the records say
_state: Any = STATES.members.get
_basis: Any = BASES.members.get
_cadence: Any = CADENCES.members.get


def _kept_topic(row: Any) -> OneTopic:
    state, basis, cadence = _state(row.state), _basis(row.legal_basis), _cadence(row.cadence)
    return OneTopic(state, row.record_id, row.until, basis, row.by_guardian, cadence)


_topics, _purposes = cast(Table, Subscription.__table__), cast(Table, Standing.__table__)
_subscriptions, _standings = _topics.c, _purposes.c
_TOPIC, _PURPOSE = OneTopic._fields, OnePurpose._fields
_contact: Any = bindparam("of_contact")
_stand = Prepared(  # both by one statement: whoever leaves waits for it
    union_all(
        select(_subscriptions.topic_id, null().label("purpose_key"), *(_subscriptions[name] for name in _TOPIC)).where(
            _subscriptions.contact_id == _contact
        ),
        select(
            null(),
            _standings.purpose_key,
            *(_standings[name] for name in _PURPOSE),
            *(null() for _ in _TOPIC[len(_PURPOSE) :]),
        ).where(_standings.contact_id == _contact),
    )
)
_add_topic = Prepared(insert(_topics), sets=("contact_id", "topic_id", *_TOPIC))
_add_purpose = Prepared(insert(_purposes), sets=("contact_id", "purpose_key", *_PURPOSE))
_set_topic = Prepared(
    update(_topics).where(_subscriptions.contact_id == _contact, _subscriptions.topic_id == bindparam("of_topic")),
    sets=_TOPIC,
)
_set_purpose = Prepared(
    update(_purposes).where(_standings.contact_id == _contact, _standings.purpose_key == bindparam("of_purpose")),
    sets=_PURPOSE,
)


def _store(contact_id: int, before: Stand, after: Stand) -> None:
    for topic_id, topic in after.topics.items():
        if topic_id not in before.topics:
            _add_topic.run(contact_id=contact_id, topic_id=topic_id, **topic._asdict())
        elif before.topics[topic_id] != topic:
            _set_topic.run(of_contact=contact_id, of_topic=topic_id, **topic._asdict())
            _read_anew(Subscription, (contact_id, topic_id))
    for purpose_key, purpose in after.purposes.items():
        if purpose_key not in before.purposes:
            _add_purpose.run(contact_id=contact_id, purpose_key=purpose_key, **purpose._asdict())
        elif before.purposes[purpose_key] != purpose:
            _set_purpose.run(of_contact=contact_id, of_purpose=purpose_key, **purpose._asdict())
            _read_anew(Standing, (contact_id, purpose_key))


def _read_anew(kind: type[Base], key: tuple[int, int | str]) -> None:
    """What the session holds of this row is no longer so."""
    session = session_in_use()
    held = session.identity_map.get(identity_key(kind, key)) if session is not None else None
    if session is not None and held is not None:
        session.expire(held)


_purpose_of_topics = Prepared(select(Topic.id, Topic.purpose_key))


def _topics_by_purpose() -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for topic_id, purpose_key in _purpose_of_topics.rows():
        found.setdefault(purpose_key, []).append(topic_id)
    return found
