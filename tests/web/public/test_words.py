"""Days and moments in words: as Babel writes them, to the letter."""

from datetime import UTC, datetime, timedelta
from itertools import product
from weakref import WeakSet
from zoneinfo import ZoneInfo

import pytest
from babel.dates import format_date, format_datetime

from preference_center import i18n
from preference_center.web.public import words

ZONES = ["UTC", "Europe/Warsaw", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Kiritimati"]
BEGIN = datetime(2025, 12, 31, 22, 58, 59, 123456, UTC)
MOMENTS = [BEGIN + timedelta(days=31 * at, hours=5 * at, minutes=7 * at, seconds=9 * at) for at in range(24)]
MOMENTS += [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1, 2)]  # the hour that comes twice in Warsaw


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_moments_are_written_as_babel_writes_them(language: str) -> None:
    locale = i18n.locale(language)
    for zone, at in product(ZONES, MOMENTS):
        there = at.astimezone(ZoneInfo(zone))
        for _ in range(2):  # the first makes what the second goes by
            assert words.moment_of(there, language) == format_datetime(at, "long", tzinfo=ZoneInfo(zone), locale=locale)
        assert words.day_of(there, language) == format_date(there.date(), "long", locale=locale)


def test_only_so_many_hours_are_remembered() -> None:
    remembered: WeakSet[ZoneInfo] = WeakSet()
    for _ in range(5000):
        zone = ZoneInfo.no_cache("UTC")
        remembered.add(zone)
        words.moment_of(BEGIN.replace(tzinfo=zone), "en")
    assert len(remembered) < 4500
