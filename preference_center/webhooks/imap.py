"""Fetches what came back from a mailbox by IMAP. Each mail is stored first and marked afterwards, so a crash between repeats harmlessly.

Nothing is ever deleted or moved: what was fetched carries a keyword of ours (or, where the server keeps no keywords, is marked as
read), and a mail that a person should see is flagged as well. What the server does not hand out, or does not mark though it said so,
is tried again by and by, behind what is new: none of it may stand in the way of an unsubscribe mail.
"""

import contextlib
import hashlib
import imaplib
import json
import random
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

import structlog
from flask import current_app

from preference_center import clock
from preference_center.config import Settings
from preference_center.errors import Unavailable
from preference_center.webhooks import mailbox, refusals
from preference_center.webhooks.reports.parts import SIZE_LIMIT

log = structlog.get_logger()

_Found = TypeVar("_Found")

KEYWORD = "$PreferenceCenter"
AT_A_TIME = 500  # mails in one turn
AGAIN = 50  # and of those that an earlier turn has tried, drawn by lot
SECONDS = 60.0
_TIMEOUT = 30
_BODY = f"(BODY.PEEK[]<0.{SIZE_LIMIT}>)"


@dataclass(frozen=True)
class Account:
    """Where the mailbox is: `imaps://user:password@host[:port]/folder`, or `imap://` on this machine alone."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    folder: str
    tls: bool

    @classmethod
    def at(cls, url: str) -> "Account":
        """The settings have been checked: what cannot be read here was refused at the start."""
        parts = urlsplit(url)
        tls = parts.scheme == "imaps"
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        folder = unquote(parts.path.strip("/")) or "INBOX"
        return cls(parts.hostname or "", parts.port or (993 if tls else 143), user, password, folder, tls)


def fetch_configured(stop: Callable[[], bool] = lambda: False) -> int:
    """From the mailbox of the settings, if they name one. One that cannot be reached is tried again a minute later."""
    settings: Settings = current_app.extensions["settings"]
    if not settings.mailbox_url:
        return 0
    try:
        return fetch(Account.at(settings.mailbox_url), stop)
    except Unavailable as trouble:
        log.warning("mailbox.unavailable", trouble=trouble.message)
        return 0


class There(NamedTuple):
    """How many mails lie in the mailbox, and how many of them were tried and still carry no mark."""

    mails: int
    tried: int


def look(account: Account, data_dir: Path) -> There:
    """For a check of the settings; nothing is marked."""
    return _in_plain_words(account, lambda line: _counted(line, _Memory(data_dir, account, line)))


def fetch(account: Account, stop: Callable[[], bool] = lambda: False) -> int:
    """Store what is new in the mailbox; how many mails that were. Unavailable, in plain words, when the server does not let us."""
    data_dir: Path = current_app.extensions["settings"].data_dir
    return _in_plain_words(account, lambda line: _fetch_new(line, _Memory(data_dir, account, line), stop))


def _in_plain_words(account: Account, work: Callable[[imaplib.IMAP4], _Found]) -> _Found:
    try:
        with _open(account) as line:
            return work(line)
    except imaplib.IMAP4.error:
        raise Unavailable("The mailbox refused the login or a command: see PREFERENCE_CENTER_MAILBOX_URL.") from None
    except ssl.SSLCertVerificationError as trouble:
        raise Unavailable(f"The mailbox's certificate does not hold: {trouble.verify_message}") from None
    except (OSError, ssl.SSLError, EOFError) as trouble:
        raise Unavailable(f"The mailbox cannot be reached ({type(trouble).__name__}).") from None


@contextlib.contextmanager
def _open(account: Account) -> Iterator[imaplib.IMAP4]:
    line: imaplib.IMAP4
    if account.tls:
        context = ssl.create_default_context()
        line = imaplib.IMAP4_SSL(account.host, account.port, ssl_context=context, timeout=_TIMEOUT)
    else:
        line = imaplib.IMAP4(account.host, account.port, timeout=_TIMEOUT)
    try:
        line.login(account.user, account.password)
        _done(line.select(_quoted(account.folder)))
        yield line
    finally:
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            line.logout()
        with contextlib.suppress(OSError):
            line.shutdown()


class _Memory:
    """Up to which number the mails of this folder have been tried, on this machine: those of new ones are always higher."""

    def __init__(self, data_dir: Path, account: Account, line: imaplib.IMAP4) -> None:
        _, validity = line.response("UIDVALIDITY")  # another one: all numbers mean others
        folder = f"{account.user} {account.host} {account.port} {account.folder} {validity}"
        self._folder = hashlib.sha256(folder.encode()).hexdigest()
        self._file = data_dir / "mailbox.json"
        self.tried_to = self._read()

    def keep(self) -> None:
        """A disk that is full now is no reason to fetch nothing."""
        with contextlib.suppress(OSError):
            fresh = self._file.with_suffix(".new")
            fresh.write_text(json.dumps({"folder": self._folder, "tried_to": self.tried_to}), encoding="ascii")
            fresh.replace(self._file)

    def _read(self) -> int:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(self._file.read_text(encoding="ascii"))
            return int(known["tried_to"]) if known["folder"] == self._folder else 0
        return 0


def _fetch_new(line: imaplib.IMAP4, memory: _Memory, stop: Callable[[], bool]) -> int:
    mark = _mark(line)
    unmarked = _without(mark, line)
    new = sorted(number for number in unmarked if number > memory.tried_to)[:AT_A_TIME]
    tried = [number for number in unmarked if number <= memory.tried_to]
    end = time.monotonic() + SECONDS
    fetched = 0
    try:
        for number in [*new, *random.sample(tried, min(AGAIN, len(tried)))]:
            if stop() or time.monotonic() > end:
                break
            memory.tried_to = max(memory.tried_to, number)
            fetched += _take(line, number, mark)
    finally:
        memory.keep()  # also where the server hung up on one: the next turn begins behind it
    refusals.write()  # a job's process may end here
    return fetched


def _take(line: imaplib.IMAP4, number: int, mark: str) -> bool:
    """Store this mail, then mark it; whether it was stored. What the server refuses here is about this one alone."""
    raw = None
    try:
        raw = _body(line, number)
        if raw is not None:  # nobody took it away meanwhile
            for_a_person = mailbox.keep(raw, (), clock.now(), way="imap").for_a_person
            flags = f"({mark} \\Flagged)" if for_a_person else f"({mark})"
            _done(line.uid("STORE", str(number), "+FLAGS.SILENT", flags))
    except imaplib.IMAP4.abort:  # the connection is over
        raise
    except imaplib.IMAP4.error:
        log.warning("mailbox.mail_refused", number=number)
    return raw is not None


def _counted(line: imaplib.IMAP4, memory: _Memory) -> There:
    there = (_done(line.uid("SEARCH", None, "ALL"))[0] or b"").split()  # type: ignore[arg-type]
    return There(len(there), sum(number <= memory.tried_to for number in _without(_mark(line), line)))


def _without(mark: str, line: imaplib.IMAP4) -> list[int]:
    wanted = f"UNKEYWORD {KEYWORD}" if mark == KEYWORD else "UNSEEN"
    found = _done(line.uid("SEARCH", None, f"UNDELETED {wanted}"))  # type: ignore[arg-type]  # None: no charset
    return [int(number) for number in (found[0] or b"").split() if number.isdigit()]


def _body(line: imaplib.IMAP4, number: int) -> bytes | None:
    line.response("FETCH")  # what a server sent before it refused one would else be taken for this one
    for piece in _done(line.uid("FETCH", str(number), _BODY)):
        if isinstance(piece, tuple):
            return bytes(piece[1])
    return None


def _mark(line: imaplib.IMAP4) -> str:
    """Ours, if the server says that it keeps such keywords. It is said once, after SELECT."""
    _, kept = line.response("PERMANENTFLAGS")
    keeps = any(b"\\*" in flags or KEYWORD.encode() in flags for flags in kept or [] if isinstance(flags, bytes))
    return KEYWORD if keeps else "\\Seen"


def _done(answer: tuple[str, list]) -> list:  # type: ignore[type-arg]
    status, data = answer
    if status != "OK":
        raise imaplib.IMAP4.error("refused")
    return data


def _quoted(folder: str) -> str:
    escaped = folder.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
