"""A person's own consent records, one by one; each as a receipt to keep, to be mailed, and to be checked; and the proof of a topic."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import current_app

from preference_center import clock
from preference_center.config import Settings
from preference_center.consent import interchange
from preference_center.consent import standing as consents
from preference_center.consent.chain import checkpoints, signed
from preference_center.consent.chain import proof as proofs
from preference_center.consent.models import ConsentRecord, Wording
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.errors import NotFound, Unavailable
from preference_center.notices import queries as past_notices
from preference_center.notices import sending as notices
from preference_center.notices.models import Kind
from preference_center.topics import catalogue
from preference_center.topics.models import Topic

MOST_A_DAY = 20


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
    """The receipt as JSON-LD, signed with the key of the checkpoints, so that anybody can check it without us (checking.py).

    Where this process may not read the key, the receipt is true all the same but proves nothing of itself.
    """
    settings: Settings = current_app.extensions["settings"]
    data = {
        "@context": interchange.CONTEXT,
        "@type": "dpv:ConsentReceipt",
        "schema_version": interchange.RECEIPT,
        "receipt_id": f"receipt-{one.record.public_id}",
        "issued": interchange.moment(clock.now()),
        "record": interchange.record(contact, one.record, one.topic, one.wording, language),
    }
    try:
        return signed.sign(checkpoints.signing_key(settings), data)
    except (Unavailable, OSError):
        return data


def as_file(one: Receipt, contact: Contact, language: str) -> bytes:
    """Its bytes: one spelling only, so that none can change unseen."""
    return signed.render(as_data(one, contact, language))


def may_sign() -> bool:
    """Whether this process can read the key, or would make it."""
    return checkpoints.may_sign(current_app.extensions["settings"])


def mail(contact: Contact, one: Receipt) -> None:
    """The person wants it in the mailbox. Asking twice within a day is one mail."""
    contacts.lock([contact.id])
    lately = past_notices.since(contact, Kind.receipt, clock.now() - timedelta(days=1))
    same = [notice for notice in lately if notice.payload.get("record") == one.record.public_id]
    if same or len(lately) >= MOST_A_DAY:
        notices.ask_again((same or lately)[0])
        return
    topics = [one.topic.key] if one.topic else []
    at = one.record.happened_at.isoformat()
    notices.owe(Kind.receipt, contact, {"record": one.record.public_id, "topics": topics, "at": at})


def proof(contact: Contact, key: str) -> bytes:
    """The proof file on one topic, as one may have it without proving the mailbox: neither address nor locked detail are in it."""
    return proofs.make(contact, catalogue.by_key(key), personal=False)


def provable(contact: Contact) -> list[Topic]:
    """The topics on which there is something to prove; none where this process may not sign."""
    if not may_sign():
        return []
    said = {record.topic_id for record in consents.all_records(contact)}
    return [topic for topic in catalogue.everything() if topic.id in said]
