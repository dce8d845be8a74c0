"""Sending and sweeping."""

from preference_center.db import db, transaction
from preference_center.delivery import sending, sweeping
from worker.context import job, stopping

SECONDS = 20.0  # RQ forks for each job (about 15 ms); a run of this length makes that cost nothing


@job
def deliver(campaign_id: int) -> None:
    sending.run(campaign_id, seconds=SECONDS, stop=stopping)


@job
def sweep() -> None:
    for run_id in sweeping.open_runs():
        with transaction():
            sweeping.settle_run(run_id)
        sweeping.forget_journal(run_id)
    for campaign_id in sweeping.open_campaigns():
        with transaction():
            sweeping.tend(campaign_id)
    db.session.remove()
