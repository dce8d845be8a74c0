"""Users, their invitations, their sessions, and the failed sign-ins that slow a guesser down."""

import secrets
from datetime import datetime

from flask_security import UserMixin
from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from preference_center.accounts.permissions import Permission, Role, may, needs_second_factor
from preference_center.db import Base, BigId, Json, WithPublicId, text_enum


class User(WithPublicId, Base, UserMixin):
    """A member of staff. The names from `fs_uniquifier` on are the ones Flask-Security looks for."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(String(254), unique=True)  # in small letters
    role: Mapped[Role] = mapped_column(text_enum(Role, 10))
    time_zone: Mapped[str] = mapped_column(String(40), default="UTC")  # in which times are shown
    created_at: Mapped[datetime]
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True, default=lambda: secrets.token_hex(32))
    password: Mapped[str | None] = mapped_column(String(255))  # none until the invitation is accepted
    active: Mapped[bool] = mapped_column(default=True)
    tf_primary_method: Mapped[str | None] = mapped_column(String(16))
    tf_totp_secret: Mapped[str | None] = mapped_column(String(255))  # encrypted
    tf_last_counter: Mapped[int | None] = mapped_column(BigId)  # the newest step used: a code works once (ASVS V6.5.1)
    recovery_codes: Mapped[list[str]] = mapped_column(Json, default=list)  # keyed hashes
    last_login_at: Mapped[datetime | None]  # type: ignore[assignment]
    current_login_at: Mapped[datetime | None]  # type: ignore[assignment]
    last_login_ip: Mapped[str | None] = mapped_column(String(64))
    current_login_ip: Mapped[str | None] = mapped_column(String(64))
    login_count: Mapped[int] = mapped_column(default=0)

    @property
    def actor(self) -> str:
        """How this user is named in records and in the audit trail."""
        return f"user:{self.public_id}"

    @property
    def has_second_factor(self) -> bool:
        return bool(self.tf_totp_secret and self.tf_primary_method)

    @property
    def must_set_up_second_factor(self) -> bool:
        return needs_second_factor(self.role) and not self.has_second_factor

    def may(self, permission: Permission) -> bool:
        return self.active and may(self.role, permission)


class Invitation(Base):
    """A link that lets one user choose a password, once. Only its hash is kept."""

    __tablename__ = "invitations"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_by: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    user: Mapped[User] = relationship(lazy="joined")


class UserSession(WithPublicId, Base):
    """One signed-in browser. Its cookie holds the token, this row the hash, so a session can be ended from here."""

    __tablename__ = "user_sessions"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    agent: Mapped[str] = mapped_column(String(120), default="")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    user: Mapped[User] = relationship(lazy="joined")


class FailedSignIn(Base):
    """A wrong password or code, under keyed hashes of the account and the network. Kept for a day."""

    __tablename__ = "failed_sign_ins"
    __table_args__ = (
        Index("ix_failed_sign_ins_account", "account", "at"),
        Index("ix_failed_sign_ins_network", "network", "at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account: Mapped[bytes] = mapped_column(LargeBinary(16))
    network: Mapped[bytes] = mapped_column(LargeBinary(16))
    at: Mapped[datetime]
