"""Adds and looks up suppressions. A weightier cause is never replaced by a lighter one; nothing here lifts one by accident."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import and_, case, delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

from preference_center import clock
from preference_center.db import db, is_postgresql
from preference_center.suppressions.models import WEIGHT, Cause, Suppression, SuppressionRecord


def suppress(
    address_hash: bytes,
    cause: Cause,
    source: str,
    *,
    until: datetime | None = None,
    happened_at: datetime | None = None,
) -> None:
    """We must not mail this address any more. Doing it twice is fine."""
    suppress_many([address_hash], cause, source, until=until, happened_at=happened_at)


def suppress_many(
    hashes: Iterable[bytes],
    cause: Cause,
    source: str,
    *,
    until: datetime | None = None,
    happened_at: datetime | None = None,
) -> None:
    now = clock.now()
    wanted = sorted(set(hashes))
    if not wanted:
        return
    insert = postgresql.insert if is_postgresql() else sqlite.insert
    statement = insert(Suppression)
    stands = or_(Suppression.until.is_(None), Suppression.until > now)
    weightier = _weight() >= WEIGHT[cause]
    statement = statement.on_conflict_do_update(
        index_elements=["address_hash"],
        set_={
            "cause": statement.excluded.cause,
            "until": statement.excluded.until,
            "created_at": statement.excluded.created_at,
        },
        where=~and_(stands, weightier),
    )
    db.session.execute(
        statement, [{"address_hash": h, "cause": cause, "until": until, "created_at": now} for h in wanted]
    )
    db.session.execute(
        SuppressionRecord.__table__.insert(),  # type: ignore[attr-defined]
        [
            {
                "address_hash": h,
                "action": "added",
                "cause": cause,
                "source": source,
                "happened_at": happened_at or now,
                "recorded_at": now,
            }
            for h in wanted
        ],
    )


def lift(address_hash: bytes, cause: Cause, source: str) -> bool:
    """Take back a suppression that came from this source (or one that begins so). False when something else was said since."""
    newest = db.session.scalar(
        select(SuppressionRecord)
        .where(SuppressionRecord.address_hash == address_hash)
        .order_by(SuppressionRecord.id.desc())
        .limit(1)
    )
    if newest is None or (newest.action, newest.cause) != ("added", cause) or not newest.source.startswith(source):
        return False
    now = clock.now()
    gone = delete(Suppression).where(Suppression.address_hash == address_hash, Suppression.cause == cause)
    db.session.execute(gone)
    db.session.add(
        SuppressionRecord(
            address_hash=address_hash,
            action="lifted",
            cause=cause,
            source=newest.source,
            happened_at=now,
            recorded_at=now,
        )
    )
    return True


def standing(hashes: Iterable[bytes]) -> dict[bytes, Cause]:
    """The suppressions in force among these addresses."""
    now = clock.now()
    rows = db.session.execute(
        select(Suppression.address_hash, Suppression.cause).where(
            Suppression.address_hash.in_(list(hashes)), or_(Suppression.until.is_(None), Suppression.until > now)
        )
    )
    return {address_hash: cause for address_hash, cause in rows}  # noqa: C416  (rows are not pairs to dict())


def count() -> int:
    return db.session.scalar(select(func.count()).select_from(Suppression)) or 0


def _weight() -> ColumnElement[int]:
    return case(*[(Suppression.cause == cause, weight) for cause, weight in WEIGHT.items()], else_=0)
