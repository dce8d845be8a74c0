"""A house of real processes: a queue server, a relay, workers, and the app beside them to look at the database."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from flask import Flask

from preference_center import embedded
from preference_center.app import create_app
from preference_center.config import Settings
from preference_center.db import db


@dataclass
class House:
    """Started processes by name; all of them end with the block."""

    settings: Settings
    app: Flask
    relay_log: Path
    queue: subprocess.Popen[bytes]
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    _history: list[dict[str, Any]] = field(default_factory=list)
    _accepted: list[dict[str, Any]] = field(default_factory=list)
    _read_to: int = 0

    def start_worker(self, name: str = "worker", *queues: str, **more: str) -> subprocess.Popen[str]:
        """`more`: settings of this process alone, such as PREFERENCE_CENTER_FAILPOINTS."""
        return self.start(name, [sys.executable, "-m", "worker", *queues], more)

    def start_clock(self) -> subprocess.Popen[str]:
        return self.start("clock", [sys.executable, "-m", "worker", "clock"])

    def start(
        self,
        name: str,
        command: list[str],
        more: Mapping[str, str] = MappingProxyType({}),
        folder: Path | None = None,
    ) -> subprocess.Popen[str]:
        """Any process of this house: with its settings, ended with the block. `folder`: where another version of the program lies."""
        surroundings = environment(self.settings) | dict(more)
        made = self.processes[name] = subprocess.Popen(command, env=surroundings, text=True, cwd=folder)
        return made

    def kill(self, name: str) -> None:
        """`kill -9`, and wait until it is gone."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop_queue(self) -> None:
        """`kill -9` of the queue server; what it held is gone."""
        self.queue.kill()
        self.queue.wait()
        shutil.rmtree(self.settings.data_dir / "queue")

    def restart_queue(self) -> None:
        """A new, empty queue server in the place of the stopped one."""
        embedded.prepare(self.settings)
        self.queue = subprocess.Popen(
            embedded.command(self.settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, umask=0o077
        )
        embedded.wait_until_ready(self.settings, lambda: self.queue.poll() is None)

    def accepted(self) -> list[dict[str, Any]]:
        """What the relay took: written to its log before each 250."""
        self.relay_history()
        return self._accepted

    def relay_history(self) -> list[dict[str, Any]]:
        """Every phase the relay noted, in order. Each call reads what is new."""
        with self.relay_log.open("rb") as log:
            log.seek(self._read_to)
            for line in log:
                if not line.endswith(b"\n"):  # half written
                    break
                self._read_to += len(line)
                self._history.append(noted := json.loads(line))
                if noted["event"] == "accepted":
                    self._accepted.append(noted)
        return self._history


@contextmanager
def house(settings: Settings, *relay_options: str) -> Iterator[House]:
    """A queue server and a relay (`python -m tests.support.relay` with these options), then whatever is started inside."""
    log = settings.data_dir / "relay.log"
    relay = subprocess.Popen(
        [sys.executable, "-m", "tests.support.relay", "--port", "0", "--log", str(log), "--no-data", *relay_options],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert relay.stdout is not None
    port = int(relay.stdout.readline())
    own = Settings(**(vars(settings) | {"relay_url": f"smtp://127.0.0.1:{port}", "redis_url": None}))
    with embedded.running(own) as queue:
        made = House(own, create_app(own), log, queue)
        try:
            yield made
        finally:
            for process in [*made.processes.values(), relay, *([made.queue] if made.queue is not queue else [])]:
                process.kill()
                process.wait()
            relay.stdout.close()
            with made.app.app_context():
                db.session.remove()
                db.engine.dispose()


def environment(settings: Settings) -> dict[str, str]:
    """The settings as a process of its own reads them."""
    given = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": embedded.redis_url(settings),
        "PUBLIC_URL": settings.public_url,
        "SECRET_KEY": settings.secret_key,
        "LINK_KEYS": ",".join(f"{kid}:{secret}" for kid, secret in settings.link_keys),
        "PREFERENCE_CENTER_ADDRESS_KEY": settings.address_key,
        "RELAY_URL": settings.relay_url,
        "MAIL_FROM": settings.mail_from,
        "ORGANISATION": settings.organisation,
        "POSTAL_ADDRESS": settings.postal_address,
        "DATA_DIR": str(settings.data_dir),
    }
    return {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ} | given
