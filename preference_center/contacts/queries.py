"""How other rooms read contacts and lock them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import Select, Table, bindparam, func, select

from preference_center.contacts import addresses
from preference_center.contacts.models import Attribute, AttributeKind, Contact
from preference_center.db import among, db, is_postgresql, write_out
from preference_center.errors import NotFound
from preference_center.prepared import Asked, Prepared

_named = select(Contact).where(Contact.public_id == bindparam("public_id"))  # made once: each signed link asks it


def by_public_id(public_id: str) -> Contact:
    contact = db.session.scalar(_named, {"public_id": public_id})
    if contact is None:
        raise NotFound("There is no such contact.")
    return contact


@dataclass(frozen=True)
class Held:
    """What a signed link needs to know of the one it was made for, before anything else is read."""

    public_id: str
    language: str
    link_epoch: int
    erased_at: datetime | None


_row = cast(Table, Contact.__table__).c
_held = Prepared(
    select(_row.public_id, _row.language, _row.link_epoch, _row.erased_at).where(_row.public_id == bindparam("named"))
)


def held(public_id: str) -> Held:
    """As committed. NotFound when there is no such contact."""
    found = _held.look(named=public_id)
    if not found:
        raise NotFound("There is no such contact.")
    return Held(*found[0])


class Person(NamedTuple):
    """A contact held for a withdrawal, and what that needs: one click is answered a thousand times as often as all else is changed."""

    id: int
    email: str | None
    jurisdiction: str | None
    jurisdiction_source: str | None
    language: str
    link_epoch: int
    erased_at: datetime | None


_person = Prepared(
    select(*(_row[name] for name in Person._fields)).where(_row.public_id == bindparam("named")).with_for_update()
)


def person(public_id: str) -> Person:
    """Looked up and locked at once, as `lock` does for withdrawals. NotFound when there is no such contact."""
    write_out()
    found = _person.rows(named=public_id)
    if not found:
        raise NotFound("There is no such contact.")
    return Person(*found[0])


def by_email(text: str) -> Contact | None:
    """The contact with this address, found by its hash. Invalid when the text is no address."""
    return db.session.scalar(select(Contact).where(Contact.address_hash == addresses.parse(text).hash))


NOBODY = 0  # no contact has this id: for work that is done though there is nobody, so that its time tells nothing (S66)


def lock(ids: Iterable[int], *, for_withdrawal: bool = False) -> None:
    """Hold these contacts until the transaction ends, by rising id so that two holders cannot block each other.

    Whoever changes consent and whoever claims messages take this lock first and read in a later statement
    (`reliability.md` 2.3). SQLite has one writer, which is the same guarantee.
    """
    if not is_postgresql():
        return
    wanted = list(ids)
    write_out()
    if len(wanted) == 1:
        (_lock_one if for_withdrawal else _keep_one).rows(whom=wanted[0])
    else:
        (_lock_many if for_withdrawal else _keep_many).rows(whom=wanted)


def keeping(ids: list[int]) -> list[Asked]:
    """The same for who claims messages, to be asked together with what follows it."""
    return [_keep_many.asked(whom=ids)] if is_postgresql() else []


def _many(*, key_share: bool) -> Select[Any]:
    """All of them are held, and none is fetched."""
    held = select(_row.id).where(among(_row.id, "whom")).order_by(_row.id).with_for_update(key_share=key_share)
    return select(func.count()).select_from(held.subquery())


_one = select(_row.id).where(_row.id == bindparam("whom"))
_lock_one, _keep_one = Prepared(_one.with_for_update()), Prepared(_one.with_for_update(key_share=True))
_lock_many, _keep_many = Prepared(lambda: _many(key_share=False)), Prepared(lambda: _many(key_share=True))
DECLARED = Prepared(select(Attribute.key, Attribute.kind))
Declared = dict[str, AttributeKind]


def declared_attributes() -> Declared:
    """The attributes the owner declared, by key: what rules and merge fields may speak of."""
    write_out()
    return as_declared(DECLARED.rows())


def as_declared(rows: Iterable[Any]) -> Declared:
    """What DECLARED found, for who asks it together with other things."""
    return {key: AttributeKind(kind) for key, kind in rows}


def newest(limit: int = 50, before: int | None = None) -> list[Contact]:
    """Contacts that were not erased, newest first; `before` is the id to go on from."""
    statement = select(Contact).where(Contact.erased_at.is_(None)).order_by(Contact.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(Contact.id < before)
    return list(db.session.scalars(statement))


def count() -> int:
    """How many contacts there are, the erased ones left out."""
    return db.session.scalar(select(func.count()).select_from(Contact).where(Contact.erased_at.is_(None))) or 0
