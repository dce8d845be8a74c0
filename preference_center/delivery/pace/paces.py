"""How fast a relay may be used, as a whole (`domain` empty) or for one recipient domain: one small row that all workers share.

There is a row only where there is something to know: a limit that is counted, or trouble that is not over yet.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import SmallInteger, String, and_, delete, or_, select, tuple_
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.db import Base, db

DOMAIN_REST = timedelta(minutes=10)  # Google: after 4.7.28 wait at least so long (S86)
LONGEST_REST = timedelta(hours=4)
RELAY_REST = timedelta(seconds=10)
LONGEST_RELAY_REST = timedelta(minutes=15)
ALL_RELAYS = ""  # the name in the row that holds whatever would leave (delivery/restoring/holding.py)
IDLE, FORGOTTEN = timedelta(days=2), timedelta(days=30)
AT_ONCE = 1_000
FREE_AT = 16  # connections: grown so far, a domain is treated like any other again


@dataclass
class Spent:
    """In which minute and day a chunk was counted, and how many of it are to count there no more."""

    minute_at: datetime | None
    day_at: datetime | None
    untried: int = 0  # the relay was not asked to take them
    unsent: int = 0  # they did not leave, whether it was asked or not


class Pace(Base):
    __tablename__ = "relay_paces"

    relay: Mapped[str] = mapped_column(String(120), primary_key=True)
    domain: Mapped[str] = mapped_column(String(255), primary_key=True, default="")
    connections: Mapped[int | None] = mapped_column(SmallInteger)  # at once; none: as many as are set
    paused_until: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(SmallInteger, default=0)  # in a row
    reason: Mapped[str] = mapped_column(String(200), default="")  # in the relay's words
    run_id: Mapped[int | None]  # of a domain that comes back: the one run that may try
    held_until: Mapped[datetime | None]
    minute_at: Mapped[datetime | None]  # the minute that is counted
    minute_used: Mapped[int] = mapped_column(default=0)
    day_at: Mapped[datetime | None]
    day_used: Mapped[int] = mapped_column(default=0)
    changed_at: Mapped[datetime]

    def rests(self, now: datetime) -> bool:
        return self.paused_until is not None and self.paused_until > now

    def rest(self, now: datetime, reason: str, *, connections: int = 1) -> None:
        """Nothing for a while, longer each time in a row and never all at the same moment; then begin again carefully."""
        first, longest = (DOMAIN_REST, LONGEST_REST) if self.domain else (RELAY_REST, LONGEST_RELAY_REST)
        wait = min(first * 2 ** min(self.failures, 12), longest)
        self.failures = min(self.failures + 1, 100)
        self.paused_until = now + wait * random.uniform(1.0, 1.2)  # noqa: S311 (jitter, no secret)
        self.connections, self.reason, self.changed_at = connections, reason[:200], now
        self.run_id = self.held_until = None

    def went_well(self, now: datetime, enough: int) -> bool:
        """One connection more; True when it is as free as before its trouble."""
        self.failures, self.changed_at = 0, now
        self.paused_until = None
        if self.connections is not None:
            self.connections += 1
            if self.connections >= enough:
                self.connections, self.reason, self.run_id, self.held_until = None, "", None, None
        return self.connections is None

    def left(self, now: datetime, a_minute: int | None, a_day: int | None) -> int | None:
        """How many messages may still leave within these limits; None: any number."""
        if self.minute_at is None or now - self.minute_at >= timedelta(minutes=1):
            self.minute_at, self.minute_used = now, 0
        if self.day_at is None or self.day_at.date() != now.date():
            self.day_at, self.day_used = now, 0
        limits = [
            limit - used for limit, used in ((a_minute, self.minute_used), (a_day, self.day_used)) if limit is not None
        ]
        return max(0, min(limits)) if limits else None

    def is_spent(self, now: datetime, a_minute: int | None, a_day: int | None) -> bool:
        """Whether nothing is left within these limits. It changes nothing, so it may be asked of a row that is not held."""
        minute = self.minute_at is not None and now - self.minute_at < timedelta(minutes=1)
        day = self.day_at is not None and self.day_at.date() == now.date()
        over_minute = a_minute is not None and minute and self.minute_used >= a_minute
        return over_minute or (a_day is not None and day and self.day_used >= a_day)

    def spend(self, messages: int) -> Spent:
        self.minute_used += messages
        self.day_used += messages
        return Spent(self.minute_at, self.day_at)

    def give_back(self, spent: Spent) -> None:
        """A minute or day that another run has begun to count since knows nothing of that chunk."""
        if self.minute_at == spent.minute_at:
            self.minute_used -= spent.untried
        if self.day_at == spent.day_at:
            self.day_used -= spent.unsent

    def may_try(self, run_id: int, now: datetime, lease: timedelta) -> bool:
        """Whether this run is the one that tries a domain that comes back; from now on it is."""
        if self.run_id not in (None, run_id) and self.held_until is not None and self.held_until > now:
            return False
        self.run_id, self.held_until = run_id, now + lease
        return True


def tidy(now: datetime) -> int:
    """Delete some rows of domains that say nothing any more: free again and idle for days, or in trouble that nobody met for a month."""
    counts = [column >= now - IDLE for column in (Pace.minute_at, Pace.day_at)]
    idle = and_(
        Pace.connections.is_(None), Pace.changed_at < now - IDLE, *(or_(~count, count.is_(None)) for count in counts)
    )
    long_ago = and_(Pace.changed_at < now - FORGOTTEN, or_(Pace.paused_until.is_(None), Pace.paused_until < now))
    over = select(Pace.relay, Pace.domain).where(Pace.domain != "", or_(idle, long_ago)).limit(AT_ONCE)
    found = [tuple(row) for row in db.session.execute(over.with_for_update(skip_locked=True))]
    if found:
        gone = delete(Pace).where(tuple_(Pace.relay, Pace.domain).in_(found))
        db.session.execute(gone.execution_options(synchronize_session=False))
    return len(found)
