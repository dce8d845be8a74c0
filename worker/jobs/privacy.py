"""Deleting what is kept no longer, and telling which requests must be answered soon."""

from preference_center import clock
from preference_center.consent.law import caps
from preference_center.db import transaction
from preference_center.delivery.pace import paces
from preference_center.privacy import escalation, retention
from worker.context import job, repeat


@job
def tell_of_requests() -> None:
    with transaction():
        escalation.tell()


@job
def tidy_up() -> None:
    for number in range(len(retention.RULES)):
        repeat(lambda at: retention.RULES[at].step() > 0, number)
    repeat(lambda _: caps.tidy() > 0, 0)
    repeat(lambda _: paces.tidy(clock.now()) > 0, 0)
