"""K15, D1 and D3 at length: as many restarts as the matrix says, and a failover that a single worker has to notice."""

import pytest

from preference_center.config import Settings
from tests.faults import long_failover, test_stores, test_workers

pytestmark = [pytest.mark.only_postgresql, pytest.mark.processes, pytest.mark.usefixtures("app")]

ROUNDS = 20


def test_twenty_rolling_restarts_leave_no_doubt(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:  # K15
    monkeypatch.setattr(test_workers, "RESTARTS", ROUNDS)
    test_workers.test_workers_told_to_stop_leave_no_doubt(settings)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_twenty_restarts_of_the_database_lose_nothing(  # D1
    settings: Settings, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(test_stores, "RESTARTS", ROUNDS)
    test_stores.test_a_database_that_restarts_loses_nothing(settings, mode)


def test_a_failover_under_a_single_worker(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:  # D3
    monkeypatch.setattr(long_failover, "WORKERS", 1)
    long_failover.test_a_failover_that_loses_the_last_commits_is_noticed_held_and_reconciled(settings)
