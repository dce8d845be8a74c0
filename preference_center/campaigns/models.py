"""A campaign is a plan; a version is its frozen content and rule. State moves by verbs that refuse a wrong order."""

import hashlib
import json
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, SmallInteger, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.db import Base, BigId, WithPublicId, text_enum
from preference_center.errors import Conflict


class CampaignState(StrEnum):
    draft = "draft"
    scheduled = "scheduled"
    sending = "sending"
    paused = "paused"
    sent = "sent"
    cancelled = "cancelled"


class ContentFormat(StrEnum):
    markdown = "markdown"
    mjml = "mjml"
    html = "html"
    blocks = "blocks"


class Campaign(WithPublicId, Base):
    __tablename__ = "campaigns"
    __table_args__ = (Index("ix_campaigns_state", "state", "scheduled_at"),)

    name: Mapped[str] = mapped_column(String(120))
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id"))
    state: Mapped[CampaignState] = mapped_column(text_enum(CampaignState, 10), default=CampaignState.draft)
    version: Mapped[int] = mapped_column(default=1)  # the newest one written
    approved_version: Mapped[int | None]  # the one that is sent: frozen when it is scheduled (P7)
    scheduled_at: Mapped[datetime | None]
    not_after: Mapped[datetime | None]
    wall_time: Mapped[str | None] = mapped_column(String(16))  # as planned: 2026-11-24T09:00; makes `scheduled_at`
    zone: Mapped[str | None] = mapped_column(String(40))  # whose clock that is; empty: each contact's own
    moved_from: Mapped[datetime | None]  # what it came to before the rules of its zone were changed (T4)
    last_wave_at: Mapped[datetime | None]  # when the last of its mail is due, where not all is due at the start
    decide_at: Mapped[datetime | None]  # of an experiment: when the winner is chosen
    winner: Mapped[int | None] = mapped_column(SmallInteger)
    archived_at: Mapped[datetime | None]  # shown in the public archive since then
    frozen_segment: Mapped[str | None] = mapped_column(Text)  # the approved rule; segments it names are written out
    frozen_segment_sha256: Mapped[str | None] = mapped_column(String(64))
    made_from: Mapped[str] = mapped_column(String(60), default="", server_default="")  # campaign or template, version
    started_at: Mapped[datetime | None]
    filled_to: Mapped[int] = mapped_column(BigId, default=0)  # highest contact id whose message row exists
    fill_to: Mapped[int | None] = mapped_column(BigId)  # the audience is frozen: contacts added later are not in it
    filled_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    pause_reason: Mapped[str | None] = mapped_column(String(200))  # plain words, where we paused it ourselves
    created_by: Mapped[str] = mapped_column(String(40), default="")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    def schedule(self, at: datetime, now: datetime, not_after: datetime | None = None) -> None:
        self._must_be(CampaignState.draft)
        self.state, self.scheduled_at, self.approved_version = CampaignState.scheduled, at, self.version
        self.not_after, self.updated_at = not_after, now

    def unschedule(self, now: datetime) -> None:
        self._must_be(CampaignState.scheduled)
        self.state, self.scheduled_at, self.approved_version = CampaignState.draft, None, None
        self.wall_time = self.zone = self.moved_from = self.last_wave_at = self.not_after = None
        self.frozen_segment = self.frozen_segment_sha256 = None
        self.updated_at = now

    def freeze_segment(self, rule: str) -> None:
        """No later change of a segment with a name moves what was approved (P7)."""
        self.frozen_segment, self.frozen_segment_sha256 = rule, hashlib.sha256(rule.encode()).hexdigest()

    def segment_is_intact(self) -> bool:
        return hashlib.sha256((self.frozen_segment or "").encode()).hexdigest() == self.frozen_segment_sha256

    def pause(self, now: datetime, reason: str | None = None) -> None:
        self._must_be(CampaignState.sending)
        self.state, self.pause_reason, self.updated_at = CampaignState.paused, reason, now

    def resume(self, now: datetime) -> None:
        self._must_be(CampaignState.paused)
        self.state, self.pause_reason, self.updated_at = CampaignState.sending, None, now

    def cancel(self, now: datetime) -> None:
        self._must_be(CampaignState.scheduled, CampaignState.sending, CampaignState.paused)
        self.state, self.finished_at, self.updated_at = CampaignState.cancelled, now, now

    def finish(self, now: datetime) -> None:
        self._must_be(CampaignState.sending)
        self.state, self.finished_at, self.updated_at = CampaignState.sent, now, now

    @property
    def is_filling(self) -> bool:
        """Whether people are still to be gathered. Of one that is cancelled meanwhile, too: its report tells of everybody."""
        had_begun = self.state is CampaignState.cancelled and self.started_at is not None
        return self.filled_at is None and (had_begun or self.state is CampaignState.sending)

    def gives_up_at(self) -> datetime:
        """When what still waits is too late. A day counts from the start, the last resume or the last wave: a pause uses none of it up."""
        return self.not_after or max(self.updated_at, self.last_wave_at or self.updated_at) + timedelta(days=1)

    def _must_be(self, *allowed: CampaignState) -> None:
        if self.state not in allowed:
            raise Conflict(f"This campaign is {self.state}; that needs it to be {' or '.join(allowed)}.")


