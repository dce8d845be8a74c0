"""What the law of a person's country allows: read from `jurisdictions.toml`, asked by ledger, import, judge and deadlines.

`Rules` in code stand for the country a person lives in as far as we know; without one, for the organisation's own default.
"""

import calendar
import tomllib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, and_, case, false, func, literal, or_

from preference_center.consent.law import bases
from preference_center.consent.models import Subscription
from preference_center.contacts.models import Contact
from preference_center.topics.purposes import LegalBasis, Purpose

CHANNELS = ("email", "sms", "phone", "post")
_FILE = Path(__file__).with_name("jurisdictions.toml")


@dataclass(frozen=True)
class Source:
    law: str
    article: str
    url: str
    read: str | None  # the month in which somebody last read it; none: from general knowledge
    copy: str | None  # where it was read instead, if not at the official address


@dataclass(frozen=True)
class Answer:
    """How long the law gives to answer a person's request."""

    months: int = 0
    days: int = 0

    def after(self, moment: datetime) -> datetime:
        return months_after(moment, self.months) + timedelta(days=self.days)


@dataclass(frozen=True)
class Rules:
    """The rules of one section of the file."""

    key: str
    name: str
    countries: frozenset[str]
    bases: dict[str, frozenset[LegalBasis]]  # by channel: what may carry advertising
    double_opt_in: str
    soft_opt_in: bool
    soft_opt_in_months: int | None
    age: int
    answer: Answer
    authority: dict[str, str]  # who supervises there: name and url
    sources: tuple[Source, ...]

    def allows(self, basis: LegalBasis, purpose: Purpose) -> bool:
        """Whether this basis may carry this purpose here. What is no advertising is not for the country to say."""
        return not purpose.markets or basis in self.bases[purpose.channel]


@dataclass(frozen=True)
class RuleSet:
    """All rules of one version, by section; `other` stands for every country that has none."""

    version: str
    sections: tuple[Rules, ...]
    other: Rules

    def of(self, country: str | None) -> Rules:
        return next((rules for rules in self.sections if country in rules.countries), self.other)


@lru_cache(maxsize=1)
def in_force() -> RuleSet:
    return read(_FILE.read_text(encoding="utf-8"))


def read(text: str) -> RuleSet:
    """Rules from the text of such a file."""
    data = tomllib.loads(text)
    version = data.pop("version")
    sections = [_rules(key, section) for key, section in data.items()]
    return RuleSet(
        version,
        tuple(one for one in sections if one.key != "other"),
        next(one for one in sections if one.key == "other"),
    )


def _rules(key: str, said: dict[str, Any]) -> Rules:
    return Rules(
        key=key,
        name=said["name"],
        countries=frozenset(said["countries"]),
        bases={channel: frozenset(map(LegalBasis, said[channel])) for channel in CHANNELS},
        double_opt_in=said["double_opt_in"],
        soft_opt_in=said["soft_opt_in"],
        soft_opt_in_months=said.get("soft_opt_in_months"),
        age=said["age"],
        answer=Answer(**said["answer"]),
        authority=said["authority"],
        sources=tuple(_source(one) for one in said["sources"]),
    )


def _source(said: dict[str, Any]) -> Source:
    return Source(said["law"], said["article"], said["url"], said.get("read"), said.get("copy"))


def country_of(jurisdiction: str | None) -> str:
    """The country whose rules apply: the contact's, else the one the organisation assumes; empty: none is known."""
    return jurisdiction or current_app.extensions["settings"].default_jurisdiction


def of(jurisdiction: str | None) -> Rules:
    return in_force().of(country_of(jurisdiction))


def applied(jurisdiction: str | None, source: str | None) -> str:
    """What is written beside a decision: country, how we know it, and the version of the rules (S78)."""
    known = source or "declared" if jurisdiction else "assumed"
    return f"{country_of(jurisdiction) or '--'}/{known}/{in_force().version}"


def allow(purpose: Purpose) -> ColumnElement[bool]:
    """The part of the judge's question that speaks of countries: the basis of the subscription holds where the contact is.

    True only where that is plainly so: a subscription without a basis, or with one that is not for this purpose, is refused.
    """
    rules = in_force()
    country = _country()
    everywhere: list[LegalBasis] = []
    found: list[ColumnElement[bool]] = []
    for basis in bases.allowed_for(purpose):
        allowing = sorted(key for one in rules.sections if one.allows(basis, purpose) for key in one.countries)
        refusing = sorted(key for one in rules.sections if not one.allows(basis, purpose) for key in one.countries)
        if rules.other.allows(basis, purpose):
            if refusing:
                found.append(and_(Subscription.legal_basis == basis, country.not_in(refusing)))
            else:
                everywhere.append(basis)
        elif allowing:
            found.append(and_(Subscription.legal_basis == basis, country.in_(allowing)))
    anywhere = [Subscription.legal_basis.in_(everywhere)] if everywhere else []
    return func.coalesce(or_(false(), *anywhere, *found), false())


def too_young(on: date, birth_date: ColumnElement[Any] | None, age: ColumnElement[Any] | None) -> ColumnElement[bool]:
    """The part that speaks of age, from the attributes an owner declared: a day of birth as ISO text, or an age in years."""
    rules = in_force()
    by_age: dict[int, list[str]] = {}
    for one in rules.sections:
        by_age.setdefault(one.age, []).extend(sorted(one.countries))
    country = _country()
    told: list[ColumnElement[bool]] = []
    if birth_date is not None:
        born = {years: _years_before(on, years).isoformat() for years in {*by_age, rules.other.age}}
        latest = case(
            *((country.in_(countries), born[years]) for years, countries in by_age.items()), else_=born[rules.other.age]
        )
        told.append(birth_date > latest)
    if age is not None:
        least = case(*((country.in_(countries), years) for years, countries in by_age.items()), else_=rules.other.age)
        told.append(age < least)
    return or_(false(), *told)


def is_too_young(attributes: dict[str, Any], jurisdiction: str | None, on: date) -> bool:
    """The same for one person before a consent is made."""
    least, born, years = of(jurisdiction).age, attributes.get("birth_date"), attributes.get("age")
    if isinstance(born, str) and born > _years_before(on, least).isoformat():
        return True
    return isinstance(years, int | float) and not isinstance(years, bool) and years < least


def _country() -> ColumnElement[str]:
    return func.coalesce(Contact.jurisdiction, literal(current_app.extensions["settings"].default_jurisdiction))


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # the 29th of February
        return day.replace(year=day.year - years, day=28)


def months_after(moment: datetime, months: int) -> datetime:
    """The same day so many months later, or that month's last one (Regulation 1182/71, 3(2)(c))."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))
