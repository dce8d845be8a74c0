"""The words a rule may use, and what may stand beside what. Text and JSON are read by the same table, so they say the same.

What is wrong is told as NotUnderstood; whoever reads the text or the JSON knows the place and adds it.
"""

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from preference_center import i18n
from preference_center.contacts.models import AttributeKind
from preference_center.segments.fields import OWN_FIELDS, AttributeField, Field
from preference_center.segments.rules import Constant, Rule

MAX_ITEMS = 1000
MAX_VALUE = 200
MAX_DAYS = 9999

_TEXT, _NUMBER, _DATE = AttributeKind.text, AttributeKind.number, AttributeKind.date
_ALL_BUT_SETS = {_TEXT, _NUMBER, _DATE, AttributeKind.boolean}
# operator: the kinds of field it is for
OPERATORS: dict[str, set[AttributeKind]] = {
    "=": _ALL_BUT_SETS,
    "!=": _ALL_BUT_SETS,
    "<": {_NUMBER, _DATE},
    "<=": {_NUMBER, _DATE},
    ">": {_NUMBER, _DATE},
    ">=": {_NUMBER, _DATE},
    "between": {_NUMBER, _DATE},
    "contains": {_TEXT},
    "begins with": {_TEXT},
    "in": {_TEXT, _NUMBER},
    "has": {AttributeKind.set},
    "in the last": {_DATE},
    "in the next": {_DATE},
    "is known": set(AttributeKind),
    "is unknown": set(AttributeKind),
}
LIKE = {
    AttributeKind.text: 'a text, such as "Kraków"',
    AttributeKind.number: "a number, such as 500",
    AttributeKind.date: "a date, such as 2026-01-31",
    AttributeKind.boolean: "yes or no",
    AttributeKind.set: 'a set: write `has "plants"` or `has any of ("plants", "lamps")`',
}
_FOR = {
    "in": "`in (…)` is for texts and numbers",
    "has": "`has` is for sets",
    "in the last": "`in the last … days` is for dates",
    "in the next": "`in the next … days` is for dates",
}


class NotUnderstood(Exception):
    """What is wrong, in one sentence without the place."""


@dataclass(frozen=True)
class Limits:
    depth: int  # of parentheses and `not`
    conditions: int
    cost: int  # in plain comparisons, about
    characters: int


BY_HAND = Limits(depth=5, conditions=100, cost=200, characters=100_000)
WRITTEN_OUT = Limits(
    depth=40, conditions=500, cost=600, characters=2_000_000
)  # with the segments it names in their place


class Words:
    """What can be spoken of here: the declared attributes, the topics, the other segments, the campaigns."""

    def __init__(
        self,
        attributes: Mapping[str, AttributeKind],
        topics: Collection[str] = (),
        segments: Collection[str] = (),
        campaigns: Callable[[str], Collection[str]] = lambda words: (),
    ) -> None:
        self.attributes, self.topics, self.segments, self.campaigns_named = attributes, topics, segments, campaigns

    def field(self, name: str) -> Field:
        declared = self.attributes.get(name) or self.attributes.get(name.lower())
        known = OWN_FIELDS.get(name.lower())
        if known is not None:
            return known
        if declared is not None:
            return AttributeField(name if name in self.attributes else name.lower(), declared)
        raise NotUnderstood(f"There is no field `{name[:40]}`. {_near(name, [*self.attributes, *OWN_FIELDS])}")

    def topic(self, key: str) -> str:
        if key not in self.topics:
            raise NotUnderstood(f"There is no topic `{key[:40]}`. {_near(key, self.topics)}")
        return key

    def segment(self, name: str) -> str:
        found = {folded(each): each for each in self.segments}.get(folded(name))
        if found is None:
            raise NotUnderstood(f"There is no segment `{name[:80]}`. {_near(name, self.segments)}")
        return found

    def campaign(self, words: str) -> str:
        """The public id behind an id or a name."""
        found = list(self.campaigns_named(words))
        if len(found) != 1:
            raise NotUnderstood(
                f"There is no campaign `{words[:80]}`. Write its id or its whole name."
                if not found
                else f"{len(found)} campaigns are named `{words[:80]}`. Write the id of one."
            )
        return found[0]


def folded(name: str) -> str:
    """How names of segments are compared."""
    return " ".join(name.split()).casefold()


def check_operator(field: Field, operator: str, shown: str = "") -> None:
    """`shown`: how it was written."""
    kinds = OPERATORS.get(operator)
    if kinds is None:
        raise NotUnderstood(f"`{operator[:40]}` compares nothing. Use one of: {', '.join(OPERATORS)}.")
    if field.kind not in kinds:
        told = _FOR.get(operator) or f"`{shown or operator}` is for {_named(kinds)}"
        raise NotUnderstood(f"{told}; {field} is {LIKE[field.kind]}.")


def text(value: str, field: Field | None = None) -> str:
    """A text to compare with, as it is kept."""
    if not value.strip() or len(value) > MAX_VALUE or "\0" in value or _BROKEN.search(value):
        raise NotUnderstood(f"A text has 1 to {MAX_VALUE} characters. For nothing at all write `is unknown`.")
    if field is OWN_FIELDS["country"]:
        if not re.fullmatch(r"[A-Za-z]{2}", value):
            raise NotUnderstood("Write a country as its two letters, such as PL or ES.")
        return value.upper()
    if field is OWN_FIELDS["language"]:
        value = i18n.best(value, default="")  # as contacts have it: pt and en-US are pt-BR and en
        if not value:
            raise NotUnderstood(f"Write a language as its code, one of: {', '.join(i18n.LANGUAGES)}.")
    return value


_BROKEN = re.compile("[\ud800-\udfff]")  # half a character: no database takes it
NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,6})?", re.ASCII)


def number(written: str) -> Decimal:
    value = Decimal(written)
    return Decimal(0) if value == 0 else value.quantize(Decimal(1)) if value == int(value) else value.normalize()


def day(written: str) -> date | None:
    try:
        found = date.fromisoformat(written)
    except ValueError:
        return None
    return found if 1900 <= found.year <= 2200 else None


def check_order(first: Constant, last: Constant) -> None:
    if first > last:  # type: ignore[operator]
        raise NotUnderstood("`between` goes from the smaller to the larger: write them the other way round.")


class Budget:
    """Counts what a rule costs while it is read, so that a huge one is refused as soon as it is too much."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.conditions = self.cost = 0

    def take(self) -> None:
        """Before a condition is read."""
        self.conditions += 1
        if self.conditions > self.limits.conditions:
            raise NotUnderstood(f"A rule holds {self.limits.conditions} conditions at most.")

    def pay(self, rule: Rule) -> Rule:
        self.cost += rule.cost
        if self.cost > self.limits.cost:
            raise NotUnderstood("This rule asks too much of the database. Use fewer or shorter conditions.")
        return rule


def _named(kinds: set[AttributeKind]) -> str:
    names = {_TEXT: "texts", _NUMBER: "numbers", _DATE: "dates", AttributeKind.boolean: "yes or no"}
    told = [name for kind, name in names.items() if kind in kinds]
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name.lower()[:80], known, 1)
    if near:
        return f"Did you mean `{near[0]}`?"
    return f"Known are: {', '.join(sorted(known)[:30])}." if known else "There are none yet."
