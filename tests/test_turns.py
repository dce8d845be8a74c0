"""The threads of a process wait for each other before SQLite is asked to write, and not by its naps."""

import os
import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import event, text

from preference_center import turns
from preference_center.db import db, is_postgresql, transaction


@pytest.fixture
def impatient(app: Flask) -> Iterator[Flask]:
    """SQLite waits for no other writer at all."""

    def says_so_at_once(connection: object, *_: object) -> None:
        connection.execute("PRAGMA busy_timeout=0")  # type: ignore[attr-defined]

    if is_postgresql():  # each row waits by itself there
        yield app
        return
    event.listen(db.engine, "checkout", says_so_at_once)
    yield app
    event.remove(db.engine, "checkout", says_so_at_once)


def test_threads_that_write_wait_for_each_other(impatient: Flask) -> None:
    with transaction():
        db.session.execute(text("CREATE TABLE notes (words TEXT)"))
    faults: list[Exception] = []

    def write() -> None:
        try:
            with impatient.app_context():
                for _ in range(20):
                    with transaction():
                        db.session.execute(text("INSERT INTO notes VALUES ('one')"))
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert db.session.scalar(text("SELECT count(*) FROM notes")) == 160


def test_a_forked_process_does_not_wait_for_who_wrote_when_it_was_forked(app: Flask) -> None:
    db.session.remove()
    db.engine.dispose()
    with turns.turn():
        child = os.fork()
        if child == 0:
            os._exit(0 if turns._pen.acquire(blocking=False) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
