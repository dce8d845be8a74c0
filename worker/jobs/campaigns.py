"""Doorbells for campaigns: start what is due, fill the outbox of one."""

from preference_center.campaigns import scheduling
from preference_center.db import shared_time, transaction
from preference_center.delivery import outbox
from preference_center.delivery.results import trials
from worker.context import job, repeat


@job
def start_due() -> None:
    with transaction():
        now = shared_time()  # a machine with a wrong clock must not start anything early, nor take it for missed (T1)
        scheduling.start_due(now)
    for campaign_id in trials.open_ones():
        with transaction():
            trials.look(campaign_id, now)


@job
def fill(campaign_id: int) -> None:
    repeat(lambda own: outbox.fill_range(own, shared_time()), campaign_id)
