"""The only clock. Everything asks here for the time, so that a test can stop it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

TOLERANCE = timedelta(seconds=2)

_ahead = timedelta()


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC) - _ahead


def keep_to(shared: Callable[[], datetime]) -> timedelta:
    """Go by another clock from now on, if this machine's differs by more than 2 s; by how much this one is ahead.

    `shared` asks that clock, and may take its time.
    """
    global _ahead
    before = datetime.now(UTC)
    told = shared()
    after = datetime.now(UTC)
    ahead = before + (after - before) / 2 - told
    _ahead = ahead if abs(ahead) > TOLERANCE else timedelta()
    return _ahead
