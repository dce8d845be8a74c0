"""P12, X1, X3: an old and a new version work side by side, as in a rolling upgrade, and a campaign survives it.

The old one is this program and the new one a copy of it with what a release may add (next_version.py): real processes on one database
and one queue. What the version before this one relies on is kept in last_version.json, and must stay.
"""

import json
import signal
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from alembic.migration import MigrationContext
from flask import Flask
from rq import Worker
from sqlalchemy import func, select, text
from structlog.testing import capture_logs

from preference_center import clock
from preference_center.app import create_app
from preference_center.campaigns import queries as campaigns
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import CampaignState
from preference_center.config import Settings
from preference_center.db import Base, db, transaction
from preference_center.delivery import sending
from preference_center.delivery.models import Run
from preference_center.jobs import DELIVER, Job
from tests.faults import inside, last_version, next_version
from tests.faults.scenario import CONNECTIONS, scenario
from tests.support.bell import WrittenBell
from tests.support.databases import create_database
from tests.support.relay import FakeRelay
from worker import context
from worker.jobs import delivery

LAST = json.loads(last_version.FILE.read_text(encoding="ascii"))
WORKER = [sys.executable, "-m", "worker"]
PROGRAM = [sys.executable, "-m", "preference_center.cli"]


@pytest.mark.only_postgresql
@pytest.mark.processes
@pytest.mark.usefixtures("app")
def test_a_campaign_survives_an_upgrade_and_a_step_back_while_workers_of_both_versions_send(
    settings: Settings, tmp_path: Path
) -> None:  # P12, X1, X3, P1, P2
    folder = tmp_path / "next"
    number = next_version.make(folder)
    own = replace(settings, database_url=create_database("pc_versions"))
    with create_app(own, bell=WrittenBell()).app_context():
        flask_migrate.upgrade()
        db.session.remove()
        db.engine.dispose()
    with scenario(own, "--reply-delay", "0.1", people=400) as play:
        bell = play.own.app.extensions["bell"]
        play.worker("old")
        play.until(lambda: play.accepted() >= 20, "the first messages")
        upgrade = play.own.start("upgrade", [*PROGRAM, "db", "upgrade"], folder=folder)
        play.until(lambda: upgrade.poll() is not None or play.accepted() >= 120, "the new tables, under the old worker")
        with transaction():
            campaigns.lock(play.campaign_id).pause(
                clock.now()
            )  # a program needs seconds to start, and the rest is for both
        assert upgrade.wait(120) == 0 and _revision() == number
        play.own.start("new", WORKER, folder=folder)
        play.until(lambda: len(Worker.all(connection=bell.redis)) == 2, "the new worker", timeout=120)
        db.session.rollback()
        last = db.session.scalar(select(func.max(Run.id))) or 0
        with transaction():
            scheduling.resume(campaigns.lock(play.campaign_id))
        for _ in range(3):  # as each version rings, and for a job that the old one has never heard of
            bell.ring(DELIVER, (play.campaign_id, "in more words"))
            bell.ring(Job("worker.jobs.delivery.greet", "campaigns"), ("hello",))
            bell.ring(DELIVER, (play.campaign_id,))
        play.until(lambda: _both_at_work(last), "both at work", timeout=120)
        play.kill("old")  # its journal is settled by the new version
        before = play.accepted()
        play.until(lambda: play.accepted() >= before + 40, "what the new version sends alone", timeout=120)
        play.worker("old")  # a step back: the old program on the new tables
        stopped = play.own.processes.pop("new")
        stopped.send_signal(signal.SIGTERM)
        assert stopped.wait(20) == 0
        past = play.finish(uncertain=CONNECTIONS, timeout=180)
        assert past.of("sent", "uncertain") == play.people
        assert db.session.scalar(text("SELECT sum(weight) FROM messages")) == len(play.people)
        db.session.rollback()


def _revision() -> str | None:
    with db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _both_at_work(last: int) -> bool:
    """Each has begun another run."""
    db.session.rollback()
    hosts = list(db.session.scalars(select(Run.host).where(Run.id > last)))
    return 0 < hosts.count(next_version.HOST) < len(hosts)


def test_a_job_in_words_of_another_version_is_refused_in_a_line(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:  # X3
    monkeypatch.setattr(context, "_app", app)
    with capture_logs() as lines:
        delivery.deliver(1, "in more words")  # type: ignore[call-arg]
    assert [(line["event"], line["job"]) for line in lines] == [("job.not_understood", "deliver")]


@pytest.mark.both_databases
def test_a_message_in_a_state_of_a_later_version_is_left_to_it(app: Flask) -> None:  # P12
    with FakeRelay() as relay:
        app.extensions["settings"] = replace(app.extensions["settings"], relay_url=relay.url)
        campaign_id = inside.begun(f"person{number}@example.org" for number in range(5))
        with db.engine.begin() as connection:
            connection.execute(text("UPDATE messages SET state = 'parked' WHERE id = (SELECT min(id) FROM messages)"))
        for _ in range(2):
            sending.run(campaign_id, seconds=5)
            inside.sweep()
        assert len(relay.messages) == 4
        states = text("SELECT state, count(*) FROM messages GROUP BY state ORDER BY state")
        with db.engine.connect() as connection:
            assert [tuple(row) for row in connection.execute(states)] == [("parked", 1), ("sent", 4)]
        assert inside.look(campaign_id).state is CampaignState.sending, "it is over when that one has ended"
        with db.engine.begin() as connection:
            connection.execute(text("UPDATE messages SET state = 'skipped', reason = 'paused' WHERE state = 'parked'"))
        inside.sweep()
        assert inside.look(campaign_id).state is CampaignState.sent


@pytest.mark.parametrize("path", LAST["jobs"])
def test_what_the_last_version_rings_is_still_understood(path: str) -> None:  # X3
    assert last_version.jobs_now()[path] == LAST["jobs"][path]


def test_the_last_version_can_work_on_the_tables_of_this_one() -> None:  # X1
    assert list(last_version.breaks(LAST["tables"], last_version.schema_of(Base.metadata))) == []


def test_what_the_last_version_would_stumble_over_is_found() -> None:
    now: dict[str, Any] = deepcopy(LAST["tables"])
    columns = now["messages"]["columns"]
    del now["topics"], columns["reply"]
    columns["reply_code"]["nullable"] = False
    columns["state"]["type"] = "SMALLINT"
    columns["fine"] = {"type": "TEXT", "nullable": False, "filled": True}
    columns["bad"] = {"type": "TEXT", "nullable": False, "filled": False}
    now["messages"]["unique"].append(["contact_id"])
    assert sorted(last_version.breaks(LAST["tables"], now)) == [
        "messages.bad is new, may not be empty, and nobody fills it in",
        "messages.reply is gone",
        "messages.reply_code may not be empty any more",
        "messages.state was VARCHAR(10) and is SMALLINT",
        "messages: contact_id must be unique now",
        "topics is gone",
    ]
