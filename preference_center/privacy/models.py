"""A data request is a right a person used, with its deadline by law; a rights link is the one-time way to use one."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.db import Base, BigId, WithPublicId, text_enum
from preference_center.errors import Conflict


class RequestKind(StrEnum):
    access = "access"  # GDPR 15, 20
    rectification = "rectification"  # GDPR 16: a new address
    erasure = "erasure"  # GDPR 17
    restriction = "restriction"  # GDPR 18
    restriction_lifted = "restriction_lifted"
    objection = "objection"  # GDPR 21


class RequestState(StrEnum):
    open = "open"
    done = "done"
    refused = "refused"


class DataRequest(WithPublicId, Base):
    """Who asked for what and when, until when the law gives us, and who closed it how. It holds no address."""

    __tablename__ = "data_requests"
    __table_args__ = (
        Index("ix_data_requests_contact_id", "contact_id", "id"),
        Index("ix_data_requests_state", "state", "due_at"),
    )

    contact_id: Mapped[int] = mapped_column(BigId)
    kind: Mapped[RequestKind] = mapped_column(text_enum(RequestKind, 20))
    state: Mapped[RequestState] = mapped_column(text_enum(RequestState, 8), default=RequestState.open)
    jurisdiction: Mapped[str | None] = mapped_column(String(2))  # whose law set the deadline
    asked_by: Mapped[str] = mapped_column(String(40))  # person, user:<id>, cli, system
    asked_through: Mapped[str] = mapped_column(String(20))  # link, cli, admin, mail
    detail: Mapped[str] = mapped_column(String(80), default="")  # json, html; never anything personal
    asked_at: Mapped[datetime]
    due_at: Mapped[datetime]
    escalated_at: Mapped[datetime | None]  # when the organisation was told that the deadline is near
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(40))
    reason: Mapped[str | None] = mapped_column(String(200))  # why it was refused, as the person was told

    def close(self, by: str, now: datetime) -> None:
        self._must_be_open()
        self.state, self.closed_by, self.closed_at = RequestState.done, by, now

    def refuse(self, reason: str, by: str, now: datetime) -> None:
        self._must_be_open()
        self.state, self.closed_by, self.closed_at, self.reason = RequestState.refused, by, now, reason

    def _must_be_open(self) -> None:
        if self.state is not RequestState.open:
            raise Conflict(f"This request is {self.state} already.")


class Opens(StrEnum):
    """What a rights link was asked for."""

    data = "data"
    address = "address"


class RightsLink(Base):
    """A link that was mailed: it shows for 15 minutes, gives each file once, and acts once. Only its nonce's hash is kept."""

    __tablename__ = "rights_links"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    contact_id: Mapped[int] = mapped_column(BigId, index=True)
    opens: Mapped[Opens] = mapped_column(text_enum(Opens, 8))
    nonce_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime]
    json_at: Mapped[datetime | None]
    html_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
