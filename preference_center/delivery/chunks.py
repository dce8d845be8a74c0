"""Claims messages by the chunk and stores how they ended. Many rows move by one statement, conditional on their old state.

The order of statements is the promise (`reliability.md` 2.3): first lock the contacts, then, in a second statement, ask the
judge. A withdrawal that committed before the claim is therefore always seen, and one that comes later waits for the claim.
"""

import random
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    SmallInteger,
    Text,
    bindparam,
    cast,
    func,
    null,
    or_,
    select,
    true,
    type_coerce,
    update,
)

from preference_center import clock
from preference_center.campaigns.models import Campaign
from preference_center.consent import eligibility, tracking
from preference_center.consent.law import cadences, caps
from preference_center.consent.models import ConsentRecord
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.db import among, db, is_postgresql, write_out
from preference_center.delivery.claimed import Judged, Taken, Waiting
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.delivery.pace import waves
from preference_center.delivery.results import attempts
from preference_center.delivery.results import tracking as following
from preference_center.prepared import Answer, Asked, Prepared, together
from preference_center.topics.models import Topic

NEVER = datetime(9999, 1, 1, tzinfo=UTC)  # the next try of who waits for the winner of an experiment (trials.py)
IN_VAIN = (MessageState.failed, MessageState.skipped)  # nothing of it left
_BACK_OFF = (60, 300, 900, 1800, 3600)  # seconds after the first, second, … temporary failure


class Ending(NamedTuple):
    """How the hand-over of one message ended, ready to be stored."""

    id: int
    state: MessageState
    reason: str | None = None
    reply_code: int | None = None
    reply: str | None = None
    next_try_at: datetime | None = None
    noted: bool = False  # a journal tells of this attempt, so it counts, though nothing may have left


def claim(
    run: Run,
    campaign: Campaign,
    topic: Topic,
    size: int,
    after: int = 0,
    admit: Callable[[Sequence[tuple[int, str]]], Collection[int]] | None = None,
) -> Taken:
    """The next chunk for this run, judged a moment ago; the refused ones are stored as skipped. One transaction.

    It begins behind message `after`, where one was claimed last: else each claim would walk over all that have left. `admit` says
    of messages and their addresses which may leave now (pacing.py); the others stay queued.
    """
    now = clock.now()
    waiting, declared, is_offered = _look(campaign, size, after, now)
    rows = waves.awake(campaign, waiting, now)
    if not rows:
        return Taken()
    judged, spaced = _judge(topic, [row.contact_id for row in rows], campaign, declared, now)
    refused: list[dict[str, Any]] = []
    allowed: list[tuple[Waiting, Judged]] = []
    for row in rows:
        verdict = judged.get(row.contact_id)
        if verdict is None or verdict.reason is not None:
            reason, record = (verdict.reason, verdict.record_id) if verdict else (eligibility.Reason.erased, None)
            refused.append({"b_id": row.id, "b_reason": reason, "b_record": record, "b_at": now})
        else:
            allowed.append((row, verdict))
    if refused:
        _each(_SKIP, refused)
    if admit is not None:
        admitted = admit([(row.id, verdict.email) for row, verdict in allowed])
        allowed = [one for one in allowed if one[0].id in admitted]
    if not allowed:
        return Taken()
    _take(run, allowed, now)
    caps.note([row.contact_id for row, _ in allowed], campaign.id, now)
    cadences.note(topic, [row.contact_id for row, _ in allowed if row.contact_id in spaced], campaign.id, now)
    return Taken(allowed, following.names({row.id: row.contact_id for row, _ in allowed}, now) if is_offered else {})


def _look(campaign: Campaign, size: int, after: int, now: datetime) -> tuple[list[Waiting], contacts.Declared, bool]:
    """The next ones, held for this run, from the start again at the end; the declared attributes; whether tracking is offered."""
    write_out()
    first = [_HURRIED.asked()] if is_postgresql() else []
    asked = (
        _WAITING.asked(campaign=campaign.id, after=after, now=now, size=size),
        contacts.DECLARED.asked(),
        tracking.OFFERED.asked(),
    )
    *_, waiting, declared, offered = together(*first, *asked)
    found = waiting.rows
    if not found and after:
        found = _WAITING.rows(campaign=campaign.id, after=0, now=now, size=size)
    return [Waiting._make(row) for row in found], contacts.as_declared(declared.rows), bool(offered.rows)


