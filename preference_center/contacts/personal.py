"""What this room holds on a person, and how it forgets: the contact itself, changes of address, and uploaded files."""

from typing import Any

from sqlalchemy import delete

from preference_center import clock
from preference_center.contacts import imports
from preference_center.contacts.models import AddressChange, Contact
from preference_center.db import db, rows_as_data

TABLES = (Contact, AddressChange)
KEPT_BACK: dict[str, str] = {}


def held(contact: Contact) -> dict[str, list[dict[str, Any]]]:
    return {
        "contacts": rows_as_data(Contact, where=Contact.id == contact.id),
        "address_changes": rows_as_data(AddressChange, where=AddressChange.contact_id == contact.id),
    }


def forget(contact: Contact) -> None:
    """The row stays as an empty mark; a file being read at this moment goes within a day."""
    if contact.email:
        imports.forget(contact.email)
    db.session.execute(delete(AddressChange).where(AddressChange.contact_id == contact.id))
    contact.forget(clock.now())
    db.session.flush()
