"""A person we did not know becomes a contact; one we know stays as they are."""

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from preference_center import clock
from preference_center.contacts.addresses import Address
from preference_center.contacts.models import AddressStatus, Contact
from preference_center.db import db, is_postgresql, new_public_id


def arrive(address: Address, *, source: str, language: str) -> Contact:
    """The contact with this address, made if there was none. Two arrivals at once make one contact."""
    now = clock.now()
    insert = postgresql.insert if is_postgresql() else sqlite.insert
    statement = insert(Contact).values(
        public_id=new_public_id(),
        address_hash=address.hash,
        email=address.email,
        address_status=AddressStatus.ok,
        language=language,
        source=source,
        attributes={},
        link_epoch=0,
        created_at=now,
        updated_at=now,
    )
    db.session.execute(statement.on_conflict_do_nothing(index_elements=["address_hash"]))
    return db.session.scalars(select(Contact).where(Contact.address_hash == address.hash)).one()


def call(contact: Contact, key: str, name: str) -> None:
    """How the contact wants to be called, as a declared attribute."""
    contact.attributes = {**contact.attributes, key: name}
    contact.updated_at = clock.now()


def live_in(contact: Contact, zone: str) -> None:
    """The contact chose a time zone, by its IANA name."""
    contact.time_zone = zone
    contact.updated_at = clock.now()


def speak(contact: Contact, language: str) -> None:
    """The contact chose a language, for pages and mail."""
    contact.language = language
    contact.updated_at = clock.now()
