"""How often is often enough: who asked for one mail a week or a month of a topic gets no second one before its time.

Summaries are still to come; until then this is kept by leaving mails out. The few who asked for it have a row that says when they
last got the topic; it is no part of the projection.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Delete, Select, and_, bindparam, delete, exists, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.consent.models import Cadence, Subscription
from preference_center.db import Base, BigId, among, db, is_postgresql, write_out
from preference_center.prepared import Asked, Prepared, together
from preference_center.topics.models import Topic

GAPS = {Cadence.weekly: timedelta(days=7), Cadence.monthly: timedelta(days=30)}


class LastMail(Base):
    """The last mail of a topic to a contact with a cadence of their own."""

    __tablename__ = "last_mails"
    __table_args__ = {"sqlite_with_rowid": False}

    contact_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    topic_id: Mapped[int] = mapped_column(primary_key=True)
    occasion: Mapped[int] = mapped_column(BigId)  # which campaign, so that trying it again is no second mail
    at: Mapped[datetime]


def too_soon(at: datetime, occasion: int | None) -> ColumnElement[bool]:
    """The part of the judge's question that speaks of cadence."""
    own: list[Any] = [LastMail.contact_id == Subscription.contact_id, LastMail.topic_id == Subscription.topic_id]
    if occasion is not None:
        own.append(LastMail.occasion != occasion)
    return or_(
        *(
            and_(Subscription.cadence == cadence, exists().where(*own, LastMail.at > at - gap).correlate(Subscription))
            for cadence, gap in GAPS.items()
        )
    )


def hold(topic: Topic, contact_ids: Collection[int]) -> set[int]:
    """Who of these has a cadence of their own on this topic. Asked between locking the contacts and asking the judge.

    Two campaigns of one topic may claim at once, and claims do not block each other on the contact; so these few rows are locked
    until the end of the transaction, by rising id, and whoever comes second sees what the first has noted.
    """
    write_out()
    (held,) = together(holding(topic, contact_ids))
    return {contact_id for (contact_id,) in held.rows}


def holding(topic: Topic, contact_ids: Collection[int]) -> Asked:
    """The same, to be asked together with what stands around it."""
    return _SPACED.asked(topic=topic.id, whom=contact_ids)


def _spaced() -> Select[Any]:
    spaced = (
        select(Subscription.contact_id)
        .where(Subscription.topic_id == bindparam("topic"), among(Subscription.contact_id, "whom"))
        .where(Subscription.cadence != Cadence.each)
        .order_by(Subscription.contact_id)
    )
    return spaced.with_for_update() if is_postgresql() else spaced


_SPACED = Prepared(_spaced)


def note(topic: Topic, contact_ids: Collection[int], occasion: int, at: datetime) -> None:
    """These contacts, of those held, get this campaign's mail now."""
    if not contact_ids:
        return
    insert = (postgresql.insert if is_postgresql() else sqlite.insert)(LastMail)
    now = {"occasion": occasion, "at": at}
    into = insert.on_conflict_do_update(index_elements=[LastMail.contact_id, LastMail.topic_id], set_=now)
    db.session.execute(into, [now | {"contact_id": one, "topic_id": topic.id} for one in sorted(contact_ids)])


def taking_back(occasion: Any, whom: Select[Any]) -> Delete:
    """The statement that these contacts, by id, get nothing of this campaign. The mail before it, which is older, stays forgotten."""
    return delete(LastMail).where(LastMail.occasion == occasion, LastMail.contact_id.in_(whom))


def last(topic: Topic, contact_id: int) -> LastMail | None:
    return db.session.get(LastMail, (contact_id, topic.id))


def forget(contact_id: int) -> None:
    db.session.execute(delete(LastMail).where(LastMail.contact_id == contact_id))
