"""Counts the posts that were refused, by day and reason, and keeps nothing else of them.

Counted in the process and written at most every few seconds, so that a flood of forged posts costs the database nothing.
"""

import threading
import time
from collections import Counter

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from preference_center import clock
from preference_center.db import db, is_postgresql
from preference_center.webhooks.models import HookRefusal

log = structlog.get_logger()
EVERY = 5.0  # seconds


class Tally:
    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._guard = threading.Lock()
        self._written_at = 0.0

    def add(self, provider: str, reason: str) -> None:
        """Count one; write what has come together if its time has come."""
        with self._guard:
            self._counts[(provider, reason[:80])] += 1
            if time.monotonic() - self._written_at < EVERY:
                return
        self.write()

    def write(self) -> None:
        """Write what has come together; for a process that ends."""
        with self._guard:
            counts, self._counts = self._counts, Counter()
            self._written_at = time.monotonic()
        if not counts:
            return
        try:
            _write(counts)
        except SQLAlchemyError as trouble:  # counts are no reason to answer a forger with more than "no"
            log.warning("refusals.not_written", trouble=type(trouble).__name__)


def _write(counts: Counter[tuple[str, str]]) -> None:
    insert = (postgresql.insert if is_postgresql() else sqlite.insert)(HookRefusal)
    insert = insert.on_conflict_do_update(
        index_elements=["provider", "day", "reason"], set_={"count": HookRefusal.count + insert.excluded.count}
    )
    today = clock.now().date()
    rows = [
        {"provider": provider, "day": today, "reason": reason, "count": count}
        for (provider, reason), count in sorted(counts.items())
    ]
    with db.engine.connect().execution_options(immediate=True) as connection, connection.begin():
        connection.execute(insert, rows)


def today() -> dict[tuple[str, str], int]:
    """Refused posts of this day, by provider and reason."""
    rows = select(HookRefusal.provider, HookRefusal.reason, func.sum(HookRefusal.count))
    rows = rows.where(HookRefusal.day == clock.now().date()).group_by(HookRefusal.provider, HookRefusal.reason)
    return {(row[0], row[1]): int(row[2]) for row in db.session.execute(rows)}


_tally = Tally()
add = _tally.add
write = _tally.write
