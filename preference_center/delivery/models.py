"""A message is one contact's copy of a campaign: one row per (campaign, contact), so the figures add up at every moment."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Computed, Index, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.db import Base, BigId, text_enum


class MessageState(StrEnum):
    queued = "queued"
    sending = "sending"
    sent = "sent"
    delivered = "delivered"
    bounced = "bounced"
    complained = "complained"
    failed = "failed"
    skipped = "skipped"
    uncertain = "uncertain"


class Message(Base):
    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("campaign_id", "contact_id"),
        # No index looks at the state itself: so sending, sent and delivered are written without touching one (PostgreSQL: HOT).
        Index("ix_messages_waits", "campaign_id", "id", sqlite_where=text("waits = 1"), postgresql_where=text("waits")),
        Index("ix_messages_contact_id", "contact_id"),
        {"postgresql_with": {"fillfactor": 50}},  # each row is written three times: queued, sending, sent
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    campaign_id: Mapped[int]
    contact_id: Mapped[int] = mapped_column(BigId)
    state: Mapped[MessageState] = mapped_column(text_enum(MessageState, 10), default=MessageState.queued)
    waits: Mapped[bool] = mapped_column(Computed("state = 'queued'", persisted=True))  # to be looked up by
    reason: Mapped[str | None] = mapped_column(String(20))  # why skipped (contract.md 6), or the class of failure
    record_id: Mapped[int | None] = mapped_column(BigId)  # the consent record that allowed it
    run_id: Mapped[int | None]  # the run that claimed it
    variant: Mapped[int | None] = mapped_column(
        SmallInteger
    )  # of an experiment: which content; none: waits for the winner
    # fence: raised by each claim, taken back where nothing of it left
    attempt: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    next_try_at: Mapped[datetime | None]
    reply_code: Mapped[int | None] = mapped_column(SmallInteger)
    reply: Mapped[str | None] = mapped_column(String(200))  # the relay's words when it was not 250, without the address
    changed_at: Mapped[datetime]


class Run(Base):
    """One turn of one worker process at one campaign. Its journal file tells, after a crash, what had left and what not."""

    __tablename__ = "delivery_runs"
    __table_args__ = (
        Index("ix_delivery_runs_campaign_id", "campaign_id", "id"),
        Index(
            "ix_delivery_runs_open",
            "id",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int]
    host: Mapped[str] = mapped_column(String(80))
    rule_set: Mapped[str | None] = mapped_column(String(12))  # the version of the countries' rules it judged by
    journal: Mapped[str] = mapped_column(String(80))  # file name under DATA_DIR/journals on that host
    started_at: Mapped[datetime]
    lease_until: Mapped[datetime]  # by database time
    ended_at: Mapped[datetime | None]
