"""How Alembic meets our database: one transaction for all steps, one upgrade at a time, and new steps numbered 0001, 0002 …"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import MigrationScript
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Connection, Enum, text

from preference_center.db import Base, SmallEnum, UTCDateTime, db

_LOCK = 0x50435F4D  # any number of our own
_PATIENCE = "SET LOCAL lock_timeout = '60s'"


def run() -> None:
    if context.is_offline_mode():
        raise SystemExit("Migrations run against a database only; there is no SQL script of them.")
    connect = db.engine.connect().execution_options(immediate=True)
    with connect as connection, _foreign_keys_aside(connection), connection.begin():
        _wait_for_my_turn(connection)
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            compare_type=True,
            render_as_batch=True,  # SQLite alters a table by copying it
            render_item=_render,
            process_revision_directives=_number,
        )
        context.run_migrations()
        _check_foreign_keys(connection)


def _wait_for_my_turn(connection: Connection) -> None:
    """Two machines may upgrade at once: the second waits and finds nothing to do. (SQLite: the write lock of BEGIN IMMEDIATE.)"""
    if connection.dialect.name == "postgresql":
        default = connection.scalar(text("SHOW lock_timeout"))
        connection.execute(text(_PATIENCE))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        connection.execute(text("SELECT set_config('lock_timeout', :value, true)"), {"value": default})


@contextmanager
def _foreign_keys_aside(connection: Connection) -> Iterator[None]:
    """Copying a table drops the old one; with foreign keys on, SQLite would delete the rows that point at it."""
    if connection.dialect.name != "sqlite":
        yield
        return
    raw: Any = connection.connection.dbapi_connection  # a PRAGMA inside a transaction is ignored
    raw.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys=ON")


def _check_foreign_keys(connection: Connection) -> None:
    if connection.dialect.name == "sqlite" and (
        broken := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    ):
        raise RuntimeError(f"rows of {sorted({row[0] for row in broken})} point at rows that are gone")


def _render(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Migrations are frozen: they name our moment column by its lasting name, an enum as what is kept of it, and JSON as ours."""
    if kind == "type" and isinstance(item, UTCDateTime):
        autogen.imports.add("from preference_center.db import UTCDateTime")
        return "UTCDateTime()"
    if kind == "type" and isinstance(item, Enum) and not item.native_enum:
        return f"sa.String(length={item.length})"
    if kind == "type" and isinstance(item, SmallEnum):
        return "sa.SmallInteger()"
    if kind == "type" and isinstance(item, JSON):
        autogen.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


def _number(_: MigrationContext, revision: str | Iterable[str | None], directives: list[MigrationScript]) -> None:
    script = directives[0]
    if (
        script.upgrade_ops is not None
        and script.upgrade_ops.is_empty()
        and getattr(context.config.cmd_opts, "autogenerate", False)
    ):
        directives[:] = []  # the models say nothing new
        return
    head = ScriptDirectory.from_config(context.config).get_current_head()
    script.rev_id = f"{int(head or 0) + 1:04}"


run()
