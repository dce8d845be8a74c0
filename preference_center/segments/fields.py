"""What a condition can speak of: our own columns, the attributes an owner declared, and what a person agreed to on one topic.

Each field knows its value in SQL, of its kind, or NULL when we do not know it. Values of a declared attribute count only when
they are of its kind; anything else is unknown. Both databases keep JSON in their own way, and this file alone knows how.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Numeric, String, case, func, literal, null, select, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import aliased
from sqlalchemy.sql.functions import FunctionElement

from preference_center.consent.models import ConsentRecord, State, Subscription
from preference_center.contacts.models import AttributeKind, Contact
from preference_center.topics.models import Topic


@dataclass(frozen=True)
class Field:
    name: str
    kind: AttributeKind

    profiles: ClassVar = False  # whether it says what a person is or did, beyond what it takes to write to them
    weight: ClassVar = 1  # what a condition on it costs
    keeps_moments: ClassVar = True  # its dates are moments; those of attributes are days, written as text

    def value(self) -> ColumnElement[Any]:
        raise NotImplementedError

    def holds(self, values: Iterable[str]) -> ColumnElement[bool]:
        """For a set: whether one of these is in it, in capitals or not."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class OwnField(Field):
    """One of our own columns."""

    def value(self) -> ColumnElement[Any]:
        column: ColumnElement[Any] = getattr(Contact, _COLUMNS[self.name][0])
        return func.nullif(column, "") if self.kind is AttributeKind.text else column


_COLUMNS = {
    "language": ("language", AttributeKind.text),
    "country": ("jurisdiction", AttributeKind.text),
    "time_zone": ("time_zone", AttributeKind.text),
    "source": ("source", AttributeKind.text),
    "joined": ("created_at", AttributeKind.date),
}
OWN_FIELDS: dict[str, Field] = {name: OwnField(name, kind) for name, (_, kind) in _COLUMNS.items()}


@dataclass(frozen=True)
class AttributeField(Field):
    """An attribute the owner declared."""

    profiles: ClassVar = True
    keeps_moments: ClassVar = False

    def value(self) -> ColumnElement[Any]:
        stored = Contact.attributes[self.name]
        text = stored.as_string()
        kind = _Kind(self.name)
        if self.kind is AttributeKind.number:
            return case((kind.in_(["integer", "real", "number"]), _Number(self.name)), else_=null())
        if self.kind is AttributeKind.boolean:
            return case((kind.in_(["true", "false", "boolean"]), stored.as_boolean()), else_=null())
        if self.kind is AttributeKind.date:
            return case((text.like("____-__-__%"), func.substr(text, 1, 10)), else_=null())
        if self.kind is AttributeKind.set:
            return case((kind == "array", func.nullif(text, "[]")), else_=null())
        return func.nullif(text, "")

    def holds(self, values: Iterable[str]) -> ColumnElement[bool]:
        items = _Items(self.name).table_valued("value")
        wanted = [func.lower(literal(value)) for value in values]
        return select(literal(1)).select_from(items).where(func.lower(items.c.value).in_(wanted)).exists()


@dataclass(frozen=True)
class ConsentField(Field):
    """What the record says that lets us write on one topic: since when, on which basis, where it came from.

    A trait to choose by, and never the permission itself: the judge is asked in any case.
    """

    what: str
    topic: str

    profiles: ClassVar = True
    weight: ClassVar = 4

    def value(self) -> ColumnElement[Any]:
        record, subscription = (
            aliased(ConsentRecord),
            aliased(Subscription),
        )  # the judge around it reads these tables too
        column = getattr(record, _OF_RECORD[self.what][0])
        if self.kind is AttributeKind.text:
            column = type_coerce(column, String())
        return (
            select(column)
            .join(subscription, subscription.record_id == record.id)
            .where(
                subscription.contact_id == Contact.id,
                subscription.topic_id == id_of_topic(self.topic),
                subscription.state == State.given,
            )
            .correlate(Contact)
            .scalar_subquery()
        )


_OF_RECORD = {
    "since": ("happened_at", AttributeKind.date),
    "basis": ("legal_basis", AttributeKind.text),
    "consent_source": ("source", AttributeKind.text),
}
CONSENT_FIELDS = tuple(_OF_RECORD)


def on_topic(what: str, topic: str) -> ConsentField:
    """The field `what(topic)`; in quotes where the topic's key begins with a digit."""
    plain = topic[:1].isalpha() and not topic.endswith("-")
    return ConsentField(f"{what}({topic})" if plain else f'{what}("{topic}")', _OF_RECORD[what][1], what, topic)


def id_of_topic(key: str) -> ColumnElement[int]:
    """The topic's id, looked up once by the statement itself: keys never change, and a rule needs no database to be built."""
    topic = aliased(Topic)
    return select(topic.id).where(topic.key == key).scalar_subquery()


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


class _Items(_Stored):
    """The members of a list as rows of one column, `value`; of anything else, no row."""

    inherit_cache = True
    type = String()


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


@compiles(_Items)
def _items_on_sqlite(element: Any, compiler: Any, **more: Any) -> str:
    column, path, _ = (compiler.process(clause, **more) for clause in element.clauses)
    return (
        f"json_each(CASE WHEN json_type({column}, {path}) = 'array' THEN json_extract({column}, {path}) ELSE '[]' END)"
    )


@compiles(_Items, "postgresql")
def _items_on_postgresql(element: Any, compiler: Any, **more: Any) -> str:
    column, _, key = (compiler.process(clause, **more) for clause in element.clauses)
    found = f"{column} -> {key}"
    return f"jsonb_array_elements_text(CASE WHEN jsonb_typeof({found}) = 'array' THEN {found} ELSE '[]'::jsonb END)"
