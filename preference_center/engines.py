"""What each kind of database needs that the other does not."""

from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection

from preference_center import driver
from preference_center.db import after_commit, db, is_postgresql


def prepare_engine(engine: Engine) -> None:
    """Give a SQLite engine WAL, full durability, foreign keys and transactions that really begin when we say so."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=10000",
            "temp_store=MEMORY",
            "secure_delete=ON",  # what is deleted is overwritten: else an erased person stays in the file
        ):
            connection.execute(f"PRAGMA {pragma}")
        # SQLite's own lower() knows ASCII only: "KRAKÓW" would not be "kraków", as it is on PostgreSQL
        connection.create_function("lower", 1, lambda text: text and str(text).lower(), deterministic=True)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("only_reads"):
            return
        immediate = options.get("immediate")
        driver.run(connection, "BEGIN IMMEDIATE" if immediate else "BEGIN")


def empty_the_log() -> None:
    """After the commit: what SQLite's write-ahead log still holds of deleted rows goes too. PostgreSQL's vacuum sees to its own."""
    if is_postgresql():
        return
    engine = db.engine

    def checkpoint() -> None:
        connection = engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("PRAGMA busy_timeout=0")  # somebody reads: nobody waits for that, the next one does it
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            cursor.execute("PRAGMA busy_timeout=10000")
        finally:
            connection.close()

    after_commit(checkpoint)
