"""Time zones as a person may choose them: by country and city in their own language."""

from functools import cache
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from babel import Locale
from babel.core import get_global

from preference_center.contacts import cells
from preference_center.i18n import gettext as _


class Resident(Protocol):
    """Anybody whose time zone may be known."""

    @property
    def time_zone(self) -> str | None: ...


_NOWHERE = "001"  # how CLDR calls the whole world: zones without a country


def of(contact: Resident) -> ZoneInfo:
    """Where the person lives, as far as we know."""
    try:
        return ZoneInfo(contact.time_zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


@cache
def known() -> frozenset[str]:
    """One name for each zone: the one CLDR calls canonical."""
    return frozenset(zone for zone in _countries() if zone in available_timezones())


@cache
def named(language: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Countries in the order of their names, each with its zones as (zone, city)."""
    locale = Locale.parse(language, sep="-")
    by_country: dict[str, list[tuple[str, str]]] = {}
    for zone in known():
        country = _countries()[zone]
        name = _("No country") if country == _NOWHERE else str(locale.territories.get(country, country))
        by_country.setdefault(name, []).append((zone, _city(zone, locale)))
    ordered = sorted(by_country, key=cells.folded)
    return [(name, sorted(by_country[name], key=lambda one: cells.folded(one[1]))) for name in ordered]


def city(contact: Resident, language: str) -> str:
    """The chosen zone in short; nothing when none was chosen."""
    zone = contact.time_zone
    return _city(zone, Locale.parse(language, sep="-")) if zone and zone in known() else ""


def _city(zone: str, locale: Locale) -> str:
    info = locale.time_zones.get(zone, {})
    return str(info.get("city") or zone.rpartition("/")[2].replace("_", " "))


@cache
def _countries() -> dict[str, str]:
    return dict(get_global("zone_territories"))
