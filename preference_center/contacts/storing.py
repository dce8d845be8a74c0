"""Rows of a file become contacts: read in batches, and stored one batch a transaction.

An existing contact keeps what it has where the file is silent. Its attributes follow the file; its language, time zone and
country are only filled in, because the person may have chosen them, unless the import says `overwrite`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from flask import current_app
from sqlalchemy import Table, bindparam, select, update

from preference_center import clock
from preference_center.contacts import addresses, cells, imports, mapping, queries, reading
from preference_center.contacts.addresses import Address
from preference_center.contacts.imports import Description
from preference_center.contacts.models import AddressStatus, AttributeKind, Contact, Import, ImportFault
from preference_center.db import db, insert_rows, new_public_ids, reserve_ids
from preference_center.errors import Invalid

BATCH = 1000
_PROFILE = ("language", "time_zone", "jurisdiction", "jurisdiction_source", "attributes")
_contacts = cast(Table, Contact.__table__)
_faults = cast(Table, ImportFault.__table__)


@dataclass(slots=True)
class Claim:
    """What a row says about consent, as it was written. None: the file has no such column."""

    status: str | None = None
    consented_at: str | None = None
    source: str | None = None


@dataclass(slots=True)
class Entry:
    """One row, understood. Without an address it is refused; `faults` are (field, reason)."""

    line: int
    address: Address | None = None
    again: bool = False  # the file had this address before
    profile: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, cells.Value] = field(default_factory=dict)
    claim: Claim = field(default_factory=Claim)
    faults: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Batch:
    rows_before: int
    rows_after: int
    bytes_read: int
    entries: list[Entry]

    def hashes(self) -> list[bytes]:
        return list({entry.address.hash for entry in self.entries if entry.address})


@dataclass(slots=True)
class Person:
    """A stored contact and the row it was stored from. `restricted`: nothing was taken from the row, and only its "no" counts."""

    contact_id: int
    address_hash: bytes
    jurisdiction: str | None
    jurisdiction_source: str | None
    is_new: bool
    entry: Entry
    restricted: bool = False


@dataclass
class Stored:
    people: list[Person]
    figures: Counter[str]  # new, updated, unchanged, duplicate, refused
    refused: Counter[str]  # by reason
    faults: list[tuple[int, str, str]]  # line, field, reason


def batches(import_: Import, size: int = BATCH) -> Iterator[Batch]:
    """The rows not stored yet, in batches. Opens no transaction while it reads."""
    description = Description(**{name: import_.declared[name] for name in Description.__dataclass_fields__})
    understand = _Understanding(description)
    done, total, file = import_.rows_read, import_.bytes_total, imports.path(import_)
    seen: set[bytes] = set()
    entries: list[Entry] = []
    number = 0
    for number, row in enumerate(reading.rows(file, description.shape), 1):
        if number <= done:
            address = understand.address_of(row)
            if address:
                seen.add(address.hash)
            continue
        entry = understand(row)
        if entry.address:
            entry.again = entry.address.hash in seen
            seen.add(entry.address.hash)
        entries.append(entry)
        if len(entries) == size:
            yield Batch(number - size, number, min(total, row.offset), entries)
            entries = []
    if entries:
        yield Batch(number - len(entries), number, total, entries)


class _Understanding:
    """Rows into entries, by the columns that were agreed."""

    def __init__(self, description: Description) -> None:
        places = {name: description.columns.index(column) for name, column in description.mapping.items()}
        self._email = places["email"]
        self._claim = [places.get(name) for name in ("status", "consented_at", "consent_source")]
        self._leaving = mapping.columns_of_leaving(description.columns, description.mapping.get("status"))
        self._profile = [
            (name, places[name], reader, reason) for name, reader, reason in _PROFILE_READERS if name in places
        ]
        self._attributes = [
            (key, places[key], AttributeKind(kept["kind"]), description.day_first.get(key, True))
            for key, kept in description.attributes.items()
        ]

    def address_of(self, row: reading.Row) -> Address | None:
        if row.fault:
            return None
        try:
            return addresses.parse(cells.clean(row.cells[self._email]) or "")
        except Invalid:
            return None

    def __call__(self, row: reading.Row) -> Entry:
        entry = Entry(row.line)
        if row.fault:
            entry.faults.append(("row", row.fault))
            return entry
        email = cells.clean(row.cells[self._email])
        try:
            if not email:
                raise Invalid("it is empty" if email == "" else "it holds signs that cannot be read")
            entry.address = addresses.parse(email)
        except Invalid as fault:
            entry.faults.append(("email", fault.message))
            return entry
        for name, place, reader, reason in self._profile:
            text = self._text(entry, name, row.cells[place])
            if text:
                found = reader(text)
                if found:
                    entry.profile[name] = found
                else:
                    entry.faults.append((name, reason))
        for key, place, kind, day_first in self._attributes:
            text = self._text(entry, key, row.cells[place])
            if text:
                value = cells.value(text, kind, day_first)
                if value is None:
                    entry.faults.append((key, f"it is no {_KIND_NAMES[kind]}"))
                else:
                    entry.attributes[key] = value
        entry.claim = Claim(*(None if place is None else cells.clean(row.cells[place]) or "" for place in self._claim))
        if any(mapping.has_left(cells.clean(row.cells[place])) for place in self._leaving):
            entry.claim.status = "unsubscribed"  # one column's no outweighs another's yes, mapped or not
        return entry

    def _text(self, entry: Entry, name: str, cell: str) -> str:
        text = cells.clean(cell)
        if text is None:
            entry.faults.append((name, "it holds signs that cannot be read"))
        return text or ""


_KIND_NAMES = {
    AttributeKind.text: "text",
    AttributeKind.number: "number",
    AttributeKind.date: "day, such as 2024-05-31",
    AttributeKind.boolean: "yes or no",
    AttributeKind.set: "list of words",
}
_PROFILE_READERS = (
    ("language", cells.language, "it is none of the languages we write in; the default stays"),
    ("time_zone", cells.time_zone, "it is no time zone; write it like Europe/Warsaw"),
    ("country", cells.country, "it is no country we know; write its code of two letters"),
)


class _Known:
    """A contact as it is being changed by the rows of one batch."""

    __slots__ = (
        "address",
        "attributes",
        "changed",
        "id",
        "is_new",
        "jurisdiction",
        "jurisdiction_source",
        "language",
        "restricted",
        "time_zone",
    )

    def __init__(self, row: Any, address: Address) -> None:
        self.address = address
        self.is_new = row is None
        self.id: int = row.id if row else 0
        self.language: str | None = row.language if row else None
        self.time_zone: str | None = row.time_zone if row else None
        self.jurisdiction: str | None = row.jurisdiction if row else None
        self.jurisdiction_source: str | None = row.jurisdiction_source if row else None
        self.attributes: dict[str, Any] = row.attributes if row else {}
        self.restricted = bool(row and row.restricted_at)
        self.changed = False

    def take(self, entry: Entry, overwrite: bool) -> bool:
        """Bring in what the row says; whether that changed anything. What the row leaves empty stays."""
        before = (self.language, self.time_zone, self.jurisdiction)
        said = entry.profile
        if "language" in said and (overwrite or self.is_new):
            self.language = said["language"]
        if "time_zone" in said and (overwrite or not self.time_zone):
            self.time_zone = said["time_zone"]
        if "country" in said and (overwrite or not self.jurisdiction or self.jurisdiction_source == "assumed"):
            self.jurisdiction, self.jurisdiction_source = said["country"], "import"
        changed = before != (self.language, self.time_zone, self.jurisdiction)
        if any(self.attributes.get(key) != value for key, value in entry.attributes.items()):
            self.attributes = self.attributes | entry.attributes
            changed = True
        self.changed |= changed
        return changed


def store(import_: Import, batch: Batch, refused: Mapping[bytes, str]) -> Stored:
    """Store one batch in the open transaction. `refused` names addresses that must not be kept, and why.

    The contacts that were there are locked before they are read, so what is decided on them next cannot be overtaken.
    """
    settings = current_app.extensions["settings"]
    overwrite = bool(import_.declared["overwrite"])
    by_hash = {entry.address.hash: entry.address for entry in batch.entries if entry.address}
    known = {hash_: _Known(row, by_hash[hash_]) for hash_, row in _locked(list(by_hash)).items()}
    figures: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    kept: list[tuple[_Known, Entry]] = []
    for entry in batch.entries:
        address, why = entry.address, ""
        person = known.get(address.hash) if address else None
        if address is None:
            why = "invalid_address" if entry.faults[0][0] == "email" else "invalid_row"
        elif address.hash in refused:
            why = refused[address.hash]
        elif person is None:
            person = known[address.hash] = _Known(None, address)
        elif person.restricted:
            why = "restricted"
        if why or person is None:
            figures["refused"] += 1
            reasons[why] += 1
            if why in _REFUSALS:
                entry.faults = [("row", _REFUSALS[why])]
            if person is not None and person.restricted:
                kept.append((person, entry))
            continue
        changed = person.take(entry, overwrite)
        outcome = "new" if person.is_new else "updated" if changed else "unchanged"
        figures["duplicate" if entry.again else outcome] += 1
        if entry.again:
            entry.faults.append(("email", "the file has this address more than once; the rows were joined"))
        kept.append((person, entry))
    _insert(import_, [one for one in known.values() if one.is_new], settings, overwrite)
    _update([one for one in known.values() if one.changed and not one.is_new])
    people = [
        Person(one.id, one.address.hash, one.jurisdiction, one.jurisdiction_source, one.is_new, entry, one.restricted)
        for one, entry in kept
    ]
    faults = [(entry.line, *fault) for entry in batch.entries for fault in entry.faults]
    return Stored(people, figures, reasons, faults)


_REFUSALS = {
    "erased": "this person asked to be forgotten",
    "restricted": "this person asked that their data is not used; only what speaks against mail was taken",
}


def note_faults(import_: Import, faults: list[tuple[int, str, str]]) -> None:
    """Add (line, field, reason) to the import's report."""
    rows = [(import_.id, line, name[:60], reason[:200]) for line, name, reason in faults]
    insert_rows(_faults, ("import_id", "line", "field", "reason"), rows)


