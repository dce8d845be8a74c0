"""What this room holds on a person, and how it forgets: the detail goes with its key, the records stay without a name."""

from typing import Any

from sqlalchemy import select

from preference_center.consent import vault
from preference_center.consent.law import cadences, caps, validity
from preference_center.consent.law.cadences import LastMail
from preference_center.consent.law.caps import Mailing
from preference_center.consent.law.validity import RenewalLetter
from preference_center.consent.models import (
    ConsentEvidence,
    ConsentRecord,
    ContactKey,
    Standing,
    Subscription,
    Wording,
)
from preference_center.contacts.models import Contact
from preference_center.db import db, rows_as_data
from preference_center.topics.models import Topic

_PLAIN = (ConsentRecord, ContactKey, Subscription, Standing, Mailing, LastMail, RenewalLetter)
TABLES = (*_PLAIN, ConsentEvidence)
KEPT_BACK = {
    "contact_keys.wrapped": "a key of ours, not a fact about the person; what it locks is given in plain words",
    "consent_evidence.detail": "given as it was before it was locked",
}


def held(contact: Contact) -> dict[str, list[dict[str, Any]]]:
    found = {str(model.__tablename__): rows_as_data(model, where=model.contact_id == contact.id) for model in _PLAIN}
    topics = {id_: key for id_, key in db.session.execute(select(Topic.id, Topic.key))}  # noqa: C416
    texts = {id_: text for id_, text in db.session.execute(select(Wording.id, Wording.text))}  # noqa: C416
    for row in found["consent_records"]:
        row |= {"topic": topics.get(row["topic_id"]), "wording": texts.get(row["wording_id"])}
    recorded = {row["id"]: row["recorded_at"] for row in found["consent_records"]}
    for row in (*found["subscriptions"], *found["standings"]):
        row["changed_at"] = recorded.get(row["record_id"])
    for row in (*found["subscriptions"], *found["last_mails"], *found["renewal_letters"]):
        row["topic"] = topics.get(row["topic_id"])
    for row in found["contact_keys"]:
        del row["wrapped"]
    found["consent_evidence"] = [
        {"record_id": record_id, "contact_id": contact.id, "detail": detail}
        for record_id, detail in vault.open(contact.id).items()
    ]
    return found


def forget(contact: Contact) -> None:
    vault.destroy(contact.id)
    for law in (caps, cadences, validity):
        law.forget(contact.id)
