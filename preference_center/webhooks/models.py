"""What arrived at /hooks/…, as it arrived: stored once, encrypted, for a short time. And how many posts were refused."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Index, LargeBinary, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.db import Base, WithPublicId, text_enum


class PostState(StrEnum):
    new = "new"
    done = "done"
    unreadable = "unreadable"  # proven, but not of the shape the provider promises: kept for a mended parser
    failed = "failed"  # a fault of ours: tried again a few times, then kept for a mended program


class InboundPost(WithPublicId, Base):
    __tablename__ = "inbound_posts"
    __table_args__ = (
        UniqueConstraint("provider", "digest"),
        UniqueConstraint("provider", "once"),
        Index(
            "ix_inbound_posts_open",
            "id",
            sqlite_where=text("state IN ('new', 'failed')"),
            postgresql_where=text("state IN ('new', 'failed')"),
        ),
        Index("ix_inbound_posts_received_at", "received_at"),
    )

    provider: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(20), default="")  # the second part of /hooks/<provider>/<name>
    digest: Mapped[bytes] = mapped_column(LargeBinary(16))  # keyed, of the raw body
    once: Mapped[bytes | None] = mapped_column(LargeBinary(16))  # keyed, of a token that is good once
    body: Mapped[bytes] = mapped_column(LargeBinary)  # the whole request, compressed and encrypted (inbox.py)
    size: Mapped[int]  # of the raw body
    state: Mapped[PostState] = mapped_column(text_enum(PostState, 10), default=PostState.new)
    tries: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    next_try_at: Mapped[datetime | None]
    trouble: Mapped[str | None] = mapped_column(String(200))
    events: Mapped[int] = mapped_column(default=0, server_default="0")
    received_at: Mapped[datetime]
    processed_at: Mapped[datetime | None]


class HookRefusal(Base):
    """How many posts a day were not what they claim to be, by the check that failed. The posts themselves leave no trace."""

    __tablename__ = "hook_refusals"
    __table_args__ = (UniqueConstraint("provider", "day", "reason"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(String(20))
    day: Mapped[date]
    reason: Mapped[str] = mapped_column(String(80))
    count: Mapped[int] = mapped_column(default=0)
