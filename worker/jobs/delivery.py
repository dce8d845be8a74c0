"""Sending and sweeping."""

import contextlib
import time

import structlog
from sqlalchemy.exc import DBAPIError

from preference_center import failpoints, jobs
from preference_center.db import db, transaction
from preference_center.delivery import sending, sweeping
from preference_center.delivery.restoring import holding
from worker.context import job, stopping

log = structlog.get_logger()

SECONDS = 30.0  # of a run; then whoever else waits for this worker comes first
LONGEST = 300.0  # of a job: RQ forks for each, and what it has loaded is forgotten with it


@job
def deliver(campaign_id: int) -> None:
    failpoints.hit("deliver.start")
    until = time.monotonic() + LONGEST

    def may_stay() -> bool:
        return time.monotonic() < until and not stopping() and jobs.nobody_else_waits(jobs.DELIVER, campaign_id)

    while sending.run(campaign_id, seconds=SECONDS, stop=stopping, may_stay=may_stay).stays:
        pass


@job
def sweep() -> None:
    try:
        with transaction():
            holding.watch()
    except Exception as trouble:  # it must not keep the rest from being done: a run looks again before it sends
        log.error("database.not_watched", trouble=type(trouble).__name__)
    for run_id in sweeping.open_runs():  # before anybody is rung for: what it finds forgotten holds all mail
        try:
            with transaction():
                sweeping.settle_run(run_id)
        except (OSError, DBAPIError) as trouble:  # one that cannot be settled now must not keep the others waiting
            log.warning("run.not_settled", run=run_id, trouble=type(trouble).__name__)
    for campaign_id in sweeping.open_campaigns():
        try:
            with transaction():
                sweeping.tend(campaign_id)
        except DBAPIError as trouble:  # a row that somebody holds
            log.warning("campaign.not_tended", campaign=campaign_id, trouble=type(trouble).__name__)
    with contextlib.suppress(OSError):  # a full disk; the next sweep does it
        sweeping.tidy_journals()
    db.session.remove()
