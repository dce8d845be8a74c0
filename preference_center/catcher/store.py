"""What was caught: raw mails in one SQLite file, the newest kept, found by recipient."""

import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from pathlib import Path
from typing import cast

from preference_center import clock

KEPT = 20_000  # newer mails push the oldest out, so that a large demo does not fill the disk
_TIDY_EVERY = 1_000


@dataclass(frozen=True)
class Line:
    """A mail in the list."""

    id: int
    received: float
    recipient: str
    subject: str
    size: int


@dataclass(frozen=True)
class Caught:
    sender: str
    recipients: tuple[str, ...]
    raw: bytes


class Inbox:
    """One file; the server process writes it, the page process reads it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.file = folder / "inbox.db"
        self._since_tidy = 0
        self._lines = threading.local()
        with self._line() as line:
            line.execute(
                "CREATE TABLE IF NOT EXISTS mails (id INTEGER PRIMARY KEY AUTOINCREMENT, received REAL NOT NULL, "
                "sender TEXT NOT NULL, recipient TEXT NOT NULL, subject TEXT NOT NULL, raw BLOB NOT NULL)"
            )
            line.execute("CREATE INDEX IF NOT EXISTS mails_recipient ON mails (recipient, id)")

    def keep(self, mails: Iterable[Caught]) -> None:
        """Store a batch in one transaction; a mail to several people is kept once for each."""
        now = clock.now().timestamp()
        rows = [
            (now, mail.sender, recipient.casefold(), subject_of(mail.raw), mail.raw)
            for mail in mails
            for recipient in mail.recipients
        ]
        line = self._line()
        with line:
            line.executemany(
                "INSERT INTO mails (received, sender, recipient, subject, raw) VALUES (?, ?, ?, ?, ?)", rows
            )
            self._since_tidy += len(rows)
            if self._since_tidy >= _TIDY_EVERY:
                self._since_tidy = 0
                line.execute("DELETE FROM mails WHERE id <= (SELECT max(id) FROM mails) - ?", (KEPT,))

    def count(self) -> int:
        """How many were ever caught, also those that were pushed out."""
        found = self._line().execute("SELECT seq FROM sqlite_sequence WHERE name = 'mails'").fetchone()
        return int(found[0]) if found else 0

    def lines(self, recipient: str = "", before: int | None = None, limit: int = 50) -> list[Line]:
        """Newest first; of one recipient, or of all whose address begins with the text."""
        begin = recipient.strip().casefold()
        found = self._line().execute(
            "SELECT id, received, recipient, subject, length(raw) FROM mails WHERE id < ? AND recipient >= ? AND recipient < ? "
            "ORDER BY id DESC LIMIT ?",
            (before or 2**62, begin, f"{begin}\U0010ffff", limit),
        )
        return [Line(*row) for row in found]

    def raw(self, number: int) -> tuple[Line, bytes] | None:
        found = (
            self._line()
            .execute("SELECT id, received, recipient, subject, length(raw), raw FROM mails WHERE id = ?", (number,))
            .fetchone()
        )
        return (Line(*found[:5]), bytes(found[5])) if found else None

    def _line(self) -> sqlite3.Connection:
        made = getattr(self._lines, "line", None)
        if made is None:
            made = self._lines.line = sqlite3.connect(self.file, timeout=10)
            made.execute("PRAGMA journal_mode=WAL")
            made.execute("PRAGMA wal_autocheckpoint=8000")
            made.execute("PRAGMA synchronous=OFF")  # a demo's inbox may be lost with the machine
        return cast(sqlite3.Connection, made)


def parse(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=policy.default)


def subject_of(raw: bytes) -> str:
    """The decoded subject, found without parsing the whole mail."""
    head = b"\r\n" + raw[: raw.find(b"\r\n\r\n") if b"\r\n\r\n" in raw else 8192]
    start = head.lower().find(b"\r\nsubject:")
    if start < 0:
        return ""
    end = start + 2
    while (end := head.find(b"\r\n", end)) >= 0 and head[end + 2 : end + 3] in (b" ", b"\t"):
        end += 2
    value = head[start + 10 : end if end >= 0 else None].decode("utf-8", "replace")
    try:
        return str(make_header(decode_header(" ".join(value.split()))))[:250]
    except (ValueError, LookupError):
        return value.strip()[:250]
