"""The database: one base model, the column types all rooms share, and `transaction()`, the only place that commits."""

import base64
import enum
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import g
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Engine,
    Enum,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    any_,
    bindparam,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from preference_center import clock
from preference_center.turns import turn

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UTCDateTime(TypeDecorator[datetime]):
    """An aware moment in UTC. PostgreSQL keeps `timestamptz`, SQLite an integer of microseconds (8 bytes, sorts right)."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored")
        return (value - _EPOCH) // timedelta(microseconds=1) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else self.of(value)

    @staticmethod
    def of(stored: int | datetime) -> datetime:
        return _EPOCH + timedelta(microseconds=stored) if isinstance(stored, int) else stored.astimezone(UTC)


Json = JSON().with_variant(JSONB(), "postgresql")
BigId = BigInteger().with_variant(Integer(), "sqlite")


def text_enum(kind: type[enum.StrEnum], length: int = 20) -> Enum:
    """A column of a `StrEnum`, kept as its text, so that a new member needs no migration."""
    return Enum(
        kind, native_enum=False, create_constraint=False, length=length, values_callable=lambda e: [m.value for m in e]
    )


class SmallEnum(TypeDecorator[enum.StrEnum]):
    """A `StrEnum` kept as a small number, for tables that hold many rows a contact: SQLite needs no byte for 0 and 1.

    The numbers stand beside the enum. They are written in every row there is: a member never gets another one, a new member a new one.
    """

    impl = SmallInteger
    cache_ok = True

    def __init__(self, kind: type[enum.StrEnum], numbers: Mapping[Any, int]) -> None:
        super().__init__()
        self.kind = kind
        self._numbers = dict(numbers)
        self.members = {number: member for member, number in numbers.items()}
        if set(numbers) != set(kind) or len(self.members) != len(numbers):
            raise ValueError(f"every member of {kind.__name__} needs a number of its own")

    def process_bind_param(self, value: enum.StrEnum | None, dialect: Dialect) -> int | None:
        return None if value is None else self._numbers[value]

    def process_result_value(self, value: int | None, dialect: Dialect) -> enum.StrEnum | None:
        return None if value is None else self.members[value]


def new_public_id() -> str:
    """16 lower-case letters and digits (80 random bits): safe in an address, a file name and on the command line."""
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()


def new_public_ids(count: int) -> list[str]:
    """Many at once, for bulk inserts."""
    text = base64.b32encode(secrets.token_bytes(10 * count)).decode().lower()
    return [text[at : at + 16] for at in range(0, 16 * count, 16)]


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UTCDateTime(), dict[str, Any]: Json, int: Integer(), str: String()}


class WithPublicId:
    """A row that is named outside the house by a random id, never by its number."""

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(16), unique=True, default=new_public_id)


@dataclass
class _Work:
    """An open `transaction()`: its connection, and the session once anybody uses it."""

    connection: Connection
    session: Session | None


class _Joining(Session):
    """A session that works in the open `transaction()`, if there is one."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        if (work := _work()) is not None:
            work.session = self

    def get_bind(self, *args: Any, **named: Any) -> Engine | Connection:
        work = _work()
        return super().get_bind(*args, **named) if work is None else work.connection

    def rollback(self) -> None:
        """Undo all that was done in the open `transaction()` so far, whoever did it; what follows is begun anew."""
        super().rollback()
        if (work := _work()) is not None:
            g.pop("after_commit", None)
            work.connection.rollback()


# "control_fully": what the session commits or undoes is the `transaction()` itself
db = SQLAlchemy(metadata=Base.metadata, session_options={"class_": _Joining, "join_transaction_mode": "control_fully"})


