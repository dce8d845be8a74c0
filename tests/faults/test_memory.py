"""K16: a job that wants more memory than it may have ends alone."""

import time

import pytest
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from preference_center.config import Settings
from tests.faults.scenario import Scenario, scenario

pytestmark = [pytest.mark.only_postgresql, pytest.mark.processes, pytest.mark.usefixtures("app")]

MEGABYTES = 300


def test_a_job_that_eats_all_memory_ends_and_its_worker_goes_on(settings: Settings) -> None:  # K16
    with scenario(settings, people=20, started=False) as play:
        worker = play.own.start_worker(PREFERENCE_CENTER_JOB_MEMORY=str(MEGABYTES))
        modest, greedy, after = (_eat(play, share) for share in (MEGABYTES // 3, MEGABYTES * 3, MEGABYTES // 3))
        assert _ended(modest) == "finished"
        assert _ended(greedy) == "failed"
        result = greedy.latest_result()
        assert result is not None and "MemoryError" in (result.exc_string or "")
        assert _ended(after) == "finished"
        play.start()
        assert play.finish().of("sent") == play.people
        assert worker.poll() is None


def _eat(play: Scenario, megabytes: int) -> Job:
    queue = Queue("campaigns", connection=play.own.app.extensions["bell"].redis, serializer=JSONSerializer)
    return queue.enqueue_call("tests.faults.appetite.eat", args=(megabytes,), result_ttl=60, failure_ttl=60)


def _ended(job: Job) -> str:
    end = time.monotonic() + 60
    while (state := str(job.get_status(refresh=True).value)) not in ("finished", "failed"):
        assert time.monotonic() < end, f"the job is {state}"
        time.sleep(0.1)
    return state
