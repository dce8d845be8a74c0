"""Rings for the inbox beside the requests, at most once a second: a queue that does not answer delays no provider."""

import threading
import time

import structlog
from flask import Flask, current_app
from redis.exceptions import RedisError

from preference_center import jobs
from preference_center.jobs import Bell

log = structlog.get_logger()
PAUSE = 1.0  # one ring serves all posts that came in the meantime: a job for each would cost more than reading them


class Ringer:
    """One thread for a process, started at the first post. What it fails to ring for, the sweep finds."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._wanted = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def ring(self) -> None:
        self._wanted.set()
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            try:
                if self._bell.is_heard(jobs.PROCESS_POSTS):
                    self._bell.ring(jobs.PROCESS_POSTS, ())
                else:  # else rings pile up while no worker runs; what waits there may be another job, so look again
                    self._wanted.set()
            except (RedisError, OSError) as trouble:
                log.warning("bell.unheard", job=jobs.PROCESS_POSTS.path, trouble=type(trouble).__name__)
            time.sleep(PAUSE)


def init(app: Flask) -> None:
    app.extensions["ringer"] = Ringer(app.extensions["bell"])


def ring() -> None:
    """Somebody should look into the inbox."""
    ringer: Ringer = current_app.extensions["ringer"]
    ringer.ring()