class CampaignVersion(Base):
    """What would be sent, as saved at one moment. Never edited; each save adds one."""

    __tablename__ = "campaign_versions"
    __table_args__ = (UniqueConstraint("campaign_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"))
    number: Mapped[int] = mapped_column(SmallInteger)
    subject: Mapped[str] = mapped_column(String(250))
    preheader: Mapped[str] = mapped_column(String(250), default="")
    format: Mapped[ContentFormat] = mapped_column(text_enum(ContentFormat, 10))
    source: Mapped[str] = mapped_column(Text)
    text_source: Mapped[str] = mapped_column(Text, default="")  # empty: made from the source
    segment: Mapped[str] = mapped_column(Text, default="")  # text form of the rule; empty: everyone
    compiled: Mapped[dict[str, Any]]  # html and text templates, made once when the version is saved
    # narrowed to whom an earlier campaign reached or missed (delivery/results/reach.py); other contents to try (experiments.py)
    audience: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    experiment: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    sha256: Mapped[str] = mapped_column(String(64))  # over everything above
    created_by: Mapped[str] = mapped_column(String(40), default="")
    created_at: Mapped[datetime]

    def digest(self) -> str:
        """SHA-256 over everything that decides what is sent and to whom, the compiled templates included."""
        parts = {name: getattr(self, name) for name in _FROZEN}
        parts |= {name: value for name in ("audience", "experiment") if (value := getattr(self, name))}
        return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def is_intact(self) -> bool:
        """Whether the row is still what was saved (P7)."""
        return self.sha256 == self.digest()


_FROZEN = ("number", "subject", "preheader", "format", "source", "text_source", "segment", "compiled")


class Approval(Base):
    """A fact: this person let this version go, with this content, rule and sender (P7)."""

    __tablename__ = "campaign_approvals"

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), index=True)
    version: Mapped[int] = mapped_column(SmallInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    sender: Mapped[str] = mapped_column(String(320))
    by: Mapped[str] = mapped_column(String(40), default="")
    at: Mapped[datetime]


class Template(WithPublicId, Base):
    """A content that campaigns start from. A campaign copies one version; later ones do not touch it."""

    __tablename__ = "templates"

    name: Mapped[str] = mapped_column(String(120))
    version: Mapped[int] = mapped_column(default=1)
    created_by: Mapped[str] = mapped_column(String(40), default="")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


class TemplateVersion(Base):
    """One saved state of a template. Never edited; each save adds one."""

    __tablename__ = "template_versions"
    __table_args__ = (UniqueConstraint("template_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    template_id: Mapped[int] = mapped_column(ForeignKey("templates.id"))
    number: Mapped[int] = mapped_column(SmallInteger)
    subject: Mapped[str] = mapped_column(String(250))
    preheader: Mapped[str] = mapped_column(String(250), default="")
    format: Mapped[ContentFormat] = mapped_column(text_enum(ContentFormat, 10))
    source: Mapped[str] = mapped_column(Text)
    text_source: Mapped[str] = mapped_column(Text, default="")
    created_by: Mapped[str] = mapped_column(String(40), default="")
    created_at: Mapped[datetime]
