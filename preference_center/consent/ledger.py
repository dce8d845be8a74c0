"""The consent ledger: writes the fact, then the state. The only place that adds consent records; it does not commit.

Every verb locks the contact first, so a withdrawal and the claim of a message never pass each other unseen.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select

from preference_center import clock
from preference_center.consent import projection, vault
from preference_center.consent.models import Action, Cadence, ConsentRecord, Standing, State, Subscription
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.errors import Invalid
from preference_center.topics.models import Topic
from preference_center.topics.purposes import PURPOSES, LegalBasis

_STOPS = (State.withdrawn, State.objected)


@dataclass(frozen=True)
class Evidence:
    """Where a record comes from. `detail` is personal (network address, user agent) and is kept apart from the record."""

    source: str  # form, link, one_click, import, admin, provider, mail, system
    source_ref: str = ""
    actor: str = "person"
    language: str | None = None
    wording_id: int | None = None
    happened_at: datetime | None = None  # default: now
    detail: dict[str, Any] = field(default_factory=dict)


def request(contact: Contact, topic: Topic, evidence: Evidence) -> ConsentRecord | None:
    """A wish from the open web: it lets no mail through until it is confirmed. Nothing when the topic is already on."""
    if _state(contact, topic) is State.given:
        return None
    return _write(contact, topic, Action.requested, evidence, basis=LegalBasis.double_opt_in)


def confirm(contact: Contact, topic: Topic, evidence: Evidence) -> ConsentRecord | None:
    """The owner of the address confirmed the wish. Only a wish that still stands can be confirmed."""
    if _state(contact, topic) is not State.requested:
        return None
    return _write(contact, topic, Action.confirmed, evidence, basis=LegalBasis.double_opt_in)


def grant(
    contact: Contact, topic: Topic, basis: LegalBasis, evidence: Evidence, *, until: datetime | None = None
) -> ConsentRecord | None:
    """The person agreed, by a clear act. Nothing when the topic is already on."""
    if _state(contact, topic) is State.given:
        return None
    return _write(contact, topic, Action.given, evidence, basis=basis, until=until)


def withdraw(contact: Contact, topic: Topic, evidence: Evidence) -> ConsentRecord | None:
    """The person leaves this topic. Twice is fine: one record. As easy as joining (GDPR 7(3))."""
    if _state(contact, topic) in (State.withdrawn, State.objected):
        return None
    return _write(contact, topic, Action.withdrawn, evidence)


def withdraw_all(contact: Contact, purpose_key: str, evidence: Evidence) -> ConsentRecord | None:
    """The person leaves everything of one purpose; only an act of theirs starts anything again."""
    standing = _standing(contact, purpose_key)
    if standing is not None and standing.state in _STOPS and not _has_open_topic(contact, purpose_key):
        return None
    return _write(contact, purpose_key, Action.withdrawn, evidence)


def object_to(contact: Contact, purpose_key: str, evidence: Evidence) -> ConsentRecord | None:
    """Objection to a purpose; against direct marketing it is absolute (GDPR 21(2), (3))."""
    standing = _standing(contact, purpose_key)
    if standing is not None and standing.state is State.objected and not _has_open_topic(contact, purpose_key):
        return None
    return _write(contact, purpose_key, Action.objected, evidence)


def pause(contact: Contact, purpose_key: str, until: datetime, evidence: Evidence) -> ConsentRecord:
    """A break that ends by itself. It is no withdrawal, and an opt-out outranks it."""
    if until <= clock.now():
        raise Invalid("A break must end in the future.", {"until": "Choose a day after today."})
    return _write(contact, purpose_key, Action.paused, evidence, until=until)


def resume(contact: Contact, purpose_key: str, evidence: Evidence) -> ConsentRecord | None:
    standing = _standing(contact, purpose_key)
    if standing is None or standing.paused_until is None:
        return None
    return _write(contact, purpose_key, Action.resumed, evidence)


def set_cadence(contact: Contact, topic: Topic, cadence: Cadence, evidence: Evidence) -> ConsentRecord | None:
    """How often the person wants this topic. It neither gives consent nor takes it; nothing for a topic never heard of."""
    contacts.lock([contact.id], for_withdrawal=True)
    own = (Subscription.contact_id == contact.id, Subscription.topic_id == topic.id)
    today = db.session.scalar(select(Subscription.cadence).where(*own))
    if today is None or today is cadence:
        return None
    return _write(contact, topic, Action(cadence), evidence)


def _write(
    contact: Contact,
    subject: Topic | str,
    action: Action,
    evidence: Evidence,
    *,
    basis: LegalBasis | None = None,
    until: datetime | None = None,
) -> ConsentRecord:
    contacts.lock([contact.id], for_withdrawal=True)
    topic = subject if isinstance(subject, Topic) else None
    purpose = topic.purpose if topic else PURPOSES[str(subject)]
    if basis is not None and basis not in purpose.bases:
        raise Invalid(
            f"{purpose.name} cannot rest on {basis.replace('_', ' ')}.", {"basis": "Choose another legal basis."}
        )
    now = clock.now()
    safe = vault.enclose([contact.id])
    kept = safe.digest(contact.id, {"email": contact.email, **evidence.detail})
    record = ConsentRecord(
        contact_id=contact.id,
        purpose_key=purpose.key,
        topic_id=topic.id if topic else None,
        channel=purpose.channel,
        action=action,
        legal_basis=basis,
        wording_id=evidence.wording_id,
        language=evidence.language,
        source=evidence.source,
        source_ref=evidence.source_ref,
        actor=evidence.actor,
        until=until,
        happened_at=evidence.happened_at or now,
        recorded_at=now,
        evidence_digest=kept and kept[0],
    )
    db.session.add(record)
    db.session.flush()
    if kept:
        safe.keep([(record.id, contact.id, kept[1])])
    projection.apply(record)
    return record


def _state(contact: Contact, topic: Topic) -> State | None:
    contacts.lock([contact.id], for_withdrawal=True)
    return db.session.scalar(
        select(Subscription.state).where(Subscription.contact_id == contact.id, Subscription.topic_id == topic.id)
    )


def _has_open_topic(contact: Contact, purpose_key: str) -> bool:
    """A wish made after a stop is not stopped by it: stopping again must end that too."""
    open_topics = (
        select(Subscription.topic_id)
        .join(Topic, Topic.id == Subscription.topic_id)
        .where(Subscription.contact_id == contact.id, Topic.purpose_key == purpose_key)
        .where(Subscription.state.in_([State.requested, State.given]))
    )
    return db.session.scalar(open_topics.limit(1)) is not None


def _standing(contact: Contact, purpose_key: str) -> Standing | None:
    contacts.lock([contact.id], for_withdrawal=True)
    return db.session.get(Standing, (contact.id, purpose_key), populate_existing=True)
