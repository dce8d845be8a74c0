"""The journal of a run: one line just before each final dot and one with the reply, in a file of the worker's own.

A plain write outlives a killed process, but not a machine that loses power: the last lines may never have reached the disk. So
the file begins with the name of this boot, and after another one its silence proves nothing. It is locked while its writer
lives; whoever gets the lock knows the writer is dead and may read what had left (`reliability.md` 2.2, step 5).

Of runs that ended it is kept for some days, a folder a day: a database that is restored from a backup has forgotten them, and
would let the same mail leave again (restoring/). Then numbers may mean others, so each message is noted with its contact.
"""

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType

import structlog

from preference_center import clock

log = structlog.get_logger()

KEPT, NEWEST = "kept", "newest"
KEPT_FOR = timedelta(days=7)

# A power cut or a full disk may leave a part of a line, or nulls: that says nothing, and must not keep others from being read.
_LINE = re.compile(
    r"(end|chunk|campaign [\w-]*|to \d{1,18} \d{1,4} [\w-]+|dot \d{1,18} \d{1,4}|reply \d{1,18} \d{1,4} \d{3})\n",
    re.ASCII,
)
_LATER = re.compile(r"journal \d", re.ASCII)  # how the first line of any other form than this one must begin
_SPOILT = b" \n"  # ends half a line so that it cannot be taken for a whole one: `dot 7 12` may have lost its last digit
_NAME = re.compile(r"\d+(-\w+)?\.journal", re.ASCII)


class Journal:
    """Writes. `attempts` maps a message's id to the attempt under way, so an older line is never taken for a newer one."""

    def __init__(self, path: Path, campaign: str = "") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.attempts: dict[int, int] = {}
        self._dots: set[int] = set()  # of the chunk under way
        self._replies: list[bytes] = []  # noted, not written yet
        self._torn = False
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._note(b"boot %s\ncampaign %s\n" % (this_boot().encode(), campaign.encode()))

    def take(self, chunk: Iterable[tuple[int, int, str]]) -> None:
        """These messages are under way from now on: number, attempt, and the public id of the contact.

        Those of the chunk before are not any more: which of them have no dot did not leave.
        """
        self._dots.clear()
        lines = ["chunk\n"]
        for key, attempt, contact in chunk:
            self.attempts[key] = attempt
            lines.append(f"to {key} {attempt} {contact}\n")
        self._note("".join(lines).encode())

    def dot(self, *keys: int) -> None:
        """These may leave once this has returned."""
        self._dots.update(keys)
        dots = [b"dot %d %d\n" % (key, self.attempts.get(key, 0)) for key in keys]
        self._note(b"".join(self._replies + dots))
        self._replies.clear()  # not before: what a full disk did not take is written again

    def reply(self, key: int, code: int) -> None:
        """Written with the next dots, or by write(): one call of the system for both."""
        self._replies.append(b"reply %d %d %d\n" % (key, self.attempts.get(key, 0), code))

    def has_dot(self, key: int) -> bool:
        """Whether one of the attempt under way is noted. Then its number is used up, also where nothing left."""
        return key in self._dots

    def write(self) -> None:
        """The replies noted so far; only then may their results count."""
        if self._replies:
            self.dot()

    def _note(self, line: bytes) -> None:
        """The whole line or an error: a full disk takes the first half of one without a word, and a dot must not be lost."""
        line = _SPOILT + line if self._torn else line
        self._torn = True
        if os.write(self._file, line) != len(line):
            raise OSError(errno.ENOSPC, "the journal cannot be written", str(self.path))
        self._torn = False

    def close(self) -> None:
        """The run ended well and its results are stored. A disk that is full now is no fault of the run."""
        with suppress(OSError):
            self.write()
            if self.attempts:
                self._note(b"end\n")
                os.fsync(self._file)
                keep(self.path)
                _call_newest(self.path)
            else:
                self.path.unlink()
        os.close(self._file)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            with suppress(OSError):
                self.write()
            os.close(self._file)  # the file stays, for the sweep to read


@dataclass(frozen=True)
class Noted:
    """What a dead run's journal says: by (message id, attempt), the reply code, or None where a dot got no reply.

    `whole`: nothing can be missing, so a message without a line had not left. `people`: the contact's public id, likewise.
    """

    replies: dict[tuple[int, int], int | None]
    whole: bool = True
    campaign: str = ""
    people: dict[tuple[int, int], str] = field(default_factory=dict)


