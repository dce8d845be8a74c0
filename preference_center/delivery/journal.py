"""The journal of a run: one line just before each final dot and one with the reply, in a file of the worker's own.

A plain write outlives a killed process, but not a machine that loses power: the last lines may never have reached the disk. So
the file begins with the name of this boot, and after another one its silence proves nothing. It is locked while its writer
lives; whoever gets the lock knows the writer is dead and may read what had left (`reliability.md` 2.2, step 5).
"""

import errno
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType


class Journal:
    """Writes. `attempts` maps a message's id to the attempt under way, so an older line is never taken for a newer one."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.attempts: dict[int, int] = {}
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._note(b"boot %s\n" % this_boot().encode())

    def dot(self, key: int) -> None:
        self._note(b"dot %d %d\n" % (key, self.attempts.get(key, 0)))

    def reply(self, key: int, code: int) -> None:
        self._note(b"reply %d %d %d\n" % (key, self.attempts.get(key, 0), code))

    def _note(self, line: bytes) -> None:
        """The whole line or an error: a full disk takes the first half of one without a word, and a dot must not be lost."""
        if os.write(self._file, line) != len(line):
            raise OSError(errno.ENOSPC, "the journal cannot be written", str(self.path))

    def close(self) -> None:
        """The run ended well and its results are stored: nothing in the file is needed any more."""
        self.path.unlink(missing_ok=True)
        os.close(self._file)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            os.close(self._file)  # the file stays, for the sweep to read


@dataclass(frozen=True)
class Noted:
    """What a dead run's journal says: by (message id, attempt), the reply code, or None where a dot got no reply.

    `whole`: nothing can be missing, so a message without a line had not left.
    """

    replies: dict[tuple[int, int], int | None]
    whole: bool = True


def this_boot() -> str:
    """The name of this start of the machine (Linux); a container that starts again is not one. Elsewhere always the same."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def read_abandoned(path: Path) -> Noted | None:
    """What the journal says, or None while its writer lives. FileNotFoundError when there is no such journal here."""
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    with os.fdopen(file, encoding="ascii", errors="replace") as lines:
        replies: dict[tuple[int, int], int | None] = {}
        whole = lines.readline().rstrip("\n") == f"boot {this_boot()}"
        lines.seek(0)
        for line in lines:
            match line.rstrip("\n").split(" "):
                case ["dot", key, attempt]:
                    replies[int(key), int(attempt)] = None
                case ["reply", key, attempt, code] if len(code) == 3:
                    replies[int(key), int(attempt)] = int(code)
    return Noted(replies, whole)
