"""Turns what stands in a cell into a value: clean text, a number, a day, yes or no, a language, a country, a time zone. And back.

Each reader answers None when the text is not one of its kind; the caller says so of the row and keeps the row without it.
"""

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any
from zoneinfo import available_timezones

from babel import Locale
from babel.core import get_global

from preference_center import i18n
from preference_center.contacts.models import AttributeKind

Value = str | int | float | bool | list[str]

_UNREADABLE = re.compile("[\ud800-\udfff\ufffd]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_HIDDEN = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")
_MARK = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]"
_PILED_MARKS = re.compile(f"({_MARK}{{3}}){_MARK}+")
_ODD = re.compile("|".join((_UNREADABLE.pattern, _CONTROL.pattern, _HIDDEN.pattern, f"{_MARK}{{3}}")))
_YES = {"yes", "y", "true", "t", "1", "on", "tak", "prawda", "si", "verdadero", "sim", "verdadeiro"}
_NO = {"no", "n", "false", "f", "0", "off", "nie", "falsz", "falso", "nao"}
_THOUSANDS = "[ \u00a0\u2009\u202f]"
_NUMBER = re.compile(rf"[+-]?(?:\d{{1,15}}|\d{{1,3}}(?:{_THOUSANDS}\d{{3}})+)(?:[.,]\d{{1,6}})?", re.ASCII)
_TOO_LARGE = 10**15  # from here on a decimal number is not kept as it was written
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ](.+))?", re.ASCII)
_LOCAL = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})(?:,?[T ]+(.+))?", re.ASCII)
_TIME = re.compile(
    r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)? ?(Z|UTC|GMT|[+-]\d{2}:?\d{2})?", re.IGNORECASE | re.ASCII
)


def clean(text: str) -> str | None:
    """The text trimmed, in NFC, without control characters and hidden signs. Nothing when it cannot be read."""
    if text.isascii() and text.isprintable():
        return text.strip()
    if not _ODD.search(text) and unicodedata.is_normalized("NFC", text):
        return text.strip()
    if _UNREADABLE.search(text):
        return None
    shown = unicodedata.normalize("NFC", _HIDDEN.sub("", _CONTROL.sub(" ", text)))
    return _PILED_MARKS.sub(r"\1", shown).strip()


@lru_cache(maxsize=4096)
def folded(text: str) -> str:
    """Small letters, digits and single spaces, without accents: how column names and words are compared."""
    plain = unicodedata.normalize("NFKD", text.replace("ł", "l").replace("Ł", "l").replace("ß", "ss"))
    bare = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return " ".join(re.findall(r"[a-z0-9]+", bare.casefold()))


def value(text: str, kind: AttributeKind, day_first: bool = True) -> Value | None:
    """The value of a declared attribute, as it is kept in JSON. Empty text is nobody's value: do not ask."""
    if kind is AttributeKind.number:
        return number(text)
    if kind is AttributeKind.boolean:
        return yes_or_no(text)
    if kind is AttributeKind.date:
        found = moment(text, day_first)
        return found.moment.date().isoformat() if found else None
    if kind is AttributeKind.set:
        return members(text)
    return text


def written(value: Any) -> str:
    """What a cell says for a value, so that value() reads the same out of it."""
    if isinstance(value, list):
        return _joined(value)
    if isinstance(value, float):
        return f"{Decimal(repr(value)):f}"  # never 1e-06
    return "" if value is None else str(value)


def _joined(members: list[str]) -> str:
    if not any(sign in member for member in members for sign in ",|"):
        return ",".join(members)
    return ";".join(members) + (";" if len(members) == 1 else "")


def members(text: str) -> list[str] | None:
    """The texts of a set: between semicolons or bars where there are any, else between commas; each once, in order."""
    mark = next((sign for sign in ";|" if sign in text), ",")
    found = dict.fromkeys(part.strip() for part in text.split(mark))
    return [part for part in found if part] or None


def number(text: str) -> int | float | None:
    """A whole or decimal number; a comma or a point before the decimals, spaces between thousands."""
    if not _NUMBER.fullmatch(text):
        return None
    plain = re.sub(_THOUSANDS, "", text).replace(",", ".")
    found = float(plain) if "." in plain else int(plain)
    return found if abs(found) < _TOO_LARGE else None


def yes_or_no(text: str) -> bool | None:
    word = folded(text)
    return True if word in _YES else False if word in _NO else None


class Moment:
    """A moment read from a file, and whether the file said in which time zone."""

    __slots__ = ("moment", "zoned")

    def __init__(self, moment: datetime, zoned: bool) -> None:
        self.moment, self.zoned = moment, zoned


@lru_cache(maxsize=8192)
def moment(text: str, day_first: bool = True) -> Moment | None:
    """`2024-05-31`, `2024-05-31 10:20:30+02:00`, `31.05.2024`, `31/05/2024 10:20`. Without a zone it counts as UTC."""
    found = _ISO.fullmatch(text)
    if found:
        year, month, day, clock = found[1], found[2], found[3], found[4]
    else:
        found = _LOCAL.fullmatch(text)
        if not found:
            return None
        year, clock = found[4], found[5]
        day, month = (found[1], found[3]) if day_first or found[2] == "." else (found[3], found[1])
    try:
        on = date(int(year), int(month), int(day))
        at, zone = _time(clock) if clock else (time(), None)
        made = datetime.combine(on, at, tzinfo=UTC)
        return Moment(made - (zone or timedelta()), zone is not None)
    except (ValueError, OverflowError):
        return None


