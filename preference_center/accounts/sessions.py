"""Sessions of users: opened at sign-in with a fresh random token, ended from here at any time, over after twelve hours."""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import select, update

from preference_center import clock
from preference_center.accounts.models import User, UserSession
from preference_center.db import db

LONGEST = timedelta(hours=12)  # whatever happens
IDLE = timedelta(hours=1)  # without a page asked for


def open_for(user: User, agent: str) -> str:
    """A new session; its token, which only the person's cookie will know."""
    token = secrets.token_urlsafe(32)
    now = clock.now()
    db.session.add(
        UserSession(
            user_id=user.id, token_hash=_hash(token), agent=agent[:120], created_at=now, expires_at=now + LONGEST
        )
    )
    return token


def standing(token: str, last_seen: datetime | None) -> UserSession | None:
    """The session of this token, unless it was ended, is too old, or was left idle."""
    now = clock.now()
    found = db.session.scalar(
        select(UserSession).where(
            UserSession.token_hash == _hash(token), UserSession.ended_at.is_(None), UserSession.expires_at > now
        )
    )
    if found is None or not found.user.active or last_seen is None or now - last_seen > IDLE:
        return None
    return found


def of_user(user: User) -> list[UserSession]:
    return list(
        db.session.scalars(
            select(UserSession)
            .where(UserSession.user_id == user.id, UserSession.ended_at.is_(None), UserSession.expires_at > clock.now())
            .order_by(UserSession.created_at.desc())
        )
    )


def end(session: UserSession) -> None:
    session.ended_at = session.ended_at or clock.now()


def end_all(user: User) -> None:
    """Everywhere at once: after a new password, a changed role, or at the person's wish."""
    db.session.execute(
        update(UserSession)
        .where(UserSession.user_id == user.id, UserSession.ended_at.is_(None))
        .values(ended_at=clock.now())
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
