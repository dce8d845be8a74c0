"""The consent ledger: writes the fact, then the state. The only place that adds consent records; it does not commit.

Every verb locks the contact first, so a withdrawal and the claim of a message never pass each other unseen.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, insert, or_, select

from preference_center import clock
from preference_center.consent import projection, vault
from preference_center.consent.law import bases, jurisdictions, validity
from preference_center.consent.models import Action, Cadence, ConsentRecord, State, Subscription, state_at
from preference_center.consent.projection import Stand
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.contacts.queries import Person
from preference_center.db import db, new_public_id
from preference_center.errors import Invalid
from preference_center.i18n import gettext as _
from preference_center.prepared import Prepared
from preference_center.topics.models import Topic
from preference_center.topics.purposes import PURPOSES, LegalBasis

_STOPS = (State.withdrawn, State.objected)
Whose = Contact | Person


@dataclass(frozen=True)
class Evidence:
    """Where a record comes from. `detail` is personal (network address, user agent) and is kept apart from the record."""

    source: str  # form, link, one_click, import, admin, provider, mail, system
    source_ref: str = ""
    actor: str = "person"  # or projection.GUARDIAN, user:<id>, provider:<name>, system
    language: str | None = None
    wording_id: int | None = None
    happened_at: datetime | None = None  # default: now
    detail: dict[str, Any] = field(default_factory=dict)


def request(contact: Contact, topic: Topic, evidence: Evidence) -> ConsentRecord | None:
    """A wish from the open web: it lets no mail through until it is confirmed. Nothing when the topic is already on."""
    stand = _held(contact)
    if _state(stand, topic) is State.given:
        return None
    _must_be_old_enough(contact, evidence)
    return _write(contact, stand, topic, Action.requested, evidence, basis=LegalBasis.double_opt_in)


def confirm(contact: Contact, topic: Topic, evidence: Evidence) -> ConsentRecord | None:
    """The owner of the address confirmed the wish. Only a wish that still stands can be confirmed."""
    stand = _held(contact)
    if _state(stand, topic) is not State.requested:
        return None
    return _agree(contact, stand, topic, Action.confirmed, evidence, LegalBasis.double_opt_in)


def grant(
    contact: Contact, topic: Topic, basis: LegalBasis, evidence: Evidence, *, until: datetime | None = None
) -> ConsentRecord | None:
    """The person agreed, by a clear act. Nothing when the topic is already on. `until`: earlier than the topic's own end."""
    stand = _held(contact)
    if _state(stand, topic) is State.given:
        return None
    bases.check(basis, topic.purpose, evidence.detail)
    return _agree(contact, stand, topic, Action.given, evidence, basis, until)


def renew(contact: Contact, topic: Topic, evidence: Evidence) -> ConsentRecord | None:
    """The person says yes again before the end. Only what holds can be renewed; what has ended needs a new consent."""
    stand = _held(contact)
    if _state(stand, topic) is not State.given:
        return None
    basis = stand.topics[topic.id].legal_basis
    again = bases.BASES[basis].renews_as if basis else LegalBasis.consent
    return _agree(contact, stand, topic, Action.renewed, evidence, again)


def restore(contact: Contact, topic: Topic, earlier: ConsentRecord, evidence: Evidence) -> ConsentRecord | None:
    """The person takes a withdrawal back at once: it is as it was, on the same basis and text, and ends when it would have ended."""
    over = earlier.until is not None and earlier.until <= clock.now()
    stand = _held(contact)
    if over or earlier.contact_id != contact.id or _state(stand, topic) is State.given:
        return None
    same = replace(evidence, wording_id=earlier.wording_id, language=earlier.language, actor=earlier.actor)
    return _agree(contact, stand, topic, Action.given, same, earlier.legal_basis, earlier.until)


def withdraw(contact: Whose, topic: Topic, evidence: Evidence) -> ConsentRecord | None:
    """The person leaves this topic, whatever it rests on. Twice is fine: one record. As easy as joining (GDPR 7(3))."""
    stand = _held(contact)
    today = stand.topics.get(topic.id)
    if today is not None and today.state in _STOPS:
        return None
    objects = today is not None and bases.ends_by_objection(today.legal_basis)
    return _write(contact, stand, topic, Action.objected if objects else Action.withdrawn, evidence)


def withdraw_all(contact: Whose, purpose_key: str, evidence: Evidence) -> ConsentRecord | None:
    """The person leaves everything of one purpose; only an act of theirs starts anything again."""
    stand = _held(contact)
    standing = stand.purposes.get(purpose_key)
    if standing is not None and standing.state in _STOPS and not _has_open_topic(contact, purpose_key):
        return None
    return _write(contact, stand, purpose_key, Action.withdrawn, evidence)


def object_to(contact: Whose, purpose_key: str, evidence: Evidence) -> ConsentRecord | None:
    """Objection to a purpose; against direct marketing it is absolute (GDPR 21(2), (3))."""
    stand = _held(contact)
    standing = stand.purposes.get(purpose_key)
    if standing is not None and standing.state is State.objected and not _has_open_topic(contact, purpose_key):
        return None
    return _write(contact, stand, purpose_key, Action.objected, evidence)


def pause(contact: Contact, purpose_key: str, until: datetime, evidence: Evidence) -> ConsentRecord:
    """A break that ends by itself. It is no withdrawal, and an opt-out outranks it."""
    if until <= clock.now():
        raise Invalid("A break must end in the future.", {"until": "Choose a day after today."})
    return _write(contact, _held(contact), purpose_key, Action.paused, evidence, until=until)


