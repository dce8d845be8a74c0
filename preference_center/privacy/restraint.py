"""Stopping the use of data without deleting it: objection to direct marketing, restriction, and lifting it again."""

from datetime import datetime

from sqlalchemy import select

from preference_center import clock
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.errors import Conflict
from preference_center.privacy import requests
from preference_center.privacy.models import DataRequest, RequestKind

# Direct marketing on every channel, and profiling for it (GDPR 21(2)). Order mail is none; counting opens has its own consent.
MARKETING = ("email_marketing", "profiling", "phone", "sms", "post")


def object_to_marketing(contact: Contact, evidence: Evidence, by: str = requests.PERSON) -> DataRequest:
    """Absolute: no weighing, no reason needed (GDPR 21(3))."""
    for purpose in MARKETING:
        ledger.object_to(contact, purpose, evidence)
    return requests.done(contact, RequestKind.objection, by, evidence.source)


def restrict(contact: Contact, evidence: Evidence, by: str = requests.PERSON) -> DataRequest:
    """Kept, but not used (GDPR 18)."""
    contacts.lock([contact.id], for_withdrawal=True)
    if contact.restricted_at is not None:
        raise Conflict("This is restricted already.")
    contact.restrict(clock.now())
    return requests.done(contact, RequestKind.restriction, by, evidence.source)


def lift(contact: Contact, evidence: Evidence, by: str = requests.PERSON) -> DataRequest:
    contacts.lock([contact.id], for_withdrawal=True)
    if contact.restricted_at is None:
        raise Conflict("Nothing is restricted.")
    contact.lift_restriction(clock.now())
    return requests.done(contact, RequestKind.restriction_lifted, by, evidence.source)


def was_lifted_since(contact: Contact, moment: datetime) -> bool:
    """Whether a restriction that stood at this moment was lifted after it; one that was made only then counts for nothing."""
    kinds = (RequestKind.restriction, RequestKind.restriction_lifted)
    asked = select(DataRequest.kind).where(DataRequest.contact_id == contact.id, DataRequest.kind.in_(kinds))
    first = db.session.scalar(asked.where(DataRequest.asked_at >= moment).order_by(DataRequest.id).limit(1))
    return first is RequestKind.restriction_lifted
