"""Times as clocks on walls show them: a planned time of day in a zone, quiet hours, and the days and hours in which we send.

Twice a year a wall clock jumps. A time that it skips is moved on by what it skips (02:30 becomes 03:30); of a time that it
shows twice, the first is meant. So everything planned happens exactly once.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EARLIEST, LATEST = "Etc/GMT-14", "Etc/GMT+12"  # where on earth a day begins first, and where it ends last


class Shift(StrEnum):
    skipped = "skipped"  # the clocks jump over this time: it happens later by what they jump
    repeated = "repeated"  # the clocks show this time twice: it happens at the first


@dataclass(frozen=True)
class Moment:
    """What a wall time in a zone comes to."""

    at: datetime
    shift: Shift | None = None


def resolve(wall: datetime, zone: ZoneInfo) -> Moment:
    """The moment of a wall time (without a zone of its own). OverflowError at the ends of the calendar."""
    first = wall.replace(tzinfo=zone, fold=0)
    at = first.astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None, fold=0) != wall:
        return Moment(at, Shift.skipped)
    twice = wall.replace(tzinfo=zone, fold=1).astimezone(UTC) != at
    return Moment(at, Shift.repeated if twice else None)


@dataclass(frozen=True)
class Hours:
    """From one time of day to another, which may lie in the next day: `21:00-08:00`."""

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> "Hours":
        found = re.fullmatch(r"(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)", text.strip())
        if not found:
            raise ValueError("write hours like 21:00-08:00")
        hour, minute, to_hour, to_minute = map(int, found.groups())
        to_hour = 0 if (to_hour, to_minute) == (24, 0) else to_hour
        try:
            made = cls(time(hour, minute), time(to_hour, to_minute))
        except ValueError:
            raise ValueError("hours go from 00:00 to 24:00") from None
        if made.begin == made.end:
            raise ValueError("hours begin and end at different times")
        return made

    def hold(self, shown: time) -> bool:
        """Whether a clock that shows this time is within the hours. The end itself is outside."""
        if self.begin < self.end:
            return self.begin <= shown < self.end
        return shown >= self.begin or shown < self.end

    def end_after(self, at: datetime, zone: ZoneInfo) -> datetime | None:
        """When the hours that `at` lies in are over in that zone; None when it lies in none."""
        local = at.astimezone(zone)
        if not self.hold(local.time()):
            return None
        return _next(self.end, at, zone)


@dataclass(frozen=True)
class SendingCalendar:
    """The days and hours in which campaigns start and send: `mon-fri 08:00-18:00; sat 10:00-14:00`. Without any: always."""

    open: tuple[tuple[frozenset[int], Hours], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "SendingCalendar":
        return cls(tuple(_opening(part) for part in text.split(";") if part.strip()))

    def next_open(self, at: datetime, zone: ZoneInfo) -> datetime:
        """`at` itself when we send then, else when we next do."""
        if not self.open or self.is_open(at, zone):
            return at
        today = at.astimezone(zone).date()
        begins = (
            resolve(datetime.combine(day, hours.begin), zone).at
            for ahead in range(16)  # of a weekly hour the clocks may skip one
            for day in [today + timedelta(days=ahead)]
            for days, hours in self.open
            if day.weekday() in days
        )
        # a begin that the clocks skip may have moved out of short hours: then the next one counts
        return min(begin for begin in begins if begin > at and self.is_open(begin, zone))

    def is_open(self, at: datetime, zone: ZoneInfo) -> bool:
        local = at.astimezone(zone)
        return not self.open or any(
            hours.hold(local.time()) and _began(hours, local).weekday() in days for days, hours in self.open
        )


ALWAYS = SendingCalendar()


def settings(other: dict[str, str], faults: list[str]) -> dict[str, Any]:
    """The settings that say when campaigns may send, read and checked."""
    read = {"quiet_hours": Hours.parse, "sending_calendar": SendingCalendar.parse, "frequency_caps": _caps}
    found: dict[str, Any] = {}
    for name, reader in read.items():
        if value := other[name.upper()]:
            try:
                found[name] = reader(value)
            except ValueError as wrong:
                faults.append(f"PREFERENCE_CENTER_{name.upper()} is not understood: {wrong}.")
    if other["TIME_ZONE"] and other["TIME_ZONE"] not in available_timezones():
        faults.append("PREFERENCE_CENTER_TIME_ZONE must be a zone such as Europe/Warsaw.")
    return found


def _opening(text: str) -> tuple[frozenset[int], Hours]:
    days, _, hours = text.strip().lower().partition(" ")
    meant: set[int] = set()
    for part in days.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise ValueError(f"days are {', '.join(DAYS)}, such as mon-fri 08:00-18:00")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        meant |= {number % 7 for number in range(begin, end + 1 + 7 * (end < begin))}
    return frozenset(meant), Hours.parse(hours)


def _began(hours: Hours, local: datetime) -> date:
    """The day on which the hours began that hold this time: hours over midnight belong to the evening."""
    over_midnight = hours.begin > hours.end and local.time() < hours.end
    return local.date() - timedelta(days=over_midnight)


def _next(shown: time, at: datetime, zone: ZoneInfo) -> datetime:
    """The first moment after `at` at which the clocks of the zone show this time, or jump over it."""
    today = at.astimezone(zone).date()
    for ahead in range(3):
        wall = datetime.combine(today + timedelta(days=ahead), shown)
        meant = resolve(wall, zone)
        if meant.at > at:
            return meant.at
        if meant.shift is Shift.repeated and (second := wall.replace(tzinfo=zone, fold=1).astimezone(UTC)) > at:
            return second
    raise AssertionError("each day shows each time once, or jumps over it")


def _caps(text: str) -> tuple[tuple[int, int], ...]:
    found = re.findall(r"(?:^|,)\s*(\d{1,3})/(\d{1,3})\s*(?=,|$)", text)
    caps = tuple((int(mails), int(days)) for mails, days in found)
    if len(caps) != text.count(",") + 1 or any(not 1 <= days <= 366 or not mails for mails, days in caps):
        raise ValueError("write so many mails in so many days like 3/7, or 1/1,3/7")
    return caps
