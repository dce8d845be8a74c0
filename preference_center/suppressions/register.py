"""Adds and looks up suppressions. A weightier cause is never replaced by a lighter one; nothing here lifts one by accident."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import and_, case, delete, func, null, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

from preference_center import clock
from preference_center.db import db, is_postgresql
from preference_center.suppressions.models import WEIGHT, Cause, Suppression, SuppressionRecord

AWAY = "moved:"  # how a source begins that only says: the person has another address now
CARRIED = "carried:"  # how a source begins that repeats what was said against the person's other address


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
    new = statement.excluded
    stands = or_(Suppression.until.is_(None), Suppression.until > now)
    # the weightier cause, and the later end: none is the latest of all
    later = case(
        (or_(Suppression.until.is_(None), new.until.is_(None)), null()),
        (Suppression.until > new.until, Suppression.until),
        else_=new.until,
    )
    statement = statement.on_conflict_do_update(
        index_elements=["address_hash"],
        set_={
            "cause": case((and_(stands, _weight() >= WEIGHT[cause]), Suppression.cause), else_=new.cause),
            "until": case((stands, later), else_=new.until),
            "created_at": case((stands, Suppression.created_at), else_=new.created_at),
        },
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
                "until": until,
                "happened_at": happened_at or now,
                "recorded_at": now,
            }
            for h in wanted
        ],
    )


def lift(address_hash: bytes, cause: Cause, source: str) -> bool:
    """Take back a suppression that came from this source (or one that begins so). False when something else was said since.

    What had been said before it, and was never lifted, stands again.
    """
    _hold(address_hash)
    newest = next(reversed(_records(address_hash)), None)
    if newest is None or (newest.action, newest.cause) != ("added", cause) or not newest.source.startswith(source):
        return False
    _lift(address_hash, {cause: newest.source})
    return True


def blocks_return(address_hash: bytes) -> bool:
    """Whether more stands against mail to this address than that its owner went away: was erased, or moved to another address.

    Who went away may come back, by confirming a sign-up of their own; an import never brings them back.
    """
    return bool(said_against(address_hash))


def said_against(address_hash: bytes) -> set[Cause]:
    """What stands against mail to this address, besides that its owner went away."""
    return set(_said(address_hash)) - _away(address_hash)


def let_back(address_hash: bytes) -> None:
    """The owner of the address came back and confirmed it: what only said that they went away counts no more. All else stands."""
    _hold(address_hash)
    said = _said(address_hash)
    away = {cause: said[cause][-1] for cause in sorted(_away(address_hash))}
    if away:
        _lift(address_hash, away)


def went_away(hashes: Iterable[bytes]) -> set[tuple[bytes, str]]:
    """The addresses whose owner ever went away from there, come back or not, each with the source that says so."""
    record = SuppressionRecord
    away = or_(record.cause == Cause.erased, and_(record.cause == Cause.manual, record.source.startswith(AWAY)))
    found = db.session.execute(
        select(record.address_hash, record.source).where(record.address_hash.in_(list(hashes)), away)
    )
    return {(address_hash, source) for address_hash, source in found}


def _away(address_hash: bytes) -> set[Cause]:
    said = _said(address_hash)
    moved = all(source.startswith(AWAY) for source in said.get(Cause.manual, ["-"]))
    return {cause for cause in said if cause is Cause.erased or (cause is Cause.manual and moved)}


def _said(address_hash: bytes) -> dict[Cause, list[str]]:
    """What was said against the address and stands, with its sources, the newest last."""
    said: dict[Cause, list[str]] = {}
    for record in _never_lifted(_records(address_hash)):
        if record.until is None or record.until > clock.now():
            said.setdefault(record.cause, []).append(record.source)
    return said


def _records(address_hash: bytes) -> list[SuppressionRecord]:
    own = select(SuppressionRecord).where(SuppressionRecord.address_hash == address_hash)
    return list(db.session.scalars(own.order_by(SuppressionRecord.id)))


def _hold(address_hash: bytes) -> None:
    """What is being said against the address elsewhere is waited for, and then seen."""
    db.session.execute(select(Suppression.cause).where(Suppression.address_hash == address_hash).with_for_update())


def _lift(address_hash: bytes, causes: dict[Cause, str]) -> None:
    """These causes, each with its source, count no more; the address is held. What was said besides decides then."""
    now = clock.now()
    lifted = {"address_hash": address_hash, "action": "lifted", "happened_at": now, "recorded_at": now}
    for cause, source in causes.items():
        db.session.add(SuppressionRecord(**lifted, cause=cause, source=source))
    db.session.flush()
    db.session.execute(delete(Suppression).where(Suppression.address_hash == address_hash))
    left = stood(_records(address_hash))
    if left:
        db.session.add(Suppression(address_hash=address_hash, cause=left[0], until=left[1], created_at=now))
        db.session.flush()


def stood(records: Iterable[SuppressionRecord]) -> tuple[Cause, datetime | None] | None:
    """The cause these records of one address, oldest first, come to, and its end: as though what was lifted had never been said.

    As `suppress_many` does it: the weightier cause and the later end of two; one that had ended counts no more.
    """
    found: tuple[Cause, datetime | None] | None = None
    for record in _never_lifted(records):
        if found is None or (found[1] is not None and found[1] <= record.recorded_at):
            found = record.cause, record.until
        else:
            cause = found[0] if WEIGHT[found[0]] >= WEIGHT[record.cause] else record.cause
            found = cause, max(found[1], record.until) if found[1] and record.until else None
    return found


def _never_lifted(records: Iterable[SuppressionRecord]) -> list[SuppressionRecord]:
    said: list[SuppressionRecord] = []
    for record in records:
        lifted = record.action == "lifted"
        said = [one for one in said if one.cause != record.cause] if lifted else [*said, record]
    return said


def standing(hashes: Iterable[bytes]) -> dict[bytes, Cause]:
    """The suppressions in force among these addresses."""
    now = clock.now()
    rows = db.session.execute(
        select(Suppression.address_hash, Suppression.cause).where(
            Suppression.address_hash.in_(list(hashes)), or_(Suppression.until.is_(None), Suppression.until > now)
        )
    )
    return {address_hash: cause for address_hash, cause in rows}  # noqa: C416  (rows are not pairs to dict())


def rests_until(address_hash: bytes | None) -> datetime | None:
    """When mail may go to this address again; none: it may now, or it is closed for good."""
    ends = select(Suppression.until).where(Suppression.address_hash == address_hash, Suppression.until > clock.now())
    return db.session.scalar(ends)


def closed_by_staff(hashes: Iterable[bytes], since: datetime) -> bool:
    """Whether one of these addresses was closed by hand after this moment, and not only because its owner moved from or to it."""
    return any(
        record.cause == Cause.manual and record.recorded_at >= since and not record.source.startswith((AWAY, CARRIED))
        for address_hash in set(hashes)
        for record in _never_lifted(_records(address_hash))
    )


def count() -> int:
    return db.session.scalar(select(func.count()).select_from(Suppression)) or 0


def _weight() -> ColumnElement[int]:
    return case(*[(Suppression.cause == cause, weight) for cause, weight in WEIGHT.items()], else_=0)
