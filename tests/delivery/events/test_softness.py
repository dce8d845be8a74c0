"""S122: soft bounces suppress an address for a time after many in a row over two weeks, and one delivery forgives them."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from preference_center import clock
from preference_center.db import db, transaction
from preference_center.delivery.events import releasing, softness, waiting
from preference_center.suppressions.models import Cause, Suppression
from tests.delivery.events.conftest import Sent, event, tell

pytestmark = pytest.mark.both_databases
ANNA = "anna@example.org"


def _weeks(*weeks: float) -> None:
    """A soft bounce so many weeks ago, each of a message of its own."""
    for week in weeks:
        tell(event("bounced", bounce_class="soft", occurred_at=clock.now() - timedelta(weeks=week)))


def _hours_later() -> None:
    with time_machine.travel(clock.now() + timedelta(hours=2), tick=False), transaction():
        waiting.look_again()


def _suppressed() -> list[tuple[Cause, bool]]:
    return [(row.cause, row.until is not None) for row in db.session.scalars(select(Suppression))]


@pytest.fixture(autouse=True)
def mailed(app: Flask, sent: Callable[..., Sent]) -> None:
    """Anna was mailed long ago: her soft bounces are tied to her address, not to that one message."""
    sent(ANNA, started_at=clock.now() - timedelta(weeks=30))


def test_five_weekly_failures_in_a_row_are_enough() -> None:
    _weeks(4, 3, 2, 1)
    _hours_later()
    assert _suppressed() == []
    _weeks(0)
    assert _suppressed() == []
    _hours_later()
    assert _suppressed() == [(Cause.bounce, True)]


def test_many_failures_of_few_days_are_not() -> None:
    _weeks(*(day / 7 for day in range(13)))
    _hours_later()
    assert _suppressed() == []


def test_a_delivery_forgives_all_before_it() -> None:
    _weeks(5, 4, 3, 2)
    tell(event("delivered", occurred_at=clock.now() - timedelta(days=10)))
    _weeks(1, 0)
    _hours_later()
    assert _suppressed() == []


def test_blocks_and_deferrals_are_never_counted() -> None:
    for week in range(9):
        when = clock.now() - timedelta(weeks=week)
        tell(event("bounced", bounce_class="block", occurred_at=when), event("deferred", occurred_at=when))
    _hours_later()
    assert _suppressed() == []


def test_what_a_person_let_go_is_not_counted_again() -> None:
    _weeks(4, 3, 2, 1, 0)
    _hours_later()
    with transaction():
        assert releasing.let_go(releasing.suppressed()) == 1
    _weeks(0)
    _hours_later()
    assert _suppressed() == []


def test_old_failures_fade() -> None:
    now = clock.now()
    assert softness.score([now, now - softness.HALF_LIFE]) == 1.5
    assert softness.score([now - timedelta(days=30 * month) for month in range(5)]) < softness.ENOUGH
    assert softness.score([now - timedelta(days=7 * week) for week in range(5)]) > softness.ENOUGH
