"""Numbers of messages after a restore: one of a time that is forgotten stands in mail that is out, and must come to mean nobody else."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import bindparam, select, text, update

from preference_center import clock
from preference_center.db import among, db, is_postgresql, reserve_ids
from preference_center.delivery.models import Message, MessageState

_TABLE: Any = Message.__table__
_SKIP = 1_000_000_000  # more than a database forgets


def skip() -> None:
    """Give no message a number that mail which is out may bear: a report on that would be taken for one on another person's."""
    count_past(fresh(1)[0] + _SKIP)


def count_past(number: int) -> None:
    """Give no message this number, or a lower one, of itself any more."""
    if is_postgresql():
        numbers = "pg_get_serial_sequence('messages', 'id')"
        db.session.execute(
            text(f"SELECT setval({numbers}, :number) WHERE nextval({numbers}) < :number"), {"number": number}
        )
        return
    # SQLite counts on from the highest, and that is a row of nobody's: any other may have had its mail since, under its own number
    mark = (
        "INSERT INTO messages (id, campaign_id, contact_id, state, changed_at) "
        "SELECT :number + 1, 0, 0, 'skipped', :now WHERE (SELECT coalesce(max(id), 0) FROM messages) < :number "
        "ON CONFLICT (campaign_id, contact_id) DO UPDATE SET id = excluded.id"
    )
    moment = bindparam("now", clock.now(), type_=Message.changed_at.type)
    db.session.execute(text(mark).bindparams(moment), {"number": number})


def fresh(count: int) -> list[int]:
    """That no message has borne."""
    return reserve_ids(_TABLE, count)


def make_room(campaign_id: int, owners: dict[int, int]) -> None:
    """For rows whose mail of that campaign bears these numbers, by number the contact: others that were never tried take fresh ones."""
    there = select(Message.id, Message.campaign_id, Message.contact_id).where(
        among(Message.id, owners), Message.attempt == 0, Message.state.in_([MessageState.queued, MessageState.skipped])
    )
    others = [
        row.id
        for row in db.session.execute(there.with_for_update())
        if (row.campaign_id, row.contact_id) != (campaign_id, owners[row.id])
    ]
    count_past(max(owners, default=0))
    for old, new in zip(others, fresh(len(others)), strict=True):
        db.session.execute(update(_TABLE).where(_TABLE.c.id == old).values(id=new))


def free(wanted: Iterable[int]) -> set[int]:
    """Those that no message has."""
    numbers = set(wanted)
    return numbers - set(db.session.scalars(select(Message.id).where(among(Message.id, numbers))))
