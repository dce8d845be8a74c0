"""The answers of `explain` and `links`, as plain data."""

from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import select

from preference_center import clock, signed_links
from preference_center.accounts import audit
from preference_center.commands import desk
from preference_center.config import Settings
from preference_center.consent import eligibility, history, vault
from preference_center.consent.eligibility import Reason
from preference_center.consent.models import ConsentRecord, Wording
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.errors import Invalid, NotFound
from preference_center.signed_links import Power
from preference_center.topics import catalogue

RULES = {
    None: "mail goes to who gave consent for this topic, did not leave, takes no break, and whose address takes mail",
    Reason.erased: "nobody is mailed who was erased",
    Reason.invalid_address: "an address that cannot be written to gets no mail",
    Reason.null_mx: "a domain that takes no mail gets none",
    Reason.suppressed_complaint: "a complaint closes the address, whatever the consent says",
    Reason.suppressed_bounce: "an address that bounced is closed, whatever the consent says",
    Reason.suppressed_manual: "an address closed by hand gets no mail, whatever the consent says",
    Reason.restricted: "data that the person had restricted is not used (GDPR 18)",
    Reason.objected: "an objection to marketing is absolute (GDPR 21(3))",
    Reason.withdrawn: "who left is not mailed until they act again (GDPR 7(3))",
    Reason.no_consent: "without consent there is no mail (ePrivacy 13(1))",
    Reason.not_confirmed: "a wish from a form counts once the owner of the address confirms it",
    Reason.expired: "consent that was given for a time, or for a topic that was retired, ends with it",
    Reason.jurisdiction: "what the consent rests on does not carry advertising where the person lives (jurisdictions.toml)",
    Reason.under_age: "below the age of their country a guardian has to agree (GDPR 8, LGPD 14)",
    Reason.paused_by_contact: "who takes a break is not mailed until it ends",
    Reason.frequency_cap: "who asked for fewer mails of this topic gets no more than that",
}


def explain(email: str, topic_key: str, at: datetime | None) -> dict[str, Any]:
    """The judge's answer with the record that decided."""
    contact, topic, now = known(email), catalogue.by_key(topic_key), clock.now()
    if at is not None and at > now:
        raise Invalid("Name a moment that has passed: what a person will say later, nobody knows.")
    if at is None:
        verdict = eligibility.verdict(topic, contact, now)
    else:
        # rows are laid out and taken back, for which SQLite wants the right to write from the start
        with transaction():
            verdict = history.verdict(topic, contact, at)
    record = db.session.get(ConsentRecord, verdict.record_id) if verdict.record_id else None
    return {
        "allowed": verdict.allowed,
        "reason": verdict.reason,
        "record": record and _as_data(record),
    }


def links(email: str, topic_key: str | None) -> dict[str, str]:
    with transaction():
        contact = known(email)
        topic = catalogue.by_key(topic_key) if topic_key else None
        audit.note(desk.ACTOR, "contact.links_shown", "contact", contact.public_id, topic=topic_key or "*")
        return addresses_of(contact, topic.key if topic else "*")


def addresses_of(contact: Contact, topic_key: str) -> dict[str, str]:
    settings: Settings = current_app.extensions["settings"]
    ring = signed_links.ring()
    manage = ring.sign(Power.manage, [contact.public_id, contact.link_epoch])
    unsub = ring.sign(Power.unsub, [contact.public_id, topic_key, 0])
    return {"manage": f"{settings.public_url}/p/{manage}", "unsubscribe": f"{settings.public_url}/u/{unsub}"}


def known(email: str) -> Contact:
    contact = contacts.by_email(email)
    if contact is None:
        raise NotFound("There is no contact with this address.")
    return contact


def _as_data(record: ConsentRecord) -> dict[str, Any]:
    wording = db.session.scalar(select(Wording).where(Wording.id == record.wording_id))
    return {
        "id": record.public_id,
        "action": record.action,
        "basis": record.legal_basis,
        "purpose": record.purpose_key,
        "source": record.source,
        "source_ref": record.source_ref,
        "actor": record.actor,
        "until": record.until,
        "rules": record.rules,
        "happened_at": record.happened_at,
        "recorded_at": record.recorded_at,
        "evidence": vault.open(record.contact_id).get(record.id),
        "wording": wording
        and {"language": wording.language, "version": wording.version, "text": wording.text, "sha256": wording.sha256},
    }