class NotUnderstood(OSError):
    """A later version wrote it, in a form that this one does not know: what it does not say proves nothing (P12)."""


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
    return _read(file)


def read_kept(folder: Path, name: str = "*.journal") -> Iterable[Noted]:
    """What the journals of ended runs in this folder say, the oldest first."""
    for path in sorted((folder / KEPT).glob(f"*/{name}"), key=_age):
        noted = None
        with _passing_over(path):
            noted = _read(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        if noted is not None:
            yield noted


def read_left(folder: Path) -> Iterable[tuple[str, Noted]]:
    """By name, the journals that no living writer holds and nobody has put aside yet."""
    for path in sorted(folder.glob("*.journal"), key=_age):
        noted = None
        with _passing_over(path):
            noted = read_abandoned(path)
        if noted is not None:
            yield path.name, noted


@contextmanager
def _passing_over(path: Path) -> Iterator[None]:
    """One that cannot be read must not keep the others from being read, nor all mail from leaving."""
    try:
        yield
    except FileNotFoundError:
        pass  # another has put it aside
    except OSError as trouble:
        log.warning("journal.unreadable", journal=path.name, trouble=type(trouble).__name__)


def put_aside(path: Path) -> None:
    """The journal of a dead run, once what it proves is committed."""
    _say_end(path)
    keep(path)


def keep(path: Path) -> None:
    """Put the journal of a run aside whose end is committed; the oldest go."""
    kept = path.parent / KEPT
    today = kept / f"{clock.now():%Y-%m-%d}"
    today.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        path.rename(today / path.name)
    purge(path.parent)


def purge(folder: Path) -> None:
    """Delete what has been kept for long enough."""
    limit = f"{clock.now() - KEPT_FOR:%Y-%m-%d}"
    for day in (folder / KEPT).glob("*/"):
        if day.name < limit:
            shutil.rmtree(day, ignore_errors=True)


def _say_end(path: Path) -> None:
    """Nothing was missing, so its silence proves something for good: after the next boot nobody could know that any more."""
    with suppress(OSError), path.open("r+b", buffering=0) as file:  # it is gone, or cannot be read, or the disk is full
        if _read(os.dup(file.fileno())).whole:
            file.seek(0, os.SEEK_END)
            file.write(b"\nend\n")
            os.fsync(file.fileno())


def _call_newest(path: Path) -> None:
    """Of several at once any: each has ended."""
    fresh = path.parent / KEPT / f"{path.name}.new"
    fresh.write_text(path.name, encoding="ascii")
    fresh.replace(path.parent / KEPT / NEWEST)


def newest_kept(folder: Path) -> str | None:
    """The name of the journal of the run that ended here last."""
    with suppress(FileNotFoundError):
        name = (folder / KEPT / NEWEST).read_text(encoding="ascii", errors="replace")
        return name if _NAME.fullmatch(name) else None
    return None


def forget_newest(folder: Path) -> None:
    (folder / KEPT / NEWEST).unlink(missing_ok=True)


def _age(path: Path) -> tuple[str, float]:
    try:
        return path.parent.name, path.stat().st_mtime
    except FileNotFoundError:
        return path.parent.name, 0


def _read(file: int) -> Noted:
    replies: dict[tuple[int, int], int | None] = {}
    people: dict[tuple[int, int], str] = {}
    under_way: set[tuple[int, int]] = set()
    campaign, ended = "", False
    with os.fdopen(file, encoding="ascii", errors="replace") as lines:
        first = lines.readline()
        if _LATER.match(first):
            raise NotUnderstood(errno.EPROTO, "the journal is of a later version")
        whole = first.rstrip("\n") == f"boot {this_boot()}"
        lines.seek(0)
        for line in lines:
            if not _LINE.fullmatch(line):
                continue
            match line.split():
                case ["dot", key, attempt]:
                    replies[int(key), int(attempt)] = None
                case ["reply", key, attempt, code]:
                    replies[int(key), int(attempt)] = int(code)
                case ["to", key, attempt, contact]:
                    people[int(key), int(attempt)] = contact
                    under_way.add((int(key), int(attempt)))
                case ["campaign", campaign]:
                    pass
                case ["chunk"]:
                    for message in under_way - replies.keys():
                        del people[message]
                    under_way.clear()
                case ["end"]:
                    ended = True
    return Noted(replies, whole or ended, campaign, people)
