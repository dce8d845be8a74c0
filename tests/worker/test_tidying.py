"""What the nightly job clears away besides what is kept no longer."""

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from preference_center import clock
from preference_center.db import db, transaction
from preference_center.delivery.pace.paces import ALL_RELAYS, Pace
from worker import context
from worker.jobs import privacy


@pytest.fixture(autouse=True)
def in_this_app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "_app", app)


@pytest.mark.both_databases
def test_domains_that_say_nothing_any_more_are_forgotten_and_the_others_stay(app: Flask) -> None:
    now = clock.now()

    def pace(domain: str, days: float, relay: str = "relay", counted: float | None = None, **values: object) -> Pace:
        minute: datetime | None = None if counted is None else now - timedelta(days=counted)
        at = now - timedelta(days=days)
        return Pace(relay=relay, domain=domain, changed_at=at, minute_at=minute, day_at=minute, **values)

    with transaction():
        db.session.add_all(
            [
                pace("idle.example", 3),
                pace("counted-long-ago.example", 3, counted=2.5),
                pace("trouble-of-last-month.example", 31, connections=1, failures=4),
                pace("", 400),  # of the relay as a whole
                pace("", 400, relay=ALL_RELAYS, paused_until=now + timedelta(days=9000)),
                pace("busy.example", 3, counted=0.5),
                pace("fresh.example", 1),
                pace("in-trouble.example", 3, connections=2),
                pace("rests.example", 31, connections=1, paused_until=now + timedelta(hours=1)),
            ]
        )
    privacy.tidy_up()
    db.session.rollback()
    left = set(db.session.scalars(select(Pace.domain)))
    assert left == {"", "busy.example", "fresh.example", "in-trouble.example", "rests.example"}
    assert len(list(db.session.scalars(select(Pace.relay).where(Pace.domain == "")))) == 2
