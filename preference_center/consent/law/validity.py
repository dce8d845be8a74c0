"""How long a consent holds: until when it was given, which ones end soon or have ended, and whom we wrote to about it.

The topic says how many months a consent lasts; where the law of a country ends an existing customer's, the earlier of the two.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, exists, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.consent.law import bases, jurisdictions
from preference_center.consent.models import State, Subscription
from preference_center.contacts.models import Contact
from preference_center.db import Base, BigId, db, is_postgresql
from preference_center.suppressions.models import Suppression
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis

NOTICE = timedelta(days=30)  # so long before the end the person is asked, once


class RenewalLetter(Base):
    """The end of a consent that we wrote to the contact about, last."""

    __tablename__ = "renewal_letters"
    __table_args__ = {"sqlite_with_rowid": False}

    contact_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    topic_id: Mapped[int] = mapped_column(primary_key=True)
    until: Mapped[datetime]


def end_of(
    valid_months: int | None, basis: LegalBasis | None, jurisdiction: str | None, begins: datetime
) -> datetime | None:
    """Until when a consent holds that was given at `begins`; none: until it is withdrawn."""
    lawful = jurisdictions.of(jurisdiction).soft_opt_in_months if bases.ends_by_itself(basis) else None
    months = [months for months in (valid_months, lawful) if months]
    return jurisdictions.months_after(begins, min(months)) if months else None


def over(at: datetime, limit: int) -> list[tuple[int, int]]:
    """(contact, topic) of consents whose time is over and that are not yet written down as expired."""
    found = (
        select(Subscription.contact_id, Subscription.topic_id)
        .where(Subscription.until <= at, Subscription.state == State.given)
        .order_by(Subscription.contact_id, Subscription.topic_id)
        .limit(limit)
    )
    return [(row.contact_id, row.topic_id) for row in db.session.execute(found)]


def to_ask(at: datetime, limit: int) -> list[int]:
    """Contacts with a consent that ends soon and about which they were not written to yet, and may be now."""
    live = select(Topic.id).where(Topic.retired_at.is_(None))
    stands = or_(Suppression.until.is_(None), Suppression.until > at)
    found = (
        select(Subscription.contact_id)
        .join(Contact, Contact.id == Subscription.contact_id)
        .where(Subscription.until > at, Subscription.until <= at + NOTICE, Subscription.state == State.given)
        .where(Subscription.topic_id.in_(live), _not_asked())
        .where(Contact.erased_at.is_(None), Contact.restricted_at.is_(None))
        .where(~exists().where(Suppression.address_hash == Contact.address_hash, stands))
        .distinct()
        .order_by(Subscription.contact_id)
        .limit(limit)
    )
    return list(db.session.scalars(found))


def ending(contact: Contact, at: datetime) -> dict[int, datetime]:
    """The ends that come soon, by topic id."""
    own = (Subscription.contact_id == contact.id, Subscription.state == State.given)
    soon = (Subscription.until > at, Subscription.until <= at + NOTICE)
    found = db.session.execute(select(Subscription.topic_id, Subscription.until).where(*own, *soon))
    return {topic_id: until for topic_id, until in found if until is not None}


def asked(contact: Contact, at: datetime) -> list[int]:
    """Note that the contact is written to now about every end that comes soon; the topics it is news for."""
    own = (Subscription.contact_id == contact.id, Subscription.state == State.given, _not_asked())
    soon = (Subscription.until > at, Subscription.until <= at + NOTICE)
    new = db.session.execute(
        select(Subscription.contact_id, Subscription.topic_id, Subscription.until).where(*own, *soon)
    )
    if letters := [dict(row) for row in new.mappings()]:
        insert = (postgresql.insert if is_postgresql() else sqlite.insert)(RenewalLetter)
        key = [RenewalLetter.contact_id, RenewalLetter.topic_id]
        into = insert.on_conflict_do_update(index_elements=key, set_={"until": insert.excluded.until})
        db.session.execute(into, letters)
    return sorted(letter["topic_id"] for letter in letters)


def forget(contact_id: int) -> None:
    db.session.execute(delete(RenewalLetter).where(RenewalLetter.contact_id == contact_id))


def _not_asked() -> ColumnElement[bool]:
    asked = exists().where(
        RenewalLetter.contact_id == Subscription.contact_id,
        RenewalLetter.topic_id == Subscription.topic_id,
        RenewalLetter.until == Subscription.until,
    )
    return ~asked.correlate(Subscription)
