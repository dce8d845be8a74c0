"""Where one contact stands today, and the records and texts behind it; how other rooms read them."""

from collections.abc import Collection, Iterable, Iterator

from sqlalchemy import select

from preference_center.consent.models import Action, Cadence, ConsentRecord, Standing, State, Subscription, Wording
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.topics.models import Topic


def subscriptions(contact: Contact) -> dict[int, Subscription]:
    """Where the contact stands, by topic id."""
    found = db.session.scalars(select(Subscription).where(Subscription.contact_id == contact.id))
    return {subscription.topic_id: subscription for subscription in found}


def on_purpose(contact: Contact, purpose_key: str) -> Standing | None:
    """Where the contact stands on a whole purpose; none: nothing was said."""
    return db.session.get(Standing, (contact.id, purpose_key))


def stops(contact_ids: Collection[int], purposes: Collection[str]) -> Iterator[tuple[int, str, bool]]:
    """Who of these said no to a whole purpose: contact, purpose, and whether they have begun again since, with single topics."""
    said = select(Standing.contact_id, Standing.purpose_key, Standing.state).where(
        Standing.contact_id.in_(contact_ids), Standing.purpose_key.in_(purposes)
    )
    noes, again = (State.withdrawn, State.objected), set()
    for contact_id, key, state in db.session.execute(said):
        if state in noes:
            yield contact_id, key, False
        else:
            again.add(contact_id)
    if again:
        earlier = select(ConsentRecord.contact_id, ConsentRecord.purpose_key).where(
            ConsentRecord.contact_id.in_(again),
            ConsentRecord.purpose_key.in_(purposes),
            ConsentRecord.topic_id.is_(None),
            ConsentRecord.action.in_([Action.withdrawn, Action.objected]),
        )
        for contact_id, key in db.session.execute(earlier.distinct()):
            yield contact_id, key, True


def records(ids: Iterable[int]) -> dict[int, ConsentRecord]:
    return {
        record.id: record for record in db.session.scalars(select(ConsentRecord).where(ConsentRecord.id.in_(list(ids))))
    }


def records_named(contact: Contact, public_ids: Iterable[str]) -> list[ConsentRecord]:
    """This contact's records with these public ids, oldest first; those of anybody else are not found."""
    return list(
        db.session.scalars(
            select(ConsentRecord)
            .where(ConsentRecord.contact_id == contact.id, ConsentRecord.public_id.in_(list(public_ids)))
            .order_by(ConsentRecord.id)
        )
    )


def all_records(contact: Contact) -> list[ConsentRecord]:
    """Everything this contact ever said, oldest first."""
    return list(
        db.session.scalars(
            select(ConsentRecord).where(ConsentRecord.contact_id == contact.id).order_by(ConsentRecord.id)
        )
    )


def records_from(contact: Contact, source_ref: str) -> list[ConsentRecord]:
    """This contact's records of one act, such as one sign-up, oldest first."""
    return list(
        db.session.scalars(
            select(ConsentRecord)
            .where(ConsentRecord.contact_id == contact.id, ConsentRecord.source_ref == source_ref)
            .order_by(ConsentRecord.id)
        )
    )


def last_cadence(contact: Contact, topic: Topic) -> ConsentRecord | None:
    """The record that last said how often the contact wants this topic."""
    return db.session.scalar(
        select(ConsentRecord)
        .where(ConsentRecord.contact_id == contact.id, ConsentRecord.topic_id == topic.id)
        .where(ConsentRecord.action.in_([Action(cadence) for cadence in Cadence]))
        .order_by(ConsentRecord.id.desc())
        .limit(1)
    )


def texts(ids: Iterable[int | None]) -> dict[int, Wording]:
    """Consent texts by id, in whatever version they were shown."""
    wanted = [wording_id for wording_id in ids if wording_id is not None]
    return {wording.id: wording for wording in db.session.scalars(select(Wording).where(Wording.id.in_(wanted)))}
