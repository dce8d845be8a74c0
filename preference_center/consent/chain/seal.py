"""The sealer: gives committed consent records their place in the chain, in the order in which it finds them.

The order of sealing is not the order of ids: on PostgreSQL a record can commit after one with a higher id. Ids that were not
there when the sealer passed them are kept as gaps and looked at again, so a late record is sealed later and none is missed.
One sealer works at a time: an advisory lock on PostgreSQL, the one writer on SQLite. Killed in between, it has sealed nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Select, Table, and_, delete, func, select, text

from preference_center import clock
from preference_center.consent import keys
from preference_center.consent.chain import links, rows
from preference_center.consent.models import ConsentRecord, ConsentSeal, SealGap
from preference_center.db import db, insert_rows, is_postgresql

LIMIT = 5000
_A_GAP_STAYS = timedelta(days=1)  # no transaction lasts that long; what was rolled back is forgotten then
_LOCK = 7_021_963_027_411  # any number that nobody else takes
_seals = cast(Table, ConsentSeal.__table__)
_in_gap = and_(ConsentRecord.id >= SealGap.first_id, ConsentRecord.id <= SealGap.last_id)


def waiting() -> bool:
    """Is there anything to seal? Look-ups by index; takes no lock."""
    return any(db.session.execute(part.limit(1)).first() for part in _unsealed(ConsentRecord.id))


def tail() -> tuple[int, datetime | None]:
    """The unsealed tail: how many records wait for their seal, and when the oldest of them was recorded."""
    parts = [
        db.session.execute(part).one()
        for part in _unsealed(func.count().label("waiting"), func.min(ConsentRecord.recorded_at).label("since"))
    ]
    return sum(part.waiting for part in parts), min((part.since for part in parts if part.since), default=None)


def seal(limit: int = LIMIT) -> int:
    """Seal up to `limit` records inside a `transaction()`; how many were sealed. None while another sealer is at work."""
    if is_postgresql() and not db.session.scalar(select(func.pg_try_advisory_xact_lock(_LOCK))):
        return 0
    above, now = _above(), clock.now()
    found = _found(above, limit)
    if not found:
        db.session.execute(delete(SealGap).where(SealGap.seen_at < now - _A_GAP_STAYS))
        return 0
    insert_rows(_seals, ("seq", "record_id", "hash", "sealed_at"), _linked(found, now))
    if is_postgresql():  # the one writer of SQLite leaves nothing to come
        _keep_gaps(above, [row[0] for row in found], now)
    return len(found)


def seal_all() -> int:
    """Seal all that waits, in the open transaction: for whoever needs nothing left unsealed."""
    sealed = 0
    while more := seal():
        sealed += more
    return sealed


def _linked(found: Iterable[Sequence[Any]], now: datetime) -> list[tuple[int, int, bytes, datetime]]:
    """The links that continue the chain with these records."""
    last = select(ConsentSeal.seq, ConsentSeal.hash).order_by(ConsentSeal.seq.desc()).limit(1)
    head = db.session.execute(last).first()
    seq, previous = (head.seq, head.hash) if head else (0, links.START)
    key, sealed_at = keys.chain_key(), rows.microseconds(now)
    meanings = rows.Meanings(db.session.connection())
    made = []
    for row in found:
        seq += 1
        record = links.record_bytes(meanings.fill(list(row)))
        previous = links.link_hash(links.link_key(key, seq), seq, sealed_at, previous, record)
        made.append((seq, row[0], previous, now))
    return made


def _found(above: int, limit: int) -> list[Sequence[Any]]:
    """The unsealed records with the lowest ids: first those that came late."""
    connection = db.session.connection()
    own = rows.columns(connection)
    late = (
        f"SELECT {own} FROM consent_seal_gaps g JOIN consent_records r"  # noqa: S608 (our own names)
        " ON r.id BETWEEN g.first_id AND g.last_id ORDER BY r.id LIMIT :limit"
    )
    found: list[Sequence[Any]] = list(connection.execute(text(late), {"limit": limit}))
    fresh = f"SELECT {own} FROM consent_records r WHERE r.id > :above ORDER BY r.id LIMIT :limit"  # noqa: S608
    found += connection.execute(text(fresh), {"above": above, "limit": limit - len(found)})
    return found


def _unsealed(*wanted: Any) -> tuple[Select[Any], Select[Any]]:
    return (
        select(*wanted).select_from(ConsentRecord).where(ConsentRecord.id > _above()),
        select(*wanted).select_from(SealGap).join(ConsentRecord, _in_gap),
    )


def _above() -> int:
    return db.session.scalar(select(func.max(ConsentSeal.record_id))) or 0


def _keep_gaps(above: int, sealed: list[int], now: datetime) -> None:
    """Narrow the gaps by what was sealed in them, and note the new ones."""
    late = [id_ for id_ in sealed if id_ < above]
    kept = []
    for gap in db.session.scalars(select(SealGap)).all() if late else ():
        inside = [id_ for id_ in late if gap.first_id <= id_ <= gap.last_id]
        if inside:
            kept += [(*hole, gap.seen_at) for hole in _holes(gap.first_id - 1, [*inside, gap.last_id + 1])]
            db.session.delete(gap)
    db.session.flush()
    kept += [(*hole, now) for hole in _holes(above, [id_ for id_ in sealed if id_ > above])]
    insert_rows(cast(Table, SealGap.__table__), ("first_id", "last_id", "seen_at"), kept)


def _holes(before: int, ids: Iterable[int]) -> list[tuple[int, int]]:
    """The ranges that are missing between rising ids."""
    missing = []
    for id_ in ids:
        if id_ > before + 1:
            missing.append((before + 1, id_ - 1))
        before = id_
    return missing
