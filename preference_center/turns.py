"""The threads of a process take turns to write where the database has one writer, as SQLite has.

SQLite lets who must wait nap, longer each time and up to a tenth of a second, so that much of the time nobody writes at all. Here the
next one begins at once. Other processes are waited for as before.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 10.0  # seconds; then SQLite itself says that the database is locked

_pen = threading.Lock()


@contextmanager
def turn() -> Iterator[None]:
    """Wait until no other thread of this process writes."""
    pen = _pen
    mine = pen.acquire(timeout=PATIENCE)
    try:
        yield
    finally:
        if mine:
            pen.release()


def _anew() -> None:
    """In a forked process nobody else writes, whoever did when it was forked."""
    global _pen
    _pen = threading.Lock()


os.register_at_fork(after_in_child=_anew)
