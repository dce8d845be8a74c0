"""`python -m worker [queue ...]` serves the queues; `python -m worker clock` rings by the timetable."""

import contextlib
import gc
import importlib
import logging
import os
import signal
import sys
import time
from types import FrameType
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer

from preference_center import embedded, i18n, jobs, prepared, timekeeping
from preference_center.db import db
from preference_center.mail import signing
from worker import context, sealing
from worker.timetable import EVERY, SEAL_AGAIN, SEAL_EVERY

log = structlog.get_logger()


_SIGNING = {jobs.DELIVER.queue, jobs.SEND_NOTICE.queue}
_PATIENT = 10  # what providers posted can be read a little later; those who are posting now wait for their answer


class Horseman(Worker):
    """An RQ worker whose horse is prepared before the job and told to come home when the worker must stop."""

    def main_work_horse(self, job: RQJob, queue: Queue) -> None:
        context.in_forked_child()
        timekeeping.keep(context.load())
        if job.func_name == jobs.PROCESS_POSTS.path:
            os.nice(_PATIENT)
        super().main_work_horse(job, queue)

    def reorder_queues(self, reference_queue: Queue) -> None:
        """Most urgent first; but a campaign rings for its own next turn, so after each one all others come before it.

        Else imports and the sweep would wait until the last mail of the last campaign has left.
        """
        if reference_queue.name == jobs.DELIVER.queue:
            self._ordered_queues = sorted(self.queues, key=lambda queue: queue.name == jobs.DELIVER.queue)
        else:
            self._ordered_queues = list(self.queues)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        if self.horse_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.horse_pid, signal.SIGUSR1)
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]


def serve(queues: list[str]) -> None:
    """Work through these queues, the most urgent first, until told to stop."""
    connection = _connection()
    names = queues or list(jobs.QUEUES)
    _load_jobs(names)
    _learn_by_heart(names)
    _keep_for_good()
    made = [Queue(name, connection=connection, serializer=JSONSerializer) for name in names]
    Horseman(made, connection=connection, serializer=JSONSerializer).work(logging_level="WARNING")


def _load_jobs(queues: list[str]) -> None:
    """Once, here: else each horse would load them for its one job and forget them with it (a delivery: 80 ms)."""
    for job in vars(jobs).values():
        if isinstance(job, jobs.Job) and job.queue in queues:
            importlib.import_module(job.path.rpartition(".")[0])


def _learn_by_heart(queues: list[str]) -> None:
    """Likewise: the words of statements, languages, the keys of signatures (a delivery: 100 ms more).

    What cannot be read now is told by the job that needs it.
    """
    with context.load().app_context():
        prepared.spell_all(db.engine.dialect)
        with contextlib.suppress(OSError, ValueError):
            i18n.learn_all()
        if _SIGNING.intersection(queues):
            with contextlib.suppress(OSError, ValueError):
                signing.signers(context.load().extensions["settings"])


def _keep_for_good() -> None:
    """What is here by now is never garbage: else each horse would look through all of it again and again, and copy its pages by looking."""
    gc.collect()
    gc.freeze()


def tick() -> None:
    """Ring each job when its time has come, until told to stop. Two clocks are harmless: every job may run twice."""
    stop = False

    def _stop(_signal: int, _frame: object) -> None:
        nonlocal stop
        stop = True

    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    bell = context.load().extensions["bell"]
    timekeeping.keep_on(context.load())
    due = dict.fromkeys(EVERY, 0.0)
    seal_at = 0.0
    while not stop:
        now = time.monotonic()
        if seal_at <= now:  # not a job: a fork each second would cost more than the sealing
            seal_at = now + (SEAL_EVERY if sealing.round_of_sealing() else SEAL_AGAIN)
        for job in [job for job, at in due.items() if at <= now]:
            due[job] = now + EVERY[job]
            try:
                bell.ring(job, ())
            except (RedisError, OSError) as trouble:
                log.warning("clock.unheard", job=job.path, trouble=type(trouble).__name__)
        time.sleep(0.2)


def _connection() -> Redis:
    settings = context.load().extensions["settings"]
    return Redis.from_url(embedded.redis_url(settings))


def main(arguments: list[str] | None = None) -> Any:
    given = sys.argv[1:] if arguments is None else arguments
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    if given == ["clock"]:
        return tick()
    unknown = [name for name in given if name not in jobs.QUEUES]
    if unknown:
        sys.exit(
            f"There is no queue {unknown[0]}; choose from {', '.join(jobs.QUEUES)}, or name none to serve them all."
        )
    return serve(given)


if __name__ == "__main__":
    main()
