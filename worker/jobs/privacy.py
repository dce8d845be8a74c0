"""Deleting what is kept no longer."""

from preference_center.privacy import retention
from worker.context import job, repeat


@job
def tidy_up() -> None:
    for number in range(len(retention.RULES)):
        repeat(lambda at: retention.RULES[at].step() > 0, number)
