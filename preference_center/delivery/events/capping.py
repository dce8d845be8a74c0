"""A limit to how many people one source may silence in an hour without bringing a mark of ours.

Whoever gets hold of a hook's password could report everybody as bounced or gone. Events above the limit are kept, and their
effect waits for a person (`pc events release --held`). A report with our mark proves itself and is never held.
"""

from datetime import datetime, timedelta
from typing import Any

import structlog
from flask import current_app
from sqlalchemy import func, or_, select

from preference_center.db import db
from preference_center.delivery.events.models import PROVEN, SILENCING, DeliveryEvent, Effect, MatchedBy
from preference_center.providers.base import BounceClass, Kind

log = structlog.get_logger()

WINDOW = timedelta(hours=1)


def hold_back(source: str, rows: list[dict[str, Any]], now: datetime) -> None:
    """Mark those of these rows as held that are too many."""
    counted = [
        row
        for row in rows
        if row["effect"] is Effect.applied and _counts(row["kind"], row["bounce_class"], row["matched_by"])
    ]
    if not counted:
        return
    room = max(0, _limit() - _lately(source, now))
    for row in counted[room:]:
        row["effect"], row["due_at"] = Effect.held, None
    if len(counted) > room:
        log.warning("events.held", source=source, held=len(counted) - room)


def must_wait(source: str, kind: Kind, bounce_class: BounceClass | None, by: MatchedBy, now: datetime) -> bool:
    """The same question for one event that found its message late."""
    return _counts(kind, bounce_class, by) and _lately(source, now) >= _limit()


def _counts(kind: Kind, bounce_class: BounceClass | None, by: MatchedBy | None) -> bool:
    return kind in SILENCING and bounce_class is not BounceClass.block and by not in PROVEN


def _limit() -> int:
    limit: int = current_app.extensions["settings"].event_cap
    return limit


def _lately(source: str, now: datetime) -> int:
    unproven = or_(DeliveryEvent.matched_by.is_(None), DeliveryEvent.matched_by.not_in(PROVEN))
    counted = select(func.count()).where(
        DeliveryEvent.source == source,
        DeliveryEvent.received_at > now - WINDOW,
        DeliveryEvent.kind.in_(SILENCING),
        DeliveryEvent.effect.in_([Effect.applied, Effect.held]),
        or_(DeliveryEvent.bounce_class.is_(None), DeliveryEvent.bounce_class != BounceClass.block),
        unproven,
    )
    return db.session.scalar(counted.select_from(DeliveryEvent)) or 0
