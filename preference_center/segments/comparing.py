"""Conditions on one field: what it is compared with, and how.

A comparison with a value we do not know is a no, and `!=` is the exact opposite of `=`. Text is compared without regard to case.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import Boolean, ColumnElement, Numeric, and_, func, literal, not_

from preference_center.segments.fields import Field
from preference_center.segments.rules import SQL, Constant, Rule, plain, written


@dataclass(frozen=True)
class OfField(Rule):
    """A condition on one field."""

    field: Field

    operator: ClassVar = ""

    @property
    def value(self) -> Any:
        """What stands on the other side, as JSON."""
        return None

    def as_json(self) -> dict[str, Any]:
        found = {"field": self.field.name, "op": self.operator}
        return found if self.value is None else found | {"value": self.value}

    @property
    def cost(self) -> int:
        return self.field.weight

    @property
    def profiles(self) -> bool:
        return self.field.profiles


@dataclass(frozen=True)
class Compare(OfField):
    """`field = value` and its like; for dates `<` and `>` are written `before` and `after`, and `=` is `on`."""

    sign: str  # = != < <= > >=
    constant: Constant

    def sql(self, at: datetime) -> SQL:
        if self.sign == "!=":
            return not_(_known(_compare(self.field, "=", self.constant)))
        return _known(_compare(self.field, self.sign, self.constant))

    def __str__(self) -> str:
        word = _DATE_WORDS.get(self.sign, self.sign) if isinstance(self.constant, date) else self.sign
        return f"{self.field} {word} {written(self.constant)}"

    def as_json(self) -> dict[str, Any]:
        return {"field": self.field.name, "op": self.sign, "value": plain(self.constant)}


_DATE_WORDS = {"<": "before", ">": "after", "=": "on"}


@dataclass(frozen=True)
class Between(OfField):
    """Numbers or dates from one to the other, both included."""

    first: Constant
    last: Constant

    operator: ClassVar = "between"

    def sql(self, at: datetime) -> SQL:
        return _known(and_(_compare(self.field, ">=", self.first), _compare(self.field, "<=", self.last)))

    def __str__(self) -> str:
        return f"{self.field} between {written(self.first)} and {written(self.last)}"

    @property
    def value(self) -> Any:
        return [plain(self.first), plain(self.last)]


@dataclass(frozen=True)
class Contains(OfField):
    text: str

    operator: ClassVar = "contains"

    def sql(self, at: datetime) -> SQL:
        return _like(self.field, f"%{_escaped(self.text)}%")

    def __str__(self) -> str:
        return f"{self.field} {self.operator} {written(self.text)}"

    @property
    def value(self) -> Any:
        return self.text

    @property
    def cost(self) -> int:
        return self.field.weight + 1


@dataclass(frozen=True)
class BeginsWith(Contains):
    operator: ClassVar = "begins with"

    def sql(self, at: datetime) -> SQL:
        return _like(self.field, f"{_escaped(self.text)}%")


@dataclass(frozen=True)
class In(OfField):
    """One of a list of texts or numbers."""

    values: tuple[Constant, ...]

    operator: ClassVar = "in"

    def sql(self, at: datetime) -> SQL:
        if isinstance(self.values[0], Decimal):
            return _known(self.field.value().in_([literal(value, Numeric()) for value in self.values]))
        return _known(func.lower(self.field.value()).in_([func.lower(literal(value)) for value in self.values]))

    def __str__(self) -> str:
        return f"{self.field} {self.operator} ({', '.join(written(value) for value in self.values)})"

    @property
    def value(self) -> Any:
        return [plain(value) for value in self.values]

    @property
    def cost(self) -> int:
        return self.field.weight + len(self.values) // 20


@dataclass(frozen=True)
class Has(In):
    """For a set: one of these is among its members."""

    operator: ClassVar = "has"

    def sql(self, at: datetime) -> SQL:
        return self.field.holds(str(value) for value in self.values)

    def __str__(self) -> str:
        if len(self.values) == 1:
            return f"{self.field} has {written(self.values[0])}"
        return f"{self.field} has any of ({', '.join(written(value) for value in self.values)})"

    @property
    def cost(self) -> int:
        return super().cost + 1


@dataclass(frozen=True)
class InTheLast(OfField):
    """A date within the last N days, the present one included."""

    days: int

    operator: ClassVar = "in the last"

    def sql(self, at: datetime) -> SQL:
        return _within(self.field, at - timedelta(days=self.days), at)

    def __str__(self) -> str:
        return f"{self.field} {self.operator} {self.days} days"

    @property
    def value(self) -> Any:
        return self.days


@dataclass(frozen=True)
class InTheNext(InTheLast):
    """A date within the next N days, the present one included."""

    operator: ClassVar = "in the next"

    def sql(self, at: datetime) -> SQL:
        return _within(self.field, at, at + timedelta(days=self.days))


@dataclass(frozen=True)
class Unknown(OfField):
    operator: ClassVar = "is unknown"

    def sql(self, at: datetime) -> SQL:
        return self.field.value().is_(None)

    def __str__(self) -> str:
        return f"{self.field} {self.operator}"


@dataclass(frozen=True)
class Known(Unknown):
    operator: ClassVar = "is known"

    def sql(self, at: datetime) -> SQL:
        return self.field.value().is_not(None)


def _compare(field: Field, operator: str, value: Constant) -> SQL:
    column = field.value()
    if isinstance(value, bool):
        return column == literal(value, Boolean())
    if isinstance(value, Decimal):
        return _ordered(column, operator, literal(value, Numeric()))
    if isinstance(value, date):
        if field.keeps_moments:
            return _moment(column, operator, value)
        return _ordered(column, operator, literal(value.isoformat()))
    return func.lower(column) == func.lower(literal(value))


def _moment(column: ColumnElement[Any], operator: str, day: date) -> SQL:
    """A moment against a whole day in UTC: `after` a day begins when that day is over."""
    begin = datetime.combine(day, time(), UTC)
    end = begin + timedelta(days=1)
    if operator == "=":
        return and_(column >= begin, column < end)
    return {"<": column < begin, "<=": column < end, ">": column >= end, ">=": column >= begin}[operator]


def _within(field: Field, first: datetime, last: datetime) -> SQL:
    if field.keeps_moments:
        return _known(field.value().between(first, last))
    return _known(field.value().between(first.date().isoformat(), last.date().isoformat()))


def _ordered(column: ColumnElement[Any], operator: str, value: ColumnElement[Any]) -> SQL:
    compared: SQL = column.op(operator, is_comparison=True, return_type=Boolean())(value)
    return compared


def _like(field: Field, pattern: str) -> SQL:
    return _known(func.lower(field.value()).like(func.lower(literal(pattern)), escape="/"))


def _escaped(text: str) -> str:
    return re.sub(r"([/%_])", r"/\1", text)


def _known(condition: SQL) -> SQL:
    """A condition on an unknown value is NULL in SQL; here it is a plain no."""
    return func.coalesce(condition, literal(False, Boolean()))
