"""A consent record for other programs: every field ISO/IEC TS 27560 and the GDPR ask for, as JSON-LD in terms of the W3C's DPV.

The fields keep the names of TS 27560, so that it reads as plain JSON too; the context, which comes along, says what each means.
What DPV has no term for is named under a vocabulary of our own. Nothing is made up: where we know nothing, the text says so.
"""

from datetime import UTC, datetime
from typing import Any

from flask import current_app

from preference_center.config import Settings
from preference_center.consent.law import bases, jurisdictions
from preference_center.consent.models import Action, ConsentRecord, Wording
from preference_center.contacts.models import Contact
from preference_center.topics.models import Topic
from preference_center.topics.purposes import PURPOSES

RECORD, RECEIPT = "dpv-27560:record-eu-gdpr", "dpv-27560:receipt-eu-gdpr"
UNCHANGED = "Unchanged"  # a break, or how often: consent stands as it stood
STATES = {
    Action.requested: "dpv:ConsentRequested",
    Action.given: "dpv:ConsentGiven",
    Action.confirmed: "dpv:ConsentGiven",
    Action.renewed: "dpv:RenewedConsentGiven",
    Action.refused: "dpv:ConsentRefused",
    Action.withdrawn: "dpv:ConsentWithdrawn",
    Action.objected: "dpv:ConsentWithdrawn",
    Action.expired: "dpv:ConsentExpired",
    Action.invalidated: "dpv:ConsentInvalidated",
}
MAIL_SERVERS = "the mail servers that carry our emails"
_GIVES = (Action.given, Action.confirmed, Action.renewed)
_DATA = {
    "email": "pd:EmailAddress",
    "sms": "pd:TelephoneNumber",
    "phone": "pd:TelephoneNumber",
    "post": "pd:PhysicalAddress",
}
# Besides the address: what a person did with our mail, where the purpose is to see or use that.
_DATA_BESIDES = {"tracking": ["pd:Behavioural", "pd:LinkClicked"], "profiling": ["pd:Behavioural"]}
_DOES = {"tracking": ["dpv:Collect", "dpv:Store", "dpv:Analyse"], "profiling": ["dpv:Store", "dpv:Profiling"]}
_RIGHTS = ["A13", "A15", "A16", "A17", "A18", "A20", "A21", "A7-3", "A77"]


def record(
    contact: Contact, one: ConsentRecord, topic: Topic | None, wording: Wording | None, language: str
) -> dict[str, Any]:
    """The record without its context."""
    event = {
        "event_time": moment(one.happened_at),
        "recorded_time": moment(one.recorded_at),
        "validity_duration": f"until {moment(one.until)}" if one.until and one.action in _GIVES else "until withdrawn",
        "event_type": one.action,
        "event_state": STATES.get(one.action, UNCHANGED),
        "entity_id": one.actor,
        "pause_end": moment(one.until) if one.until and one.action is Action.paused else None,
        "collection_method": one.source,
        "collection_reference": one.source_ref or None,
    }
    text = wording and {
        "text": wording.text,
        "text_language": wording.language,
        "version": wording.version,
        "sha256": wording.sha256,
        "effective_from": moment(wording.effective_from),
    }
    shown = one.language or (wording.language if wording else contact.language)
    return known(
        {
            "@type": "dpv:ConsentRecord",
            "schema_version": RECORD,
            "record_id": one.public_id,
            "pii_principal_id": contact.public_id,
            "language": shown,
            "pii_controllers": [_controller()],
            "processing": _processing(contact, one, topic, language),
            "wording": text,
            "event": known(event),
        }
    )


