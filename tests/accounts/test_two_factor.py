"""Codes of the authenticator and recovery codes: each works once."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask

from preference_center.accounts import two_factor
from preference_center.accounts.models import User
from preference_center.db import db, transaction
from preference_center.errors import Invalid
from tests.support import staff

NOON = datetime(2026, 11, 22, 12, 0, 7, tzinfo=UTC)


@pytest.fixture
def maria(app: Flask) -> User:
    with transaction():
        return staff.user()


def _use(user: User, code: str) -> bool:
    with transaction():
        return two_factor.use_code(user, code)


@pytest.mark.both_databases
def test_a_code_works_once(maria: User) -> None:  # V6.5.1
    with time_machine.travel(NOON, tick=False):
        code = staff.code(maria.tf_totp_secret)
        assert _use(maria, code)
        assert not _use(maria, code)


@pytest.mark.parametrize(
    ("steps", "works"),
    [
        pytest.param(-2, False, id="a minute ago"),
        pytest.param(-1, True, id="the step before"),
        pytest.param(0, True, id="now"),
        pytest.param(1, False, id="the next step"),
        pytest.param(4, False, id="a clock two minutes ahead"),
    ],
)
def test_codes_of_this_step_and_the_one_before(maria: User, steps: int, works: bool) -> None:  # V6.5.5
    for second in (0, 14, 15, 29):
        with time_machine.travel(NOON.replace(second=second), tick=False):
            with transaction():
                maria.tf_last_counter = None
            assert _use(maria, staff.code(maria.tf_totp_secret, steps=steps)) is works, second


def test_an_older_code_is_refused_once_a_newer_was_used(maria: User) -> None:
    with time_machine.travel(NOON, tick=False):
        older, newer = (staff.code(maria.tf_totp_secret, steps=steps) for steps in (-1, 0))
        assert _use(maria, newer)
        assert not _use(maria, older)


@pytest.mark.parametrize("code", ["", "abc", "000000 ", "1" * 50, "１２３４５６", "-12345", "\x00"])
def test_nonsense_is_no_code(maria: User, code: str) -> None:
    assert not _use(maria, code)


def test_turning_it_on_needs_a_code_that_fits(app: Flask) -> None:
    with transaction():
        person = staff.user(second_factor=False)
    secret = two_factor.new_secret()
    with pytest.raises(Invalid), transaction():
        two_factor.turn_on(person, secret, "000000")
    assert not person.has_second_factor
    with transaction():
        codes = two_factor.turn_on(person, secret, staff.code(secret))
    assert person.has_second_factor
    assert len(set(codes)) == two_factor.CODES


def test_the_secret_is_encrypted_and_recovery_codes_are_hashed(app: Flask) -> None:  # V6.4, V13.3
    with transaction():
        person = staff.user()
        codes = two_factor.new_recovery_codes(person)
    stored = f"{person.tf_totp_secret}{person.recovery_codes}"
    assert two_factor._codes().get_totp_b32_key(person.tf_totp_secret or "") not in stored
    assert not any(code in stored or code.replace("-", "") in stored for code in codes)


def test_a_recovery_code_works_once_in_any_writing(maria: User) -> None:
    with transaction():
        code = two_factor.new_recovery_codes(maria)[3]
    with transaction():
        assert two_factor.use_recovery_code(maria, code.upper().replace("-", " "))
    with transaction():
        assert not two_factor.use_recovery_code(maria, code)
    assert len(db.session.get_one(User, maria.id).recovery_codes) == two_factor.CODES - 1


def test_new_recovery_codes_end_the_old_ones(maria: User) -> None:
    with transaction():
        old = two_factor.new_recovery_codes(maria)[0]
        two_factor.new_recovery_codes(maria)
    with transaction():
        assert not two_factor.use_recovery_code(maria, old)


def test_another_persons_recovery_code_is_worthless(maria: User) -> None:
    with transaction():
        jan = staff.user("jan@example.com")
        code = two_factor.new_recovery_codes(jan)[0]
        two_factor.new_recovery_codes(maria)
    with transaction():
        assert not two_factor.use_recovery_code(maria, code)


def test_a_code_is_no_longer_good_a_minute_later(maria: User) -> None:
    with time_machine.travel(NOON, tick=False):
        code = staff.code(maria.tf_totp_secret)
    with time_machine.travel(NOON + timedelta(seconds=61), tick=False):
        assert not _use(maria, code)