def mark_unreachable(contact_ids: list[int]) -> None:
    """The file says that these addresses cannot be written to."""
    if contact_ids:
        db.session.execute(
            update(Contact)
            .where(Contact.id.in_(contact_ids))
            .values(address_status=AddressStatus.invalid, updated_at=clock.now())
            .execution_options(synchronize_session=False)
        )


def _locked(hashes: list[bytes]) -> dict[bytes, Any]:
    ids = db.session.scalars(select(Contact.id).where(Contact.address_hash.in_(hashes))).all()
    if not ids:
        return {}
    queries.lock(ids, for_withdrawal=True)
    columns = [_contacts.c[name] for name in ("id", "address_hash", "restricted_at", *_PROFILE)]
    rows = db.session.execute(select(*columns).where(_contacts.c.id.in_(ids), _contacts.c.address_hash.is_not(None)))
    return {row.address_hash: row for row in rows}


def _insert(import_: Import, fresh: list[_Known], settings: Any, overwrite: bool) -> None:
    if not fresh:
        return
    now = clock.now()
    assumed = settings.default_jurisdiction or None
    columns = (
        "id",
        "public_id",
        "address_hash",
        "email",
        "address_status",
        "source",
        "link_epoch",
        "created_at",
        "updated_at",
        *_PROFILE,
    )
    rows = []
    numbers, names = reserve_ids(_contacts, len(fresh)), new_public_ids(len(fresh))
    for one, number, name in zip(fresh, numbers, names, strict=True):
        one.id = number
        one.language = one.language or settings.default_language
        if not one.jurisdiction and assumed:
            one.jurisdiction, one.jurisdiction_source = assumed, "assumed"
        rows.append(
            (
                number,
                name,
                one.address.hash,
                one.address.email,
                AddressStatus.ok,
                f"import:{import_.public_id}",
                0,
                now,
                now,
                *(getattr(one, column) for column in _PROFILE),
            )
        )
    added = insert_rows(_contacts, columns, rows, "ignore")
    overtaken = [one for one in fresh if one.id not in added]
    if overtaken:  # somebody signed up with this address a moment ago
        there = _locked([one.address.hash for one in overtaken])
        for one in overtaken:
            row = there[one.address.hash]
            one.id, one.is_new, one.changed = row.id, False, True
            one.attributes = row.attributes | one.attributes
            one.language = row.language if not overwrite else one.language or row.language
            one.time_zone = row.time_zone or one.time_zone
            if row.jurisdiction:
                one.jurisdiction, one.jurisdiction_source = row.jurisdiction, row.jurisdiction_source
        _update(overtaken)


def _update(changed: list[_Known]) -> None:
    if not changed:
        return
    now = clock.now()
    statement = (
        update(_contacts)
        .where(_contacts.c.id == bindparam("of"))
        .values({name: bindparam(f"new_{name}") for name in (*_PROFILE, "updated_at")})
    )
    db.session.execute(
        statement,
        [
            {"of": one.id, "new_updated_at": now} | {f"new_{name}": getattr(one, name) for name in _PROFILE}
            for one in changed
        ],
    )
