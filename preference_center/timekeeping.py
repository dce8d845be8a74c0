"""Which clock a process goes by: the database's, which all machines share. A break, a night or a link must not end sooner on one (T1)."""

import contextlib
import threading
import time

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from preference_center import clock
from preference_center.db import shared_time

log = structlog.get_logger()
LOOK_EVERY = 60.0  # seconds


def keep(app: Flask) -> None:
    """Look at that clock once, and go by it from now on. Without an answer all stays as it was: the next statement will tell."""
    with app.app_context(), contextlib.suppress(SQLAlchemyError):
        if ahead := clock.keep_to(shared_time):
            log.warning("clock.wrong", seconds_ahead=round(ahead.total_seconds(), 1))


def keep_on(app: Flask) -> None:
    """Now, and each minute as long as this process lives."""

    def look() -> None:
        while True:
            keep(app)
            time.sleep(LOOK_EVERY)

    threading.Thread(target=look, name="timekeeping", daemon=True).start()
