"""Sends prepared requests over kept connections and tells what each was answered and when; and what processes spend meanwhile.

Bare sockets and one `epoll`: on two cores, whatever the driver takes, the server lacks.
"""

import contextlib
import itertools
import os
import select
import socket
import time
from pathlib import Path


def post(port: int, requests: list[bytes], connections: int) -> list[tuple[int, float]]:
    """All of them, the next on each connection as soon as the one before was answered; status and seconds of each."""
    queue, answers, lines = iter(requests), list[tuple[int, float]](), dict[int, _Line]()
    with select.epoll() as ready:
        for request in itertools.islice(queue, connections):
            line = _Line(port)
            line.send(request)
            lines[line.socket.fileno()] = line
            ready.register(line.socket, line.waits_for)
        while lines:
            for number, _ in ready.poll():
                line = lines[number]
                waited_for = line.waits_for
                line.go_on()
                if line.answered:
                    answers.append((line.status, time.perf_counter() - line.begun))
                    if (request := next(queue, None)) is None:
                        line.socket.close()  # which takes it off the list too
                        del lines[number]
                        continue
                    line.send(request)
                if line.waits_for != waited_for:
                    ready.modify(line.socket, line.waits_for)
    return answers


class _Line:
    """One connection and the request under way on it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request: bytes) -> None:
        self.begun, self._left, self._heard, self._wanted = time.perf_counter(), memoryview(request), b"", -1
        self.go_on()

    def go_on(self) -> None:
        """Write what is left, or read what has come."""
        with contextlib.suppress(BlockingIOError):
            if self._left:
                self._left = self._left[self.socket.send(self._left) :]
                return
            if not (heard := self.socket.recv(65536)):
                raise ConnectionError("the server hung up")
            self._heard += heard
            head, end, _ = self._heard.partition(b"\r\n\r\n")
            if end:
                length = head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0]
                self._wanted = len(head) + len(end) + int(length)

    @property
    def waits_for(self) -> int:
        return select.EPOLLOUT if self._left else select.EPOLLIN

    @property
    def answered(self) -> bool:
        return len(self._heard) == self._wanted

    @property
    def status(self) -> int:
        return int(self._heard[9:12])


def cpu(pid: int) -> float:
    """Seconds of processor time that this process has taken, with all below it, those that have ended too."""
    stats = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            stats[int(file.parent.name)] = file.read_text().rpartition(")")[2].split()
    family = {pid}
    while more := {child for child, stat in stats.items() if int(stat[1]) in family} - family:
        family |= more
    ticks = sum(int(number) for one in family if one in stats for number in stats[one][11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
