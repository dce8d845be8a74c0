"""What the owner set up for the public pages: sign-up forms and the look; and what browsers reported of the pages' policy."""

from datetime import datetime
from typing import Any

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.db import Base, Json


class SignUpForm(Base):
    """A form at /subscribe/<key>: the topics it offers, its words by language, and how many may sign up there in an hour."""

    __tablename__ = "sign_up_forms"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)  # stands in pages of other sites: it never changes
    topics: Mapped[list[str]] = mapped_column(Json)  # keys, in the order shown
    texts: Mapped[dict[str, Any]] = mapped_column(default=dict)  # {language: {"title": …, "lead": …, "thanks": …}}
    asks_name: Mapped[bool] = mapped_column(default=False)
    most_an_hour: Mapped[int] = mapped_column(default=300)
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class Brand(Base):
    """The look of the public pages, one row: what the owner chose, and the stylesheet made of it when it was saved."""

    __tablename__ = "brands"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(80), default="")
    chosen: Mapped[dict[str, Any]] = mapped_column(default=dict)  # by the names in branding.py
    css: Mapped[str] = mapped_column(Text, default="")
    digest: Mapped[str] = mapped_column(String(16), default="")  # of the stylesheet; it stands in its address
    changed_at: Mapped[datetime]


class PolicyReport(Base):
    """How often browsers reported that a page broke one directive of its policy, by day. Nothing else of a report is kept."""

    __tablename__ = "policy_reports"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    directive: Mapped[str] = mapped_column(String(40), primary_key=True)
    count: Mapped[int] = mapped_column(default=0)
