"""A notice is one piece of service mail we owe one person. It is a row, so that it survives a queue that is away."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.db import Base, BigId, WithPublicId, text_enum


class Kind(StrEnum):
    """Each kind has a letter in letters.py."""

    confirm_subscription = "confirm_subscription"
    new_link = "new_link"
    topic_turned_on = "topic_turned_on"
    consent_renewed = "consent_renewed"
    rights_link = "rights_link"
    confirm_address = "confirm_address"  # to the new address
    address_changed = "address_changed"  # to the old one
    consent_ending = "consent_ending"
    receipt = "receipt"
    requests_due = "requests_due"  # to the organisation


TO_US = (Kind.requests_due,)  # no contact gets these


class NoticeState(StrEnum):
    queued = "queued"
    sending = "sending"
    sent = "sent"
    failed = "failed"
    dropped = "dropped"  # asked for, but not owed: unknown, suppressed, or owed already; see sending.drop


class Notice(WithPublicId, Base):
    __tablename__ = "notices"
    __table_args__ = (
        Index(
            "ix_notices_due",
            "next_try_at",
            sqlite_where=text("state IN ('queued', 'sending')"),
            postgresql_where=text("state IN ('queued', 'sending')"),
        ),
        Index("ix_notices_contact_id", "contact_id", "kind", "created_at"),
    )

    kind: Mapped[Kind] = mapped_column(text_enum(Kind, 30))
    contact_id: Mapped[int | None] = mapped_column(BigId)
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)  # ids and keys only, no personal data
    state: Mapped[NoticeState] = mapped_column(text_enum(NoticeState, 10), default=NoticeState.queued)
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    asked: Mapped[int] = mapped_column(default=1)  # how often it was asked for while one mail was enough
    next_try_at: Mapped[datetime]  # while sending: when the sender counts as dead
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    message_id: Mapped[str | None] = mapped_column(String(120))
    trouble: Mapped[str | None] = mapped_column(String(300))  # the relay's words, without the address
