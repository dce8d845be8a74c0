"""What only a person may do: let held events take effect, and let addresses go that bounces have suppressed."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import aliased

from preference_center import clock
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.delivery.events import waiting
from preference_center.delivery.events.effects import Effects
from preference_center.delivery.events.models import DeliveryEvent, Effect
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause, Suppression, SuppressionRecord

AT_A_TIME = 500


class Bounced(StrEnum):
    """Why bounces have suppressed an address."""

    hard = "hard"  # a report says it does not exist
    soft = "soft"  # too many soft bounces: for a time
    relay = "relay"  # our relay refused it at once


def held(source: str | None = None, kind: str | None = None) -> int:
    """How many events wait for a person."""
    counted = select(func.count()).select_from(DeliveryEvent).where(*_held(source, kind))
    return db.session.scalar(counted) or 0


def let_act(source: str | None = None, kind: str | None = None) -> int:
    """Some of the held events do what their kind does; how many. Again until there is none."""
    events = list(
        db.session.scalars(
            select(DeliveryEvent)
            .where(*_held(source, kind))
            .order_by(DeliveryEvent.id)
            .limit(AT_A_TIME)
            .with_for_update(skip_locked=True)
        )
    )
    effects = Effects()
    for event, match in waiting.matches(events):
        if match is None:  # its contact has gone meanwhile
            event.effect = Effect.unmatched
        else:
            waiting.take(event, match, effects, clock.now(), released=True)
    effects.settle()
    return len(events)


def drop(source: str | None = None, kind: str | None = None) -> int:
    """Some of the held events stay without effect for good: they were forged. How many; again until there is none."""
    events = list(
        db.session.scalars(
            select(DeliveryEvent).where(*_held(source, kind)).limit(AT_A_TIME).with_for_update(skip_locked=True)
        )
    )
    for event in events:
        event.effect, event.due_at = Effect.unmatched, None
    db.session.flush()
    return len(events)


def suppressed(
    cause: Bounced | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    domain: str | None = None,
    source: str | None = None,
) -> list[bytes]:
    """The addresses that a bounce has suppressed and nothing weightier was said of since."""
    record, newer = SuppressionRecord, aliased(SuppressionRecord)
    wanted = (
        select(record.address_hash)
        .join(Suppression, Suppression.address_hash == record.address_hash)
        .where(Suppression.cause == Cause.bounce, record.cause == Cause.bounce, record.action == "added")
        .where(or_(Suppression.until.is_(None), Suppression.until > clock.now()))
        .where(~select(newer.id).where(newer.address_hash == record.address_hash, newer.id > record.id).exists())
        .where(_made_by(cause, source))
        .order_by(record.address_hash)
    )
    if since is not None:
        wanted = wanted.where(record.recorded_at >= since)
    if until is not None:
        wanted = wanted.where(record.recorded_at < until)
    if domain is not None:
        wanted = wanted.join(Contact, Contact.address_hash == record.address_hash)
        wanted = wanted.where(func.lower(Contact.email).endswith(f"@{domain.lower().lstrip('@')}", autoescape=True))
    return list(db.session.scalars(wanted))


def let_go(hashes: list[bytes]) -> int:
    """Mail may go to these addresses again, as far as their owners consented; how many. A new bounce suppresses them anew."""
    return sum(register.lift(address_hash, Cause.bounce, "") for address_hash in hashes)


def _held(source: str | None, kind: str | None) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [DeliveryEvent.effect == Effect.held]
    if source is not None:
        wanted.append(DeliveryEvent.source == source)
    if kind is not None:
        wanted.append(DeliveryEvent.kind == kind)
    return wanted


def _made_by(cause: Bounced | None, source: str | None) -> ColumnElement[bool]:
    """Only what reports and our relay said: a bounce that somebody imported or typed in is not taken back here."""
    record = SuppressionRecord
    reported = record.source.like(f"provider:{source}:%" if source else "provider:%")
    by_relay = record.source.like("smtp:%")
    if cause is Bounced.relay:
        return by_relay
    if cause is Bounced.hard:
        return reported & record.until.is_(None)
    if cause is Bounced.soft:
        return reported & record.until.is_not(None)
    return reported if source else or_(reported, by_relay)
