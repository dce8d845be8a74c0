"""Consent as the console shows it: one contact's records with the words shown then, and how many follow each topic."""

from sqlalchemy import Row, func, select

from preference_center.consent.models import ConsentRecord, State, Subscription, Wording
from preference_center.contacts.models import Contact
from preference_center.db import db


def timeline(contact: Contact, limit: int = 200) -> list[Row[ConsentRecord, Wording | None]]:
    """The contact's records, newest first, each with the text shown then where one is known."""
    statement = (
        select(ConsentRecord, Wording)
        .outerjoin(Wording, Wording.id == ConsentRecord.wording_id)
        .where(ConsentRecord.contact_id == contact.id)
        .order_by(ConsentRecord.id.desc())
        .limit(limit)
    )
    return list(db.session.execute(statement))


def followers() -> dict[int, int]:
    """How many contacts have each topic on, by topic id."""
    counted = (
        select(Subscription.topic_id, func.count())
        .where(Subscription.state == State.given)
        .group_by(Subscription.topic_id)
    )
    return dict(db.session.execute(counted).all())
