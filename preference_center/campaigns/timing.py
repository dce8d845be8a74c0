"""When a campaign's mail may leave: the plan its author made, the sending calendar, and quiet hours where the contact lives.

A plan is kept as it was meant, wall time and zone, beside the moment it came to; when the rules of a zone change in between,
it is worked out again and the move is shown (T4).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from flask import current_app

from preference_center import wall_clock
from preference_center.campaigns.models import Campaign
from preference_center.config import Settings
from preference_center.errors import Invalid
from preference_center.wall_clock import Moment, Shift

_WALL = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True)
class Plan:
    """A wall time, and whose: that of a zone, or with an empty one each contact's own."""

    wall: datetime
    zone: str = ""

    @property
    def is_everywhere(self) -> bool:
        return not self.zone

    def begins(self) -> Moment:
        """When the first mail is due."""
        return self._resolved(self.zone or wall_clock.EARLIEST)

    def ends(self) -> datetime:
        """When the last mail is due: with one zone that is the begin."""
        return self._resolved(self.zone or wall_clock.LATEST).at

    def there(self, zone: ZoneInfo) -> datetime:
        """When it is that time in a contact's zone."""
        return wall_clock.resolve(self.wall, zone).at

    def there_after(self, zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
        """When it is that time of day there after `now`, on each day of a week."""
        today = now.astimezone(zone).date()
        for ahead in range(8):
            at = wall_clock.resolve(datetime.combine(today + timedelta(days=ahead), self.wall.time()), zone).at
            if at > now:
                yield at

    def shifted(self) -> dict[str, Shift]:
        """The zones whose clocks jump just then, and how: what is to be said before somebody approves (T2, T3)."""
        names = [self.zone] if self.zone else sorted(_places())
        found = {name: self._resolved(name).shift for name in names}
        return {name: shift for name, shift in found.items() if shift}

    def _resolved(self, zone: str) -> Moment:
        try:
            return wall_clock.resolve(self.wall, ZoneInfo(zone))
        except ZoneInfoNotFoundError:
            words = f"This machine knows no time zone {zone[:40]!r} any more."
            raise Invalid(words, {"zone": words}) from None
        except (OverflowError, ValueError):
            raise Invalid("Choose a day within two years.", {"at": "Choose a day within two years."}) from None


def plan(wall: datetime, zone: str) -> Plan:
    """A plan, checked. Invalid for a zone nobody knows; an empty one means each contact's own."""
    if zone and zone not in available_timezones():
        words = f"There is no time zone {zone[:40]!r}; write one like Europe/Warsaw."
        raise Invalid(words, {"zone": words})
    return Plan(wall.replace(second=0, microsecond=0, tzinfo=None, fold=0), zone)


def plan_of(campaign: Campaign) -> Plan | None:
    """What its author planned; None when it was let go at a moment, such as now."""
    if campaign.wall_time is None:
        return None
    return Plan(datetime.strptime(campaign.wall_time, _WALL), campaign.zone or "")  # noqa: DTZ007 (a wall time has no zone)


def keep(campaign: Campaign, made: Plan) -> None:
    """Write the plan down."""
    campaign.wall_time, campaign.zone = made.wall.strftime(_WALL), made.zone or None
    campaign.last_wave_at = made.ends() if made.is_everywhere else None


def start_of(made: Plan, decided_at: datetime) -> datetime:
    """When a campaign with this plan starts: not before it was decided, and when the calendar is open."""
    return next_open(max(made.begins().at, decided_at))


def next_open(at: datetime) -> datetime:
    """When campaigns may send, by the sending calendar: `at` itself, or the next opening."""
    return settings().sending_calendar.next_open(at, home())


def is_open(at: datetime) -> bool:
    return settings().sending_calendar.is_open(at, home())


def quiet_until(at: datetime, zone: str | None) -> datetime | None:
    """When the quiet hours of a contact of that zone are over; None when it has none at that moment."""
    hours = settings().quiet_hours
    return hours.end_after(at, zone_of(zone)) if hours else None


def zone_of(name: str | None) -> ZoneInfo:
    """A contact's zone; the organisation's where we know none, or none that there is."""
    return _named(name) if name in _all() else home()


def home() -> ZoneInfo:
    return _named(settings().time_zone)


def settings() -> Settings:
    found: Settings = current_app.extensions["settings"]
    return found


@lru_cache(maxsize=1)
def _all() -> frozenset[str | None]:
    return frozenset(available_timezones())


@lru_cache(maxsize=1)
def _places() -> frozenset[str]:
    """Zones where people live."""
    return frozenset(name for name in available_timezones() if name.partition("/")[0] in _CONTINENTS)


_CONTINENTS = {"Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}


def _named(name: str | None) -> ZoneInfo:
    return ZoneInfo(name) if name else ZoneInfo("UTC")
