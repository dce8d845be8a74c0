"""A process on a machine whose clock is wrong goes by the database's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy.exc import OperationalError

from preference_center import clock, signed_links, timekeeping
from preference_center.signed_links import Power


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    clock.keep_to(lambda: datetime.now(UTC))


@pytest.mark.only_postgresql
@pytest.mark.parametrize("wrong", [timedelta(days=1), timedelta(hours=-1)])
def test_the_time_is_the_databases(app: Flask, wrong: timedelta) -> None:  # T1
    right = datetime.now(UTC)
    with time_machine.travel(right + wrong):
        timekeeping.keep(app)
        assert abs(clock.now() - right) < timedelta(seconds=30)


@pytest.mark.both_databases
def test_a_right_clock_is_left_alone(app: Flask) -> None:
    timekeeping.keep(app)
    before = datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)


def test_a_database_that_does_not_answer_changes_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> datetime:
        raise OperationalError("SELECT now()", None, OSError("away"))

    with time_machine.travel(datetime.now(UTC) + timedelta(days=1), tick=False):
        clock.keep_to(lambda: clock.now() - timedelta(days=1))
        told = clock.now()
        monkeypatch.setattr(timekeeping, "shared_time", away)
        timekeeping.keep(app)
        assert clock.now() == told


@pytest.mark.only_postgresql
@pytest.mark.parametrize("power", [Power.confirm, Power.rights, Power.manage])
@pytest.mark.parametrize("wrong", [timedelta(days=1), timedelta(hours=-1)])
def test_a_link_neither_expires_early_nor_lives_on(app: Flask, power: Power, wrong: timedelta) -> None:  # T1
    """Written on one machine, read on another, one of them wrong; a minute before its time is over, and a minute after."""
    right = datetime.now(UTC)
    life = timedelta(seconds=signed_links._LIFE[power] or 0)
    ring = signed_links.ring()
    with time_machine.travel(right + wrong):
        timekeeping.keep(app)
        token = ring.sign(power, ["somebody"])
    clock.keep_to(lambda: datetime.now(UTC))
    assert ring.read(power, token) == ["somebody"]
    with time_machine.travel(right + life - timedelta(minutes=1)):
        assert ring.read(power, token) == ["somebody"]
    with time_machine.travel(right + life + timedelta(minutes=1)), pytest.raises(signed_links.ExpiredLink):
        ring.read(power, token)
