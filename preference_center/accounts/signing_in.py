"""Sign-in of users: Flask-Security set up as the engine (hashing, one-time codes, login), and the check of a password.

Its own pages stay off: they commit by themselves, which on SQLite fails while a campaign is being written, and each of ours
must note what happened in the same transaction. The pages are in `web/admin/sessions.py`.
"""

from functools import cache
from unicodedata import normalize

from flask import Flask
from flask_security import RoleMixin, Security, SQLAlchemyUserDatastore
from flask_security.utils import hash_password, verify_password

from preference_center import clock
from preference_center.accounts import queries, throttle
from preference_center.accounts.keyed import subkey
from preference_center.accounts.models import User
from preference_center.accounts.two_factor import OneTimeCodes
from preference_center.config import Settings
from preference_center.db import db


def init(app: Flask) -> None:
    """Set Flask-Security up on the app."""
    settings: Settings = app.extensions["settings"]
    app.config.update(
        SECURITY_URL_PREFIX="/admin",
        SECURITY_PASSWORD_HASH="argon2",  # noqa: S106 the name of an algorithm
        SECURITY_PASSWORD_SCHEMES=["argon2"],
        SECURITY_PASSWORD_SINGLE_HASH=["argon2"],
        SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS=_cost(light=settings.testing),
        SECURITY_TOTP_SECRETS={"1": subkey(settings, "totp")},
        SECURITY_TOTP_ISSUER=settings.organisation or "Preference Center",
        SECURITY_TWO_FACTOR=True,
        SECURITY_TWO_FACTOR_ENABLED_METHODS=["authenticator"],  # no codes by e-mail or SMS (ASVS V6.3.5)
        SECURITY_TWO_FACTOR_RESCUE_EMAIL=False,
        SECURITY_TWO_FACTOR_AUTHENTICATOR_VALIDITY=30,
        SECURITY_TRACKABLE=True,
        SECURITY_DATETIME_FACTORY=clock.now,
        SECURITY_DEFAULT_REMEMBER_ME=False,
        SECURITY_API_ENABLED_METHODS=["session"],
        SECURITY_JOIN_USER_ROLES=False,
        SECURITY_SEND_REGISTER_EMAIL=False,
        SECURITY_CLI_USERS_NAME="",
        SECURITY_CLI_ROLES_NAME="",
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: a form left open over lunch is not lost
    )
    Security(app, SQLAlchemyUserDatastore(db, User, RoleMixin), register_blueprint=False, totp_cls=OneTimeCodes)
    # Nobody signs in by a token; looking for one would read the body of every request, a provider's post too.
    app.login_manager.request_loader(lambda _: None)  # type: ignore[attr-defined]


def check_password(email: str, password: str, network: str) -> User | None:
    """The user, when address and password belong together. Takes as long when there is no such user. Writes nothing.

    TooManyAttempts when this network has guessed too often. The caller notes a failure with `throttle.note_failure`.
    """
    throttle.check(email, network)
    user = queries.by_email(email)
    if user is not None and not user.active:
        user = None
    password_hash = (user.password if user else None) or _hash_of_nobody()
    right = verify_password(normalize("NFKC", password[:1000]), password_hash)
    return user if right and user and user.password else None


@cache
def _hash_of_nobody() -> str:
    return str(hash_password("nobody has this password"))


def _cost(*, light: bool) -> dict[str, object]:
    """argon2id: 46 MiB, one pass (OWASP's first choice); as light as it goes in tests."""
    memory, passes = (8, 1) if light else (47104, 1)
    return {
        "argon2__type": "ID",
        "argon2__memory_cost": memory,
        "argon2__time_cost": passes,
        "argon2__parallelism": 1,
    }