def resume(contact: Contact, purpose_key: str, evidence: Evidence) -> ConsentRecord | None:
    stand = _held(contact)
    standing = stand.purposes.get(purpose_key)
    if standing is None or standing.paused_until is None:
        return None
    return _write(contact, stand, purpose_key, Action.resumed, evidence)


def expire(limit: int = 200) -> int:
    """Write down what has ended by itself, some at a time inside a `transaction()`; how many. Nobody was mailed on it since."""
    now = clock.now()
    ended = validity.over(now, limit)
    contacts.lock([contact_id for contact_id, _topic in ended], for_withdrawal=True)
    still = set(validity.over(now, limit))
    for contact_id, topic_id in ended:
        if (contact_id, topic_id) not in still:
            continue
        contact, topic = db.session.get_one(Contact, contact_id), db.session.get_one(Topic, topic_id)
        stand = projection.today(contact_id)
        over = Evidence("system", actor="system", happened_at=stand.topics[topic_id].until)
        _write(contact, stand, topic, Action.expired, over)
    return len(ended)


def set_cadence(contact: Contact, topic: Topic, cadence: Cadence, evidence: Evidence) -> ConsentRecord | None:
    """How often the person wants this topic. It neither gives consent nor takes it; nothing for a topic never heard of."""
    stand = _held(contact)
    today = stand.topics.get(topic.id)
    if today is None or today.cadence is cadence:
        return None
    return _write(contact, stand, topic, Action(cadence), evidence)


def _agree(
    contact: Contact,
    stand: Stand,
    topic: Topic,
    action: Action,
    evidence: Evidence,
    basis: LegalBasis | None,
    until: datetime | None = None,
) -> ConsentRecord:
    """A yes, if the law of the person's country lets it count, with its end."""
    _must_be_old_enough(contact, evidence)
    country = jurisdictions.of(contact.jurisdiction)
    if basis is not None and not country.allows(basis, topic.purpose):
        words = f"In {country.name}, {topic.purpose.name.lower()} cannot rest on {basis.replace('_', ' ')}."
        raise Invalid(words, {"basis": words})
    begins = evidence.happened_at or clock.now()
    ends = validity.end_of(topic.valid_months, basis, contact.jurisdiction, begins)
    until = min((moment for moment in (until, ends) if moment is not None), default=None)
    return _write(contact, stand, topic, action, evidence, basis=basis, until=until)


def is_too_young(contact: Contact) -> bool:
    """Whether only a guardian can agree for them, by what we know of their age and country."""
    return jurisdictions.is_too_young(contact.attributes or {}, contact.jurisdiction, clock.now().date())


def _must_be_old_enough(contact: Contact, evidence: Evidence) -> None:
    """Below the age of the country only a guardian can agree (GDPR 8, LGPD 14)."""
    if evidence.actor == projection.GUARDIAN or not is_too_young(contact):
        return
    words = _("This person is too young to agree alone. A parent or guardian can; write to us.")
    raise Invalid(words, {"topic": words})


def _write(
    contact: Whose,
    stand: Stand,
    subject: Topic | str,
    action: Action,
    evidence: Evidence,
    *,
    basis: LegalBasis | None = None,
    until: datetime | None = None,
) -> ConsentRecord:
    """The one place where a record is made, by a contact who is locked and stands there by now."""
    topic = subject if isinstance(subject, Topic) else None
    purpose = topic.purpose if topic else PURPOSES[str(subject)]
    now = clock.now()
    safe = vault.enclose([contact.id])
    kept = safe.digest(contact.id, {"email": contact.email, **evidence.detail})
    record = _added(
        public_id=new_public_id(),
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
        rules=jurisdictions.applied(contact.jurisdiction, contact.jurisdiction_source),
    )
    if kept:
        safe.keep([(record.id, contact.id, kept[1])])
    projection.apply(record, stand)
    return record


_records = cast(Table, ConsentRecord.__table__)
_insert = Prepared(insert(_records).returning(_records.c.id), sets=[one.name for one in _records.c if one.name != "id"])


def _added(**values: Any) -> ConsentRecord:
    """A new row, as an object that the session knows nothing of. A record is never changed, so nothing keeps track of its values."""
    ((number,),) = _insert.rows(**values)
    record = ConsentRecord()
    vars(record).update(values, id=number)
    return record


def _held(contact: Whose) -> Stand:
    """Where the contact stands, read once they are locked and so until the transaction ends."""
    if isinstance(contact, Contact):  # a Person is locked
        contacts.lock([contact.id], for_withdrawal=True)
    return projection.today(contact.id)


def _state(stand: Stand, topic: Topic) -> State | None:
    """Where they stand on a topic now: a consent whose time is over is none."""
    today = stand.topics.get(topic.id)
    return None if today is None else state_at(today.state, today.until, clock.now())


_subscription = cast(Table, Subscription.__table__).c
_open_topic = Prepared(
    select(_subscription.topic_id)
    .join(Topic, Topic.id == _subscription.topic_id)
    .where(_subscription.contact_id == bindparam("contact"), Topic.purpose_key == bindparam("purpose"))
    .where(or_(_subscription.state == State.requested, _subscription.state == State.given))
    .limit(1)
)


def _has_open_topic(contact: Whose, purpose_key: str) -> bool:
    """A wish made after a stop is not stopped by it: stopping again must end that too."""
    return bool(_open_topic.rows(contact=contact.id, purpose=purpose_key))
