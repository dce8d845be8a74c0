"""What providers posted, and events whose time has come."""

from preference_center.webhooks import processing
from worker.context import job, stopping


@job
def process() -> None:
    processing.drain(stopping)
