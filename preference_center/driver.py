"""Statements given to the database's driver as they are: several times cheaper than through SQLAlchemy, for what each request does.

What goes wrong is raised as SQLAlchemy's own errors, so that whoever answers for it need not know. Only `engines.py` and `prepared.py`
use this.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Dialect, Engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection


def run(connection: Connection, statement: str, values: Any = ()) -> None:
    """Have it done, in whatever transaction is open on this connection."""
    try:
        _cursor(connection.connection).execute(statement, values)
    except _faults(connection.dialect) as fault:
        raise _told(fault, connection, statement) from fault


def change(connection: Connection, statement: str, values: Any = ()) -> int:
    """How many rows it changed, in whatever transaction is open on this connection."""
    try:
        cursor = _cursor(connection.connection)
        cursor.execute(statement, values)
        return int(cursor.rowcount)
    except _faults(connection.dialect) as fault:
        raise _told(fault, connection, statement) from fault


def rows(connection: Connection, statement: str, values: Any = ()) -> list[tuple[Any, ...]]:
    """The rows it brings, in whatever transaction is open on this connection."""
    try:
        cursor = _cursor(connection.connection)
        cursor.execute(statement, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
    except _faults(connection.dialect) as fault:
        raise _told(fault, connection, statement) from fault


def together(connection: Connection, asked: Sequence[tuple[str, Any]]) -> list[tuple[list[tuple[Any, ...]], int]]:
    """Of each statement, in this order, the rows it brings and how many it changed. PostgreSQL gets all of them in one journey."""
    if connection.dialect.name == "sqlite":
        return [_whole(connection, *one) for one in asked]
    try:
        lent = connection.connection
        cursors = lent.info.setdefault("cursors", [])
        cursors += [lent.cursor() for _ in asked[len(cursors) :]]
        pipelined: Any = lent.driver_connection
        with pipelined.pipeline():
            for cursor, (statement, values) in zip(cursors, asked, strict=False):
                cursor.execute(statement, values)
        return [_outcome(cursor) for cursor in cursors[: len(asked)]]
    except _faults(connection.dialect) as fault:
        raise _told(fault, connection, "; ".join(statement for statement, _ in asked)) from fault


def look(engine: Engine, statement: str, values: Any) -> list[tuple[Any, ...]]:
    """The rows as committed, outside any transaction: nothing is begun, and nothing is undone."""
    lent, dialect = engine.raw_connection(), engine.dialect
    driver: Any = lent.driver_connection
    begins_by_itself = dialect.name != "sqlite"  # there we say BEGIN when we mean it (`prepare_engine`)
    try:
        if begins_by_itself:
            driver.autocommit = True
        cursor = _cursor(lent)
        cursor.execute(statement, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        if begins_by_itself:
            driver.autocommit = False
        return found
    except BaseException as fault:  # a time-out too: what is lent again must not commit by itself
        lent.invalidate(fault)
        if isinstance(fault, _faults(dialect)):
            raise _as_ours(fault, statement, dialect, gone=True) from fault
        raise
    finally:
        lent.close()


def _whole(connection: Connection, statement: str, values: Any) -> tuple[list[tuple[Any, ...]], int]:
    try:
        cursor = _cursor(connection.connection)
        cursor.execute(statement, values)
        return _outcome(cursor)
    except _faults(connection.dialect) as fault:
        raise _told(fault, connection, statement) from fault


def _outcome(cursor: Any) -> tuple[list[tuple[Any, ...]], int]:
    return cursor.fetchall() if cursor.description else [], cursor.rowcount


def _cursor(lent: PoolProxiedConnection) -> Any:
    """One cursor for as long as the connection lives: PostgreSQL's driver takes longer to make one than to use it."""
    cursor = lent.info.get("cursor")
    if cursor is None:
        cursor = lent.info["cursor"] = lent.cursor()
    return cursor


def _told(fault: Any, connection: Connection, statement: str) -> Exception:
    """As SQLAlchemy tells it. A connection that the server closed is not used again."""
    gone = connection.dialect.is_disconnect(fault, connection.connection.driver_connection, None)
    if gone:
        connection.invalidate(fault)
    return _as_ours(fault, statement, connection.dialect, gone)


def _faults(dialect: Dialect) -> Any:
    return dialect.loaded_dbapi.Error


def _as_ours(fault: Exception, statement: str, dialect: Dialect, gone: bool) -> Exception:
    return DBAPIError.instance(
        statement, None, fault, _faults(dialect), hide_parameters=True, connection_invalidated=gone, dialect=dialect
    )
