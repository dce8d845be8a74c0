"""Each attempt at a message that the relay put off: when, and what it said. The newest one stands in the message itself.

Written only where a message is to be tried again, so a mail that is taken at once costs nothing here.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import SmallInteger, String, bindparam, exists, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.contacts.models import Contact
from preference_center.db import Base, BigId, among, db
from preference_center.delivery.models import Message, MessageState


class Attempt(Base):
    """A fact: this attempt at a message ended so, and the message waited for the next one."""

    __tablename__ = "message_attempts"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    message_id: Mapped[int] = mapped_column(BigId, index=True)
    contact_id: Mapped[int] = mapped_column(BigId, index=True)
    number: Mapped[int] = mapped_column(SmallInteger)
    reply_code: Mapped[int | None] = mapped_column(SmallInteger)
    reply: Mapped[str | None] = mapped_column(String(200))  # the relay's words, without the address
    at: Mapped[datetime]


class Told(NamedTuple):
    """What came of one attempt; `at` is not known of a last one that a provider has reported on since."""

    number: int
    at: datetime | None
    reply: str


def note(endings: Sequence[Mapping[str, Any]]) -> None:
    """Keep these endings, just stored, of messages that wait for another attempt. Nothing is kept of whom we forgot meanwhile."""
    db.session.connection().execute(_NOTE, endings)


def of(messages: Collection[Message]) -> dict[int, list[Told]]:
    """Every attempt at these messages whose answer is known, by message, the first one first."""
    earlier: dict[int, list[Attempt]] = {}
    tried = [message.id for message in messages if message.attempt]
    if tried:
        kept = select(Attempt).where(among(Attempt.message_id, tried)).order_by(Attempt.message_id, Attempt.number)
        for one in db.session.scalars(kept):
            earlier.setdefault(one.message_id, []).append(one)
    return {message.id: _all_of(message, earlier.get(message.id, [])) for message in messages}


def _all_of(message: Message, earlier: Sequence[Attempt]) -> list[Told]:
    told = [Told(one.number, one.at, words(one.reply_code, one.reply)) for one in earlier]
    last = words(message.reply_code, message.reply)
    if not last or message.state is MessageState.sending or any(one.number == message.attempt for one in told):
        return told
    has_ended = message.state in _AS_IT_ENDED
    if told and told[-1].reply == last and not has_ended:
        return told  # still the words of the try before: a provider reported sooner than this one's were stored
    return [*told, Told(message.attempt, message.changed_at if has_ended else None, last)]


def words(code: int | None, reply: str | None) -> str:
    """A relay's answer as it is shown."""
    return f"{code or ''} {reply or ''}".strip()


_AS_IT_ENDED = (MessageState.sent, MessageState.failed, MessageState.uncertain)
_MESSAGE: Any = Message.__table__
_NOTE = insert(Attempt.__table__).from_select(  # type: ignore[arg-type]
    ["message_id", "contact_id", "number", "reply_code", "reply", "at"],
    select(
        _MESSAGE.c.id,
        _MESSAGE.c.contact_id,
        _MESSAGE.c.attempt,
        _MESSAGE.c.reply_code,
        _MESSAGE.c.reply,
        _MESSAGE.c.changed_at,
    ).where(
        _MESSAGE.c.id == bindparam("b_id"),
        _MESSAGE.c.state == MessageState.queued,
        _MESSAGE.c.run_id == bindparam("b_run"),
        _MESSAGE.c.next_try_at == bindparam("b_next"),  # of this ending and no other
        exists().where(Contact.id == _MESSAGE.c.contact_id, Contact.erased_at.is_(None)),
    ),
)
