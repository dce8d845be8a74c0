"""What a relay's answer means for a message and for its address."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select

from preference_center import clock
from preference_center.contacts import addresses
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.delivery import chunks
from preference_center.delivery.chunks import Ending
from preference_center.delivery.models import Message, MessageState
from preference_center.mail import refusals
from preference_center.mail.outcomes import NO_ADDRESS, Outcome, Result
from preference_center.mail.refusals import Verdict
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause

# What is refused before the recipient was named is about us.
_BEFORE_THE_RECIPIENT = {"connect", "hello", "starttls", "login", "mail"}


def ending_of(result: Result, attempt: int, give_up_at: datetime, *, held_back: bool = False) -> Ending:
    """The state that a hand-over leads to (`reliability.md` 2.4). Only an unanswered final dot is uncertain.

    `held_back`: we ourselves said that it may not start any more, so it waits for nothing.
    """
    if result.outcome is Outcome.accepted:
        return Ending(result.key, MessageState.sent, reply_code=result.code)
    now, reply = clock.now(), f"{result.phase}: {result.text}"
    match result.outcome:
        case Outcome.permanent:
            reason = "dead_address" if is_dead(result) else "refused"
            return Ending(result.key, MessageState.failed, reason, result.code, reply)
        case Outcome.uncertain:
            return Ending(result.key, MessageState.uncertain, "no_reply", None, reply)
        case Outcome.not_sent:
            unbroken = held_back or result.phase == "not_started"
            return Ending(result.key, MessageState.queued, next_try_at=None if unbroken else chunks.next_try(0, now))
    again = chunks.next_try(attempt, now)
    if again >= give_up_at:
        return Ending(result.key, MessageState.failed, "gave_up", result.code, reply)
    return Ending(result.key, MessageState.queued, "deferred", result.code, reply, again)


def is_dead(result: Result) -> bool:
    """Whether the relay says that this address does not exist; policy and content refusals (5.7.x) say nothing of it.

    What nobody but ourselves says of an address is a fault of the address only where we could not write it down.
    """
    if result.code is None:
        return result.enhanced == NO_ADDRESS
    if result.phase in _BEFORE_THE_RECIPIENT:
        return False
    return refusals.classify(result.enhanced, result.text, result.code) is Verdict.hard


def suppress_dead(dead: Mapping[int, str]) -> None:
    """Never write again to the addresses that these messages went to; the contact may have another by now."""
    rows = db.session.execute(
        select(Message.id, Contact.email, Contact.address_hash)
        .join(Contact, Contact.id == Message.contact_id)
        .where(Message.id.in_(dead), Contact.erased_at.is_(None))
    )
    for message_id, email, address_hash in rows:
        known = address_hash if email == dead[message_id] else None
        register.suppress(known or addresses.parse(dead[message_id]).hash, Cause.bounce, f"smtp:{message_id}")