@contextmanager
def transaction() -> Iterator[None]:
    """One unit of work: commit at the end, undo on any error, and ring the bells only after the commit.

    What was read before is forgotten first, so the work sees the newest state. On SQLite the write lock is taken at once
    (`BEGIN IMMEDIATE`), which gives the one-writer guarantee that row locks give on PostgreSQL. The session joins when it is first
    used: work that needs no objects is done without it, at half the cost.
    """
    if _work() is not None:
        raise RuntimeError("a transaction() is open already")
    session = db.session() if db.session.registry.has() else None
    if session is not None:
        session.rollback()
    with nullcontext() if is_postgresql() else turn(), db.engine.connect() as connection:
        connection.execution_options(immediate=True).begin()
        work = g.work = _Work(connection, session)
        try:
            yield
            if work.session is not None:
                work.session.commit()
            connection.commit()
        except BaseException:
            g.pop("after_commit", None)
            if work.session is not None:
                work.session.rollback()
            connection.rollback()
            raise
        finally:
            g.pop("work")
    for ring in g.pop("after_commit", []):
        ring()


def _work() -> _Work | None:
    work: _Work | None = g.get("work")
    return work


def open_connection() -> Connection:
    """The connection of the open `transaction()`; without one, the session's."""
    work = _work()
    if work is None or not work.connection.in_transaction():  # somebody has undone it half-way
        return db.session.connection()
    if work.session is not None and work.session.in_nested_transaction():
        return work.session.connection()  # to ask for it is what sets a savepoint
    return work.connection


def session_in_use() -> Session | None:
    """The session, unless there is a `transaction()` in which nobody has used it: making one takes as long as a statement."""
    work = _work()
    return db.session() if work is None else work.session


def write_out() -> None:
    """Whatever objects were changed is written, so that a statement that knows nothing of objects sees it."""
    session = session_in_use()
    if session is not None:
        session.flush()


@contextmanager
def reading() -> Iterator[Connection]:
    """A connection for a statement that only looks, outside any transaction: nothing is begun, and nothing is undone."""
    with db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            yield connection.execution_options(only_reads=True)
        else:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")


class TimeUp(Exception):
    """A statement was cut off because it took longer than it may."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Cut a statement of the session that only looks off after so long: TimeUp, and its transaction goes on."""
    db.session.flush()  # else what the statement writes out before it looks would go with its savepoint
    connection = db.session.connection()
    with _cut_off_postgresql(connection, seconds) if is_postgresql() else _cut_off_sqlite(connection, seconds):
        try:
            yield
        except OperationalError as fault:
            if getattr(fault.orig, "sqlstate", None) == "57014" or str(fault.orig) == "interrupted":
                raise TimeUp from None
            raise


@contextmanager
def _cut_off_postgresql(connection: Connection, seconds: float) -> Iterator[None]:
    looked = connection.begin_nested()
    try:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}")
        yield
    finally:
        looked.rollback()  # the limit goes with it


@contextmanager
def _cut_off_sqlite(connection: Connection, seconds: float) -> Iterator[None]:
    driver_connection: Any = connection.connection.driver_connection
    until = time.monotonic() + seconds
    driver_connection.set_progress_handler(lambda: time.monotonic() >= until, 1_000)
    try:
        yield
    finally:
        driver_connection.set_progress_handler(None, 0)


def after_commit(call: Callable[[], None]) -> None:
    """Run `call` once the open `transaction()` has committed; forget it if it does not."""
    g.setdefault("after_commit", []).append(call)


def rows_as_data(*wanted: Any, where: Any) -> list[dict[str, Any]]:
    """Rows with every column under its own name, as plain values: for a person who asks what we hold (`personal.py` of each room)."""
    columns = [column for model in wanted for column in model.__table__.columns if column.computed is None]
    found = db.session.execute(select(*columns).where(where)).mappings()
    return [{str(name): plain(value) for name, value in row.items()} for row in found]


def plain(value: Any) -> Any:
    """A value as JSON can hold it: moments in ISO 8601, bytes in hexadecimal."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, enum.Enum):
        return value.value
    return value.hex() if isinstance(value, bytes) else value


def is_postgresql() -> bool:
    return db.engine.dialect.name == "postgresql"


def shared_time() -> datetime:
    """By the clock that all machines share: the database's. SQLite is on one machine, which has its own."""
    now = db.session.scalar(select(func.now())) if is_postgresql() else None
    return now or clock.now()


