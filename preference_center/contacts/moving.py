"""A contact's new address: asked for, confirmed from there, taken back from the old one. Who may be mailed is settled elsewhere."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import or_, select

from preference_center import clock
from preference_center.contacts.addresses import Address
from preference_center.contacts.models import AddressChange, Contact
from preference_center.db import db


def note(contact: Contact, address: Address) -> AddressChange:
    """Remember what was asked for. Nothing is changed yet."""
    assert contact.email is not None and contact.address_hash is not None  # noqa: S101 - the erased have no links
    change = AddressChange(
        contact_id=contact.id,
        old_email=contact.email,
        old_hash=contact.address_hash,
        new_email=address.email,
        new_hash=address.hash,
        asked_at=clock.now(),
    )
    db.session.add(change)
    db.session.flush()
    return change


def asked_since(contact: Contact, address: Address, moment: datetime) -> int:
    """How often lately, by this contact or for this address: mail to strangers must not be had by asking."""
    asked = select(AddressChange.id).where(
        or_(AddressChange.contact_id == contact.id, AddressChange.new_hash == address.hash),
        AddressChange.asked_at > moment,
    )
    return len(db.session.scalars(asked).all())


def named(contact: Contact, public_id: str) -> AddressChange | None:
    return db.session.scalar(
        select(AddressChange).where(AddressChange.contact_id == contact.id, AddressChange.public_id == public_id)
    )


def names(contact_ids: Collection[int]) -> list[tuple[int, str]]:
    """The changes that these contacts ever asked for, each as (contact, public id)."""
    if not contact_ids:
        return []
    own = select(AddressChange.contact_id, AddressChange.public_id).where(AddressChange.contact_id.in_(contact_ids))
    return [(contact_id, name) for contact_id, name in db.session.execute(own)]


def take_back(contact: Contact, change: AddressChange, now: datetime) -> set[bytes]:
    """Neither this change nor what the contact asked for or did since counts any more; nor what still waits for an answer.

    Answers which addresses they had since.
    """
    since = or_(AddressChange.done_at.is_(None), AddressChange.done_at >= change.done_at)
    own = AddressChange.contact_id == contact.id
    over = db.session.scalars(select(AddressChange).where(own, AddressChange.undone_at.is_(None), since)).all()
    for one in over:
        one.undone_at = now
    return {one.new_hash for one in over if one.done_at is not None}


def holder(address_hash: bytes) -> Contact | None:
    return db.session.scalar(select(Contact).where(Contact.address_hash == address_hash))


def is_taken(address_hash: bytes) -> bool:
    """Whether somebody we know has this address."""
    return db.session.scalar(select(Contact.id).where(Contact.address_hash == address_hash)) is not None
