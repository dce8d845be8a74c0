"""Before service mail leaves: whether the database has become older than what this machine has seen of it."""

from contextlib import suppress
from datetime import datetime

from preference_center.db import transaction
from preference_center.delivery.restoring import holding


def look() -> datetime | None:
    """None when all is well; else only what became due after this may go."""
    with suppress(OSError), transaction():
        holding.reason()  # what cannot be read keeps campaigns waiting, and nobody who asks for a mail
    return holding.stale_before()
