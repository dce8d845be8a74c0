"""Statements given to the database's driver as they are: several times cheaper than through SQLAlchemy, for what each request does.

What goes wrong is raised as SQLAlchemy's own errors, so that whoever answers for it need not know. Only `db.py` and `prepared.py` use this.
"""

from typing import Any

from sqlalchemy import Dialect, Engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError


def run(connection: Connection, statement: str, values: Any = ()) -> list[Any]:
    """The rows it brings, if any, in whatever transaction is open on this connection."""
    driver: Any = connection.connection.driver_connection
    dialect = connection.dialect
    try:
        cursor = driver.execute(statement, values)
        return cursor.fetchall() if cursor.description else []
    except _faults(dialect) as fault:
        gone = dialect.is_disconnect(fault, driver, None)
        if gone:
            connection.invalidate(fault)
        raise _as_ours(fault, statement, dialect, gone) from fault


def look(engine: Engine, statement: str, values: Any) -> list[Any]:
    """The rows as committed, outside any transaction: nothing is begun, and nothing is undone."""
    lent, dialect = engine.raw_connection(), engine.dialect
    driver: Any = lent.driver_connection
    begins_by_itself = dialect.name != "sqlite"  # there we say BEGIN when we mean it (`prepare_engine`)
    try:
        if begins_by_itself:
            driver.autocommit = True
        rows: list[Any] = driver.execute(statement, values).fetchall()
        if begins_by_itself:
            driver.autocommit = False
        return rows
    except BaseException as fault:  # a time-out too: what is lent again must not commit by itself
        lent.invalidate(fault)
        if isinstance(fault, _faults(dialect)):
            raise _as_ours(fault, statement, dialect, gone=True) from fault
        raise
    finally:
        lent.close()


def _faults(dialect: Dialect) -> Any:
    return dialect.loaded_dbapi.Error


def _as_ours(fault: Exception, statement: str, dialect: Dialect, gone: bool) -> Exception:
    return DBAPIError.instance(
        statement, None, fault, _faults(dialect), hide_parameters=True, connection_invalidated=gone, dialect=dialect
    )
