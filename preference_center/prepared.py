"""Statements that many requests make: spelled once for each kind of database, then handed to the driver itself.

SQLAlchemy's `execute` costs several times what the driver does with a small statement. Here only that price is gone: values pass
through the types of their columns on both ways, and what goes wrong is raised as SQLAlchemy's own errors.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from weakref import WeakSet

from sqlalchemy import Dialect
from sqlalchemy.sql import ClauseElement

from preference_center import driver
from preference_center.db import db, open_connection

_Process = Callable[[Any], Any]


class Prepared:
    """A SELECT, or an INSERT or UPDATE of the columns `sets`. Its other values are named by `bindparam`.

    Where databases need statements of their own, `statement` is what makes it.
    """

    def __init__(
        self, statement: ClauseElement | Callable[[], ClauseElement], sets: Iterable[str] | None = None
    ) -> None:
        self._statement = statement
        self._sets = None if sets is None else list(sets)
        self._spelled: dict[str, _Spelled] = {}  # by kind of database
        _KNOWN.add(self)

    def rows(self, **values: Any) -> list[Any]:
        """What it finds, or returns, in the open `transaction()`."""
        connection = open_connection()
        spelled = self._for(connection.dialect)
        return spelled.read(driver.rows(connection, spelled.text, spelled.arguments(values)))

    def changed(self, **values: Any) -> int:
        """Write, in the open `transaction()`; how many rows it changed."""
        connection = open_connection()
        spelled = self._for(connection.dialect)
        return driver.change(connection, spelled.text, spelled.arguments(values))

    def run(self, **values: Any) -> None:
        """Write, in the open `transaction()`."""
        connection = open_connection()
        spelled = self._for(connection.dialect)
        driver.run(connection, spelled.text, spelled.arguments(values))

    def asked(self, *, later: timedelta | None = None, **values: Any) -> "Asked":
        """To be asked `together` with others. By `later` every moment is moved on that the statement itself brings."""
        return Asked(self, later, values)

    def look(self, **values: Any) -> list[Any]:
        """What it finds as committed, outside any transaction: nothing is begun, and nothing is undone."""
        engine = db.engine
        spelled = self._for(engine.dialect)
        return spelled.read(driver.look(engine, spelled.text, spelled.arguments(values)))

    def _for(self, dialect: Dialect) -> "_Spelled":
        spelled = self._spelled.get(dialect.name)
        if spelled is None:
            statement = self._statement() if callable(self._statement) else self._statement
            spelled = self._spelled[dialect.name] = _spell(statement, self._sets, dialect)
        return spelled


def spell_all(dialect: Dialect) -> None:
    """All there are, now: for a process whose children would each do it for themselves."""
    for one in list(_KNOWN):
        one._for(dialect)


_KNOWN: WeakSet[Prepared] = WeakSet()


class Asked(NamedTuple):
    """A statement and its values."""

    statement: Prepared
    later: timedelta | None
    values: dict[str, Any]


class Answer(NamedTuple):
    """The rows that a statement brought, and how many it changed, if it is one that changes any."""

    rows: list[Any]
    changed: int


def together(*asked: Asked) -> list[Answer]:
    """Done in this order in the open `transaction()`, in one journey: each sees what those before it did.

    On PostgreSQL each also sees what others have committed until its own turn, just as if it had been asked by itself.
    """
    if not asked:
        return []
    connection = open_connection()
    spelled = [one.statement._for(connection.dialect) for one in asked]
    given = [(words.text, words.arguments(words.values_of(one))) for words, one in zip(spelled, asked, strict=True)]
    answers = zip(spelled, driver.together(connection, given), strict=True)
    return [Answer(words.read(rows), changed) for words, (rows, changed) in answers]


@dataclass(frozen=True)
class _Spelled:
    """A statement in one database's words, and what its values pass through on the way in and out."""

    text: str
    given: list[tuple[str, _Process | None]]  # the values it takes, in their order
    always: dict[str, Any]  # those that the statement itself brings
    found: list[tuple[int, _Process]]  # by place in a row
    by_name: bool  # PostgreSQL's driver takes values by name, SQLite's by place

    def arguments(self, values: dict[str, Any]) -> Any:
        if self.always:
            values = self.always | values
        if self.by_name:
            return {name: process(values[name]) if process else values[name] for name, process in self.given}
        return [process(values[name]) if process else values[name] for name, process in self.given]

    def values_of(self, asked: Asked) -> dict[str, Any]:
        if not asked.later:
            return asked.values
        moments = {name: value for name, value in self.always.items() if isinstance(value, datetime)}
        return {name: value + asked.later for name, value in moments.items()} | asked.values

    def read(self, found: list[tuple[Any, ...]]) -> list[Any]:
        if not self.found or not found:
            return found
        columns: list[Iterable[Any]] = [*zip(*found, strict=True)]
        for place, process in self.found:
            columns[place] = map(process, columns[place])
        return [*zip(*columns, strict=True)]


def _spell(statement: Any, sets: list[str] | None, dialect: Dialect) -> _Spelled:
    compiled = statement.compile(dialect=dialect, column_keys=sets)
    if compiled.prefetch:
        raise TypeError(
            f"a prepared statement names every value, and these would come from defaults: {compiled.prefetch}"
        )
    required = {name: None for name, bind in compiled.binds.items() if bind.required}
    spread = compiled.construct_expanded_state(required)  # a list of values has one place for each
    types = {name: bind.type.dialect_impl(dialect) for name, bind in compiled.binds.items()}
    types |= {one: types[name] for name, several in spread.parameter_expansion.items() for one in several}
    names = spread.positiontup if compiled.positional else list(spread.parameters)
    into = (column.type.dialect_impl(dialect).result_processor(dialect, None) for column in statement.exported_columns)
    return _Spelled(
        text=spread.statement,
        given=[(name, types[name].bind_processor(dialect)) for name in names],
        always={name: value for name, value in spread.parameters.items() if name not in required},
        found=[(place, process) for place, process in enumerate(into) if process],
        by_name=not compiled.positional,
    )
