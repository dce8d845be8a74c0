"""Who gets the next turn: the most urgent, and nobody waits for a whole campaign."""

from dataclasses import replace

from flask import Flask
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from preference_center import embedded, jobs
from preference_center.jobs import Job
from worker.__main__ import Horseman


def test_imports_and_the_sweep_get_their_turn_while_a_campaign_goes_out(app: Flask) -> None:
    settings = replace(app.extensions["settings"], redis_url=None)
    with embedded.running(settings), Redis.from_url(embedded.redis_url(settings)) as line:
        queues = {name: Queue(name, connection=line, serializer=JSONSerializer) for name in jobs.QUEUES}
        worker = Horseman(list(queues.values()), connection=line, serializer=JSONSerializer)

        def ring(job: Job) -> None:
            queues[job.queue].enqueue_call(job.path, timeout=job.timeout)

        def next_turn() -> str:
            found = Queue.dequeue_any(worker._ordered_queues, 1, line, serializer=JSONSerializer)
            assert found is not None
            worker.reorder_queues(found[1])
            if found[1].name == "delivery":
                ring(jobs.DELIVER)  # as a run that has more to send does at its end
            return str(found[1].name)

        for job in (jobs.SWEEP, jobs.IMPORT_FILE, jobs.DELIVER):
            ring(job)
        assert [next_turn() for _ in range(5)] == ["delivery", "housekeeping", "delivery", "housekeeping", "delivery"]
        ring(jobs.SWEEP)
        ring(jobs.SEND_NOTICE)
        assert [next_turn() for _ in range(3)] == ["notices", "delivery", "housekeeping"]
