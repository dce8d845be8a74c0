"""How much is enough: a contact gets at most so many campaign mails in so many days, whatever the topics (`…_FREQUENCY_CAPS`).

Who is mailed is noted in the claim, under the lock on the contact that the judge's question is asked under, so two campaigns
at once cannot both be the last one allowed; where nothing left in the end it is taken back. Nothing is noted while no cap is set.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, Delete, Select, delete, false, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from preference_center import clock
from preference_center.config import Settings
from preference_center.contacts.models import Contact
from preference_center.db import Base, BigId, db, is_postgresql


class Mailing(Base):
    """This contact got, or is getting, the mail of this campaign."""

    __tablename__ = "mailings"
    __table_args__ = ({"sqlite_with_rowid": False},)

    contact_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    occasion: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)


def reached(at: datetime, occasion: int | None) -> ColumnElement[bool]:
    """The part of the judge's question that speaks of caps. A campaign is no reason against itself: its mail may be tried again.

    A campaign also counts what was noted after `at`: that is when its claim began, and it may have waited for another one's people.
    """
    if not _caps():
        return false()
    counted = [Mailing.at <= at] if occasion is None else [Mailing.occasion != occasion]
    return or_(
        *(
            select(func.count())
            .where(Mailing.contact_id == Contact.id, Mailing.at > at - timedelta(days=days), *counted)
            .correlate(Contact)
            .scalar_subquery()
            >= mails
            for mails, days in _caps()
        )
    )


def note(contact_ids: Collection[int], occasion: int, at: datetime) -> None:
    """These contacts get this campaign's mail now. A second try of the same mail counts once, from when it is made."""
    if not contact_ids or not _caps():
        return
    insert = (postgresql.insert if is_postgresql() else sqlite.insert)(Mailing)
    into = insert.on_conflict_do_update(index_elements=["contact_id", "occasion"], set_={"at": insert.excluded.at})
    db.session.execute(into, [{"contact_id": one, "occasion": occasion, "at": at} for one in contact_ids])


def are_set() -> bool:
    return bool(_caps())


def taking_back(occasion: Any, whom: Select[Any]) -> Delete:
    """The statement that these contacts, by id, get nothing of this campaign."""
    return delete(Mailing).where(Mailing.occasion == occasion, Mailing.contact_id.in_(whom))


def forget(contact_id: int) -> None:
    db.session.execute(delete(Mailing).where(Mailing.contact_id == contact_id))


def tidy() -> int:
    """Delete what no cap looks back to any more, some thousands at a time; how many they were."""
    over = clock.now() - timedelta(days=max((days for _, days in _caps()), default=0))
    oldest = select(Mailing.at).where(Mailing.at < over).order_by(Mailing.at).limit(5_000).subquery()
    until = db.session.scalar(select(func.max(oldest.c.at)))
    if until is None:
        return 0
    gone = db.session.execute(delete(Mailing).where(Mailing.at <= until).execution_options(synchronize_session=False))
    return int(gone.rowcount)  # type: ignore[attr-defined]


def _caps() -> tuple[tuple[int, int], ...]:
    settings: Settings = current_app.extensions["settings"]
    return settings.frequency_caps
