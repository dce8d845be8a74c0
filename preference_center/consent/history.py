"""What the judge would have said at a moment that has passed.

The rows of that moment are laid out inside a savepoint that is always undone, and the one judge looks at them: there is no second
copy of the rule. What has no history is refused rather than guessed.
"""

from datetime import datetime

from sqlalchemy import delete, select, update

from preference_center.consent import eligibility, projection
from preference_center.consent.eligibility import Verdict
from preference_center.consent.law import cadences
from preference_center.consent.models import Cadence, Standing, Subscription
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.errors import Unavailable
from preference_center.suppressions import register
from preference_center.suppressions.models import Suppression, SuppressionRecord
from preference_center.topics.models import Topic


def verdict(topic: Topic, contact: Contact, at: datetime) -> Verdict:
    """The judge's answer by what was recorded at `at`. Unavailable where that can no longer be known."""
    savepoint = db.session.begin_nested()
    try:
        _lay_out_consent(contact, at)
        _lay_out_suppression(contact, at)
        _lay_out_contact(contact, at)
        return _judged(topic, contact, at)
    finally:
        savepoint.rollback()
        db.session.expire_all()


def _judged(topic: Topic, contact: Contact, at: datetime) -> Verdict:
    own = db.session.get(Subscription, (contact.id, topic.id), populate_existing=True)
    mailed = cadences.last(topic, contact.id)
    if own is None or own.cadence is Cadence.each or mailed is None or mailed.at <= at:
        return eligibility.verdict(topic, contact, at)
    cadences.forget(contact.id)  # only the last mail is kept, and it came later
    found = eligibility.verdict(topic, contact, at)
    if found.allowed:
        raise Unavailable("They had asked for fewer mails of this topic; which they had got by then is not kept.")
    return found


def _lay_out_consent(contact: Contact, at: datetime) -> None:
    stand = projection.stand_at(contact.id, at)
    for state in (Subscription, Standing):
        db.session.execute(delete(state).where(state.contact_id == contact.id))
    for topic_id, topic in stand.topics.items():
        db.session.add(Subscription(contact_id=contact.id, topic_id=topic_id, **topic._asdict()))
    for purpose_key, purpose in stand.purposes.items():
        db.session.add(Standing(contact_id=contact.id, purpose_key=purpose_key, **purpose._asdict()))
    db.session.flush()


def _lay_out_suppression(contact: Contact, at: datetime) -> None:
    """The suppression that stood then, replayed from its records."""
    records = db.session.scalars(
        select(SuppressionRecord)
        .where(SuppressionRecord.address_hash == contact.address_hash, SuppressionRecord.recorded_at <= at)
        .order_by(SuppressionRecord.id)
    )
    stood = register.stood(records)
    db.session.execute(delete(Suppression).where(Suppression.address_hash == contact.address_hash))
    if stood is not None:
        db.session.add(Suppression(address_hash=contact.address_hash, cause=stood[0], until=stood[1], created_at=at))
    db.session.flush()


def _lay_out_contact(contact: Contact, at: datetime) -> None:
    if contact.restricted_at is not None and contact.restricted_at > at:
        db.session.execute(update(Contact).where(Contact.id == contact.id).values(restricted_at=None))