class _Numbers(TypeDecorator[list[int]]):
    """Many numbers as one value: PostgreSQL's array, written at once as its driver looks at each number by itself, or JSON."""

    impl = ARRAY(BigInteger)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String() if dialect.name == "sqlite" else ARRAY(BigInteger))

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str]:
        begin, end = "[]" if dialect.name == "sqlite" else "{}"
        return lambda numbers: begin + ",".join(map(str, numbers)) + end


def among(column: Any, ids: Iterable[int] | str) -> ColumnElement[bool]:
    """Whether `column` is one of these: one parameter however many they are, so it stays one prepared statement.

    A text is the name under which they will be given.
    """
    given: Any = bindparam(ids, type_=_Numbers()) if isinstance(ids, str) else literal(list(ids), _Numbers())
    if is_postgresql():
        return column == any_(given)  # type: ignore[no-any-return]
    return column.in_(select(func.json_each(given).table_valued("value").c.value))  # type: ignore[no-any-return]


def reserve_ids(table: Table, count: int) -> list[int]:
    """Rising ids for rows that `insert_rows` is about to add, inside a `transaction()`."""
    if is_postgresql():
        drawn = text("SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :count)")
        return sorted(db.session.scalars(drawn, {"name": table.name, "count": count}))
    last = db.session.scalar(select(func.max(table.c.id))) or 0
    return list(range(last + 1, last + 1 + count))


def insert_rows(
    table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]], conflict: str = "error"
) -> set[Any]:
    """Add many rows at once (PostgreSQL: COPY, a fifth of the cost of an executemany); the first column of those added.

    `conflict`: error; ignore (a row that is there stays); replace (it takes the new values; by primary key).
    """
    if not rows:
        return set()
    connection = db.session.connection()
    if len(rows) == 1 and conflict == "error":
        connection.execute(table.insert(), dict(zip(columns, rows[0], strict=True)))
        return {rows[0][0]}
    dialect = connection.dialect
    types = [table.c[name].type.dialect_impl(dialect) for name in columns]
    values = [
        list(map(process, column)) if (process := kind.bind_processor(dialect)) else list(column)
        for kind, column in zip(types, zip(*rows, strict=True), strict=True)
    ]
    names = ", ".join(columns)
    if dialect.name == "sqlite":
        verb = "INSERT OR IGNORE" if conflict == "ignore" else "INSERT"
        then = f" ON CONFLICT {_taking(table, columns)}" if conflict == "replace" else ""
        marks = ", ".join("?" * len(columns))
        statement = f"{verb} INTO {table.name} ({names}) VALUES ({marks}){then}"
        connection.exec_driver_sql(statement, list(zip(*values, strict=True)))
        return {row[0] for row in rows}
    psycopg: Any = connection.connection.driver_connection
    with psycopg.cursor() as cursor:
        target = table.name
        if conflict != "error":
            target = f"incoming_{table.name}"
            make = f"CREATE TEMP TABLE {target} ON COMMIT DROP AS SELECT {names} FROM {table.name}"  # noqa: S608 (our own names)
            cursor.execute(f"{make} WITH NO DATA")
        with cursor.copy(f"COPY {target} ({names}) FROM STDIN") as copy:
            for row in zip(*values, strict=True):
                copy.write_row(row)
        if conflict == "error":
            return {row[0] for row in rows}
        then = "DO NOTHING" if conflict == "ignore" else _taking(table, columns)
        take = f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {target}"  # noqa: S608
        cursor.execute(f"{take} ON CONFLICT {then} RETURNING {columns[0]}")
        added = {row[0] for row in cursor}
        cursor.execute(f"DROP TABLE {target}")
        return added


def _taking(table: Table, columns: Sequence[str]) -> str:
    """A row that is there takes these columns of the new one, and keeps its others."""
    key = ", ".join(column.name for column in table.primary_key)
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in table.primary_key)
    return f"({key}) DO UPDATE SET {changes}"
