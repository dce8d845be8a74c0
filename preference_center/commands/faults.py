"""Turns whatever went wrong into a plain line. A fault of ours is kept with its traceback under a reference, never shown."""

import logging
import os
import re
import secrets
import traceback
from pathlib import Path

from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from preference_center import clock, config
from preference_center.errors import DomainError, Invalid

log = logging.getLogger(__name__)
_ADDRESS = re.compile(r"[^\s@'\"<>(,]+@[^\s@'\"<>),]+")
_NO_TABLES = re.compile(r"no such table|UndefinedTable|no such column|UndefinedColumn")


def in_plain_words(trouble: Exception) -> str:
    if isinstance(trouble, config.BadSettings):
        return "\n".join(trouble.faults)
    if isinstance(trouble, DomainError):
        return _with_faults(trouble)
    if isinstance(trouble, OperationalError | ProgrammingError) and _NO_TABLES.search(
        str(trouble.orig) + repr(trouble.orig)
    ):
        return "The database is not up to date. Run `preference-center db upgrade`."
    if isinstance(trouble, DBAPIError) and (trouble.connection_invalidated or isinstance(trouble, OperationalError)):
        return f"The database does not answer: {_first_line(trouble.orig)}. Check DATABASE_URL, disk and access, then try again."
    if isinstance(trouble, RedisError):
        return "The queue does not answer. Check REDIS_URL, or start `preference-center up`."
    if isinstance(trouble, OSError) and trouble.filename and trouble.strerror:
        return f"{trouble.filename}: {trouble.strerror}."
    return _keep(trouble)


def _with_faults(trouble: DomainError) -> str:
    faults = list(trouble.faults.values()) if isinstance(trouble, Invalid) else []
    return " ".join([trouble.message, *(fault for fault in faults if fault not in trouble.message)])


def _keep(trouble: Exception) -> str:
    reference = secrets.token_hex(4)
    story = "".join(traceback.format_exception(trouble))
    try:
        folder = config.data_dir() / "logs"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = folder / f"fault-{reference}.txt"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(f"{clock.now():%Y-%m-%d %H:%M:%S} UTC\n{without_addresses(story)}")
    except OSError:
        return f"Something went wrong that is our fault ({type(trouble).__name__}, reference {reference}); it could not be written down."
    return (
        f"Something went wrong that is our fault (reference {reference}). What happened is written in {_short(file)}."
    )


def without_addresses(text: str) -> str:
    """The same text without e-mail addresses: what is kept for later must not tell who was concerned."""
    return _ADDRESS.sub("<address>", text)


def _first_line(trouble: BaseException | None) -> str:
    return without_addresses(str(trouble).strip().splitlines()[0].rstrip(".")) if str(trouble).strip() else "no answer"


def _short(file: Path) -> str:
    try:
        return str(file.relative_to(Path.cwd()))
    except ValueError:
        return str(file)
