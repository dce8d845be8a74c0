"""The vault: personal detail of consent records, encrypted with a key of its own for each contact (AES-256-GCM).

A contact's key is random and lies in the database wrapped by a key that is not there. Destroying it makes the evidence unreadable
(a backup made before still holds the wrapped key: it opens for as long as that backup and our own key are kept) and leaves the
chain valid: the record holds only a digest of the detail, salted with 16 random bytes that lie inside the encrypted part.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Table, bindparam, delete, insert, select, text, update

from preference_center import clock
from preference_center.consent import keys
from preference_center.consent.models import ConsentEvidence, ConsentRecord, ContactKey
from preference_center.db import db, insert_rows, is_postgresql
from preference_center.errors import Unavailable
from preference_center.prepared import Prepared

SALT = 16
_NONCE, _AT_ONCE = 12, 500
_keys = cast(Table, ContactKey.__table__)
_evidence = cast(Table, ConsentEvidence.__table__)
_of_contacts = select(_keys.c.contact_id, _keys.c.wrapped).where(
    _keys.c.contact_id.in_(bindparam("ids", expanding=True))
)
_of_one = Prepared(select(_keys.c.contact_id, _keys.c.wrapped).where(_keys.c.contact_id == bindparam("whose")))
_keep_one = Prepared(insert(_evidence), sets=("record_id", "contact_id", "detail"))


def enclose(contact_ids: Iterable[int]) -> "Safe":
    """What is needed to lock away the detail of these contacts; makes the keys that are missing. Inside a `transaction()`."""
    return Safe(sorted(set(contact_ids)))


class Safe:
    """The keys of some contacts. `digest` first, for the record; then `keep`, once the record has its number."""

    def __init__(self, contact_ids: list[int]) -> None:
        master = _master()
        there = dict(_wrapped(contact_ids))
        self._keys = {id_: _unwrap(master, id_, wrapped) for id_, wrapped in there.items() if wrapped}
        made = []
        for id_ in contact_ids:
            if id_ not in there:
                key, nonce = os.urandom(32), os.urandom(_NONCE)
                made.append((id_, nonce + master.encrypt(nonce, key, _name(id_)), None))
                self._keys[id_] = AESGCM(key)
        insert_rows(_keys, ("contact_id", "wrapped", "destroyed_at"), made)

    def digest(self, contact_id: int, detail: dict[str, Any]) -> tuple[bytes, bytes] | None:
        """(digest for the record, what to lock away for it); None without detail, or where the contact's key was destroyed."""
        if not detail or contact_id not in self._keys:
            return None
        opened = os.urandom(SALT) + _plain(detail)
        return digest_of(opened), opened

    def keep(self, rows: Sequence[tuple[int, int, bytes]]) -> None:
        """Write (record id, contact id, what `digest` gave) as evidence."""
        sealed = []
        for record_id, contact_id, opened in rows:
            key, nonce = self._keys[contact_id], os.urandom(_NONCE)
            sealed.append((record_id, contact_id, nonce + key.encrypt(nonce, opened, _place(contact_id, record_id))))
        if len(sealed) == 1:
            record_id, contact_id, detail = sealed[0]
            _keep_one.run(record_id=record_id, contact_id=contact_id, detail=detail)
        else:
            insert_rows(_evidence, ("record_id", "contact_id", "detail"), sealed)


def open(contact_id: int) -> dict[int, dict[str, Any]]:
    """The detail of all records of a contact, by record id. Empty after erasure."""
    return {record_id: detail for record_id, (_salt, detail) in open_salted(contact_id).items()}


def open_salted(contact_id: int) -> dict[int, tuple[bytes, dict[str, Any]]]:
    """The same with each detail's salt, which a proof needs to show that the digest belongs to it."""
    found = db.session.execute(
        select(ConsentEvidence.record_id, ConsentEvidence.detail)
        .where(ConsentEvidence.contact_id == contact_id)
        .order_by(ConsentEvidence.record_id)
    ).all()
    key = dict(_wrapped([contact_id])).get(contact_id) if found else None
    if key is None:
        return {}
    opener = _unwrap(_master(), contact_id, key)
    opened = {row.record_id: _open(opener, contact_id, row.record_id, row.detail) for row in found}
    return {record_id: (text_[:SALT], json.loads(text_[SALT:])) for record_id, text_ in opened.items()}