def _time(text: str) -> tuple[time, timedelta | None]:
    found = _TIME.fullmatch(text.strip())
    if not found:
        raise ValueError("not a time")
    zone = found[4]
    offset = None
    if zone:
        sign = -1 if zone[0] == "-" else 1
        digits = re.sub(r"\D", "", zone)
        offset = sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:])) if digits else timedelta()
    return time(int(found[1]), int(found[2]), int(found[3] or 0)), offset


def day_and_month(text: str) -> tuple[int, int] | None:
    """The first and second number of a day written `a/b/2024` or `a-b-2024`, whose order differs between countries."""
    found = _LOCAL.fullmatch(text)
    return (int(found[1]), int(found[3])) if found and found[2] != "." else None


_NARROW = (AttributeKind.number, AttributeKind.date, AttributeKind.boolean)


class Column:
    """What all texts of one column have in common, gathered one by one: the narrowest kind, and which way days are written."""

    def __init__(self, kinds: Iterable[AttributeKind] = _NARROW) -> None:
        self._kinds = list(kinds)
        self._seen: set[str] = set()
        self._empty = True
        self._day_first = self._month_first = False

    def add(self, text: str) -> None:
        if text in self._seen:
            return
        if len(self._seen) < 4096 and len(text) <= 40:
            self._seen.add(text)
        self._empty = False
        for kind in tuple(self._kinds):
            if not _fits(text, kind):
                self._kinds.remove(kind)
        pair = day_and_month(text)
        if pair:
            self._day_first |= pair[0] > 12
            self._month_first |= pair[1] > 12

    @property
    def kind(self) -> AttributeKind:
        return self._kinds[0] if self._kinds and not self._empty else AttributeKind.text

    @property
    def day_first(self) -> bool | None:
        """Nothing when the column uses both orders."""
        return None if self._day_first and self._month_first else not self._month_first


def _fits(text: str, kind: AttributeKind) -> bool:
    """Numbers with a leading nought or plus (postcodes, phones) stay text."""
    if kind is AttributeKind.number and (text[0] == "+" or (text[0] == "0" and text[1:2].isdigit())):
        return False
    return value(text, kind) is not None or (kind is AttributeKind.date and value(text, kind, False) is not None)


@lru_cache(maxsize=1024)
def language(text: str) -> str | None:
    """One of the languages we write in, from a code or a name in any of them."""
    tag = text.strip().replace("_", "-")
    if re.fullmatch(r"[A-Za-z]{2}(-[A-Za-z0-9]{2,8})*", tag):
        return i18n.best(tag, default="") or None
    return _languages().get(folded(text))


@lru_cache(maxsize=1024)
def country(text: str) -> str | None:
    """The ISO 3166 code of a country, from its code of two or three letters or its name in any of our languages."""
    code = text.strip().upper()
    if re.fullmatch("[A-Z]{2}", code):
        return code if code in _countries().values() else {"UK": "GB", "EL": "GR"}.get(code)
    return _countries().get(folded(text))


def time_zone(text: str) -> str | None:
    return text if text in _zones() and len(text) <= 40 else None


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def _languages() -> dict[str, str]:
    names = {"english us": "en", "english uk": "en", "brazilian": "pt-BR", "brasileiro": "pt-BR"}
    for shown_in in i18n.LANGUAGES:
        words = Locale.parse(shown_in, sep="-").languages
        for language in i18n.LANGUAGES:
            names[folded(words[language.partition("-")[0]])] = language
            if language in i18n.LANGUAGES:
                names[folded(i18n.LANGUAGES[language])] = language
    return names


@cache
def _countries() -> dict[str, str]:
    names: dict[str, str] = {}
    for language in i18n.LANGUAGES:
        for code, name in Locale.parse(language, sep="-").territories.items():
            if re.fullmatch("[A-Z]{2}", code) and code not in ("EU", "EZ", "UN", "XA", "XB", "ZZ", "QO"):
                names[folded(name)] = code
    codes = set(names.values())
    for long, short in get_global("territory_aliases").items():
        if re.fullmatch("[A-Z]{3}", long) and len(short) == 1 and short[0] in codes:
            names[long.casefold()] = short[0]
    return names | {
        "usa": "US", "united states of america": "US", "stany zjednoczone ameryki": "US", "eeuu": "US", "ee uu": "US",
        "eua": "US", "great britain": "GB", "uk": "GB", "england": "GB", "scotland": "GB", "wales": "GB", "anglia": "GB",
        "inglaterra": "GB", "czech republic": "CZ", "republika czeska": "CZ", "republica checa": "CZ", "tchequia": "CZ",
        "holland": "NL", "holandia": "NL", "holanda": "NL", "rzeczpospolita polska": "PL", "turkey": "TR",
    }  # fmt: skip
