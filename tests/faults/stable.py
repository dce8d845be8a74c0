"""Workers that start at once, for a soak that kills many: all is loaded once, and each of them is forked from that.

Loading takes a second and more of a processor, which at a kill a second would be all there is. They are processes like others: with
horses of their own, killed by `kill -9`, and gone with the one that forked them.
"""

import ctypes
import os
import random
import signal
import subprocess
import sys
import time
from typing import Any, Self

from tests.support.house import House, environment

_PR_SET_PDEATHSIG = 1


class Forked:
    """One of them, with what the house asks of a process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return -signal.SIGKILL
        return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 60) -> int:
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            assert time.monotonic() < end, "it does not end"
            time.sleep(0.005)
        return code


class Stable:
    """`start(name)` puts a fresh worker into the house; all of them end with the block."""

    def __init__(self, own: House) -> None:
        self._own = own
        command = [sys.executable, "-m", "tests.faults.stable"]
        surroundings = environment(own.settings)
        self._process = subprocess.Popen(
            command, env=surroundings, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def start(self, name: str) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write("one more\n")
        stdin.flush()
        forked: Any = Forked(int(stdout.readline()))
        self._own.processes[name] = forked


def _serve() -> None:
    """In the child: a worker as `python -m worker` is."""
    from worker import __main__ as worker

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    random.seed()
    worker.main([])


def main() -> None:
    from preference_center import jobs
    from worker import __main__ as worker
    from worker import context

    context.load()
    worker._load_jobs(list(jobs.QUEUES))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead leave nothing behind, so that they are seen to be gone
    for _ in sys.stdin:
        pid = os.fork()
        if not pid:
            _serve()
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
