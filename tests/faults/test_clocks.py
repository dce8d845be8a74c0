"""T1 and C6: clocks that are wrong, and more clocks than one."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from rq import Worker
from sqlalchemy import select

from preference_center import clock, jobs
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign
from preference_center.config import Settings
from preference_center.consent import ledger
from preference_center.consent.eligibility import Reason
from preference_center.consent.ledger import Evidence
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery.models import Message, MessageState, Run
from tests.faults.scenario import Scenario, scenario
from tests.support import make
from tests.support.house import environment

pytestmark = [pytest.mark.only_postgresql, pytest.mark.processes, pytest.mark.usefixtures("app")]

SLOTS = 100


WRONG = [sys.executable, "-m", "tests.faults.wrong_clock"]


@pytest.mark.parametrize("hours", [24, -1])
def test_workers_whose_clock_is_wrong_claim_nothing_twice_and_doubt_nobody(settings: Settings, hours: int) -> None:
    """T1. Leases are by the time of the database: one that sweeps by a wrong clock takes nobody for dead."""
    wrong = [*WRONG, str(hours)]
    with scenario(
        settings, "--reply-delay", "0.1", people=150
    ) as play:  # started by the right time, before anybody sweeps
        play.own.start_worker("right", "delivery")
        play.own.start("wrong", [*wrong, "delivery"])
        play.own.start("sweeper", [*wrong, "campaigns", "housekeeping"])
        bell = play.own.app.extensions["bell"]
        play.until(lambda: len(Worker.all(connection=bell.redis)) == 3, "the workers")
        born = [worker.birth_date.replace(tzinfo=UTC) for worker in Worker.all(connection=bell.redis)]
        assert max(born) - min(born) > timedelta(minutes=50), "one clock is wrong"
        play.until(lambda: _two_at_work(play), "two at work")
        for journal in play.own.settings.journals.glob("*.journal"):
            journal.unlink()  # as if each worked on a machine of its own: only its lease tells that it lives
        past = play.finish(uncertain=0)
        assert past.of("sent") == play.people
        assert max(_runs()) - min(_runs()) < timedelta(minutes=5), "what they write goes by one clock"


def test_who_takes_a_break_gets_nothing_from_a_worker_whose_clock_is_a_day_ahead(settings: Settings) -> None:
    """T1, P3: nor is anything written that has tomorrow's date."""
    with scenario(settings, people=20) as play:
        play.own.start_worker("filler", "campaigns")
        play.until(lambda: _filled(play), "all who may be mailed")
        with transaction():
            for contact in db.session.scalars(select(Contact).limit(10)):
                ledger.pause(contact, "email_marketing", clock.now() + timedelta(hours=12), Evidence("link"))
        play.own.start("wrong", [*WRONG, "24"])
        past = play.finish()
        assert len(past.of("sent")) == 10
        assert past.of("skipped") == play.people - past.of("sent")
        assert _reasons() == {Reason.paused_by_contact}
        assert max(_runs()) < clock.now()


def _two_at_work(play: Scenario) -> bool:
    play.ring(jobs.DELIVER, play.campaign_id)  # as often as it takes: each ring may wake another worker
    return len(_runs()) >= 2


def _runs() -> list[datetime]:
    db.session.rollback()
    return list(db.session.scalars(select(Run.started_at)))


def _filled(play: Scenario) -> bool:
    play.ring(jobs.FILL, play.campaign_id)
    db.session.rollback()
    return db.session.get_one(Campaign, play.campaign_id).filled_at is not None


def _reasons() -> set[Reason | None]:
    db.session.rollback()
    return set(db.session.scalars(select(Message.reason).where(Message.state == MessageState.skipped)))


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
