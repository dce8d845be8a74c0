"""Times as wall clocks show them: jumps of the clocks, quiet hours and sending days, looked at over the whole year."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preference_center import config, wall_clock
from preference_center.wall_clock import Hours, SendingCalendar, Shift, resolve
from tests.test_config import RIGHT

WARSAW = ZoneInfo("Europe/Warsaw")
ZONES = st.sampled_from(
    [
        ZoneInfo(name)
        for name in ("Europe/Warsaw", "America/Sao_Paulo", "America/New_York", "Australia/Lord_Howe", "UTC")
    ]
)
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))
HOURS = st.tuples(st.times(), st.times()).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: Hours(*pair))


def warsaw(*shown: int) -> datetime:
    return datetime(*shown, tzinfo=WARSAW).astimezone(UTC)


def test_a_time_that_the_clocks_jump_over_is_moved_on_by_the_jump() -> None:  # T2
    found = resolve(datetime(2026, 3, 29, 2, 30), WARSAW)
    assert (found.at, found.shift) == (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), Shift.skipped)
    assert found.at.astimezone(WARSAW).strftime("%H:%M") == "03:30"


def test_of_a_time_that_comes_twice_the_first_is_meant() -> None:  # T3
    found = resolve(datetime(2026, 10, 25, 2, 30), WARSAW)
    assert (found.at, found.shift) == (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), Shift.repeated)


@given(st.datetimes(datetime(2024, 1, 1), datetime(2028, 12, 31)), ZONES)
def test_every_wall_time_comes_to_one_moment_that_shows_it_unless_it_is_skipped(wall: datetime, zone: ZoneInfo) -> None:
    found = resolve(wall, zone)
    shown = found.at.astimezone(zone).replace(tzinfo=None, fold=0)
    assert (shown == wall) == (found.shift is not Shift.skipped)
    assert timedelta() <= shown - wall <= timedelta(hours=1)


@settings(max_examples=300)
@given(HOURS, MOMENTS, ZONES)
def test_quiet_hours_end_within_a_day_and_a_jump_at_the_first_moment_that_is_not_quiet(  # T6
    hours: Hours, at: datetime, zone: ZoneInfo
) -> None:
    end = hours.end_after(at, zone)
    if end is None:
        assert not hours.hold(at.astimezone(zone).time())
        return
    assert at < end <= at + timedelta(hours=25)
    shown = end.astimezone(zone).replace(tzinfo=None)
    jump = shown - shown.replace(
        hour=hours.end.hour, minute=hours.end.minute, second=hours.end.second, microsecond=hours.end.microsecond
    )
    assert timedelta() <= jump <= timedelta(hours=1)  # later than it says only where the clocks jumped over it
    quarter = timedelta(minutes=15)
    assert all(hours.hold((at + quarter * n).astimezone(zone).time()) for n in range(int((end - at - jump) / quarter)))


@settings(max_examples=300)
@given(HOURS, st.sets(st.integers(0, 6), min_size=1), MOMENTS, ZONES)
def test_the_calendar_opens_within_eight_days_and_is_open_then(  # T6
    hours: Hours, days: set[int], at: datetime, zone: ZoneInfo
) -> None:
    calendar = SendingCalendar(((frozenset(days), hours),))
    opens = calendar.next_open(at, zone)
    assert calendar.is_open(opens, zone)
    assert at <= opens <= at + timedelta(days=14, hours=2)
    assert (opens == at) == calendar.is_open(at, zone)


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        (warsaw(2026, 11, 20, 17, 59), warsaw(2026, 11, 20, 17, 59)),  # Friday
        (warsaw(2026, 11, 20, 18), warsaw(2026, 11, 21, 10)),
        (warsaw(2026, 11, 21, 14), warsaw(2026, 11, 23, 8)),
        (warsaw(2026, 11, 23, 7), warsaw(2026, 11, 23, 8)),
    ],
)
def test_a_calendar_of_working_days_and_saturday(at: datetime, opens: datetime) -> None:
    calendar = SendingCalendar.parse("mon-fri 08:00-18:00; sat 10:00-14:00")
    assert calendar.next_open(at, WARSAW) == opens


def test_hours_over_midnight_belong_to_the_evening() -> None:
    calendar = SendingCalendar.parse("fri 20:00-02:00")
    assert calendar.is_open(warsaw(2026, 11, 21, 1), WARSAW)  # Saturday, one o'clock
    assert not calendar.is_open(warsaw(2026, 11, 20, 1), WARSAW)


def test_days_may_go_over_the_week_end() -> None:
    assert SendingCalendar.parse("sat-mon 08:00-18:00").open[0][0] == {5, 6, 0}


def test_a_weekly_hour_that_the_clocks_skip_comes_again_a_week_later() -> None:  # T2
    calendar = SendingCalendar.parse("sun 02:00-03:00")
    assert calendar.next_open(warsaw(2026, 3, 23, 12, 0), WARSAW) == warsaw(2026, 4, 5, 2, 0)


def test_without_a_calendar_it_is_always_open() -> None:
    now = warsaw(2026, 1, 1)
    assert SendingCalendar().next_open(now, WARSAW) == now


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("QUIET_HOURS", "21-8"),
        ("QUIET_HOURS", "21:00-21:00"),
        ("QUIET_HOURS", "25:00-08:00"),
        ("SENDING_CALENDAR", "monday 08:00-18:00"),
        ("SENDING_CALENDAR", "mon-fri"),
        ("FREQUENCY_CAPS", "3"),
        ("FREQUENCY_CAPS", "0/7"),
        ("FREQUENCY_CAPS", "3/7,"),
        ("FREQUENCY_CAPS", "3/999"),
        ("TIME_ZONE", "Warsaw"),
        ("HOLD_SECONDS", "-1"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(config.BadSettings) as refused:
        config.read(RIGHT | {"DATA_DIR": str(tmp_path)} | {f"PREFERENCE_CENTER_{name}": value})
    assert [f"PREFERENCE_CENTER_{name} " in fault for fault in refused.value.faults] == [True]


def test_the_settings_are_read(tmp_path: Path) -> None:
    own = {
        "TIME_ZONE": "Europe/Warsaw",
        "QUIET_HOURS": "21:00-08:00",
        "SENDING_CALENDAR": "mon-fri 08:00-18:00",
        "FREQUENCY_CAPS": "1/1, 3/7",
        "HOLD_SECONDS": "0",
    }
    found = config.read(
        RIGHT | {"DATA_DIR": str(tmp_path)} | {f"PREFERENCE_CENTER_{name}": value for name, value in own.items()}
    )
    assert (found.time_zone, found.frequency_caps, found.hold_seconds) == ("Europe/Warsaw", ((1, 1), (3, 7)), 0)
    assert found.quiet_hours == Hours.parse("21:00-8:00")
    assert found.sending_calendar == wall_clock.SendingCalendar.parse("mon,tue,wed,thu,fri 8:00-18:00")
