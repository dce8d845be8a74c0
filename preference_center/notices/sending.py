"""Owes notices and sends them. A notice is a row, so it outlives a stopped queue; the clock looks for due ones each minute.

Like delivery, sending holds no transaction while the relay answers: it commits its own short ones. A notice may go twice
after a crash (it is service mail the person asked for); it is never lost.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from flask import current_app
from sqlalchemy import CursorResult, select, update

from preference_center import clock, jobs
from preference_center.config import Settings
from preference_center.contacts import moving
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.errors import Unavailable
from preference_center.mail import mime, smtp
from preference_center.mail.outcomes import TEXT_LIMIT, Outcome
from preference_center.notices import envelopes, letters
from preference_center.notices.models import TO_US, Kind, Notice, NoticeState
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause

log = structlog.get_logger()

LEASE = timedelta(minutes=10)
WAITS = [timedelta(minutes=minutes) for minutes in (1, 2, 5, 15, 60, 180, 360)]
MOST_TRIES = len(WAITS) + 1
NONE = 0  # no notice has this id
_WAITING = Notice.state.in_([NoticeState.queued, NoticeState.sending])
# What a notice has to say now, by a room above this one, where time may have passed since it was owed; none: nothing any more;
# a moment: it is asked again then.
Today = Callable[[Notice, Contact | None], dict[str, Any] | datetime | None]


def owe(kind: Kind, contact: Contact, payload: dict[str, Any]) -> Notice:
    """We owe this person a mail. `payload` holds ids and keys only."""
    return _add(kind, contact.id, payload, NoticeState.queued)


def ask_again(notice: Notice) -> Notice:
    """It was asked for once more, but one mail is enough: counted there, and else all is done as where we do not write (S66)."""
    return _add(notice.kind, None, {}, NoticeState.dropped, again=notice.id)


def tell_us(kind: Kind, payload: dict[str, Any]) -> Notice:
    """The organisation's own contact address must hear of something."""
    return _add(kind, None, payload, NoticeState.queued)


def drop(kind: Kind) -> Notice:
    """It was asked for by an address we do not write to. Noted all the same, so that it costs what an answer costs (S66)."""
    return _add(kind, None, {}, NoticeState.dropped)


def as_noted(notice: Notice, _contact: Contact | None) -> dict[str, Any] | None:
    return notice.payload


def drain(limit: int = 50, *, today: Today = as_noted, since: datetime | None = None) -> int:
    """Send what is due, where `since` is given what became so since then; how many were handed over.

    One at a time: notices are few and each is wanted now.
    """
    sent = 0
    for notice_id in _due(limit, since):
        sent += send(notice_id, today)
    return sent


def send(notice_id: int, today: Today = as_noted) -> bool:
    """Claim one notice and hand it over. False when somebody else has it, or it did not go."""
    with transaction():
        if not _claim(notice_id):
            return False
    return _finish(notice_id, _try(*_load(notice_id), today))


@dataclass(frozen=True)
class _Ending:
    state: NoticeState
    message_id: str | None = None
    trouble: str | None = None
    wait: timedelta = timedelta(0)
    counts: bool = True  # as a try


def _try(notice: Notice, contact: Contact | None, today: Today) -> _Ending:
    if notice.attempts > MOST_TRIES:
        return _Ending(NoticeState.failed, trouble="too many tries")
    to = _mailbox(notice, contact)
    said = today(notice, contact)
    if to is None or said is None:
        return _Ending(NoticeState.dropped)
    if isinstance(said, datetime):
        return _Ending(NoticeState.queued, wait=said - clock.now(), counts=False)
    if not _may_write_to(notice, contact, *to):
        return _Ending(NoticeState.dropped)
    return _hand_over(notice, contact, to[0], said)


def _hand_over(notice: Notice, contact: Contact | None, mailbox: str, said: dict[str, Any]) -> _Ending:
    kind, attempts = notice.kind, notice.attempts
    try:
        means = envelopes.means()
        message_id, envelope = envelopes.seal(means, notice, letters.write(notice, contact, said), mailbox)
    except Unavailable as fault:  # no fault of this notice, and no try of it
        log.error("notice.no_means", kind=kind, trouble=fault.message)
        return _Ending(NoticeState.queued, None, fault.message[:TEXT_LIMIT], WAITS[0], counts=False)
    except ValueError as fault:  # it must not hold up the notices behind it
        log.error("notice.not_written", kind=kind, fault=type(fault).__name__)
        return _ending(Outcome.not_sent, f"This mail cannot be written: {fault}"[:TEXT_LIMIT], attempts)
    db.session.rollback()
    result = smtp.send_one(means.relay, envelope)
    ending = _ending(result.outcome, result.text, attempts, message_id)
    log.info("notice.tried", kind=kind, outcome=result.outcome, state=ending.state, code=result.code)
    return ending


