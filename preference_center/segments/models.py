"""A segment with a name: a rule that several campaigns can use."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.db import Base, WithPublicId


class Segment(WithPublicId, Base):
    __tablename__ = "segments"

    name: Mapped[str] = mapped_column(String(80))
    folded_name: Mapped[str] = mapped_column(String(240), unique=True)  # so that two names differ in more than capitals
    rule: Mapped[dict[str, Any]]  # in its JSON form; the text is made from it
    version: Mapped[int] = mapped_column(default=1)  # raised by each save: who saves on an older one is told (P13)
    counted: Mapped[int | None] = mapped_column(BigInteger)  # how many it meant when somebody last counted
    counted_at: Mapped[datetime | None]
    created_by: Mapped[str] = mapped_column(String(40), default="")
    created_at: Mapped[datetime]
    changed_by: Mapped[str] = mapped_column(String(40), default="")
    changed_at: Mapped[datetime]
