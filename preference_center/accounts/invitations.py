"""Invites users by a link that works once and for 48 hours: passwords are chosen, never sent (ASVS V6.4.1)."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from email_validator import EmailNotValidError, validate_email
from flask import current_app
from sqlalchemy import select, update

from preference_center import clock
from preference_center.accounts import audit, passwords, queries, sessions, two_factor
from preference_center.accounts.models import Invitation, User
from preference_center.accounts.permissions import Role
from preference_center.config import Settings
from preference_center.db import db
from preference_center.errors import Invalid, NotFound

LIFE = timedelta(hours=48)


@dataclass(frozen=True)
class Invited:
    user: User
    url: str  # to be handed over by the one who invited; it is not kept


def invite(email: str, role: Role | str, *, actor: str = "cli") -> Invited:
    """A new user, or a fresh link for one we know: it lets them choose a new password, keeps their second factor, and ends the older link.

    A known user gets the role named here and is signed out everywhere once the new link is used.
    """
    address, role = _address(email), _role(role)
    user = queries.by_email(address)
    if user is None:
        user = User(email=address, role=role, active=True, created_at=clock.now(), recovery_codes=[])
        db.session.add(user)
        db.session.flush()
    user.role, user.active = role, True
    token = _new_link(user, actor)
    audit.note(actor, "user.invited", "user", user.public_id, role=role)
    return Invited(user, url_of(token))


def start_over(email: str, *, actor: str = "cli") -> Invited:
    """A link for who lost their phone and recovery codes: to a new password and a new second factor. NotFound when the account is closed.

    All that opened the door before ends at once, the password too: else whoever knows it would be in before the person is.
    """
    user = queries.by_email(_address(email))
    if user is None or not user.active:
        raise NotFound("There is no user with this address whose account is open.")
    user.password, user.fs_uniquifier = None, secrets.token_hex(32)
    two_factor.turn_off(user)
    sessions.end_all(user)
    audit.note(actor, "user.second_factor_reset", "user", user.public_id)
    return Invited(user, url_of(_new_link(user, actor)))


def url_of(token: str) -> str:
    settings: Settings = current_app.extensions["settings"]
    path = current_app.url_map.bind("invitation").build("admin.invitation", {"token": token})
    return settings.public_url + path


def read(token: str) -> Invitation:
    """The invitation behind a link. NotFound alike for unknown, used and expired ones."""
    found = db.session.scalar(
        select(Invitation).where(
            Invitation.token_hash == _hash(token[:200]),
            Invitation.used_at.is_(None),
            Invitation.expires_at > clock.now(),
        )
    )
    if found is None or not found.user.active:
        raise NotFound("This invitation was used already or is older than 48 hours. Ask an owner for a new one.")
    return found


def accept(token: str, password: str) -> User:
    """Set the password and use the link up, in one statement: of two who press at once, one wins."""
    invitation = read(token)
    passwords.set_password(invitation.user, password)
    claimed = db.session.scalars(
        update(Invitation)
        .where(Invitation.id == invitation.id, Invitation.used_at.is_(None))
        .values(used_at=clock.now())
        .returning(Invitation.id)
    ).all()
    if not claimed:
        raise NotFound("This invitation was used already. Ask an owner for a new one.")
    sessions.end_all(invitation.user)
    audit.note(invitation.user.actor, "user.invitation_accepted", "user", invitation.user.public_id)
    return invitation.user


def _new_link(user: User, actor: str) -> str:
    now = clock.now()
    db.session.execute(
        update(Invitation).where(Invitation.user_id == user.id, Invitation.used_at.is_(None)).values(used_at=now)
    )
    token = secrets.token_urlsafe(32)
    db.session.add(
        Invitation(user_id=user.id, token_hash=_hash(token), created_by=actor, created_at=now, expires_at=now + LIFE)
    )
    db.session.flush()
    return token


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _address(text: str) -> str:
    try:
        return validate_email(text.strip(), check_deliverability=False, strict=True).normalized.casefold()
    except EmailNotValidError as fault:
        raise Invalid(str(fault), {"email": str(fault)}) from None


def _role(role: Role | str) -> Role:
    try:
        return Role(role)
    except ValueError:
        words = f"Choose one of: {', '.join(Role)}."
        raise Invalid(words, {"role": words}) from None
