"""A proof file: what one person said on one topic, with all that is needed to check it without us (checking.py does).

It holds the records as they were sealed, the texts as they were shown, the locked detail opened, each record's link of the chain
and its path to a checkpoint, all signed with the checkpoint's key. It shows other people's records as hashes only.
"""

from typing import Any

from flask import current_app
from sqlalchemy import select

from preference_center import clock
from preference_center.config import Settings
from preference_center.consent import keys, vault
from preference_center.consent.chain import checking, checkpoints, links, rows, signed
from preference_center.consent.chain.merkle import Tree
from preference_center.consent.chain.signed import Checkpoint
from preference_center.consent.models import ConsentSeal, Wording
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.errors import NotFound, Unavailable
from preference_center.topics.models import Topic


class Unsealed(Unavailable):
    """A record waits for its seal, as every new one does for a moment."""


def make(contact: Contact, topic: Topic, *, personal: bool = True) -> bytes:
    """The file's bytes. NotFound when the person never said anything; Unsealed while a record waits for its seal.

    Without `personal` it holds neither the address nor the locked detail: what it proves is the same.
    """
    settings: Settings = current_app.extensions["settings"]
    records = _records(contact, topic)
    if not records:
        raise NotFound("This person has no consent record on this topic.")
    seals = _seals([record["id"] for record in records])
    if len(seals) < len(records):
        raise Unsealed("A record of this person waits for its seal. It is set within seconds; ask again then.")
    paths, checkpoint = _paths([seal["seq"] for seal in seals.values()], settings)
    chain_key, texts = keys.chain_key(), _texts(records)
    opened = vault.open_salted(contact.id) if personal else {}
    data = {
        "schema": checking.SCHEMA,
        "made_at": clock.now().isoformat(timespec="seconds"),
        "controller": {
            "name": settings.organisation,
            "postal_address": settings.postal_address,
            "contact": settings.contact_email or settings.from_address,
        },
        "person": {"id": contact.public_id, "number": contact.id, "email": contact.email if personal else None},
        "topic": {"key": topic.key, "name": topic.name(contact.language), "purpose": topic.purpose_key},
        "records": [
            {
                "record": record,
                "wording": texts.get(record["wording_id"]),
                "evidence": _evidence(opened.get(record["id"])),
                "seal": {
                    **seals[record["id"]],
                    "key": links.link_key(chain_key, seals[record["id"]]["seq"]).hex(),
                    "path": [step.hex() for step in paths[seals[record["id"]]["seq"]]],
                },
            }
            for record in records
        ],
        "checkpoint": checkpoint.data,
    }
    return signed.render(signed.sign(checkpoints.signing_key(settings), data))


def _records(contact: Contact, topic: Topic) -> list[dict[str, Any]]:
    """All that counts for this topic, in order: what was said on it, and on its whole purpose."""
    connection = db.session.connection()
    meanings = rows.Meanings(connection)
    found = rows.stream(
        connection,
        f"SELECT {rows.columns(connection)} FROM consent_records r WHERE r.contact_id = :contact"  # noqa: S608 (our own names)
        " AND (r.topic_id = :topic OR (r.topic_id IS NULL AND r.purpose_key = :purpose)) ORDER BY r.id",
        contact=contact.id,
        topic=topic.id,
        purpose=topic.purpose_key,
    )
    return [dict(zip(links.FIELDS, meanings.fill(list(row)), strict=True)) for row in found]


def _seals(record_ids: list[int]) -> dict[int, dict[str, Any]]:
    """Seal by record id, with the hash of the link before it."""
    found = {}
    for seal in db.session.scalars(select(ConsentSeal).where(ConsentSeal.record_id.in_(record_ids))):
        before = db.session.scalar(select(ConsentSeal.hash).where(ConsentSeal.seq == seal.seq - 1))
        found[seal.record_id] = {
            "seq": seal.seq,
            "sealed_at": rows.microseconds(seal.sealed_at),
            "previous": (before or links.START).hex(),
            "hash": seal.hash.hex(),
        }
    return found


def _paths(seqs: list[int], settings: Settings) -> tuple[dict[int, list[bytes]], Checkpoint]:
    """Each link's path to the earliest kept checkpoint that covers them all: the older it is, the more it shows. Else to a new one."""
    own, file = checkpoints.own_key(settings), checkpoints.file_of(settings)
    there = checkpoints.read(file) if file.exists() else []
    covering = [one for one in there if one.seq >= max(seqs) and one.key == own]
    chosen = min(covering, key=lambda one: one.seq, default=None)
    tree, head = Tree(seq - 1 for seq in seqs), b""
    end = chosen.seq if chosen else 2**62
    for (head,) in rows.stream(
        db.session.connection(), "SELECT hash FROM consent_seals WHERE seq <= :end ORDER BY seq", end=end
    ):
        tree.add(head)
    root = tree.close()
    if chosen is not None and (chosen.hash, chosen.root) != (head, root):
        raise Unavailable(f"The ledger is not what the checkpoint of {chosen.at} remembers: run `ledger verify`.")
    return {index + 1: path for index, path in tree.paths.items()}, chosen or checkpoints.sign(
        settings, tree.size, head, root
    )


def _texts(records: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    wanted = {record["wording_id"] for record in records}
    return {
        wording.id: {
            "language": wording.language,
            "version": wording.version,
            "text": wording.text,
            "sha256": wording.sha256,
            "effective_from": wording.effective_from.isoformat(),
        }
        for wording in db.session.scalars(select(Wording).where(Wording.id.in_(wanted)))
    }


def _evidence(opened: tuple[bytes, dict[str, Any]] | None) -> dict[str, Any] | None:
    return {"salt": opened[0].hex(), "detail": opened[1]} if opened else None