def _processing(contact: Contact, one: ConsentRecord, topic: Topic | None, language: str) -> dict[str, Any]:
    settings: Settings = current_app.extensions["settings"]
    basis = bases.BASES[one.legal_basis] if one.legal_basis else None
    applied = (one.rules or "").partition("/")[0].strip("-")
    country = applied or jurisdictions.country_of(contact.jurisdiction)
    rules = jurisdictions.in_force().of(country or None)
    place = settings.storage_location or "where the controller keeps this installation"
    days = settings.forget_after_days
    return known(
        {
            "purpose": one.purpose_key,
            "purpose_in_words": PURPOSES[one.purpose_key].name,
            "topic": topic.key if topic else None,
            "topic_in_words": topic.name(language) if topic else None,
            "channel": one.channel,
            "lawful_basis": basis.article if basis else None,
            "lawful_basis_in_words": one.legal_basis,
            "consent_method": basis.method if basis else None,
            "pii_information": [{"pii_type": term} for term in _data(one)],
            "processing_method": _DOES.get(one.purpose_key, ["dpv:Store", "dpv:Use"]),
            "privacy_notice": settings.privacy_url or settings.public_url,
            "storage_locations": [place],
            "processing_locations": [place],
            "retention_period": f"until withdrawn, then {days} days; the proof without a name stays"
            if days
            else "until erased",
            "jurisdiction": country or "not known",
            "rules": one.rules,
            "recipient_third_parties": recipients() or [MAIL_SERVERS],
            "withdrawal_method": "The unsubscribe link of every email, the preference page, or a message to the controller.",
            "rights": [f"eu-gdpr:{article}" for article in _RIGHTS],
            "authority": {"authority_name": rules.authority["name"], "authority_url": rules.authority["url"]},
        }
    )


def _data(one: ConsentRecord) -> list[str]:
    return [_DATA[one.channel], *_DATA_BESIDES.get(one.purpose_key, [])]


def recipients() -> list[str]:
    """Who else gets data, as the owner has named them."""
    settings: Settings = current_app.extensions["settings"]
    return [name.strip() for name in settings.recipients.split(";") if name.strip()]


def _controller() -> dict[str, Any]:
    settings: Settings = current_app.extensions["settings"]
    return {
        "party_id": settings.public_url,
        "party_name": settings.organisation,
        "party_address": settings.postal_address,
        "party_contact": settings.contact_email or settings.from_address,
        "party_type": "dpv:LegalEntity",
        "party_role": "dpv:DataController",
    }


def known(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None and value != ""}


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _term(iri: str) -> dict[str, str]:
    return {"@id": iri, "@type": "@vocab"}


def _link(iri: str) -> dict[str, str]:
    return {"@id": iri, "@type": "@id"}


def _many(iri: str, kind: str = "") -> dict[str, str]:
    return {"@id": iri, "@container": "@set"} | ({"@type": kind} if kind else {})


# One term for one meaning: two names for the same IRI could not be told apart on the way back (S72).
CONTEXT: dict[str, Any] = {
    "@vocab": "urn:preference-center:terms:",
    "pc": "urn:preference-center:terms:",
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "dpv-27560": "https://w3id.org/dpv/schema/dpv-27560#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "pd": "https://w3id.org/dpv/pd#",
    "schema_version": _term("dct:conformsTo"),
    "receipt_id": "dct:identifier",
    "issued": "dct:issued",
    "record": "dpv:hasRecordOfActivity",
    "record_id": "dpv:hasIdentifier",
    "pii_principal_id": "dpv:hasDataSubject",
    "language": "dct:language",
    "pii_controllers": _many("dpv:hasDataController"),
    "party_id": "@id",
    "party_name": "dpv:hasName",
    "party_address": "dpv:hasAddress",
    "party_contact": "dpv:hasContact",
    "party_type": _term("pc:partyType"),
    "party_role": _term("dpv:hasRole"),
    "processing": "dpv:hasProcess",
    "purpose": "dpv:hasPurpose",
    "lawful_basis": _term("dpv:hasLegalBasis"),
    "pii_information": _many("dpv:hasPersonalData"),
    "pii_type": _term("dct:type"),
    "processing_method": _many("dpv:hasProcessing", "@vocab"),
    "privacy_notice": _link("dpv:hasNotice"),
    "storage_locations": _many("dpv:hasStorageCondition"),
    "processing_locations": _many("dpv:hasLocation"),
    "retention_period": "dpv:hasDuration",
    "jurisdiction": "dpv:hasJurisdiction",
    "recipient_third_parties": _many("dpv:hasRecipientThirdParty"),
    "withdrawal_method": "pc:withdrawalMethod",
    "rights": _many("dpv:hasRight", "@vocab"),
    "authority": "dpv:hasAuthority",
    "wording": "dpv:hasConsentNotice",
    "text": "dct:description",
    "version": "dct:hasVersion",
    "event": "dpv:hasActivity",
    "event_state": _term("dpv:hasConsentStatus"),
    "event_time": "dct:date",
    "validity_duration": "pc:validityDuration",
}