def destroy(contact_id: int) -> None:
    """Erasure: the evidence goes, and the key with it. The records and the chain stay; what comes later is not kept either."""
    if not is_postgresql():
        db.session.execute(text("PRAGMA secure_delete=ON"))  # freed pages are overwritten, not only given back
    db.session.execute(delete(ConsentEvidence).where(ConsentEvidence.contact_id == contact_id))
    gone = update(ContactKey).where(ContactKey.contact_id == contact_id).values(wrapped=None, destroyed_at=clock.now())
    if not cast(Any, db.session.execute(gone)).rowcount:
        db.session.add(ContactKey(contact_id=contact_id, wrapped=None, destroyed_at=clock.now()))
        db.session.flush()


def verified() -> Iterator[str | None]:
    """Open all evidence, contact by contact; for each piece nothing, or what is wrong with it."""
    last = 0
    while True:
        locked = select(ConsentEvidence.contact_id).where(ConsentEvidence.contact_id > last).distinct()
        ids = list(db.session.scalars(locked.order_by(ConsentEvidence.contact_id).limit(_AT_ONCE)))
        if not ids:
            return
        last = ids[-1]
        wrapped, master = dict(_wrapped(ids)), _master()
        rows = (
            select(
                ConsentEvidence.contact_id,
                ConsentEvidence.record_id,
                ConsentEvidence.detail,
                ConsentRecord.public_id,
                ConsentRecord.contact_id.label("owner"),
                ConsentRecord.evidence_digest.label("digest"),
            )
            .outerjoin(ConsentRecord, ConsentRecord.id == ConsentEvidence.record_id)
            .where(ConsentEvidence.contact_id.in_(ids))
            .order_by(ConsentEvidence.record_id)
        )
        openers: dict[int, AESGCM] = {}
        for kept in db.session.execute(rows):
            told = f"The evidence of consent record {kept.public_id or kept.record_id}"
            key = wrapped.get(kept.contact_id)
            if key is None:
                yield f"{told} is kept though its key was destroyed."
                continue
            try:
                if kept.contact_id not in openers:
                    openers[kept.contact_id] = _unwrap(master, kept.contact_id, key)
                opened = _open(openers[kept.contact_id], kept.contact_id, kept.record_id, kept.detail)
            except Unavailable:
                yield f"{told} was changed or moved: it cannot be opened."
                continue
            whole = kept.owner == kept.contact_id and kept.digest == digest_of(opened)
            yield None if whole else f"{told} is not the one that was sealed with it."


def missing() -> list[str]:
    """Public ids of records that had evidence and have none, though the contact's key was not destroyed."""
    return list(
        db.session.scalars(
            select(ConsentRecord.public_id)
            .outerjoin(ConsentEvidence, ConsentEvidence.record_id == ConsentRecord.id)
            .outerjoin(ContactKey, ContactKey.contact_id == ConsentRecord.contact_id)
            .where(
                ConsentRecord.evidence_digest.is_not(None),
                ConsentEvidence.record_id.is_(None),
                ContactKey.destroyed_at.is_(None),
            )
            .order_by(ConsentRecord.id)
            .limit(100)
        )
    )


def digest_of(opened: bytes) -> bytes:
    """The digest on the record: over the salt and the detail as canonical JSON."""
    return hashlib.sha256(b"pc.evidence.v1" + opened).digest()


_canonical = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode


def _plain(detail: dict[str, Any]) -> bytes:
    return _canonical(detail).encode()


def _wrapped(contact_ids: list[int]) -> list[tuple[int, bytes | None]]:
    if len(contact_ids) == 1:
        return [(id_, wrapped) for id_, wrapped in _of_one.rows(whose=contact_ids[0])]
    found = db.session.connection().execute(_of_contacts, {"ids": contact_ids})
    return [(row.contact_id, row.wrapped) for row in found]


def _master() -> AESGCM:
    return _cipher(keys.vault_key())


_cipher = lru_cache(maxsize=4)(AESGCM)


def _unwrap(master: AESGCM, contact_id: int, wrapped: bytes) -> AESGCM:
    try:
        return AESGCM(master.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], _name(contact_id)))
    except (InvalidTag, ValueError):  # altered, or cut too short to be anything
        raise Unavailable(
            "The evidence of a contact cannot be opened: PREFERENCE_CENTER_ADDRESS_KEY is not the one it was locked with, "
            "or the key in the database was changed."
        )


def _open(key: AESGCM, contact_id: int, record_id: int, sealed: bytes) -> bytes:
    try:
        return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], _place(contact_id, record_id))
    except (InvalidTag, ValueError):  # altered, or cut too short to be anything
        raise Unavailable(f"The evidence of consent record number {record_id} was changed and cannot be opened.")


def _name(contact_id: int) -> bytes:
    return b"pc.contact-key.v1|%d" % contact_id


def _place(contact_id: int, record_id: int) -> bytes:
    """Binds the detail to its record, so that it cannot be moved to another."""
    return b"pc.evidence.v1|%d|%d" % (contact_id, record_id)
