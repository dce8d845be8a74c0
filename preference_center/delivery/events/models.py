"""An event as we keep it: once, without the address, with what it was tied to and what came of it."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, LargeBinary, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.db import Base, BigId, WithPublicId, text_enum
from preference_center.providers.base import BounceClass, Kind


class Effect(StrEnum):
    """What came of an event."""

    applied = "applied"  # it did what its kind does; for many kinds that is nothing but a figure
    waiting = "waiting"  # nothing of ours fits yet: looked for again
    unmatched = "unmatched"  # nothing of ours fits: without effect, unless it turns up after all
    held = "held"  # too many at once that prove nothing of themselves: waits for a person


class MatchedBy(StrEnum):
    """How an event was tied to what we sent. The first two hold a keyed mark of ours: nobody can make them up."""

    mark = "mark"
    message_id = "message_id"
    provider_id = "provider_id"
    address = "address"


SITE = "site"  # the source of what our own links and image tell; its `detail` is the user agent
PROVEN = (MatchedBy.mark, MatchedBy.message_id)
SILENCING = (Kind.bounced, Kind.complained, Kind.unsubscribed)
_SILENCING = text("kind IN ('bounced', 'complained', 'unsubscribed')")


class DeliveryEvent(WithPublicId, Base):
    __tablename__ = "delivery_events"
    __table_args__ = (
        UniqueConstraint("source", "key"),
        Index("ix_delivery_events_message_id", "message_id"),
        Index("ix_delivery_events_contact_id", "contact_id"),
        Index("ix_delivery_events_address_hash", "address_hash"),
        Index("ix_delivery_events_received_at", "received_at"),
        Index(
            "ix_delivery_events_due_at",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index(
            "ix_delivery_events_provider_message_id",
            "source",
            "provider_message_id",
            sqlite_where=text("provider_message_id IS NOT NULL"),
            postgresql_where=text("provider_message_id IS NOT NULL"),
        ),
        Index(
            "ix_delivery_events_silencing",
            "source",
            "received_at",
            sqlite_where=_SILENCING,
            postgresql_where=_SILENCING,
        ),
    )

    source: Mapped[str] = mapped_column(String(20))  # a provider's name, or mailbox
    key: Mapped[str] = mapped_column(String(200))  # the same for a repeat
    kind: Mapped[Kind] = mapped_column(text_enum(Kind, 20))
    bounce_class: Mapped[BounceClass | None] = mapped_column(text_enum(BounceClass, 5))
    scope_all: Mapped[bool] = mapped_column(default=False)
    machine: Mapped[str | None] = mapped_column(String(16))  # why an opening or click is no person's (machines.py)
    message_id: Mapped[int | None] = mapped_column(BigId)  # proven by a mark even before our row is seen
    contact_id: Mapped[int | None] = mapped_column(BigId)
    address_hash: Mapped[bytes | None] = mapped_column(LargeBinary(16))  # of the address concerned
    matched_by: Mapped[MatchedBy | None] = mapped_column(text_enum(MatchedBy, 12))
    effect: Mapped[Effect] = mapped_column(text_enum(Effect, 10))
    due_at: Mapped[datetime | None]  # when to look at it again
    looks: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")  # how often that was done
    link: Mapped[bytes | None] = mapped_column(
        LargeBinary(16)
    )  # which link of a message, as a digest: links hold tokens
    provider_message_id: Mapped[str | None] = mapped_column(String(200))
    status: Mapped[str | None] = mapped_column(String(12))
    detail: Mapped[str | None] = mapped_column(String(500))  # the remote server's words, without addresses
    occurred_at: Mapped[datetime]
    received_at: Mapped[datetime]
    post_id: Mapped[int | None] = mapped_column(BigId)  # the stored post it was read from, while that is kept
