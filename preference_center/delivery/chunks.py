"""Claims messages by the chunk and stores how they ended. Many rows move by one statement, conditional on their old state.

The order of statements is the promise (`reliability.md` 2.3): first lock the contacts, then, in a second statement, ask the
judge. A withdrawal that committed before the claim is therefore always seen, and one that comes later waits for the claim.
"""

import json
import random
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, SmallInteger, Text, bindparam, cast, func, or_, select, true, update

from preference_center import clock
from preference_center.campaigns.models import Campaign
from preference_center.consent import eligibility
from preference_center.consent.law import cadences, caps
from preference_center.consent.models import ConsentRecord
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.db import among, db, is_postgresql, open_connection
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.delivery.pace import waves
from preference_center.delivery.results import attempts, tracking
from preference_center.prepared import Prepared
from preference_center.topics.models import Topic

_BACK_OFF = (60, 300, 900, 1800, 3600)  # seconds after the first, second, … temporary failure


class Claimed(NamedTuple):
    """One message that this run may send now, with all that its text needs."""

    id: int
    attempt: int
    public_id: str
    email: str
    language: str
    link_epoch: int
    attributes: dict[str, Any]
    consent_source: str
    consent_at: datetime | None
    follow: str | None = None  # the random name of a mail whose reader agreed to be seen (tracking.py)
    variant: int = 0  # of an experiment: which content (trials.py)


class Ending(NamedTuple):
    """How the hand-over of one message ended, ready to be stored."""

    id: int
    state: MessageState
    reason: str | None = None
    reply_code: int | None = None
    reply: str | None = None
    next_try_at: datetime | None = None


def claim(
    run: Run,
    campaign: Campaign,
    topic: Topic,
    size: int,
    after: int = 0,
    admit: Callable[[Sequence[tuple[int, str]]], Collection[int]] | None = None,
) -> list[Claimed]:
    """The next chunk for this run, judged a moment ago; the refused ones are stored as skipped. One transaction.

    It begins behind message `after`, where one was claimed last: else each claim would walk over all that have left. `admit` says
    of messages and their addresses which may leave now (pacing.py); the others stay queued.
    """
    now = clock.now()
    _find_each_by_its_index()
    rows = waves.awake(campaign, _waiting(campaign, size, after, now), now)
    if not rows:
        return []
    people = [row.contact_id for row in rows]
    contacts.lock(people)
    spaced = cadences.hold(topic, people)
    judged = {row[0]: row for row in _judged(topic, people, now, campaign.id)}
    refused: list[dict[str, Any]] = []
    allowed: list[tuple[Any, Any]] = []
    for row in rows:
        verdict = judged.get(row[1])
        if verdict is None or verdict[2] is not None:
            reason, record = (verdict[2], verdict[1]) if verdict else (eligibility.Reason.erased, None)
            refused.append({"b_id": row[0], "b_reason": reason, "b_record": record, "b_at": now})
        else:
            allowed.append((row, verdict))
    if refused:
        _each(_SKIP, refused)
    if admit is not None:
        admitted = admit([(row[0], verdict[4]) for row, verdict in allowed])
        allowed = [one for one in allowed if one[0][0] in admitted]
    if not allowed:
        return []
    _take(run, allowed, now)
    caps.note([row[1] for row, _ in allowed], campaign.id, now)
    cadences.note(topic, [row[1] for row, _ in allowed if row[1] in spaced], campaign.id, now)
    names = tracking.names({row[0]: row[1] for row, _ in allowed}, now)
    attributes = json.loads(
        f"[{','.join(verdict.attributes for _, verdict in allowed)}]"
    )  # far cheaper than one by one
    claimed = [
        Claimed._make((row[0], row[2] + 1, *verdict[3:7], about, *verdict[8:], None, 0))
        for (row, verdict), about in zip(allowed, attributes, strict=True)
    ]
    return [one._replace(follow=names.get(one.id)) for one in claimed] if names else claimed


def _find_each_by_its_index() -> None:
    """For this transaction. Else PostgreSQL may read whole tables for one chunk: it does not know yet how many were filled in."""
    if is_postgresql():
        _PLAIN_PLANS.rows()


def _waiting(campaign: Campaign, size: int, after: int, now: datetime) -> Sequence[Any]:
    """The next rows (id, contact_id, attempt, record_id) that may be tried now, held for this run; from the start again at the end."""
    waiting = (
        select(_TABLE.c.id, _TABLE.c.contact_id, _TABLE.c.attempt, _TABLE.c.record_id)
        .where(_TABLE.c.campaign_id == campaign.id, _TABLE.c.state == MessageState.queued)
        .where(or_(_TABLE.c.next_try_at.is_(None), _TABLE.c.next_try_at <= now))
        .order_by(_TABLE.c.id)
        .limit(size)
    )
    if is_postgresql():
        waiting = waiting.with_for_update(skip_locked=True)
    rows = open_connection().execute(waiting.where(_TABLE.c.id > after)).all()
    return rows if rows or not after else open_connection().execute(waiting).all()


def _judged(topic: Topic, people: Sequence[int], now: datetime, occasion: int) -> Sequence[Any]:
    """The judge's answer (contact_id, record_id, reason) for each, and in the same statement what their text needs."""
    judged = eligibility.judge(topic, now, occasion)
    wanted = (
        Contact.public_id,
        Contact.email,
        Contact.language,
        Contact.link_epoch,
        cast(Contact.attributes, Text).label("attributes"),
        ConsentRecord.source,
        ConsentRecord.happened_at,
    )
    behind = ConsentRecord.id == judged.selected_columns.record_id
    asked = judged.add_columns(*wanted).outerjoin(ConsentRecord, behind).where(among(Contact.id, people))
    return open_connection().execute(asked).all()


