"""A person's own consent records, one by one, and each as a receipt: the fields of ISO/IEC TS 27560, named by terms of the W3C DPV.

A receipt states what the record holds and no more: what we do not know is left out, never made up.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import current_app

from preference_center import clock
from preference_center.config import Settings
from preference_center.consent import standing as consents
from preference_center.consent.models import Action, ConsentRecord, Wording
from preference_center.contacts.models import Contact
from preference_center.errors import NotFound
from preference_center.topics import catalogue
from preference_center.topics.models import Topic
from preference_center.topics.purposes import PURPOSES, LegalBasis


@dataclass(frozen=True)
class Receipt:
    """One record with what it speaks of: its topic (none: a whole purpose) and the text that was shown."""

    record: ConsentRecord
    topic: Topic | None
    wording: Wording | None


def history(contact: Contact) -> list[Receipt]:
    """All records of this contact, the newest first."""
    records = consents.all_records(contact)
    topics = {topic.id: topic for topic in catalogue.everything()}
    texts = consents.texts(record.wording_id for record in records)
    return [Receipt(one, topics.get(one.topic_id or 0), texts.get(one.wording_id or 0)) for one in reversed(records)]


def receipt(contact: Contact, public_id: str) -> Receipt:
    """One record of this contact; NotFound for those of anybody else."""
    for record in consents.records_named(contact, [public_id]):
        topics = {topic.id: topic for topic in catalogue.everything()}
        texts = consents.texts([record.wording_id])
        return Receipt(record, topics.get(record.topic_id or 0), texts.get(record.wording_id or 0))
    raise NotFound("There is no such record.")


def as_data(one: Receipt, contact: Contact, language: str) -> dict[str, Any]:
    """The receipt as JSON-LD. Read without the context it is plain JSON with the field names of TS 27560."""
    settings: Settings = current_app.extensions["settings"]
    record = one.record
    about = one.topic.text(language) if one.topic else None
    event = {
        "event_time": _time(record.happened_at),
        "recorded_time": _time(record.recorded_at),
        "event_type": record.action,
        "event_state": _STATES.get(record.action),
        "entity_id": record.actor,
        "validity_end": _time(record.until) if record.until and record.action in _GIVEN else None,
        "pause_end": _time(record.until) if record.until and record.action is Action.paused else None,
        "collection_method": record.source,
        "collection_reference": record.source_ref or None,
    }
    processing = {
        "purpose": record.purpose_key,
        "purpose_in_words": PURPOSES[record.purpose_key].name,
        "topic": one.topic.key if one.topic else None,
        "topic_in_words": about.name if about else None,
        "channel": record.channel,
        "lawful_basis": _ARTICLES.get(record.legal_basis) if record.legal_basis else None,
        "lawful_basis_in_words": record.legal_basis,
        "pii_information": [{"pii_type": "pd:EmailAddress"}] if record.channel == "email" else None,
        "privacy_notice": settings.privacy_url,
        "jurisdiction": contact.jurisdiction,
        "withdrawal_method": "The unsubscribe link of every email, the preference page, or a message to the controller.",
    }
    text = one.wording and {
        "text": one.wording.text,
        "language": one.wording.language,
        "version": one.wording.version,
        "sha256": one.wording.sha256,
        "effective_from": _time(one.wording.effective_from),
    }
    controller = {
        "party_id": settings.public_url,
        "party_name": settings.organisation,
        "party_address": settings.postal_address,
        "party_contact": settings.contact_email or settings.from_address,
        "party_type": "dpv:DataController",
    }
    return {
        "@context": _CONTEXT,
        "@type": "dpv:ConsentReceipt",
        "schema_version": "dpv-27560:receipt-eu-gdpr",
        "receipt_id": f"receipt-{record.public_id}",
        "issued": _time(clock.now()),
        "record": {
            "@type": "dpv:ConsentRecord",
            "schema_version": "dpv-27560:record-eu-gdpr",
            "record_id": record.public_id,
            "pii_principal_id": contact.public_id,
            "language": record.language,
            "pii_controllers": [controller],
            "processing": _known(processing),
            "wording": text,
            "event": _known(event),
        },
    }


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None and value != ""}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


_GIVEN = (Action.given, Action.confirmed)
_STATES = {
    Action.requested: "dpv:ConsentRequested",
    Action.given: "dpv:ConsentGiven",
    Action.confirmed: "dpv:ConsentGiven",
    Action.refused: "dpv:ConsentRefused",
    Action.withdrawn: "dpv:ConsentWithdrawn",
    Action.objected: "dpv:ConsentWithdrawn",
    Action.expired: "dpv:ConsentExpired",
    Action.invalidated: "dpv:ConsentInvalidated",
}
_ARTICLES = {
    LegalBasis.consent: "eu-gdpr:A6-1-a",
    LegalBasis.double_opt_in: "eu-gdpr:A6-1-a",
    LegalBasis.contract: "eu-gdpr:A6-1-b",
    LegalBasis.legal_obligation: "eu-gdpr:A6-1-c",
    LegalBasis.legitimate_interest: "eu-gdpr:A6-1-f",
}


def _term(iri: str) -> dict[str, str]:
    return {"@id": iri, "@type": "@vocab"}


_CONTEXT: dict[str, Any] = {
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "dpv-27560": "https://w3id.org/dpv/schema/dpv-27560#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "pd": "https://w3id.org/dpv/pd#",
    "schema": "https://schema.org/",
    "schema_version": _term("dct:conformsTo"),
    "receipt_id": "dct:identifier",
    "record_id": "dct:identifier",
    "issued": "dct:created",
    "record": "dpv:hasRecordOfActivity",
    "pii_principal_id": "dpv:hasDataSubject",
    "pii_controllers": "dpv:hasDataController",
    "party_id": "@id",
    "party_name": "dpv:hasName",
    "party_address": "dpv:hasAddress",
    "party_contact": "dpv:hasContact",
    "party_type": "@type",
    "processing": "dpv:hasProcess",
    "purpose": "dpv:hasPurpose",
    "pii_information": "dpv:hasPersonalData",
    "pii_type": "@type",
    "lawful_basis": _term("dpv:hasLegalBasis"),
    "jurisdiction": "dpv:hasJurisdiction",
    "privacy_notice": {"@id": "dpv:hasNotice", "@type": "@id"},
    "language": "dct:language",
    "wording": "dpv:hasConsentNotice",
    "text": "dct:description",
    "version": "dct:hasVersion",
    "event": "dpv:hasConsentStatus",
    "event_state": "@type",
    "event_time": "dct:date",
}
