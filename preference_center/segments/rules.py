"""The rules a segment is made of: each one knows its SQL and its text, and the text reads back as the same rule.

Every rule answers yes or no for every contact, never "perhaps": a comparison with a value we do not know is a no, and `!=` is
the exact opposite of `=`, so a rule and its `not` together are always everybody. Text is compared without regard to case.
Values of a declared attribute count only when they are of its kind; anything else is unknown. Consent cannot be said here.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Numeric, String, and_, case, func, literal, not_, null, or_, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from preference_center.contacts.models import AttributeKind, Contact

Constant = str | Decimal | date | bool
_SQL = ColumnElement[bool]


class Rule:
    """What every rule can do."""

    def sql(self, at: datetime) -> _SQL:
        """Who is meant, as a condition on Contact; `at` is the moment that "the last N days" end at."""
        raise NotImplementedError

    def __str__(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True)
class Everyone(Rule):
    def sql(self, at: datetime) -> _SQL:
        return true()

    def __str__(self) -> str:
        return "everyone"


@dataclass(frozen=True)
class Field:
    """Something known of a contact: one of our own columns, or an attribute the owner declared."""

    name: str
    kind: AttributeKind
    own: bool = False

    def value(self) -> ColumnElement[Any]:
        """Its value in SQL, of its kind, or NULL when we do not know it."""
        if self.own:
            column: ColumnElement[Any] = getattr(Contact, _OWN_COLUMNS[self.name][0])
            return func.nullif(column, "") if self.kind is AttributeKind.text else column
        stored = Contact.attributes[self.name]
        text = stored.as_string()
        kind = _Kind(self.name)
        if self.kind is AttributeKind.number:
            return case((kind.in_(["integer", "real", "number"]), _Number(self.name)), else_=null())
        if self.kind is AttributeKind.boolean:
            return case((kind.in_(["true", "false", "boolean"]), stored.as_boolean()), else_=null())
        if self.kind is AttributeKind.date:
            return case((text.like("____-__-__%"), func.substr(text, 1, 10)), else_=null())
        return func.nullif(text, "")

    def __str__(self) -> str:
        return self.name


_OWN_COLUMNS = {
    "language": ("language", AttributeKind.text),
    "country": ("jurisdiction", AttributeKind.text),
    "time_zone": ("time_zone", AttributeKind.text),
    "source": ("source", AttributeKind.text),
    "joined": ("created_at", AttributeKind.date),
}
OWN_FIELDS = {name: Field(name, kind, own=True) for name, (_, kind) in _OWN_COLUMNS.items()}


class _Stored(FunctionElement[Any]):
    """A value of the JSON column by its key. Both databases have their own way to say it."""

    inherit_cache = True

    def __init__(self, key: str) -> None:
        super().__init__(Contact.attributes, literal(f'$."{key}"'), literal(key))


class _Kind(_Stored):
    """What kind of JSON value it is."""

    inherit_cache = True
    type = String()


class _Number(_Stored):
    """The value as a number of any size."""

    inherit_cache = True
    type = Numeric()


@compiles(_Kind)
def _kind_on_sqlite(element: Any, compiler: Any, **more: Any) -> str:
    column, path, _ = element.clauses
    return f"json_type({compiler.process(column, **more)}, {compiler.process(path, **more)})"


@compiles(_Kind, "postgresql")
def _kind_on_postgresql(element: Any, compiler: Any, **more: Any) -> str:
    column, _, key = element.clauses
    return f"jsonb_typeof({compiler.process(column, **more)} -> {compiler.process(key, **more)})"


@compiles(_Number)
def _number_on_sqlite(element: Any, compiler: Any, **more: Any) -> str:
    column, path, _ = element.clauses
    return f"json_extract({compiler.process(column, **more)}, {compiler.process(path, **more)})"


@compiles(_Number, "postgresql")
def _number_on_postgresql(element: Any, compiler: Any, **more: Any) -> str:
    column, _, key = element.clauses
    return f"CAST({compiler.process(column, **more)} ->> {compiler.process(key, **more)} AS NUMERIC)"


@dataclass(frozen=True)
class Compare(Rule):
    """`field = value` and its like; for dates `<` and `>` are written `before` and `after`, and `=` is `on`."""

    field: Field
    operator: str  # = != < <= > >=
    value: Constant

    def sql(self, at: datetime) -> _SQL:
        if self.operator == "!=":
            return not_(_known(_compare(self.field, "=", self.value)))
        return _known(_compare(self.field, self.operator, self.value))

    def __str__(self) -> str:
        word = _DATE_WORDS.get(self.operator, self.operator) if isinstance(self.value, date) else self.operator
        return f"{self.field} {word} {written(self.value)}"


_DATE_WORDS = {"<": "before", ">": "after", "=": "on"}


@dataclass(frozen=True)
class Contains(Rule):
    field: Field
    text: str

    def sql(self, at: datetime) -> _SQL:
        escaped = re.sub(r"([/%_])", r"/\1", self.text)
        pattern = func.lower(literal(f"%{escaped}%"))
        return _known(func.lower(self.field.value()).like(pattern, escape="/"))

    def __str__(self) -> str:
        return f"{self.field} contains {written(self.text)}"


@dataclass(frozen=True)
class In(Rule):
    """One of a list of texts or numbers."""

    field: Field
    values: tuple[Constant, ...]

    def sql(self, at: datetime) -> _SQL:
        if self.field.kind is AttributeKind.number:
            return _known(self.field.value().in_([literal(value, Numeric()) for value in self.values]))
        return _known(func.lower(self.field.value()).in_([func.lower(literal(value)) for value in self.values]))

    def __str__(self) -> str:
        return f"{self.field} in ({', '.join(written(value) for value in self.values)})"


@dataclass(frozen=True)
class InTheLast(Rule):
    """A date within the last N days, the present one included."""

    field: Field
    days: int

    def sql(self, at: datetime) -> _SQL:
        start = at - timedelta(days=self.days)
        if self.field.own:
            return _known(self.field.value().between(start, at))
        return _known(self.field.value().between(start.date().isoformat(), at.date().isoformat()))

    def __str__(self) -> str:
        return f"{self.field} in the last {self.days} days"


@dataclass(frozen=True)
class Unknown(Rule):
    field: Field

    def sql(self, at: datetime) -> _SQL:
        return self.field.value().is_(None)

    def __str__(self) -> str:
        return f"{self.field} is unknown"


@dataclass(frozen=True)
class Known(Rule):
    field: Field

    def sql(self, at: datetime) -> _SQL:
        return self.field.value().is_not(None)

    def __str__(self) -> str:
        return f"{self.field} is known"


@dataclass(frozen=True)
class Not(Rule):
    rule: Rule

    def sql(self, at: datetime) -> _SQL:
        return not_(self.rule.sql(at))

    def __str__(self) -> str:
        return f"not {_grouped(self.rule, And, Or)}"


@dataclass(frozen=True)
class And(Rule):
    rules: tuple[Rule, ...]  # two or more, none of them an And

    def sql(self, at: datetime) -> _SQL:
        return and_(*(rule.sql(at) for rule in self.rules))

    def __str__(self) -> str:
        return " and ".join(_grouped(rule, Or) for rule in self.rules)


@dataclass(frozen=True)
class Or(Rule):
    rules: tuple[Rule, ...]  # two or more, none of them an Or

    def sql(self, at: datetime) -> _SQL:
        return or_(*(rule.sql(at) for rule in self.rules))

    def __str__(self) -> str:
        return " or ".join(str(rule) for rule in self.rules)


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


def _compare(field: Field, operator: str, value: Constant) -> _SQL:
    column = field.value()
    if isinstance(value, bool):
        return column == literal(value, Boolean())
    if isinstance(value, Decimal):
        return _ordered(column, operator, literal(value, Numeric()))
    if isinstance(value, date):
        return _moment(column, operator, value) if field.own else _ordered(column, operator, literal(value.isoformat()))
    return func.lower(column) == func.lower(literal(value))


def _moment(column: ColumnElement[Any], operator: str, day: date) -> _SQL:
    """A moment against a whole day in UTC: `after` a day begins when that day is over."""
    begin = datetime.combine(day, time(), UTC)
    end = begin + timedelta(days=1)
    if operator == "=":
        return and_(column >= begin, column < end)
    return {"<": column < begin, "<=": column < end, ">": column >= end, ">=": column >= begin}[operator]


def _ordered(column: ColumnElement[Any], operator: str, value: ColumnElement[Any]) -> _SQL:
    compared: _SQL = column.op(operator, is_comparison=True, return_type=Boolean())(value)
    return compared


def _known(condition: _SQL) -> _SQL:
    """A condition on an unknown value is NULL in SQL; here it is a plain no."""
    return func.coalesce(condition, literal(False, Boolean()))


def _grouped(rule: Rule, *kinds: type[Rule]) -> str:
    return f"({rule})" if isinstance(rule, kinds) else str(rule)
