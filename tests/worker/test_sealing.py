"""The clock seals what was written within the second, lives through a database that is away, and keeps a daily checkpoint."""

import subprocess
import sys
import time

import pytest
from flask import Flask

from preference_center import config, jobs
from preference_center.config import Settings
from preference_center.consent.chain import checkpoints, rows, seal, verifying
from preference_center.db import db, transaction
from tests.cli.conftest import settings_in
from tests.support import make
from tests.support.sources import ROOT
from worker import context, sealing
from worker.jobs import consent


@pytest.fixture(autouse=True)
def in_this_app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "_app", app)


@pytest.mark.both_databases
def test_a_round_seals_what_waits_and_a_checkpoint_is_kept(app: Flask, settings: Settings) -> None:
    consent.checkpoint()
    assert not checkpoints.file_of(settings).exists()
    with transaction():
        make.follower(make.topic())
    assert sealing.round_of_sealing() is True
    consent.checkpoint()
    kept = checkpoints.read(checkpoints.file_of(settings))
    with rows.snapshot() as connection:
        finding = verifying.verify(connection, kept)
    assert (finding.records, finding.unsealed, finding.checkpoints, finding.faults) == (1, 0, 1, [])
    assert jobs.CHECKPOINT.path == "worker.jobs.consent.checkpoint"


def test_a_database_without_tables_or_out_of_reach_is_no_end(app: Flask) -> None:
    with db.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE consent_seals")
    assert sealing.round_of_sealing() is False


@pytest.mark.processes
def test_the_clock_process_seals_within_seconds_without_a_queue(app: Flask, settings: Settings) -> None:
    environ = config.environment(
        settings_in(
            settings.data_dir,
            DATABASE_URL=settings.database_url,
            REDIS_URL="unix:///nonexistent.sock",
            SECRET_KEY=settings.secret_key,
            LINK_KEYS="1:" + "k" * 32,
            PREFERENCE_CENTER_ADDRESS_KEY=settings.address_key,
        )
    )
    with transaction():
        make.follower(make.topic())
    with subprocess.Popen([sys.executable, "-m", "worker", "clock"], env=environ, cwd=ROOT) as clock:
        try:
            end = time.monotonic() + 120  # a busy machine takes its time to start a process
            while seal.waiting():
                assert time.monotonic() < end and clock.poll() is None
                time.sleep(0.1)
                db.session.rollback()
        finally:
            clock.terminate()
            assert clock.wait(10) == 0
