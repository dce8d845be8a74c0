"""What providers posted, and events whose time has come."""

from preference_center.webhooks import imap, processing
from worker.context import job, stopping


@job
def process() -> None:
    processing.drain(stopping)


@job
def read_mailbox() -> None:
    if imap.fetch_configured(stopping):
        processing.drain(stopping)
