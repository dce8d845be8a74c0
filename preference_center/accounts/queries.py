"""How other rooms and the doors read users."""

from sqlalchemy import select

from preference_center.accounts.models import User
from preference_center.db import db
from preference_center.errors import NotFound


def by_email(email: str) -> User | None:
    return db.session.scalar(select(User).where(User.email == email.strip().casefold()))


def by_public_id(public_id: str) -> User:
    user = db.session.scalar(select(User).where(User.public_id == public_id))
    if user is None:
        raise NotFound("There is no such user.")
    return user


def everyone() -> list[User]:
    return list(db.session.scalars(select(User).order_by(User.email)))


def colleagues() -> list[User]:
    """Those who may get a test send: active, and with an invitation they accepted."""
    return [user for user in everyone() if user.active and user.password is not None]


def name_of(actor: str) -> str:
    """The address behind `user:<public id>`; other actors as they are."""
    kind, _, public_id = actor.partition(":")
    if kind != "user":
        return actor
    return db.session.scalar(select(User.email).where(User.public_id == public_id)) or actor
