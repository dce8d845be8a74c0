"""Runs the processes of one machine as children: starts them in order, starts again what crashed, and stops all without a trace.

Everything that runs holds the lock file of its DATA_DIR open, so a second supervisor waits for the last leftover of a killed
one and then begins, or is refused. It works by `tick()`, called often by the one thread that also started the children.
"""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from urllib.error import URLError
from urllib.request import urlopen

from preference_center import lifelines
from preference_center.errors import Unavailable

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0  # seconds before a crashed child starts again; never given up
_STEADY = 30.0  # a child that ran this long begins again at the first pause


class Stopped(Exception):
    """Somebody asked this process to end."""


@dataclass
class Child:
    """One process to keep running. Children of a higher stage start later and stop earlier."""

    name: str
    command: list[str]
    stage: int = 1
    patience: float = 8.0  # seconds it may take to stop before it is killed
    prepare: Callable[[], None] = lambda: None  # before each start
    tidy: Callable[[], None] = lambda: None  # after the last one
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    started: float = 0.0
    pause: float = 0.0
    due: float = 0.0

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """`with Supervisor(...) as house:` start children, call `tick()` often; at the end of the block everything is stopped."""

    def __init__(
        self, data_dir: Path, environ: Mapping[str, str], say: Callable[[str], None], logs: Path | None = None
    ) -> None:
        self.data_dir, self.environ, self.say, self.logs = data_dir, dict(environ), say, logs
        self.children: list[Child] = []
        self._asked_to_stop = 0
        self._lock: int | None = None
        self._handlers: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Supervisor":
        self._lock = hold(self.data_dir)
        for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._handlers[sign] = signal.signal(sign, self._ask_to_stop)
        return self

    def __exit__(self, kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> bool:
        try:
            self.stop()
        finally:
            for sign, handler in self._handlers.items():
                signal.signal(sign, handler)  # type: ignore[arg-type]
            release(self.data_dir, self._lock)
        return kind is not None and issubclass(kind, Stopped)

    def start(self, child: Child) -> Child:
        self.children.append(child)
        self._launch(child)
        return child

    def tick(self) -> None:
        """Start again what ended. Stopped when this process was asked to end."""
        if self._asked_to_stop:
            raise Stopped
        now = time.monotonic()
        for child in self.children:
            if child.alive:
                continue
            if child.process is not None:
                self._note_the_end(child, now)
            elif now >= child.due:
                self._launch(child)

    def wait(self, until: Callable[[], bool], seconds: float | None = None, pause: float = 0.05) -> bool:
        """Tick until it is so (True) or the time is over (False), with a pause between two looks."""
        end = None if seconds is None else time.monotonic() + seconds
        while not until():
            if end is not None and time.monotonic() > end:
                return False
            self.tick()
            time.sleep(pause)
        return True

    def stop(self) -> None:
        """Latest stage first; a second request to stop, or the end of its patience, kills."""
        asked_before = self._asked_to_stop
        for stage in sorted({child.stage for child in self.children}, reverse=True):
            group = [child for child in self.children if child.stage == stage]
            for child in group:
                if child.alive and child.process is not None:
                    child.process.terminate()
            begun = time.monotonic()
            while any(child.alive for child in group):
                for child in group:
                    if time.monotonic() - begun > child.patience or self._asked_to_stop > max(asked_before, 1):
                        _kill_group(child)
                time.sleep(0.02)
            for child in group:
                _kill_group(child)  # what it may have left in its process group
                child.tidy()
        self.children.clear()

    def _launch(self, child: Child) -> None:
        child.prepare()
        out = _log_file(self.logs / f"{child.name}.log") if self.logs else None
        try:
            child.process = subprocess.Popen(
                child.command,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                process_group=0,  # a Ctrl-C at the terminal reaches us alone, and we stop them in order
                preexec_fn=lifelines.in_child(),
                pass_fds=[self._lock] if self._lock is not None else [],
                umask=0o077,
            )
        finally:
            if out is not None:
                os.close(out)
        child.started = time.monotonic()

    def _note_the_end(self, child: Child, now: float) -> None:
        status = child.process.returncode if child.process else None
        _kill_group(child)
        child.pause = _FIRST_PAUSE if now - child.started > _STEADY or not child.pause else child.pause * 2
        child.pause = min(child.pause, _LONGEST_PAUSE)
        child.process, child.due = None, now + child.pause
        self.say(f"{child.name} ended ({_in_words(status)}); starting it again in {child.pause:.1f} s.")

    def _ask_to_stop(self, _sign: int, _frame: FrameType | None) -> None:
        self._asked_to_stop += 1


def hold(data_dir: Path, seconds: float = 10) -> int:
    """The lock of this DATA_DIR, as an open file. Unavailable while another installation runs in it."""
    path = lock_path(data_dir)
    end = time.monotonic() + seconds
    while True:
        try:
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as trouble:
            raise Unavailable(
                f"DATA_DIR {data_dir} cannot be written: {trouble.strerror}. Give it to this user, or name another DATA_DIR."
            ) from None
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(held, 20).decode("ascii", "replace").strip()
            os.close(held)
            # only the leftovers of a killed supervisor are worth waiting for
            if _exists(owner) or time.monotonic() > end:
                raise Unavailable(
                    f"Preference Center runs in {data_dir} already (process {owner or 'unknown'})."
                ) from None
            time.sleep(0.1)
            continue
        if _same_file(held, path):
            os.ftruncate(held, 0)
            os.write(held, f"{os.getpid()}\n".encode())
            return held
        os.close(held)  # its last owner removed it between our two steps


def release(data_dir: Path, held: int | None) -> None:
    if held is not None:
        lock_path(data_dir).unlink(missing_ok=True)
        os.close(held)


def lock_path(data_dir: Path) -> Path:
    return data_dir / "running.lock"


def check_port(host: str, port: int) -> None:
    """Unavailable when something listens there, or when we may not."""
    try:
        with _bound(host, port):
            pass
    except OSError as trouble:
        raise Unavailable(
            f"Port {port} on {host} cannot be used: {(trouble.strerror or str(trouble)).lower()}. "
            "Stop what uses it, or choose another port."
        ) from None


def free_port(host: str = "127.0.0.1", *wishes: int) -> int:
    """The first of the wishes that is free, else any free port."""
    for port in (*wishes, 0):
        try:
            with _bound(host, port) as line:
                return int(line.getsockname()[1])
        except OSError:
            continue
    raise Unavailable(f"No port on {host} is free.")


def answers(url: str) -> bool:
    """Does this address of ours answer 200 within a second?"""
    try:
        with urlopen(url, timeout=1) as reply:  # noqa: S310 - our own http address
            return bool(reply.status == 200)
    except (URLError, OSError, ValueError):
        return False


def python(*arguments: str) -> list[str]:
    """A command line of this Python that does not look for modules in the present folder."""
    return [sys.executable, "-P", *arguments]


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        line.bind((host, port))
        line.listen(1)
        yield line


def _kill_group(child: Child) -> None:
    if child.process is None:
        return
    try:
        os.killpg(child.process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _log_file(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _exists(process: str) -> bool:
    if not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _same_file(held: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(held), path.stat())
    except FileNotFoundError:
        return False


def _in_words(status: int | None) -> str:
    if status is not None and status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"status {status}"
