"""Which clock a process goes by."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from preference_center import clock

NOON = datetime(2026, 5, 14, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    clock.keep_to(lambda: datetime.now(UTC))


@pytest.mark.parametrize("wrong", [timedelta(days=1), timedelta(hours=-1), timedelta(seconds=5)])
def test_a_process_goes_by_the_shared_clock_where_its_own_is_wrong(wrong: timedelta) -> None:  # T1
    with time_machine.travel(NOON + wrong, tick=False) as machine:
        assert clock.keep_to(lambda: NOON) == wrong
        assert clock.now() == NOON
        machine.shift(60)
        assert clock.now() == NOON + timedelta(minutes=1)


def test_a_difference_within_two_seconds_is_the_journey_and_not_the_clock() -> None:
    with time_machine.travel(NOON, tick=False):
        assert clock.keep_to(lambda: NOON - timedelta(seconds=1)) == timedelta()
        assert clock.now() == NOON


def test_a_clock_that_was_put_right_is_believed_again() -> None:
    with time_machine.travel(NOON + timedelta(days=1), tick=False):
        clock.keep_to(lambda: NOON)
    with time_machine.travel(NOON, tick=False):
        assert clock.keep_to(lambda: NOON) == timedelta()
        assert clock.now() == NOON


def test_an_answer_that_took_long_is_not_taken_for_a_wrong_clock() -> None:
    with time_machine.travel(NOON, tick=False) as machine:

        def slow() -> datetime:
            machine.shift(3)
            return NOON + timedelta(seconds=1)

        assert clock.keep_to(slow) == timedelta()