def _judge(
    topic: Topic, people: list[int], campaign: Campaign, declared: contacts.Declared, now: datetime
) -> tuple[dict[int, Judged], set[int]]:
    """The judge's answers by contact, and who of them wants mail less often. All are held before anybody is judged."""
    *_, spaced, verdicts = together(
        *contacts.keeping(people),
        cadences.holding(topic, people),
        _JUDGED.asked(topic, now, campaign.id, declared, whom=people),
    )
    return {row[0]: Judged._make(row) for row in verdicts.rows}, {contact_id for (contact_id,) in spaced.rows}


def _take(run: Run, allowed: Sequence[tuple[Waiting, Judged]], now: datetime) -> None:
    """These rows, which are held and queued, are this run's from the commit on. The record is seldom another than at the filling."""
    if (taken := _TAKE.changed(whom=[row.id for row, _ in allowed], run=run.id, now=now)) != len(allowed):
        raise RuntimeError(f"{len(allowed)} messages were held for run {run.id}, and {taken} could be taken")
    if others := [
        {"b_id": row.id, "b_record": told.record_id} for row, told in allowed if row.record_id != told.record_id
    ]:
        _each(_RECORD, others)


def store(run: Run, endings: Sequence[Ending], *beside: Asked) -> tuple[int, list[Answer]]:
    """Store endings of this run. A row that another run has claimed meanwhile is left alone (the fence).

    One that waits, and not since this run had it, has lost its claim to a failover (D3): what left must not leave again. How many
    those were, and what was answered to `beside`, which was asked in the same journey before.
    """
    now = clock.now()
    accepted = [ending.id for ending in endings if ending.state is MessageState.sent]
    accepting = [_ACCEPT.asked(whom=accepted, now=now, run=run.id)] if accepted else []
    in_vain = [ending.id for ending in endings if ending.state in IN_VAIN]
    uncounting = (
        [one.asked(whom=in_vain, run=run.id, campaign=run.campaign_id) for one in _uncounts()] if in_vain else []
    )
    first = [_BY_INDEX.asked()] if is_postgresql() else []
    answers = together(*first, *beside, *accepting, *uncounting)[len(first) :]
    lost = 0
    if accepted and answers[len(beside)].changed < len(accepted):
        lost += _ACCEPT_UNCLAIMED.changed(whom=accepted, now=now)
    others = [
        {
            "b_id": ending.id,
            "b_run": run.id,
            "b_state": ending.state,
            "b_uncounted": int(ending.state is MessageState.queued and ending.reason is None and not ending.noted),
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
        waiting = [row["b_id"] for row in others if row["b_state"] is MessageState.queued]
        lost += len(_UNCLAIMED.rows(whom=waiting, run=run.id))
    if put_off := [row for row in others if row["b_state"] is MessageState.queued and row["b_reason"]]:
        attempts.note(put_off)
    return lost, answers[: len(beside)]


def hold_all_of(contact_ids: Collection[int]) -> None:
    """Hold every message of these contacts until the transaction ends. Who changes both holds these before the contacts.

    That is the order of the claim; in the other one an erasure and a claim would wait for each other.
    """
    if is_postgresql():
        held = select(Message.id).where(Message.contact_id.in_(contact_ids)).order_by(Message.id)
        db.session.execute(held.with_for_update()).all()


def close_waiting(campaign_id: int, reason: eligibility.Reason) -> int:
    """Close what is still queued, as skipped for `reason`; how many rows that were.

    Too late is nothing that was never due: who waits for a winner keeps waiting, as one is always chosen.
    """
    whom = [Message.campaign_id == campaign_id, Message.waits]
    if reason is eligibility.Reason.too_late:
        whom.append(or_(Message.next_try_at.is_(None), Message.next_try_at != NEVER))
    closed = db.session.execute(
        update(Message)
        .where(*whom)
        .values(state=MessageState.skipped, reason=reason, changed_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    uncount(campaign_id)
    return int(closed.rowcount)  # type: ignore[attr-defined]


def uncount(campaign_id: int) -> None:
    """Who was claimed for this campaign and got nothing of it is no longer counted as mailed, for caps and cadences."""
    mine = (Message.campaign_id == campaign_id, Message.run_id.is_not(None), Message.state.in_(IN_VAIN))
    for law in (caps, cadences) if caps.are_set() else (cadences,):
        got_nothing = law.taking_back(campaign_id, select(Message.contact_id).where(*mine))
        db.session.execute(got_nothing.execution_options(synchronize_session=False))


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
_NOW: Any = bindparam("now", type_=Message.changed_at.type)


def _waiting_ones() -> Any:
    waiting = (
        select(_TABLE.c.id, _TABLE.c.contact_id, _TABLE.c.attempt, _TABLE.c.record_id)
        .where(_TABLE.c.campaign_id == bindparam("campaign"), _TABLE.c.id > bindparam("after"))
        .where(_TABLE.c.waits, or_(_TABLE.c.next_try_at.is_(None), _TABLE.c.next_try_at <= _NOW))
        .order_by(_TABLE.c.id)
        .limit(bindparam("size"))
    )
    return waiting.with_for_update(skip_locked=True) if is_postgresql() else waiting


def _with_what_a_text_needs(judged: Select[Any]) -> Select[Any]:
    wanted = (
        Contact.public_id,
        Contact.email,
        Contact.language,
        Contact.link_epoch,
        cast(Contact.attributes, Text),
        ConsentRecord.source,
        type_coerce(ConsentRecord.happened_at, BigInteger),  # read when nobody is held any more
    )
    behind = ConsentRecord.id == judged.selected_columns.record_id
    return judged.add_columns(*wanted).outerjoin(ConsentRecord, behind).where(among(Contact.id, "whom"))


def _take_them() -> Any:
    taken = {"attempt": _TABLE.c.attempt + 1, "next_try_at": null(), "run_id": bindparam("run"), "changed_at": _NOW}
    held = update(_TABLE).where(among(_TABLE.c.id, "whom"), _TABLE.c.state == MessageState.queued)
    return held.values({"state": MessageState.sending, **taken})


def _accept(*conditions: ColumnElement[bool]) -> Any:
    accepted = {"state": MessageState.sent, "reason": null(), "reply_code": 250, "reply": null(), "changed_at": _NOW}
    return update(_TABLE).where(among(_TABLE.c.id, "whom"), *conditions).values(accepted)


def _ending_in_vain() -> Select[Any]:
    """Held before what tells that they were mailed, as an erasure holds them."""
    ending = select(_TABLE.c.contact_id).where(
        among(_TABLE.c.id, "whom"), _TABLE.c.state == MessageState.sending, _TABLE.c.run_id == bindparam("run")
    )
    return ending.order_by(_TABLE.c.id).with_for_update() if is_postgresql() else ending


def _uncounts() -> list[Prepared]:
    return [_UNCAP, _UNSPACE] if caps.are_set() else [_UNSPACE]


_UNCAP = Prepared(lambda: caps.taking_back(bindparam("campaign"), _ending_in_vain()))
_UNSPACE = Prepared(lambda: cadences.taking_back(bindparam("campaign"), _ending_in_vain()))
_WAITING, _TAKE = Prepared(_waiting_ones), Prepared(_take_them)
_JUDGED = eligibility.Sitting(_with_what_a_text_needs)
_ACCEPT = Prepared(lambda: _accept(_TABLE.c.state == MessageState.sending, _TABLE.c.run_id == bindparam("run")))
_UNCLAIMED = Prepared(
    lambda: select(_TABLE.c.id).where(
        among(_TABLE.c.id, "whom"),
        _TABLE.c.state == MessageState.queued,
        or_(_TABLE.c.run_id.is_(None), _TABLE.c.run_id < bindparam("run")),
    )
)
_ACCEPT_UNCLAIMED = Prepared(lambda: _accept(_TABLE.c.state == MessageState.queued))
_RECORD = update(_TABLE).where(_TABLE.c.id == bindparam("b_id")).values(record_id=bindparam("b_record"))
# For the transaction that stores a chunk and claims the next: no plan that reads whole tables for it, as PostgreSQL takes a list of
# ids for dearer than a walk over 100,000 rows, and does not know yet how many were filled in.
_BY_INDEX = Prepared(
    select(
        *(
            func.set_config(f"enable_{plan}", "off", true())
            for plan in ("seqscan", "bitmapscan", "hashjoin", "mergejoin")
        ),
        func.set_config("jit", "off", true()),
    )
)
# A worker that freezes while it holds people must not keep them from leaving (P4).
_HURRIED = Prepared(select(func.set_config("idle_in_transaction_session_timeout", "10s", true())))
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
