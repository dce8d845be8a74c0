"""The rules a segment is made of: each one knows its SQL, its text and its JSON, and both read back as the same rule.

Every rule answers yes or no for every contact, never "perhaps": a rule and its `not` together are always everybody. Whether a
person may be mailed cannot be said here. The conditions are in `comparing.py`, `traits.py` and `engagement.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_, true

Constant = str | Decimal | date | bool
SQL = ColumnElement[bool]


class Rule:
    """What every rule can do."""

    def sql(self, at: datetime) -> SQL:
        """Who is meant, as a condition on Contact; `at` is the moment that "the last N days" end at."""
        raise NotImplementedError

    def __str__(self) -> str:
        raise NotImplementedError

    def as_json(self) -> dict[str, Any]:
        raise NotImplementedError

    @property
    def parts(self) -> "tuple[Rule, ...]":
        """The rules this one joins; none for a condition."""
        return ()

    @property
    def cost(self) -> int:
        """About how much work it is for the database, in plain comparisons."""
        return 1

    @property
    def profiles(self) -> bool:
        """Whether it chooses by what a person is or did: then whoever objected to profiling is not chosen (S85)."""
        return False


def leaves(rule: Rule) -> Iterator[Rule]:
    """The conditions of a rule, from left to right."""
    for part in rule.parts:
        yield from leaves(part)
    if not rule.parts:
        yield rule


@dataclass(frozen=True)
class Everyone(Rule):
    def sql(self, at: datetime) -> SQL:
        return true()

    def __str__(self) -> str:
        return "everyone"

    def as_json(self) -> dict[str, Any]:
        return {"everyone": True}


@dataclass(frozen=True)
class Not(Rule):
    rule: Rule

    def sql(self, at: datetime) -> SQL:
        return not_(self.rule.sql(at))

    def __str__(self) -> str:
        return f"not {_grouped(self.rule, And, Or)}"

    def as_json(self) -> dict[str, Any]:
        return {"not": self.rule.as_json()}

    @property
    def parts(self) -> tuple[Rule, ...]:
        return (self.rule,)


@dataclass(frozen=True)
class Group(Rule):
    rules: tuple[Rule, ...]  # two or more, none of them of the same kind as the group

    @property
    def parts(self) -> tuple[Rule, ...]:
        return self.rules


@dataclass(frozen=True)
class And(Group):
    def sql(self, at: datetime) -> SQL:
        return and_(*(rule.sql(at) for rule in self.rules))

    def __str__(self) -> str:
        return " and ".join(_grouped(rule, Or) for rule in self.rules)

    def as_json(self) -> dict[str, Any]:
        return {"all": [rule.as_json() for rule in self.rules]}


@dataclass(frozen=True)
class Or(Group):
    def sql(self, at: datetime) -> SQL:
        return or_(*(rule.sql(at) for rule in self.rules))

    def __str__(self) -> str:
        return " or ".join(str(rule) for rule in self.rules)

    def as_json(self) -> dict[str, Any]:
        return {"any": [rule.as_json() for rule in self.rules]}


def joined(kind: type[Group], rules: list[Rule]) -> Rule:
    """`a and (b and c)` is `a and b and c`: one way to write it, one way to print it."""
    flat: list[Rule] = []
    for rule in rules:
        flat.extend(rule.parts if type(rule) is kind else (rule,))
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def written(value: Constant) -> str:
    """A constant as it stands in the text of a rule."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def plain(value: Constant) -> str | int | float | bool:
    """A constant as JSON holds it. A number that JSON's readers would round is kept as text."""
    if isinstance(value, Decimal):
        rounded: int | float = int(value) if value == int(value) else float(value)
        return rounded if Decimal(repr(rounded)) == value else format(value, "f")
    return value.isoformat() if isinstance(value, date) else value


def _grouped(rule: Rule, *kinds: type[Rule]) -> str:
    return f"({rule})" if type(rule) in kinds else str(rule)
