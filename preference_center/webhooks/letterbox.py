"""Writes what many threads bring at once by one commit, and lets none of them go before its row is on disk."""

from collections.abc import Callable, Sequence
from threading import Condition, Event, Thread
from typing import Any, Protocol

from preference_center.errors import Unavailable

LINGER = 1.0  # seconds without a row after which the thread ends and its connection goes back

Row = dict[str, Any]


class Line(Protocol):
    """The way to where rows are kept. It is used again after trouble, and closed at the end."""

    def write(self, rows: Sequence[Row]) -> None: ...
    def close(self) -> None: ...


class Letterbox:
    """One thread writes, so that the next commit is under way while those of the last are being answered.

    It is started by the first row, also in a process that was forked from one where it ran.
    """

    def __init__(self, new_line: Callable[[], Line]) -> None:
        self._new_line = new_line
        self._filling = _Batch()
        self._came = Condition()
        self._writer: Thread | None = None

    def put(self, row: Row) -> None:
        """Returns once the row is committed; raises what the commit raised."""
        with self._came:
            if self._writer is None or not self._writer.is_alive():
                self._start()
            batch = self._filling
            batch.rows.append(row)  # after the start: should that fail, no row stays whose sender was told of trouble
            self._came.notify()
        batch.settled.wait()
        if batch.trouble is not None:
            raise batch.trouble

    def _start(self) -> None:
        line = self._new_line()
        self._writer = Thread(target=self._run, args=(line,), name="letterbox", daemon=True)
        try:
            self._writer.start()
        except RuntimeError:  # there are too many threads
            line.close()
            raise

    def _run(self, line: Line) -> None:
        while batch := self._next():
            batch.go(line)
        line.close()

    def _next(self) -> "_Batch | None":
        """What has come meanwhile, or the first that comes; nothing when nobody comes for a while."""
        with self._came:
            if not self._filling.rows:
                self._came.wait(LINGER)
            if not self._filling.rows:
                self._writer = None
                return None
            batch, self._filling = self._filling, _Batch()
            return batch


class _Batch:
    """Rows that share a commit, and those who wait for it."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.settled = Event()
        self.trouble: Exception | None = None

    def go(self, line: Line) -> None:
        try:
            line.write(self.rows)
        except Exception as raised:  # each of those who wait raises it
            self.trouble = raised
        except BaseException:  # something ends this thread: nobody may take that for stored, nor wait for ever
            self.trouble = Unavailable("Nothing is stored now: this process ends.")
        self.settled.set()
