"""Names of background jobs, and `later()`, which rings the queue once the work is committed.

The database is the truth and the queue a doorbell: a job carries ids only, may run twice and may get lost.
When the queue does not answer, the request still succeeds; the sweep finds what nobody rang for.
"""

from dataclasses import dataclass
from typing import Protocol

import structlog
from flask import current_app
from redis.exceptions import RedisError

from preference_center import failpoints
from preference_center.db import after_commit

log = structlog.get_logger()

QUEUES = ("webhooks", "notices", "campaigns", "delivery", "housekeeping")


@dataclass(frozen=True)
class Job:
    """A job by its dotted name, the queue it waits in, and the seconds after which RQ gives it up."""

    path: str
    queue: str
    timeout: int = 120


START_DUE = Job("worker.jobs.campaigns.start_due", "campaigns")
FILL = Job("worker.jobs.campaigns.fill", "campaigns", timeout=600)
DELIVER = Job("worker.jobs.delivery.deliver", "delivery", timeout=1000)
SWEEP = Job("worker.jobs.delivery.sweep", "housekeeping")
PROCESS_POSTS = Job("worker.jobs.webhooks.process", "webhooks", timeout=300)
READ_MAILBOX = Job("worker.jobs.webhooks.read_mailbox", "webhooks", timeout=300)
SEND_NOTICE = Job("worker.jobs.notices.send", "notices")
IMPORT_FILE = Job("worker.jobs.contacts.import_file", "housekeeping", timeout=3600)
TIDY_IMPORTS = Job("worker.jobs.contacts.tidy_imports", "housekeeping")
TIDY_UP = Job("worker.jobs.privacy.tidy_up", "housekeeping", timeout=600)
EXPIRE_CONSENT = Job("worker.jobs.consent.expire", "housekeeping", timeout=600)
ASK_TO_RENEW = Job("worker.jobs.consent.ask_to_renew", "housekeeping", timeout=600)
TELL_OF_REQUESTS = Job("worker.jobs.privacy.tell_of_requests", "housekeeping")
CHECKPOINT = Job("worker.jobs.consent.checkpoint", "housekeeping", timeout=600)

_ONE_OF_EACH_QUEUE = (PROCESS_POSTS, SEND_NOTICE, START_DUE, DELIVER, SWEEP)


class Bell(Protocol):
    """Whatever can wake a worker."""

    def ring(self, job: Job, args: tuple[int | str, ...]) -> None: ...

    def is_heard(self, job: Job) -> bool:
        """Whether nothing waits in the job's queue: then a worker may be idle."""
        ...

    def rings_only_for(self, job: Job, args: tuple[int | str, ...]) -> bool:
        """Whether nothing but this very work waits in the job's queue."""
        ...


def later(job: Job, *args: int | str) -> None:
    """Ring for `job` after the open transaction has committed."""
    after_commit(lambda: _ring(job, args))


def at_once(job: Job, *args: int | str) -> None:
    """The same where no transaction is open."""
    _ring(job, args)


def one_more(job: Job, *args: int | str) -> None:
    """The same for one more worker to join in; not while another ring waits, for then all of them are busy."""
    after_commit(lambda: _ring(job, args, only_if_heard=True))


def nobody_else_waits(job: Job, *args: int | str) -> bool:
    """Whether no job waits for a worker but rings for this one, as a run's own for help. Without an answer somebody may."""
    bell: Bell = current_app.extensions["bell"]
    others = [one for one in _ONE_OF_EACH_QUEUE if one.queue != job.queue]
    try:
        return all(map(bell.is_heard, others)) and bell.rings_only_for(job, args)
    except (RedisError, OSError):
        return False


def _ring(job: Job, args: tuple[int | str, ...], *, only_if_heard: bool = False) -> None:
    bell: Bell = current_app.extensions["bell"]
    failpoints.hit("bell.before_ring")
    try:
        if not only_if_heard or bell.is_heard(job):
            bell.ring(job, args)
    except (RedisError, OSError) as trouble:
        log.warning("bell.unheard", job=job.path, trouble=type(trouble).__name__)
