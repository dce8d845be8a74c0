"""Sessions end: by idleness, by age, and when somebody ends them."""

from datetime import timedelta

import time_machine
from flask import Flask

from preference_center import clock
from preference_center.accounts import sessions
from preference_center.accounts.models import UserSession
from preference_center.db import db, transaction
from tests.support import staff


def _open() -> str:
    with transaction():
        return sessions.open_for(staff.user(), "Firefox")


def test_only_a_hash_of_the_token_is_kept(app: Flask) -> None:  # V7.2.3
    token = _open()
    assert token.encode() not in db.session.query(UserSession).one().token_hash
    assert len(token) >= 43, "256 random bits"


def test_an_idle_session_is_over_after_an_hour(app: Flask) -> None:  # V7.3.1
    token, seen = _open(), clock.now()
    with time_machine.travel(seen + timedelta(minutes=59)):
        assert sessions.standing(token, seen)
    with time_machine.travel(seen + timedelta(minutes=61)):
        assert sessions.standing(token, seen) is None


def test_a_busy_session_is_over_after_twelve_hours(app: Flask) -> None:  # V7.3.2
    token = _open()
    later = clock.now() + timedelta(hours=12, seconds=1)
    with time_machine.travel(later):
        assert sessions.standing(token, later) is None


def test_sessions_of_a_closed_account_do_not_stand(app: Flask) -> None:  # V7.4.2
    token = _open()
    with transaction():
        db.session.query(UserSession).one().user.active = False
    assert sessions.standing(token, clock.now()) is None


def test_ending_all_ends_all(app: Flask) -> None:  # V7.5.2
    token = _open()
    with transaction():
        sessions.end_all(db.session.query(UserSession).one().user)
    assert sessions.standing(token, clock.now()) is None
    assert sessions.of_user(db.session.query(UserSession).one().user) == []
