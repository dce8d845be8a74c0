"""How long a consent holds: until when it was given, which ones end soon or have ended, and whom we wrote to about it.

The topic says how many months a consent lasts; where the law of a country ends an existing customer's, the earlier of the two.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update

from preference_center.consent.law import bases, jurisdictions
from preference_center.consent.models import State, Subscription
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis

NOTICE = timedelta(days=30)  # so long before the end the person is asked, once


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
    """Contacts with a consent that ends soon and about which they were not written to yet."""
    live = select(Topic.id).where(Topic.retired_at.is_(None))
    found = (
        select(Subscription.contact_id)
        .join(Contact, Contact.id == Subscription.contact_id)
        .where(Subscription.until > at, Subscription.until <= at + NOTICE, Subscription.state == State.given)
        .where(Subscription.topic_id.in_(live), _not_asked())
        .where(Contact.erased_at.is_(None), Contact.restricted_at.is_(None))
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
    new = (
        update(Subscription)
        .where(Subscription.contact_id == contact.id, Subscription.state == State.given, _not_asked())
        .where(Subscription.until > at, Subscription.until <= at + NOTICE)
        .values(renewal_asked_for=Subscription.until)
        .returning(Subscription.topic_id)
        .execution_options(synchronize_session=False)
    )
    return sorted(db.session.scalars(new))


def _not_asked() -> Any:
    return or_(Subscription.renewal_asked_for.is_(None), Subscription.renewal_asked_for != Subscription.until)
