"""T1 and C6: clocks that are wrong, and more clocks than one."""

import subprocess
import sys
from datetime import datetime, timedelta

import pytest
from rq import Worker
from sqlalchemy import select

from preference_center import clock, jobs
from preference_center.campaigns import scheduling
from preference_center.config import Settings
from preference_center.db import db, transaction
from preference_center.delivery.models import Run
from tests.faults.scenario import Scenario, scenario
from tests.support import make
from tests.support.house import environment

pytestmark = [pytest.mark.only_postgresql, pytest.mark.processes, pytest.mark.usefixtures("app")]

SLOTS = 100


@pytest.mark.parametrize("hours", [24, -1])
def test_workers_whose_clock_is_wrong_claim_nothing_twice_and_doubt_nobody(settings: Settings, hours: int) -> None:
    """T1. Leases are by the time of the database: one that sweeps by a wrong clock takes nobody for dead."""
    wrong = [sys.executable, "-m", "tests.faults.wrong_clock", str(hours)]
    with scenario(
        settings, "--reply-delay", "0.1", people=150
    ) as play:  # started by the right time, before anybody sweeps
        play.own.start_worker("right", "delivery")
        play.own.start("wrong", [*wrong, "delivery"])
        play.own.start("sweeper", [*wrong, "campaigns", "housekeeping"])
        bell = play.own.app.extensions["bell"]
        play.until(lambda: len(Worker.all(connection=bell.redis)) == 3, "the workers")
        play.until(lambda: _two_at_work(play), "two at work")
        for journal in play.own.settings.journals.glob("*.journal"):
            journal.unlink()  # as if each worked on a machine of its own: only its lease tells that it lives
        past = play.finish(uncertain=0)
        assert past.of("sent") == play.people
        assert max(_runs()) - min(_runs()) > timedelta(minutes=50), "both clocks were at work"


def _two_at_work(play: Scenario) -> bool:
    play.ring(jobs.DELIVER, play.campaign_id)  # as often as it takes: each ring may wake another worker
    return len(_runs()) >= 2


def _runs() -> list[datetime]:
    db.session.rollback()
    return list(db.session.scalars(select(Run.started_at)))


def test_three_clocks_on_a_hundred_slots_start_each_once(settings: Settings) -> None:  # C6, P9
    with scenario(settings, people=1, started=False) as play:
        with transaction():
            topic = make.topic("slots")
            made = [scheduling.create(f"Slot {n}", topic, "News", "markdown", "Hello") for n in range(SLOTS)]
        with transaction():
            for campaign in made:
                scheduling.schedule(campaign, clock.now())
        wanted = {campaign.id for campaign in made} | {play.campaign_id}
        db.session.rollback()
        clocks = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.faults.starter"],
                env=environment(play.own.settings),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        for one in clocks:
            assert one.stdout is not None and one.stdout.readline() == "ready\n"
        for one in clocks:
            assert one.stdin is not None
            one.stdin.write("now\n")
            one.stdin.flush()
        started = [[int(word) for word in one.communicate(timeout=30)[0].split()] for one in clocks]
        print([len(one) for one in started])
        assert sorted(number for one in started for number in one) == sorted(wanted)
