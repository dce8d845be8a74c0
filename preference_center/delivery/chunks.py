"""Claims messages by the chunk and stores how they ended. Many rows move by one statement, conditional on their old state.

The order of statements is the promise (`reliability.md` 2.3): first lock the contacts, then, in a second statement, ask the
judge. A withdrawal that committed before the claim is therefore always seen, and one that comes later waits for the claim.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, or_, select, update

from preference_center import clock
from preference_center.campaigns.models import Campaign
from preference_center.consent import cadences, caps, eligibility
from preference_center.consent.models import ConsentRecord
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.db import db, is_postgresql
from preference_center.delivery import waves
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.topics.models import Topic

_BACK_OFF = (60, 300, 900, 1800, 3600)  # seconds after the first, second, … temporary failure


@dataclass(frozen=True, slots=True)
class Claimed:
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


@dataclass(frozen=True, slots=True)
class Ending:
    """How the hand-over of one message ended, ready to be stored."""

    id: int
    state: MessageState
    reason: str | None = None
    reply_code: int | None = None
    reply: str | None = None
    next_try_at: datetime | None = None


def claim(run: Run, campaign: Campaign, topic: Topic, size: int) -> list[Claimed]:
    """The next chunk for this run, judged a moment ago; the refused ones are stored as skipped. One transaction."""
    now = clock.now()
    waiting = (
        select(Message.id, Message.contact_id)
        .where(Message.campaign_id == campaign.id, Message.state == MessageState.queued)
        .where(or_(Message.next_try_at.is_(None), Message.next_try_at <= now))
        .order_by(Message.id)
        .limit(size)
    )
    if is_postgresql():
        waiting = waiting.with_for_update(skip_locked=True)
    rows = waves.awake(campaign, list(db.session.execute(waiting)), now)
    if not rows:
        return []
    contact_ids = [row.contact_id for row in rows]
    contacts.lock(contact_ids)
    spaced = cadences.hold(topic, contact_ids)
    verdicts = eligibility.verdicts(topic, contact_ids, now, campaign.id)
    refused = [
        {"b_id": row.id, "b_reason": verdict.reason, "b_record": verdict.record_id, "b_at": now}
        for row in rows
        if (verdict := verdicts[row.contact_id]).reason is not None
    ]
    allowed = [
        {"b_id": row.id, "b_record": verdicts[row.contact_id].record_id, "b_run": run.id, "b_at": now}
        for row in rows
        if verdicts[row.contact_id].allowed
    ]
    if refused:
        _each(_SKIP, refused)
    if not allowed:
        return []
    _each(_TAKE, allowed)
    caps.note([row.contact_id for row in rows if verdicts[row.contact_id].allowed], campaign.id, now)
    cadences.note(topic, [one for one in spaced if verdicts[one].allowed], campaign.id, now)
    return _read([row["b_id"] for row in allowed])


def store(run: Run, endings: Sequence[Ending]) -> None:
    """Store endings of this run. A row that another run has claimed meanwhile is left alone (the fence)."""
    now = clock.now()
    accepted = [ending.id for ending in endings if ending.state is MessageState.sent]
    if accepted:
        db.session.execute(
            update(Message)
            .where(Message.id.in_(accepted), Message.state == MessageState.sending, Message.run_id == run.id)
            .values(state=MessageState.sent, reply_code=250, changed_at=now)
            .execution_options(synchronize_session=False)
        )
    others = [
        {
            "b_id": ending.id,
            "b_run": run.id,
            "b_state": ending.state,
            "b_reason": ending.reason,
            "b_code": ending.reply_code,
            "b_reply": ending.reply and ending.reply[:200],
            "b_next": ending.next_try_at,
            "b_at": now,
        }
        for ending in endings
        if ending.state is not MessageState.sent
    ]
    if others:
        _each(_END, others)


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


def _read(message_ids: Iterable[int]) -> list[Claimed]:
    columns = (
        Message.id,
        Message.attempt,
        Contact.public_id,
        Contact.email,
        Contact.language,
        Contact.link_epoch,
        Contact.attributes,
        ConsentRecord.source,
        ConsentRecord.happened_at,
    )
    rows = db.session.execute(
        select(*columns)
        .join(Contact, Contact.id == Message.contact_id)
        .outerjoin(ConsentRecord, ConsentRecord.id == Message.record_id)
        .where(Message.id.in_(list(message_ids)))
        .order_by(Message.id)
    )
    return [Claimed(*row) for row in rows]


def _each(statement: Any, rows: list[dict[str, Any]]) -> None:
    """One prepared statement over many rows, on the session's own connection and in its transaction."""
    db.session.connection().execute(statement, rows)


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
_TAKE = (
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("b_id"), _TABLE.c.state == MessageState.queued)
    .values(
        state=MessageState.sending,
        record_id=bindparam("b_record"),
        run_id=bindparam("b_run"),
        attempt=_TABLE.c.attempt + 1,
        next_try_at=None,
        changed_at=bindparam("b_at"),
    )
)
_END = (
    update(_TABLE)
    .where(
        _TABLE.c.id == bindparam("b_id"), _TABLE.c.state == MessageState.sending, _TABLE.c.run_id == bindparam("b_run")
    )
    .values(
        state=bindparam("b_state"),
        reason=bindparam("b_reason"),
        reply_code=bindparam("b_code"),
        reply=bindparam("b_reply"),
        next_try_at=bindparam("b_next"),
        changed_at=bindparam("b_at"),
    )
)
