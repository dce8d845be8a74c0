"""Service mail that is due."""

from preference_center.notices import sending
from worker.context import job


@job
def send() -> None:
    sending.drain()
