"""How other rooms read contacts and lock them."""

from collections.abc import Iterable

from sqlalchemy import select

from preference_center.contacts import addresses
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.errors import NotFound


def by_public_id(public_id: str) -> Contact:
    contact = db.session.scalar(select(Contact).where(Contact.public_id == public_id))
    if contact is None:
        raise NotFound("There is no such contact.")
    return contact


def by_email(text: str) -> Contact | None:
    """The contact with this address, found by its hash. Invalid when the text is no address."""
    return db.session.scalar(select(Contact).where(Contact.address_hash == addresses.parse(text).hash))


def lock(ids: Iterable[int], *, for_withdrawal: bool = False) -> None:
    """Hold these contacts until the transaction ends, by rising id so that two holders cannot block each other.

    Whoever changes consent and whoever claims messages take this lock first and read in a later statement
    (`reliability.md` 2.3). SQLite has one writer, which is the same guarantee.
    """
    statement = select(Contact.id).where(Contact.id.in_(sorted(ids))).order_by(Contact.id)
    if db.session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update(key_share=not for_withdrawal)
    db.session.execute(statement).all()
