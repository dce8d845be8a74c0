"""Rows that come together share a commit, and nobody hears "stored" before it, whatever happens to the one who writes."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from preference_center.errors import Unavailable
from preference_center.webhooks import letterbox
from preference_center.webhooks.letterbox import Letterbox


class Line:
    """Writes down what it was given; the first commit waits until it may end."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.written: list[int] = []
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.opened = self.closed = 0
        self._then = then  # what happens to the second commit

    def write(self, rows: Sequence[Any]) -> None:
        self.begun.set()
        assert self.may_end.wait(5)
        self.written.append(len(rows))
        if len(self.written) == 2:
            self._then()

    def close(self) -> None:
        self.closed += 1

    def new(self) -> "Line":
        self.opened += 1
        return self


def _at_once(line: Line, box: Letterbox, count: int) -> list[str]:
    """One row, and while it is being written so many more; what each of their senders hears."""
    heard: list[str] = []

    def put(number: int) -> None:
        try:
            box.put({"number": number})
            heard.append("stored")
        except (OSError, Unavailable) as trouble:
            heard.append(str(trouble))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(count + 1)]
    threads[0].start()
    assert line.begun.wait(5)
    for thread in threads[1:]:
        thread.start()
    _until(lambda: len(box._filling.rows) == count)
    assert heard == []
    line.may_end.set()
    for thread in threads:
        thread.join(5)
    return sorted(heard)


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_those_who_come_together_share_a_commit() -> None:
    line = Line()
    assert _at_once(line, Letterbox(line.new), 10) == ["stored"] * 11
    assert line.written == [1, 10]


def test_a_commit_that_fails_fails_for_all_of_them_and_for_nobody_after() -> None:
    """So that each of their senders tries again."""

    def full() -> None:
        raise OSError("disk full")

    line = Line(full)
    box = Letterbox(line.new)
    assert _at_once(line, box, 4) == ["disk full"] * 4 + ["stored"]
    box.put({"number": 5})
    assert line.written == [1, 4, 1]


@pytest.mark.parametrize("fails", ["line", "thread"])
def test_a_row_whose_sender_was_told_of_trouble_is_not_written_later(
    fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sender comes again; and the line of a thread that did not start is closed."""
    line = Line()
    line.may_end.set()

    def fail(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    box = Letterbox(line.new)
    with monkeypatch.context() as full:
        if fails == "line":
            full.setattr(box, "_new_line", fail)
        else:
            full.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError):
            box.put({"number": 1})
    assert line.closed == line.opened
    box.put({"number": 2})
    assert line.written == [1]


def test_nobody_takes_a_row_for_stored_when_the_process_ends_or_waits_for_ever() -> None:
    def ended() -> None:
        raise SystemExit

    line = Line(ended)
    box = Letterbox(line.new)
    assert _at_once(line, box, 3) == ["Nothing is stored now: this process ends."] * 3 + ["stored"]
    box.put({"number": 4})


def test_after_a_while_without_rows_the_connection_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letterbox, "LINGER", 0.01)
    line = Line()
    line.may_end.set()
    box = Letterbox(line.new)
    for times in (1, 2):
        box.put({})
        _until(lambda times=times: line.closed == times)  # type: ignore[misc]
        assert line.opened == times
    assert len(line.written) == 2


def test_many_in_turns_are_all_written_though_the_thread_ends_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letterbox, "LINGER", 0.0)
    line = Line()
    line.may_end.set()
    box = Letterbox(line.new)

    def put() -> None:
        for number in range(50):
            box.put({"number": number})

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sum(line.written) == 400
    _until(lambda: line.closed == line.opened)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_process_that_was_forked_while_it_ran_writes_too() -> None:
    line = Line()
    line.may_end.set()
    box = Letterbox(line.new)
    box.put({})
    child = os.fork()
    if child == 0:
        threading.Timer(5, os._exit, (1,)).start()
        box.put({})
        os._exit(0 if line.opened == 2 else 2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
