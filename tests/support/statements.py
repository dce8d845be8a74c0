"""What SQLite is asked to do, however it is asked: by SQLAlchemy or by the driver itself; and which rows are read whole.

For tests that count work, not time.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from preference_center.db import db


@contextmanager
def heard() -> Iterator[list[str]]:
    """The statements as they come, without their values."""
    said: list[str] = []
    listened: list[Any] = []

    def listen(connection: Any, *_rest: object) -> None:
        listened.append(connection)
        connection.set_trace_callback(lambda statement: said.append(re.sub(r"'[^']*'|\b\d+\b", "?", statement)))

    db.session.rollback()  # a connection that is out already would not be heard
    event.listen(db.engine, "checkout", listen)
    try:
        yield said
    finally:
        event.remove(db.engine, "checkout", listen)
        for connection in listened:
            connection.set_trace_callback(None)


@contextmanager
def loaded(model: type) -> Iterator[list[Any]]:
    """The rows of this model as they are read, on any database."""
    rows: list[Any] = []

    def listen(row: Any, _context: object) -> None:
        rows.append(row)

    db.session.rollback()
    event.listen(model, "load", listen)
    try:
        yield rows
    finally:
        event.remove(model, "load", listen)
