"""One app per process, and around each job: the app's context, a log line, an end when the parent dies."""

import ctypes
import functools
import inspect
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import structlog
from flask import Flask

from preference_center.app import create_app
from preference_center.db import db, transaction

log = structlog.get_logger()
P = ParamSpec("P")
_PR_SET_PDEATHSIG = 1

_app: Flask | None = None
_stopping = False


def load(app: Flask | None = None) -> Flask:
    """The app of this process, made at the first call and before the first fork."""
    global _app
    _app = app or _app or create_app()
    return _app


def job(function: Callable[P, None]) -> Callable[P, None]:
    """A job: runs inside the app, ends with its parent, and is told when to stop."""

    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        started = time.monotonic()
        try:
            signature.bind(*args, **kwargs)
        except TypeError as fault:  # rung by another version: the sweep of this one rings again, in its own words (P12)
            log.error("job.not_understood", job=function.__qualname__, fault=str(fault))
            return
        with load().app_context():
            function(*args, **kwargs)
        log.debug("job.done", job=function.__qualname__, args=args, seconds=round(time.monotonic() - started, 3))

    return run


def in_forked_child() -> None:
    """First act of an RQ horse: die with the parent, share none of its connections, obey its wish to stop, keep to its memory."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    signal.signal(signal.SIGUSR1, _wish_to_stop)
    _limit_memory(load().extensions["settings"].job_memory)
    with load().app_context():
        db.engine.dispose(close=False)


def _limit_memory(megabytes: int) -> None:
    """What goes wrong with one file or text must not take the memory of everybody: the job gets a MemoryError."""
    if not megabytes or sys.platform != "linux":
        return
    held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = held + megabytes * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def stopping() -> bool:
    """Whether this job should return within the second."""
    return _stopping


def repeat(verb: Callable[[int], bool], argument: int) -> None:
    """Call `verb` in a transaction of its own until it has nothing more to do, or the worker is to stop."""
    while not stopping():
        with transaction():
            more = verb(argument)
        if not more:
            return


def _wish_to_stop(_signal: int, _frame: object) -> None:
    global _stopping
    _stopping = True
