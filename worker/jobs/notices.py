"""Service mail that is due."""

from preference_center.notices import sending
from preference_center.preferences import renewal
from worker import restoring
from worker.context import job


@job
def send() -> None:
    sending.drain(today=renewal.today, since=restoring.look())
