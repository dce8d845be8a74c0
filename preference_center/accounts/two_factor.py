"""The second factor: time-based codes that work once, for 30 seconds and the 30 before, and recovery codes kept as hashes."""

from datetime import timedelta
from typing import Any

from flask_security import Totp
from flask_security.proxies import _security
from passlib.exc import TokenError  # type: ignore[import-untyped]
from sqlalchemy import or_, update

from preference_center import clock
from preference_center.accounts.keyed import keyed
from preference_center.accounts.models import User
from preference_center.db import db
from preference_center.errors import Invalid

STEP = 30
CODES = 10


class OneTimeCodes(Totp):
    """Flask-Security's codes, with the window of ASVS V6.5.5: this step and the one before."""

    def step_of(self, code: str, secret: str, last: int | None) -> int | None:
        """The step this code belongs to, or none when it is wrong, too old, or not newer than `last`."""
        moment = clock.now() - timedelta(seconds=STEP / 2)
        try:
            match = self._totp.verify(code, secret, time=int(moment.timestamp()), window=STEP // 2, last_counter=last)
        except TokenError:
            return None
        return int(match.counter)


def new_secret() -> str:
    """A fresh secret, encrypted, fit to be kept in a cookie until its first code is shown."""
    return str(_codes().generate_totp_secret())


def how_to_set_up(user: User, secret: str) -> dict[str, str]:
    """`image` (an SVG as data URI), `key` (to type), `uri`."""
    values: dict[str, str] = _codes().fetch_setup_values(secret, user)
    return values


def turn_on(user: User, secret: str, code: str) -> list[str]:
    """Bind the authenticator that shows `code`. Returns fresh recovery codes, shown once."""
    step = _codes().step_of(_clean(code), secret, None)
    if step is None:
        raise Invalid(WRONG, {"code": WRONG})
    user.tf_totp_secret, user.tf_primary_method, user.tf_last_counter = secret, "authenticator", step
    return new_recovery_codes(user)


def use_code(user: User, code: str) -> bool:
    """True once for each right code. Two requests with the same code: one wins, by a conditional UPDATE."""
    step = _codes().step_of(_clean(code), user.tf_totp_secret or "", user.tf_last_counter)
    if step is None:
        return False
    claimed: Any = db.session.execute(
        update(User)
        .where(User.id == user.id, or_(User.tf_last_counter.is_(None), User.tf_last_counter < step))
        .values(tf_last_counter=step)
        .execution_options(synchronize_session="fetch")
    )
    return bool(claimed.rowcount == 1)


def new_recovery_codes(user: User) -> list[str]:
    """Ten new codes; the old ones end. Only hashes are kept, so they are shown this one time."""
    codes: list[str] = _codes().generate_recovery_codes(CODES)
    user.recovery_codes = [_hash(user, code) for code in codes]
    return codes


def use_recovery_code(user: User, code: str) -> bool:
    """True once for each code. The caller holds the transaction; the row is locked so that a code cannot be used twice."""
    db.session.refresh(user, with_for_update=True)
    wanted = _hash(user, code)
    if wanted not in user.recovery_codes:
        return False
    user.recovery_codes = [kept for kept in user.recovery_codes if kept != wanted]
    return True


def turn_off(user: User) -> None:
    """Only together with the password (`invitations.start_over`): the person lost their device."""
    user.tf_totp_secret = user.tf_primary_method = user.tf_last_counter = None
    user.recovery_codes = []


WRONG = "This code does not fit. Type the one your app shows now; each code works once. If it keeps failing, check the clock of your phone."


def _hash(user: User, code: str) -> str:
    plain = "".join(c for c in code.casefold() if c.isalnum())
    return keyed("recovery", f"{user.fs_uniquifier}:{plain}").hex()


def _clean(code: str) -> str:
    return "".join(code.split())[:12]


def _codes() -> OneTimeCodes:
    codes = _security._totp_factory
    assert isinstance(codes, OneTimeCodes)  # noqa: S101 set in signing_in.init
    return codes
