"""Looks at events again when their time has come: those that fitted nothing yet, soft bounces to be counted, openings to be judged.

An event may overtake our own commit or another event that names its message. For five minutes it is looked for often, then ever
more seldom for a week: it stays as unmatched, is counted, and still takes effect if its message turns up.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import select, text

from preference_center import clock
from preference_center.db import db, is_postgresql
from preference_center.delivery.events import capping, correlating, machines, outcomes, softness
from preference_center.delivery.events.correlating import Match, Wanted
from preference_center.delivery.events.effects import Effects, Source
from preference_center.delivery.events.models import PROVEN, DeliveryEvent, Effect
from preference_center.delivery.events.outcomes import Case
from preference_center.providers.base import BounceClass, Kind

AT_A_TIME = 200
# seconds from one look to the next; the first five make five minutes
_LOOKS = (15, 30, 60, 90, 105, 3600, 6 * 3600, 24 * 3600, 48 * 3600, 96 * 3600)
_OFTEN = 5
SETTLED = timedelta(hours=1)  # what belongs together has come by then, in whatever order
JUDGED = timedelta(minutes=10)  # other clicks of the same machine have come by then


def first_look(effect: Effect, kind: Kind, bounce_class: BounceClass | None, now: datetime) -> datetime | None:
    """When an event that has just come is to be looked at again."""
    if effect is Effect.waiting:
        return now + timedelta(seconds=_LOOKS[0])
    if effect is Effect.applied and kind is Kind.bounced and bounce_class is BounceClass.soft:
        return now + SETTLED
    if effect is Effect.applied and kind in (Kind.opened, Kind.clicked):
        return now + JUDGED
    return None


def look_again() -> int:
    """One step: some of those that are due, inside a `transaction()`; how many they were."""
    now = clock.now()
    if is_postgresql():
        db.session.execute(text("SET LOCAL lock_timeout = '700ms'"))
    due = select(DeliveryEvent).where(DeliveryEvent.due_at <= now).order_by(DeliveryEvent.due_at).limit(AT_A_TIME)
    events = list(db.session.scalars(due.with_for_update(skip_locked=True)))
    effects = Effects()
    _look_for([event for event in events if event.effect in (Effect.waiting, Effect.unmatched)], effects, now)
    for event in events:
        if event.effect is Effect.applied and event.due_at and event.due_at <= now:
            event.due_at = None
            _judge(event, effects)
    effects.settle()
    return len(events)


def _look_for(events: list[DeliveryEvent], effects: Effects, now: datetime) -> None:
    for event, match in matches(events):
        if match is None:
            _wait_on(event, now)
        else:
            take(event, match, effects, now)


def _wait_on(event: DeliveryEvent, now: datetime) -> None:
    event.looks += 1
    if event.looks >= _OFTEN:
        event.effect = Effect.unmatched
    event.due_at = now + timedelta(seconds=_LOOKS[event.looks]) if event.looks < len(_LOOKS) else None


def take(event: DeliveryEvent, match: Match, effects: Effects, now: datetime, *, released: bool = False) -> None:
    """This event has found what it is about: it does what its kind does, unless a person must look first."""
    event.message_id, event.contact_id, event.matched_by = match.message_id, match.contact_id, match.by
    event.address_hash = match.address_hash
    held = not released and capping.must_wait(event.source, event.kind, event.bounce_class, match.by, now)
    event.effect = Effect.held if held else Effect.applied
    event.due_at = first_look(event.effect, event.kind, event.bounce_class, now)
    if not held:
        source = Source(event.source, event.public_id, event.occurred_at)
        outcomes.apply(Case(event.kind, match, source, event.bounce_class, event.scope_all), effects)


def matches(events: Iterable[DeliveryEvent]) -> list[tuple[DeliveryEvent, Match | None]]:
    """Each of these with what it is about now."""
    found = []
    by_source: dict[str, list[DeliveryEvent]] = {}
    for event in events:
        by_source.setdefault(event.source, []).append(event)
    for source, mine in sorted(by_source.items()):
        found += list(zip(mine, correlating.find(source, [wanted_of(event) for event in mine]), strict=True))
    return found


def wanted_of(event: DeliveryEvent) -> Wanted:
    proven = event.matched_by in PROVEN
    return Wanted(
        event.message_id if proven else None,
        event.matched_by if proven else None,
        event.provider_message_id,
        event.address_hash,
        event.occurred_at,
    )


def _judge(event: DeliveryEvent, effects: Effects) -> None:
    if event.kind in (Kind.opened, Kind.clicked):
        event.machine = event.machine or machines.of_event(event)
    elif event.address_hash is not None and event.contact_id is not None:
        until = softness.rest_until(event.address_hash)
        if until is not None:
            source = Source(event.source, event.public_id, event.occurred_at)
            effects.rest(event.contact_id, event.address_hash, source, until)
