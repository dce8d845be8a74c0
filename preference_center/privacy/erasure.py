"""Erasing a person: every room forgets, in one transaction. A keyed hash of the address stays, so that nobody mails them again.

What stays and why is told in `docs/privacy.md`: an empty contact, consent records without a name, figures, the suppression.
"""

from dataclasses import replace

from preference_center.consent import ledger, standing
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import State
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.delivery import chunks
from preference_center.engines import empty_the_log
from preference_center.errors import Conflict
from preference_center.privacy import export, requests
from preference_center.privacy.models import DataRequest, RequestKind
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics import catalogue


def erase(contact: Contact, evidence: Evidence, by: str = requests.PERSON) -> DataRequest:
    """For good (GDPR 17). What they had on is withdrawn first, so that state and records agree."""
    chunks.hold_all_of([contact.id])
    contacts.lock([contact.id], for_withdrawal=True)
    db.session.refresh(contact)
    if contact.erased_at is not None or contact.address_hash is None:
        raise Conflict("This person was erased already.")
    request = requests.done(contact, RequestKind.erasure, by, evidence.source)
    reference = f"erasure:{request.public_id}"
    _withdraw_what_is_on(contact, replace(evidence, source_ref=reference))
    register.suppress(contact.address_hash, Cause.erased, reference)
    forget(contact)
    return request


def forget(contact: Contact) -> None:
    """Every room forgets, without a mark: the person may come back any time."""
    for room in export.ROOMS:
        room.forget(contact)
    empty_the_log()


def _withdraw_what_is_on(contact: Contact, evidence: Evidence) -> None:
    purposes = {topic.id: topic.purpose_key for topic in catalogue.everything()}
    today = standing.subscriptions(contact).values()
    for key in sorted({purposes[s.topic_id] for s in today if s.state in (State.given, State.requested)}):
        ledger.withdraw_all(contact, key, evidence)
