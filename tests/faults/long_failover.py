"""D3 with real processes: PostgreSQL fails over to a standby that has not heard of the last commits, under workers that go on."""

import json
import subprocess
import sys

import pytest
from sqlalchemy import select

from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.config import Settings
from preference_center.db import db, transaction
from preference_center.delivery.models import Run
from preference_center.delivery.restoring import holding
from tests.faults.scenario import CONNECTIONS, Scenario, scenario
from tests.support.databases import postgresql_failover, postgresql_snapshot
from tests.support.house import environment

pytestmark = [pytest.mark.only_postgresql, pytest.mark.processes, pytest.mark.usefixtures("app")]

SLOWLY = ("--reply-delay", "0.02")
WORKERS = 2  # long_rounds.py has one, who notices alone


def test_a_failover_that_loses_the_last_commits_is_noticed_held_and_reconciled(settings: Settings) -> None:
    """D3, P1, P2. Nobody gets a second copy, and all mail waits for a person who has looked."""
    with scenario(settings, *SLOWLY, people=300) as play:
        for number in range(WORKERS):
            play.worker(f"worker{number}")
        play.until(lambda: play.accepted() >= 40, "the first messages")
        standby = _without_us(postgresql_snapshot)
        before = play.accepted()
        play.until(lambda: play.accepted() >= before + 80, "messages that will be forgotten")
        _without_us(lambda: postgresql_failover(standby))
        play.until(lambda: play.look() is CampaignState.paused, "the hold", timeout=120)
        campaign = db.session.get_one(Campaign, play.campaign_id)
        assert campaign.pause_reason == holding.held() and "campaigns reconcile" in str(campaign.pause_reason)
        db.session.rollback()
        play.until(_nobody_sends, "the end of the runs under way")
        settled = _reconcile(play)
        assert settled["held"] is None and [str(campaign.public_id)] == settled["paused"]
        with transaction():
            scheduling.resume(db.session.get_one(Campaign, play.campaign_id))
        past = play.finish(uncertain=2 * WORKERS * CONNECTIONS)  # what was on the wire at each of the two cuts
        assert past.of("sent", "uncertain") == play.people


def _without_us(work):  # type: ignore[no-untyped-def]
    db.session.remove()
    db.engine.dispose()
    return work()


def _nobody_sends() -> bool:
    db.session.rollback()
    return not db.session.scalars(select(Run.id).where(Run.ended_at.is_(None))).all()


def _reconcile(play: Scenario) -> dict[str, object]:
    """As a person does, by the command."""
    command = [sys.executable, "-m", "preference_center.cli", "campaigns", "reconcile", "--release", "--json"]
    done = subprocess.run(command, env=environment(play.own.settings), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    print(found)
    return found