def _take(run: Run, allowed: Sequence[tuple[Any, Any]], now: datetime) -> None:
    """These rows, which are held and queued, are this run's from the commit on. The record is seldom another than at the filling."""
    taken = update(_TABLE).where(among(_TABLE.c.id, [row[0] for row, _ in allowed]))
    open_connection().execute(taken.values({**_TAKEN, "run_id": run.id, "changed_at": now}))
    if others := [{"b_id": row[0], "b_record": verdict[1]} for row, verdict in allowed if row[3] != verdict[1]]:
        _each(_RECORD, others)


def store(run: Run, endings: Sequence[Ending]) -> int:
    """Store endings of this run. A row that another run has claimed meanwhile is left alone (the fence).

    One that is queued although it left has lost its claim to a failover: it must not leave again (D3). How many those were.
    """
    now = clock.now()
    accepted = [ending.id for ending in endings if ending.state is MessageState.sent]
    lost = 0
    if accepted:
        mine = Message.state == MessageState.sending, Message.run_id == run.id
        if _accept(accepted, now, *mine) < len(accepted):
            lost += _accept(accepted, now, Message.state == MessageState.queued)
    others = [
        {
            "b_id": ending.id,
            "b_run": run.id,
            "b_state": ending.state,
            "b_uncounted": int(ending.state is MessageState.queued and ending.reason is None),
            "b_reason": ending.reason,
            "b_code": ending.reply_code,
            "b_reply": ending.reply and ending.reply[:200],
            "b_next": ending.next_try_at,
            "b_at": now,
        }
        for ending in endings
        if ending.state is not MessageState.sent
    ]
    if others and _each(_END, others) < len(others):
        left = [row for row in others if row["b_state"] is not MessageState.queued]
        lost += _each(_END_UNCLAIMED, left) if left else 0
    if put_off := [row for row in others if row["b_state"] is MessageState.queued and row["b_reason"]]:
        attempts.note(put_off)
    return lost


def _accept(ids: list[int], now: datetime, *conditions: ColumnElement[bool]) -> int:
    """These of them are sent; how many rows that were."""
    accepted = db.session.execute(
        update(Message)
        .where(among(Message.id, ids), *conditions)
        .values(state=MessageState.sent, reason=None, reply_code=250, reply=None, changed_at=now)
        .execution_options(synchronize_session=False)
    )
    return int(accepted.rowcount)  # type: ignore[attr-defined]


def hold_all_of(contact_ids: Collection[int]) -> None:
    """Hold every message of these contacts until the transaction ends. Who changes both holds these before the contacts.

    That is the order of the claim; in the other one an erasure and a claim would wait for each other.
    """
    if is_postgresql():
        held = select(Message.id).where(Message.contact_id.in_(contact_ids)).order_by(Message.id)
        db.session.execute(held.with_for_update()).all()


def close_waiting(campaign_id: int, reason: eligibility.Reason) -> int:
    """Close what is still queued, as skipped for `reason`; how many rows that were."""
    closed = db.session.execute(
        update(Message)
        .where(Message.campaign_id == campaign_id, Message.state == MessageState.queued)
        .values(state=MessageState.skipped, reason=reason, changed_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    return int(closed.rowcount)  # type: ignore[attr-defined]


def next_try(attempt: int, now: datetime) -> datetime:
    """When to try again after the n-th attempt failed for a time: longer each time, with jitter so that not all come at once."""
    wait = _BACK_OFF[min(max(attempt, 1), len(_BACK_OFF)) - 1]
    return now + timedelta(seconds=wait * random.uniform(0.8, 1.2))  # noqa: S311  (jitter, no secret)


def _each(statement: Any, rows: list[dict[str, Any]]) -> int:
    """One prepared statement over many rows, on the session's own connection and in its transaction; how many it changed."""
    return db.session.connection().execute(statement, rows).rowcount


_TABLE: Any = Message.__table__
_SKIP = (
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("b_id"), _TABLE.c.state == MessageState.queued)
    .values(
        state=MessageState.skipped,
        reason=bindparam("b_reason"),
        record_id=bindparam("b_record"),
        changed_at=bindparam("b_at"),
    )
)
_TAKEN: dict[str, Any] = {"state": MessageState.sending, "attempt": _TABLE.c.attempt + 1, "next_try_at": None}
_RECORD = update(_TABLE).where(_TABLE.c.id == bindparam("b_id")).values(record_id=bindparam("b_record"))
_PLAIN_PLANS = Prepared(
    select(*(func.set_config(name, "off", true()) for name in ("enable_hashjoin", "enable_mergejoin", "jit")))
)
_ENDED: dict[str, Any] = {
    "state": bindparam("b_state"),
    "reason": bindparam("b_reason"),
    "reply_code": bindparam("b_code"),
    "reply": bindparam("b_reply"),
    "next_try_at": bindparam("b_next"),
    "changed_at": bindparam("b_at"),
}
_END = (
    update(_TABLE)
    .where(
        _TABLE.c.id == bindparam("b_id"),
        _TABLE.c.state == MessageState.sending,
        _TABLE.c.run_id == bindparam("b_run"),
    )
    .values(
        # one that had no dot is taken back: no journal tells of it
        _ENDED | {"attempt": _TABLE.c.attempt - bindparam("b_uncounted", type_=SmallInteger)}
    )
)
_END_UNCLAIMED = (
    update(_TABLE).where(_TABLE.c.id == bindparam("b_id"), _TABLE.c.state == MessageState.queued).values(_ENDED)
)
