"""How often is often enough: who asked for one mail a week or a month of a topic gets no second one before its time.

Summaries are still to come; until then this is kept by leaving mails out. What the judge needs for it stands on the subscription.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update

from preference_center.consent.models import Cadence, Subscription
from preference_center.db import among, db, is_postgresql
from preference_center.topics.models import Topic

GAPS = {Cadence.weekly: timedelta(days=7), Cadence.monthly: timedelta(days=30)}


def too_soon(at: datetime, occasion: int | None) -> ColumnElement[bool]:
    """The part of the judge's question that speaks of cadence."""
    soon: Any = or_(
        *(
            and_(Subscription.cadence == cadence, Subscription.last_mailed_at > at - gap)
            for cadence, gap in GAPS.items()
        )
    )
    if occasion is None:
        return and_(soon)
    return and_(soon, Subscription.last_mailed_for.is_distinct_from(occasion))


def hold(topic: Topic, contact_ids: Collection[int]) -> set[int]:
    """Who of these has a cadence of their own on this topic. Asked between locking the contacts and asking the judge.

    Two campaigns of one topic may claim at once, and claims do not block each other on the contact; so these few rows are locked
    until the end of the transaction, by rising id, and whoever comes second sees what the first has noted.
    """
    spaced = (
        select(Subscription.contact_id)
        .where(Subscription.topic_id == topic.id, among(Subscription.contact_id, contact_ids))
        .where(Subscription.cadence != Cadence.each)
        .order_by(Subscription.contact_id)
    )
    if is_postgresql():
        spaced = spaced.with_for_update()
    return set(db.session.scalars(spaced))


def note(topic: Topic, contact_ids: Collection[int], occasion: int, at: datetime) -> None:
    """These contacts, of those held, get this campaign's mail now."""
    if not contact_ids:
        return
    db.session.execute(
        update(Subscription)
        .where(Subscription.topic_id == topic.id, Subscription.contact_id.in_(contact_ids))
        .values(last_mailed_at=at, last_mailed_for=occasion)
        .execution_options(synchronize_session=False)
    )
