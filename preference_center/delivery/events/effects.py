"""What a batch of events comes to, gathered first and then written in one order: messages, then contacts.

That is the order in which a sending worker takes its locks (chunks.py), so the two cannot hold each other up. A message only ever
moves to a worse ending, so the order in which events come does not matter. Nothing here lifts anything.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import case, or_, select, update

from preference_center import clock
from preference_center.consent.ledger import Evidence
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.db import among, db
from preference_center.delivery.models import Message, MessageState
from preference_center.preferences import choices
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics.models import Topic

MAILBOX = "mailbox"  # the source of what comes back by mail

# Endings from better to worse. What is not here (skipped) never moves.
_RANK = {
    MessageState.queued: 0, MessageState.sending: 0, MessageState.uncertain: 0, MessageState.sent: 1,
    MessageState.delivered: 2, MessageState.failed: 3, MessageState.bounced: 4, MessageState.complained: 5,
}  # fmt: skip
_CLASS = {"block": 1, "soft": 2, "hard": 3}


@dataclass(frozen=True, slots=True)
class Source:
    """Which event says so, for the records it leads to."""

    name: str  # a provider, or the mailbox
    event: str  # public id
    happened_at: datetime

    def evidence(self) -> Evidence:
        kind = "mail" if self.name == MAILBOX else "provider"
        return Evidence(kind, f"event:{self.event}", f"provider:{self.name}", happened_at=self.at)

    def suppression(self) -> str:
        return f"provider:{self.name}:{self.event}"

    @property
    def at(self) -> datetime:
        return min(self.happened_at, clock.now())  # a provider's clock may be ahead of ours


@dataclass
class Effects:
    """Gathers; `settle` writes. Everything may be said twice."""

    _ends: dict[int, tuple[MessageState, str | None]] = field(default_factory=dict)
    _suppressed: dict[tuple[bytes, Cause], tuple[Source, datetime | None]] = field(default_factory=dict)
    _leaving: dict[tuple[int, int | None], Source] = field(default_factory=dict)
    _silenced: set[int] = field(default_factory=set)
    _left: set[int] = field(default_factory=set)

    def left(self, message_id: int | None) -> None:
        """Certainly, whatever our row says: a restored database has forgotten it (D3)."""
        if message_id is not None:
            self._left.add(message_id)

    def end(self, message_id: int | None, state: MessageState, reason: str | None = None) -> None:
        """This message ended so, or worse."""
        if message_id is not None:
            known = self._ends.get(message_id)
            if known is None or _weight(*known) < _weight(state, reason):
                self._ends[message_id] = (state, reason)

    def suppress(self, contact_id: int, address_hash: bytes | None, cause: Cause, source: Source) -> None:
        """No more mail to this address. An erased person's is suppressed already."""
        if address_hash is not None:
            self._silenced.add(contact_id)
            self._suppressed[(address_hash, cause)] = (source, None)

    def rest(self, contact_id: int, address_hash: bytes, source: Source, until: datetime) -> None:
        """No mail to this address for a time; what is said for good outranks it."""
        self._silenced.add(contact_id)
        self._suppressed.setdefault((address_hash, Cause.bounce), (source, until))

    def leave(self, contact_id: int, topic_id: int | None, source: Source) -> None:
        """The person leaves a topic, or without one all marketing."""
        self._silenced.add(contact_id)
        self._leaving.setdefault((contact_id, topic_id), source)

    def settle(self) -> None:
        _move(self._ends, self._left)
        contacts.lock(self._silenced, for_withdrawal=True)
        for (address_hash, cause), (source, until) in sorted(self._suppressed.items(), key=lambda item: item[0]):
            register.suppress(address_hash, cause, source.suppression(), until=until, happened_at=source.at)
        for (contact_id, topic_id), source in sorted(self._leaving.items(), key=lambda item: item[0][0]):
            _withdraw(contact_id, topic_id, source.evidence())


def _weight(state: MessageState, reason: str | None) -> tuple[int, int]:
    return _RANK[state], _CLASS.get(reason or "", 0) if state is MessageState.bounced else 0


def _move(ends: dict[int, tuple[MessageState, str | None]], left: set[int]) -> None:
    """Any report about a message proves that it left, so one in doubt or under way ends here too."""
    if not ends:
        return
    rows = db.session.execute(
        select(Message.id, Message.state, Message.reason, Message.attempt)
        .where(among(Message.id, ends), Message.state.in_(_RANK), or_(Message.attempt > 0, among(Message.id, left)))
        .order_by(Message.id)
        .with_for_update()
    )
    worse: dict[tuple[MessageState, str | None], list[int]] = {}
    for row in rows:
        if _weight(*ends[row.id]) > _weight(row.state, row.reason):
            worse.setdefault(ends[row.id], []).append(row.id)
    for (state, reason), ids in worse.items():  # one statement for each way to end
        taken = update(_TABLE).where(among(_TABLE.c.id, ids))
        begun = case((_TABLE.c.attempt == 0, 1), else_=_TABLE.c.attempt)  # else later reports would take it for unsent
        db.session.connection().execute(
            taken.values(state=state, reason=reason, attempt=begun, next_try_at=None, changed_at=clock.now())
        )


def _withdraw(contact_id: int, topic_id: int | None, evidence: Evidence) -> None:
    contact = db.session.get_one(Contact, contact_id, populate_existing=True)
    if contact.erased_at is not None:
        return
    if topic_id is None:
        choices.stop_all(contact, evidence)
    else:
        choices.stop_topic(contact, db.session.get_one(Topic, topic_id), evidence)


_TABLE: Any = Message.__table__