def _ending(outcome: Outcome, words: str, attempts: int, message_id: str | None = None) -> _Ending:
    if outcome is Outcome.accepted:
        return _Ending(NoticeState.sent, message_id)
    if outcome is Outcome.uncertain:  # it most likely arrived, and the person can ask again
        return _Ending(NoticeState.sent, message_id, words)
    if outcome is Outcome.permanent or attempts >= MOST_TRIES:
        return _Ending(NoticeState.failed, None, words)
    return _Ending(NoticeState.queued, None, words, WAITS[attempts - 1])


def _finish(notice_id: int, ending: _Ending) -> bool:
    now = clock.now()
    with transaction():
        db.session.execute(
            update(Notice)
            .where(Notice.id == notice_id, Notice.state == NoticeState.sending)
            .values(
                state=ending.state,
                attempts=Notice.attempts if ending.counts else Notice.attempts - 1,
                sent_at=now if ending.state is NoticeState.sent else None,
                message_id=ending.message_id,
                trouble=ending.trouble,
                next_try_at=now + ending.wait,
            )
        )
    return ending.state is NoticeState.sent


def _add(kind: Kind, contact_id: int | None, payload: dict[str, Any], state: NoticeState, again: int = NONE) -> Notice:
    now = clock.now()
    db.session.execute(update(Notice).where(Notice.id == again).values(asked=Notice.asked + 1))
    notice = Notice(kind=kind, contact_id=contact_id, payload=payload, state=state, next_try_at=now, created_at=now)
    db.session.add(notice)
    db.session.flush()
    jobs.later(jobs.SEND_NOTICE)  # for a dropped one too: the answer must not tell which it was
    return notice


def _due(limit: int, since: datetime | None) -> list[int]:
    due = select(Notice.id).where(_WAITING, Notice.next_try_at <= clock.now())
    if since is not None:
        due = due.where(Notice.next_try_at >= since)
    return list(db.session.scalars(due.order_by(Notice.next_try_at).limit(limit)))


def let_go(before: datetime) -> int:
    """Of what was due before, most likely all went, and the database was restored since: none of it goes again. How many they were."""
    dropped = db.session.execute(
        update(Notice)
        .where(_WAITING, Notice.next_try_at < before)
        .values(state=NoticeState.dropped, trouble="due before the database was restored")
        .execution_options(synchronize_session=False)
    )
    return dropped.rowcount if isinstance(dropped, CursorResult) else 0


def _claim(notice_id: int) -> bool:
    """Ours when the row is due, be it new or left behind by a sender that died."""
    now = clock.now()
    claimed = db.session.execute(
        update(Notice)
        .where(Notice.id == notice_id, _WAITING, Notice.next_try_at <= now)
        .values(state=NoticeState.sending, attempts=Notice.attempts + 1, next_try_at=now + LEASE)
    )
    return isinstance(claimed, CursorResult) and claimed.rowcount == 1


def _load(notice_id: int) -> tuple[Notice, Contact | None]:
    notice = db.session.get_one(Notice, notice_id)
    return notice, db.session.get(Contact, notice.contact_id) if notice.contact_id else None


def _mailbox(notice: Notice, contact: Contact | None) -> tuple[str, bytes] | None:
    """The contact's address with its hash; while that changes, the one the notice speaks to. Some go to the organisation itself."""
    if notice.kind in TO_US:
        settings: Settings = current_app.extensions["settings"]
        return settings.contact_email or settings.from_address, b""
    if contact is None:
        return None
    if notice.kind not in (Kind.confirm_address, Kind.address_changed):
        return (contact.email, contact.address_hash) if contact.email and contact.address_hash else None
    change = moving.named(contact, notice.payload.get("change", ""))
    if change is None or change.undone_at is not None:
        return None
    to_the_new = notice.kind is Kind.confirm_address
    return (change.new_email, change.new_hash) if to_the_new else (change.old_email, change.old_hash)


def _may_write_to(notice: Notice, contact: Contact | None, email: str, address_hash: bytes) -> bool:
    """Service mail that a person asked for goes even to one who left; not to an address that is gone or was erased.

    Whoever was erased and signs up again is asked to confirm: only that brings them back. An address that somebody
    typed is not asked either where a complaint or our own stop stands against it.
    """
    if contact is not None and contact.erased_at is not None:
        return False
    try:
        mime.mailbox("", email)
    except ValueError:  # kept before such addresses were refused; it must not hold up the notices behind it
        return False
    if notice.kind in (Kind.confirm_subscription, Kind.confirm_address) and register.blocks_return(address_hash):
        return False
    cause = register.standing([address_hash]).get(address_hash)
    return cause is not Cause.bounce and (cause is not Cause.erased or notice.kind is Kind.confirm_subscription)
