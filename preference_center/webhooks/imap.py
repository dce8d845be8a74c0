"""Fetches what came back from a mailbox by IMAP. Each mail is stored first and marked afterwards, so a crash between repeats harmlessly.

Nothing is ever deleted or moved: what was fetched carries a keyword of ours (or, where the server keeps no keywords, is marked as
read), and a mail that a person should see is flagged as well.
"""

import contextlib
import imaplib
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import structlog
from flask import current_app

from preference_center import clock
from preference_center.config import Settings
from preference_center.errors import Unavailable
from preference_center.webhooks import mailbox, refusals
from preference_center.webhooks.reports.parts import SIZE_LIMIT

log = structlog.get_logger()

KEYWORD = "$PreferenceCenter"
AT_A_TIME = 500  # mails in one turn
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


def look(account: Account) -> int:
    """How many mails lie there, for a check of the settings; nothing is marked."""
    return _in_plain_words(account, lambda line: len((_done(line.uid("SEARCH", None, "ALL"))[0] or b"").split()))  # type: ignore[arg-type]


def fetch(account: Account, stop: Callable[[], bool] = lambda: False) -> int:
    """Store what is new in the mailbox; how many mails that were. Unavailable, in plain words, when the server does not let us."""
    return _in_plain_words(account, lambda line: _fetch_new(line, stop))


def _in_plain_words(account: Account, work: Callable[[imaplib.IMAP4], int]) -> int:
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


def _fetch_new(line: imaplib.IMAP4, stop: Callable[[], bool]) -> int:
    keeps_keywords = any(b"\\*" in flags or KEYWORD.encode() in flags for flags in _permanent_flags(line))
    wanted = f"UNDELETED UNKEYWORD {KEYWORD}" if keeps_keywords else "UNDELETED UNSEEN"
    found = _done(line.uid("SEARCH", None, wanted))  # type: ignore[arg-type]  # None: no charset
    numbers = [number for number in (found[0] or b"").split() if number.isdigit()][:AT_A_TIME]
    end = time.monotonic() + SECONDS
    fetched = 0
    for number in numbers:
        if stop() or time.monotonic() > end:
            break
        raw = _body(line, number.decode())
        if raw is None:  # somebody took it away meanwhile
            continue
        for_a_person = mailbox.keep(raw, (), clock.now(), way="imap").for_a_person
        flags = [*([KEYWORD] if keeps_keywords else ["\\Seen"]), *(["\\Flagged"] if for_a_person else [])]
        _done(line.uid("STORE", number.decode(), "+FLAGS.SILENT", f"({' '.join(flags)})"))
        fetched += 1
    refusals.write()  # a job's process may end here
    return fetched


def _body(line: imaplib.IMAP4, number: str) -> bytes | None:
    for piece in _done(line.uid("FETCH", number, _BODY)):
        if isinstance(piece, tuple):
            return bytes(piece[1])
    return None


def _permanent_flags(line: imaplib.IMAP4) -> list[bytes]:
    _, flags = line.response("PERMANENTFLAGS")
    return [each for each in flags or [] if isinstance(each, bytes)]


def _done(answer: tuple[str, list]) -> list:  # type: ignore[type-arg]
    status, data = answer
    if status != "OK":
        raise imaplib.IMAP4.error("refused")
    return data


def _quoted(folder: str) -> str:
    escaped = folder.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
