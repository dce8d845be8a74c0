"""A suppression is an address we must not mail, and why. It holds no address, only its keyed hash."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.db import Base, BigId, text_enum


class Cause(StrEnum):
    complaint = "complaint"
    erased = "erased"
    manual = "manual"
    bounce = "bounce"


# A weightier cause is not replaced by a lighter one.
WEIGHT = {Cause.erased: 4, Cause.complaint: 3, Cause.manual: 2, Cause.bounce: 1}


class Suppression(Base):
    """Today's state of one address: the weightiest cause that stands."""

    __tablename__ = "suppressions"
    __table_args__ = {"sqlite_with_rowid": False}

    address_hash: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)
    cause: Mapped[Cause] = mapped_column(text_enum(Cause, 10))
    until: Mapped[datetime | None]  # a temporary one (repeated soft bounces) ends by itself
    created_at: Mapped[datetime]


class SuppressionRecord(Base):
    """The fact behind the state, never changed: an address was suppressed or let go, why, and at whose word."""

    __tablename__ = "suppression_records"
    __table_args__ = (Index("ix_suppression_records_address_hash", "address_hash"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    address_hash: Mapped[bytes] = mapped_column(LargeBinary(16))
    action: Mapped[str] = mapped_column(String(10))  # added, lifted
    cause: Mapped[Cause] = mapped_column(text_enum(Cause, 10))
    source: Mapped[str] = mapped_column(String(60))  # smtp:<message>, provider:…, import:…, user:…
    until: Mapped[datetime | None]  # as it was set: the row of today may say something else
    happened_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
