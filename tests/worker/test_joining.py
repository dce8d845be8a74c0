"""One campaign and several idle workers: each that begins calls one more, with no sweep and nobody to co-ordinate them."""

import time

import pytest
from rq import Worker
from sqlalchemy import select

from preference_center import jobs
from preference_center.config import Settings
from preference_center.db import db
from preference_center.delivery.models import Run
from tests.faults.scenario import Scenario, scenario

pytestmark = [pytest.mark.only_postgresql, pytest.mark.processes, pytest.mark.usefixtures("app")]


def test_idle_workers_are_all_at_work_soon_after_the_filling(settings: Settings) -> None:
    with scenario(settings, "--reply-delay", "0.1", people=300, started=False) as play:
        for name in ("first", "second"):
            play.own.start_worker(name)
        bell = play.own.app.extensions["bell"]
        play.until(lambda: len(Worker.all(connection=bell.redis)) == 2, "the workers")
        time.sleep(0.5)  # the last sweep that was rung for has gone by
        play.start()
        end, runs = time.monotonic() + 20, _runs(play)
        while len(runs) < 2:
            assert time.monotonic() < end, f"{len(runs)} are at work; nobody called the other"
            time.sleep(0.05)
            runs = _runs(play)
        starts = [run.started_at for run in runs]
        print(f"both at work {(max(starts) - min(starts)).total_seconds():.1f} s after the first")
        assert bell._queue(jobs.DELIVER).count <= 2, "they ring without end"
        assert play.finish().of("sent") == play.people


def _runs(play: Scenario) -> list[Run]:
    """Those that are under way."""
    db.session.rollback()
    return list(db.session.scalars(select(Run).where(Run.campaign_id == play.campaign_id, Run.ended_at.is_(None))))
