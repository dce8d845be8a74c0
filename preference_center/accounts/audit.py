"""The audit trail: who did what to what, added and never changed. Ids only, no personal data (ASVS V16)."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, select
from sqlalchemy.orm import Mapped, mapped_column

from preference_center import clock
from preference_center.db import Base, BigId, db


class AuditEntry(Base):
    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_object", "object_kind", "object_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(40))  # user:<public id>, cli, system
    action: Mapped[str] = mapped_column(String(60))
    object_kind: Mapped[str] = mapped_column(String(20), default="")
    object_id: Mapped[str] = mapped_column(String(40), default="")
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)


def note(actor: str, action: str, object_kind: str = "", object_id: str = "", **detail: Any) -> None:
    """Add one entry to the open transaction."""
    db.session.add(
        AuditEntry(
            at=clock.now(), actor=actor, action=action, object_kind=object_kind, object_id=object_id, detail=detail
        )
    )


def moments(action: str, object_kind: str, object_id: str, *, since: datetime) -> list[datetime]:
    """When this was done to it, from then on, in order."""
    entry = AuditEntry
    done = select(entry.at).where(
        entry.object_kind == object_kind, entry.object_id == object_id, entry.action == action
    )
    return list(db.session.scalars(done.where(entry.at >= since).order_by(entry.id)))
