"""The figures of a campaign, which add up to its audience at every moment, and the rows behind them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Row, func, select

from preference_center.campaigns.models import Campaign
from preference_center.consent.models import ConsentRecord
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.delivery.models import Message, MessageState


@dataclass(frozen=True)
class Figures:
    """`audience` is the sum of all the others."""

    queued: int = 0
    sending: int = 0
    sent: int = 0
    delivered: int = 0
    bounced: int = 0
    complained: int = 0
    failed: int = 0
    uncertain: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)  # the failed ones by class

    @property
    def audience(self) -> int:
        return (
            self.queued + self.sending + self.sent + self.delivered + self.bounced + self.complained
            + self.failed + self.uncertain + sum(self.skipped.values())
        )  # fmt: skip

    def as_dict(self) -> dict[str, object]:
        """The shape of `campaigns show --json` (`contract.md` section 2), without the state."""
        states = {state: getattr(self, state) for state in MessageState if state is not MessageState.skipped}
        return (
            {"audience": self.audience}
            | {str(state): count for state, count in states.items()}
            | {"skipped": self.skipped}
        )


def figures(campaign: Campaign) -> Figures:
    """One consistent count, from one statement."""
    counts: dict[str, int] = {}
    skipped: dict[str, int] = {}
    failures: dict[str, int] = {}
    counted = (
        select(Message.state, Message.reason, func.count())
        .where(Message.campaign_id == campaign.id)
        .group_by(Message.state, Message.reason)
    )
    for state, reason, count in db.session.execute(counted):
        if state is MessageState.skipped:
            skipped[reason or "unknown"] = count
            continue
        if state is MessageState.failed:
            failures[reason or "unknown"] = count
        counts[state] = counts.get(state, 0) + count
    return Figures(**counts, skipped=dict(sorted(skipped.items())), failures=failures)


def rows(
    campaign: Campaign, *, state: MessageState | None = None, reason: str | None = None, after: int = 0, limit: int = 50
) -> list[Row[Message, Contact]]:
    """Messages with their contacts, by rising id, starting behind `after`."""
    statement = (
        select(Message, Contact)
        .join(Contact, Contact.id == Message.contact_id)
        .where(Message.campaign_id == campaign.id, Message.id > after)
        .order_by(Message.id)
        .limit(limit)
    )
    if state is not None:
        statement = statement.where(Message.state == state)
    if reason is not None:
        statement = statement.where(Message.reason == reason)
    return list(db.session.execute(statement))


def records_of(messages: Iterable[Message]) -> dict[int, ConsentRecord]:
    """The consent records that allowed these messages, by their own ids."""
    wanted = {message.record_id for message in messages if message.record_id is not None}
    found = db.session.scalars(select(ConsentRecord).where(ConsentRecord.id.in_(wanted))) if wanted else ()
    return {record.id: record for record in found}


def address_hash_of(message_id: int) -> bytes | None:
    """The address that a message went to; none when there is no such message, or its contact was erased."""
    whose = select(Contact.address_hash).join(Message, Message.contact_id == Contact.id).where(Message.id == message_id)
    return db.session.scalar(whose)


def of_contact(contact: Contact, limit: int = 50) -> list[Row[Message, Campaign]]:
    """The newest messages of one contact with their campaigns."""
    statement = (
        select(Message, Campaign)
        .join(Campaign, Campaign.id == Message.campaign_id)
        .where(Message.contact_id == contact.id)
        .order_by(Message.id.desc())
        .limit(limit)
    )
    return list(db.session.execute(statement))
