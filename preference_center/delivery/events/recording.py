"""Takes events in our words from any source, keeps each once, and lets it do what its kind does. It does not commit.

`record` is the one verb for whoever reads reports: the hooks of providers, the mailbox. Called twice with the same events, also at
the same moment, it has one effect. One that fits nothing of ours yet waits (`waiting.py`).
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from preference_center import clock
from preference_center.contacts import addresses
from preference_center.db import db, insert_rows, is_postgresql, new_public_ids
from preference_center.delivery.events import capping, correlating, outcomes, waiting
from preference_center.delivery.events.correlating import Match, Wanted
from preference_center.delivery.events.effects import Effects, Source
from preference_center.delivery.events.models import DeliveryEvent, Effect
from preference_center.delivery.events.outcomes import Case
from preference_center.delivery.marks import Place
from preference_center.errors import Invalid
from preference_center.providers.base import Event, Kind

AT_A_TIME = 500
MANY = 50  # from here on PostgreSQL is quicker to copy them in
TEST = 0  # the number in the mark of a made-up event (`pc events test`): no message has it
_ADDRESS = re.compile(r"[^\s@'\"<>(,;:]+@[^\s@'\"<>),;]+")
# what is said to happen later than that from now, or so long ago (some programs write the year 1), has no time of its own
_FAR, _LONG_AGO = timedelta(days=1), timedelta(days=730)


@dataclass(frozen=True, slots=True)
class Report:
    """An event with when it reached us, and in which stored post."""

    event: Event
    received_at: datetime
    post_id: int | None = None


@dataclass
class Recorded:
    """What became of some events: `stored` are new, the others had come before."""

    stored: int = 0
    repeated: int = 0

    def add(self, other: "Recorded") -> None:
        self.stored += other.stored
        self.repeated += other.repeated


def record(
    source: str, events: Sequence[Event], received_at: datetime, *, places: Sequence[Place] = (Place.metadata,)
) -> Recorded:
    """Keep and obey these events. `places`: where the marks in `Event.mark` were found; a mark of another place proves nothing.

    Inside a `transaction()`. Where a row is held by somebody else for longer than a moment it raises OperationalError, and the
    whole is tried again later: it never makes a sending worker wait.
    """
    return record_all(source, [Report(event, received_at) for event in events], places=places)


def record_all(source: str, reports: Sequence[Report], *, places: Sequence[Place] = (Place.metadata,)) -> Recorded:
    """The same for what came in many posts, by the same few statements."""
    done = Recorded()
    if is_postgresql():
        db.session.execute(text("SET LOCAL lock_timeout = '700ms'"))  # shorter than the search for deadlocks
    for start in range(0, len(reports), AT_A_TIME):
        done.add(_some(source, reports[start : start + AT_A_TIME], places))
    return done


def _some(source: str, reports: Sequence[Report], places: Sequence[Place]) -> Recorded:
    first = {report.event.key[:200]: report for report in reversed(reports)}  # of a repeat, the first
    reports = [first[key] for key in sorted(first)]  # in one order, so that two at once cannot wait for each other
    wanted = [_wanted(report, places) for report in reports]
    matches = correlating.find(source, wanted)
    rows = [_row(source, report, want, match) for report, want, match in zip(reports, wanted, matches, strict=True)]
    for row, public_id in zip(rows, new_public_ids(len(rows)), strict=True):
        row["public_id"] = public_id
    capping.hold_back(source, rows, clock.now())
    new = _insert(rows)
    new |= _better_read(source, [row for row in rows if row["key"] not in new])
    effects = Effects()
    for row, match in zip(rows, matches, strict=True):
        if row["key"] in new and match and row["effect"] is Effect.applied:
            outcomes.apply(_case(row, match), effects)
    effects.settle()
    return Recorded(len(new), len(rows) - len(new))


def _wanted(report: Report, places: Sequence[Place]) -> Wanted:
    event, received_at = report.event, report.received_at
    number, by = correlating.proven(event.mark, event.message_id, places) or (None, None)
    occurred_at = event.occurred_at or received_at
    if not received_at - _LONG_AGO < occurred_at < received_at + _FAR:
        occurred_at = received_at
    return Wanted(number, by, event.provider_message_id, _hashed(event.recipient), occurred_at)


def _hashed(recipient: str | None) -> bytes | None:
    """Nothing for what is no address: such an event may still bring a mark."""
    if not recipient:
        return None
    try:
        return addresses.parse(recipient).hash
    except Invalid:
        return None


def _row(source: str, report: Report, want: Wanted, match: Match | None) -> dict[str, Any]:
    event = report.event
    effect = Effect.applied if match or want.proven == TEST or event.kind is Kind.unknown else Effect.waiting
    return {
        "source": source,
        "key": event.key[:200],
        "kind": event.kind,
        "bounce_class": event.bounce_class,
        "scope_all": event.scope_all,
        "machine": "provider" if event.machine else None,
        "message_id": match.message_id if match else want.proven,
        "contact_id": match.contact_id if match else None,
        "address_hash": match.address_hash if match else want.address_hash,
        "matched_by": match.by if match else want.by,
        "effect": effect,
        "due_at": waiting.first_look(effect, event.kind, event.bounce_class, clock.now()),
        "link": _digest(event.url),
        "provider_message_id": event.provider_message_id and event.provider_message_id[:200],
        "status": event.status and event.status[:12],
        "detail": event.detail and _ADDRESS.sub("<address>", event.detail)[:500],
        "occurred_at": want.occurred_at,
        "received_at": report.received_at,
        "post_id": report.post_id,
    }


def _digest(url: str | None) -> bytes | None:
    key: bytes = current_app.extensions["address_key"]
    return hashlib.blake2b(url.encode(), key=key, digest_size=16, person=b"pc.link.v1").digest() if url else None


def _insert(rows: list[dict[str, Any]]) -> set[str]:
    """The keys that were not there before."""
    if not rows:
        return set()
    if is_postgresql() and len(rows) >= MANY:
        columns = ("key", *(name for name in rows[0] if name != "key"))
        return insert_rows(_TABLE, columns, [[row[name] for name in columns] for row in rows], conflict="ignore")
    insert = (postgresql.insert if is_postgresql() else sqlite.insert)(DeliveryEvent)
    added = insert.on_conflict_do_nothing(index_elements=["source", "key"]).returning(DeliveryEvent.key)
    return set(db.session.scalars(added, rows))


_TABLE: Any = DeliveryEvent.__table__
_READ = ("kind", "bounce_class", "scope_all")


def _better_read(source: str, rows: list[dict[str, Any]]) -> set[str]:
    """Keys of events that a mended parser now reads differently: they take the new words and do what these do.

    What the old reading led to stays: nothing is lifted.
    """
    if not rows:
        return set()
    by_key = {row["key"]: row for row in rows}
    known = select(DeliveryEvent).where(DeliveryEvent.source == source, DeliveryEvent.key.in_(by_key))
    changed = set()
    for event in db.session.scalars(known.execution_options(populate_existing=True)):
        row = by_key[event.key]
        if any(getattr(event, name) != row[name] for name in _READ):
            values = {
                name: row[name] for name in (*_READ, "effect", "due_at", "message_id", "contact_id", "matched_by")
            } | {"looks": 0}
            db.session.execute(update(DeliveryEvent).where(DeliveryEvent.id == event.id).values(values))
            row["public_id"] = event.public_id
            changed.add(event.key)
    return changed


def _case(row: dict[str, Any], match: Match) -> Case:
    source = Source(row["source"], row["public_id"], row["occurred_at"])
    return Case(row["kind"], match, source, row["bounce_class"], row["scope_all"])
