"""The ringer wakes a worker for posts, and piles nothing up while none runs."""

import threading
import time

import pytest

from preference_center import jobs
from preference_center.jobs import Job
from preference_center.webhooks import ringing
from preference_center.webhooks.ringing import Ringer
from tests.support.bell import WrittenBell

RING = (jobs.PROCESS_POSTS.path, ())


class WatchedBell(WrittenBell):
    """Also counts how often somebody looked whether it would be heard."""

    def __init__(self) -> None:
        super().__init__()
        self.looked = threading.Semaphore(0)

    def is_heard(self, job: Job) -> bool:
        heard = super().is_heard(job)
        self.looked.release()
        return heard


def test_no_second_ring_waits_beside_the_first_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ringing, "PAUSE", 0.01)
    bell = WatchedBell()
    ringer = Ringer(bell)
    for _ in range(5):
        ringer.ring()
        assert bell.looked.acquire(timeout=5)
    assert bell.looked.acquire(timeout=5)  # whoever rang last is not forgotten
    assert bell.rung == [RING]
    bell.rung.clear()  # a worker has taken it
    until = time.monotonic() + 5
    while not bell.rung and time.monotonic() < until:
        time.sleep(0.005)
    assert bell.rung == [RING]
