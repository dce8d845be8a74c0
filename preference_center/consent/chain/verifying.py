"""Verifies the ledger: every link of the chain is made anew from its record, and compared with what checkpoints remember.

Reads one snapshot of the database as a stream. Names the first record that is wrong; what follows it in the chain is not looked at,
because each hash rests on the one before.
"""

import sqlite3
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from preference_center.consent import keys
from preference_center.consent.chain import links, rows
from preference_center.consent.chain.merkle import Tree
from preference_center.consent.chain.signed import Checkpoint
from preference_center.consent.models import ConsentSeal

Told = Callable[[int, int], None]  # (links done, links in all)
_OF_NO_RECORD = (TypeError, ValueError, AttributeError, struct.error)  # SQLite keeps any kind of value in any column


@dataclass
class Finding:
    """What verifying came to. `faults` is empty when all is as it was sealed."""

    records: int = 0  # sealed, and found as they were sealed
    unsealed: int = 0
    checkpoints: int = 0
    faults: list[str] = field(default_factory=list)
    head: bytes = links.START


def verify(connection: Connection, checkpoints: Sequence[Checkpoint] = (), told: Told | None = None) -> Finding:
    """The chain, from its first link to the last, and the records that have no link."""
    finding = Finding()
    total = connection.scalar(select(func.count()).select_from(ConsentSeal)) or 0
    kept, told = sorted(checkpoints, key=lambda one: one.seq), told or (lambda *_: None)
    try:
        fault = _walk(connection, finding, kept, told, total)
    except sqlite3.OperationalError:  # a text that is none any more stops the stream: read anew, as it is
        finding = Finding()
        with rows.texts_as_they_are(connection):
            fault = _walk(connection, finding, kept, told, total)
    if fault:
        finding.faults.append(fault)
    else:
        finding.faults += _unsealed(connection, finding)
    return finding


def _walk(
    connection: Connection, finding: Finding, checkpoints: list[Checkpoint], told: Told, total: int
) -> str | None:
    """Follow the links; the first fault, if there is one. Kept in one loop: it runs a million times."""
    key, meanings, tree = keys.chain_key(), rows.Meanings(connection), Tree()
    previous, expected, waiting = links.START, 1, list(checkpoints)
    every = max(total // 100, 1)
    for row in _links(connection):
        seq, sealed_at, record_id, hash_, values = row[0], row[1], row[2], row[3], list(row[4:])
        if seq != expected:
            return f"Seal {expected} is missing: a link was deleted. The next one, {seq}, seals {_called(values)}."
        if values[0] is None:
            return f"Consent record number {record_id} is missing: it was deleted after it was sealed (seal {seq})."
        try:
            record = links.record_bytes(meanings.fill(values))
            made = links.link_hash(links.link_key(key, seq), seq, sealed_at, previous, record)
            whole = compare_digest(made, hash_)
        except _OF_NO_RECORD:
            whole = False
        if not whole:
            return (
                f"{_called(values)} is not what was sealed (seal {seq}): it, its wording, its topic's key, its seal"
                " or its place was changed, or the chain was made with another key."
            )
        if waiting:
            tree.add(hash_)
        while waiting and waiting[0].seq == seq:
            one = waiting.pop(0)
            if (one.hash, one.root) != (hash_, tree.root()):
                return (
                    f"The checkpoint of {one.at} remembers another history up to seal {seq}: everything before it was made anew"
                    " by somebody who has the key."
                )
            finding.checkpoints += 1
        previous, expected = hash_, expected + 1
        finding.records, finding.head = seq, hash_
        if seq % every == 0:
            told(seq, total)
    if waiting:
        return (
            f"The chain ends at seal {expected - 1}, but the checkpoint of {waiting[0].at} remembers seal {waiting[0].seq}:"
            " the end was cut off."
        )
    return None


def _links(connection: Connection) -> Iterator[Any]:
    return rows.stream(
        connection,
        f"SELECT s.seq, {rows.moment(connection, 's.sealed_at')}, s.record_id, s.hash, {rows.columns(connection)}"  # noqa: S608
        " FROM consent_seals s LEFT JOIN consent_records r ON r.id = s.record_id ORDER BY s.seq",
    )


def _unsealed(connection: Connection, finding: Finding) -> Iterator[str]:
    """Records without a link wait for the sealer, unless it has passed them: then they were slipped in."""
    late = (
        "SELECT r.id, r.public_id, r.id > (SELECT coalesce(max(record_id), 0) FROM consent_seals) OR EXISTS"
        " (SELECT 1 FROM consent_seal_gaps g WHERE r.id BETWEEN g.first_id AND g.last_id) AS waits"
        " FROM consent_records r LEFT JOIN consent_seals s ON s.record_id = r.id WHERE s.seq IS NULL ORDER BY r.id"
    )
    for record_id, public_id, waits in rows.stream(connection, late):
        if waits:
            finding.unsealed += 1
        else:
            yield f"Consent record {public_id} (number {record_id}) was slipped in: the sealer had passed its number."
            return


def _called(values: list[Any]) -> str:
    return f"Consent record {values[1]} (number {values[0]})".encode(errors="backslashreplace").decode()
