"""Guessing slows the guesser down, and nobody else."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from preference_center import clock
from preference_center.accounts import signing_in, throttle
from preference_center.accounts.models import FailedSignIn
from preference_center.accounts.throttle import TooManyAttempts
from preference_center.db import db, transaction
from tests.support import staff


def _fail(times: int, email: str = "maria@example.com", network: str = "192.0.2.1") -> None:
    with transaction():
        for _ in range(times):
            throttle.note_failure(email, network)


def test_five_failures_of_one_network_at_one_account_must_wait(app: Flask) -> None:  # V6.3.1
    _fail(4)
    throttle.check("Maria@example.com", "192.0.2.1")
    _fail(1)
    with pytest.raises(TooManyAttempts):
        throttle.check("Maria@example.com", "192.0.2.1")


def test_a_stranger_cannot_lock_the_owner_out(app: Flask) -> None:  # V6.1.1
    _fail(500, network="203.0.113.9")
    throttle.check("maria@example.com", "192.0.2.1")


def test_trying_many_accounts_from_one_network_must_wait_too(app: Flask) -> None:
    for number in range(throttle.PER_NETWORK):
        _fail(1, f"person{number}@example.com")
    with pytest.raises(TooManyAttempts):
        throttle.check("new@example.com", "192.0.2.1")


def test_one_ipv6_customer_counts_as_one_network(app: Flask) -> None:
    for number in range(5):
        _fail(1, network=f"2001:db8:1:2::{number}")
    with pytest.raises(TooManyAttempts):
        throttle.check("maria@example.com", "2001:db8:1:2:ffff::1")


@pytest.mark.parametrize("second", ["2001:db8::ffff:2", "2001:db8:0:0:a::2", "2001:0db8::2"])
def test_a_network_with_zeros_in_it_is_one_network_too(second: str) -> None:
    assert throttle.whole("2001:db8::1") == throttle.whole(second)
    assert throttle.whole("2001:db8::1") != throttle.whole("2001:db8:0:1::1")


def test_an_ipv4_address_is_one_in_either_writing() -> None:
    assert throttle.whole("::ffff:192.0.2.1") == throttle.whole("192.0.2.1") == "192.0.2.1"


def test_it_is_forgotten_after_a_quarter_of_an_hour(app: Flask) -> None:
    _fail(5)
    with time_machine.travel(clock.now() + timedelta(minutes=15, seconds=1)):
        throttle.check("maria@example.com", "192.0.2.1")


def test_no_address_is_kept_and_rows_go_after_a_day(app: Flask) -> None:
    _fail(1)
    with time_machine.travel(clock.now() + timedelta(days=1, seconds=1)):
        _fail(1, "jan@example.com")
    rows = db.session.query(FailedSignIn).all()
    assert len(rows) == 1
    assert all(len(row.account) == len(row.network) == 16 for row in rows)


def test_a_right_password_does_not_help_while_one_must_wait(app: Flask) -> None:
    with transaction():
        staff.user()
    _fail(5)
    with pytest.raises(TooManyAttempts):
        signing_in.check_password("maria@example.com", staff.PASSWORD, "192.0.2.1")
