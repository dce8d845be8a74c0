"""Posts events of providers to two web workers while a worker reads them; prints events a second, answer times and seconds to drain.

python bench/webhooks.py [--events 5000] [--connections 32] [--embedded-postgresql]

Each post is signed, each event names a message of ours, all are new. Posts of one event and of 500 are measured apart. Before each,
the same posts go to a bare WSGI function that reads them and says hello, on the same server with the same workers, by the same
driver: figures of a busy machine mean something beside it.
"""

import argparse
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench import volley  # noqa: E402 - when run as a program of its own

HELLO = """def site():
    def hello(environ, start_response):
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "7")])
        return [b"Stored."]
    return hello
"""
SERVE = (
    "import sys; from preference_center.serving import serve; serve(sys.argv[1], '127.0.0.1', int(sys.argv[2]), 8, 2)"
)
KEY, LOGIN = "an-http-webhook-signing-key-0000", "hook:a-password-nobody-guesses-00"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--events", type=int, default=5000, help="in posts of one; five times as many in posts of 500"
    )
    arguments.add_argument("--connections", type=int, default=32)
    arguments.add_argument("--embedded-postgresql", action="store_true", help="start a PostgreSQL of our own")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _measure(Path(folder), chosen)


def _measure(folder: Path, chosen: argparse.Namespace) -> None:
    from bench.databases import create_database
    from preference_center import embedded
    from preference_center.app import create_app
    from preference_center.db import db
    from tests.conftest import make_settings
    from tests.support.bell import WrittenBell

    url = create_database("pc_bench") if chosen.embedded_postgresql else f"sqlite:///{folder / 'bench.db'}"
    settings = make_settings(folder, url, redis_url=None, testing=False)
    app = create_app(settings, bell=WrittenBell())
    with app.app_context(), embedded.running(settings):
        db.create_all()
        marks = _messages(chosen.events)
        singles = [_single(mark, number) for number, mark in enumerate(marks)]
        batches = [_batch(marks, number) for number in range(max(1, chosen.events // 100))]
        (folder / "hello.py").write_text(HELLO, encoding="utf-8")
        with _hello(folder) as bare, _site(settings) as site:
            volley.post(site.port, [_single("0", 10**9 + n) for n in range(200)], 8)  # the first requests import things
            for size, requests in ((1, singles), (500, batches)):
                print(
                    json.dumps(
                        {"database": db.engine.dialect.name}
                        | _beside(
                            _bare(bare, requests, chosen.connections),
                            _run(site, requests, size, chosen.connections),
                        )
                    )
                )
                sys.stdout.flush()
        db.session.remove()
        db.engine.dispose()


def _bare(server: tuple[int, int], requests: list[bytes], connections: int) -> dict[str, float]:
    port, pid = server
    worked, drove, started = volley.cpu(pid), time.process_time(), time.perf_counter()
    volley.post(port, requests, connections)
    seconds = time.perf_counter() - started
    return {
        "hello_posts_a_second": round(len(requests) / seconds),
        "hello_cpu_ms_a_post": round((volley.cpu(pid) - worked) / len(requests) * 1000, 3),
        "hello_driver_cpu_ms_a_post": round((time.process_time() - drove) / len(requests) * 1000, 3),
    }


def _beside(bare: dict[str, float], ours: dict[str, Any]) -> dict[str, Any]:
    return ours | bare | {"ratio_to_hello": round(ours["posts"] / ours["seconds"] / bare["hello_posts_a_second"], 3)}


def _run(site: "_Site", requests: list[bytes], size: int, connections: int) -> dict[str, Any]:
    from sqlalchemy import func, select

    from preference_center.db import db
    from preference_center.delivery.events.models import DeliveryEvent
    from preference_center.webhooks.models import InboundPost, PostState

    def waiting() -> int:
        db.session.rollback()
        return db.session.scalar(select(func.count()).where(InboundPost.state != PostState.done)) or 0

    def stored() -> int:
        return db.session.scalar(select(func.count(DeliveryEvent.id))) or 0

    while waiting():
        time.sleep(0.2)
    before = stored()
    db.session.rollback()
    worked, started = site.cpu(), time.perf_counter()
    answers = volley.post(site.port, requests, connections)
    seconds = time.perf_counter() - started
    answered = site.cpu()
    while waiting():
        time.sleep(0.1)
    drained = time.perf_counter() - started - seconds
    took = sorted(took for _, took in answers)
    return {
        "events_a_post": size,
        "posts": len(requests),
        "not_answered_200": sum(status != 200 for status, _ in answers),
        "seconds": round(seconds, 2),
        "events_a_second": round(len(requests) * size / seconds),
        "p50_ms": round(took[len(took) // 2] * 1000),
        "p99_ms": round(took[int(len(took) * 0.99)] * 1000),
        "longest_ms": round(took[-1] * 1000),
        "cpu_ms_a_post": _shares(worked, answered, len(requests)),
        "cpu_ms_a_post_until_read": _shares(worked, site.cpu(), len(requests)),
        "drained_after_s": round(drained, 1),
        "events_stored": stored() - before,
        "load_of_the_machine": round(os.getloadavg()[0], 1),
    }


def _shares(before: dict[str, float], after: dict[str, float], posts: int) -> dict[str, float]:
    shares = {name: round((after[name] - before[name]) / posts * 1000, 3) for name in before}
    return shares | {"all": round(sum(shares.values()), 3)}


def _messages(count: int) -> list[str]:
    """So many messages that have left; their marks."""
    from preference_center import clock
    from preference_center.campaigns.models import Campaign, CampaignState
    from preference_center.contacts import addresses
    from preference_center.contacts.models import Contact
    from preference_center.db import db, transaction
    from preference_center.delivery import marks
    from preference_center.delivery.marks import Place
    from preference_center.delivery.models import Message, MessageState
    from tests.support import make

    now = clock.now()
    with transaction():
        topic = make.topic()
        campaign = Campaign(
            name="Bench", topic_id=topic.id, state=CampaignState.sent, created_at=now, updated_at=now, started_at=now
        )
        people = []
        for number in range(count):
            address = addresses.parse(f"person{number}@example.org")
            people.append(Contact(email=address.email, address_hash=address.hash, created_at=now, updated_at=now))
        db.session.add_all([campaign, *people])
        db.session.flush()
        sent = [
            Message(campaign_id=campaign.id, contact_id=one.id, state=MessageState.sent, attempt=1, changed_at=now)
            for one in people
        ]
        db.session.add_all(sent)
        db.session.flush()
        return [marks.make(message.id, Place.metadata) for message in sent]


def _single(mark: str, number: int) -> bytes:
    """One event, as Mailgun posts it."""
    timestamp, token = str(int(time.time())), hashlib.sha256(str(number).encode()).hexdigest()[:50]
    proof = hmac.new(KEY.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    event = {
        "event": "delivered", "id": token[:22], "timestamp": time.time(), "recipient": f"person{number}@example.org",
        "user-variables": {"pc_mark": mark}, "delivery-status": {"code": 250, "message": "OK"},
        "message": {"headers": {"message-id": f"{token[:20]}@example.org"}}, "tags": [], "flags": {"is-test-mode": False},
    }  # fmt: skip
    signature = {"timestamp": timestamp, "token": token, "signature": proof}
    return _request("mailgun", {"signature": signature, "event-data": event})


def _batch(marks: list[str], number: int) -> bytes:
    """500 events, as SparkPost posts them."""
    events = [
        {"msys": {"message_event": {
            "type": "delivery", "event_id": f"{number}-{at}", "rcpt_to": f"person{at}@example.org",
            "timestamp": str(int(time.time())), "rcpt_meta": {"pc_mark": marks[(500 * number + at) % len(marks)]},
            "message_id": f"{number}-{at}", "ip_pool": "shared", "subject": "Spring", "friendly_from": "news@example.com",
        }}}
        for at in range(500)
    ]  # fmt: skip
    return _request("sparkpost", events, f"Authorization: Basic {b64encode(LOGIN.encode()).decode()}\r\n")


def _request(provider: str, body: object, headers: str = "") -> bytes:
    data = json.dumps(body).encode()
    head = f"POST /hooks/{provider} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{headers}"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


@dataclass
class _Site:
    port: int
    web: int
    worker: int
    database: int | None  # its first process; none where the web server writes the file itself

    def cpu(self) -> dict[str, float]:
        """Of each part, and of this driver; without what the driver's own child processes take."""
        spent = {"web": volley.cpu(self.web), "worker": volley.cpu(self.worker), "driver": time.process_time()}
        return spent | ({"database": volley.cpu(self.database)} if self.database else {})


def _database() -> int | None:
    from sqlalchemy import text

    from preference_center.db import db, is_postgresql

    if not is_postgresql():
        return None
    ours = db.session.scalar(text("SELECT pg_backend_pid()"))
    db.session.rollback()
    return volley.parent(int(ours or 0))


@contextmanager
def _hello(folder: Path) -> Iterator[tuple[int, int]]:
    port = _free_port()
    own = os.environ | {"PYTHONPATH": f"{HERE.parent}{os.pathsep}{folder}"}
    process = subprocess.Popen([sys.executable, "-c", SERVE, "hello:site", str(port)], env=own)
    try:
        _wait_for(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def _site(settings: object) -> Iterator["_Site"]:
    """Two web workers, and a worker for the queue."""
    from tests.support.house import environment

    port = _free_port()
    own = environment(settings) | {  # type: ignore[arg-type]
        "PREFERENCE_CENTER_PORT": str(port),
        "PREFERENCE_CENTER_WEB_WORKERS": "2",
        "PREFERENCE_CENTER_HOOK_MAILGUN_KEYS": KEY,
        "PREFERENCE_CENTER_HOOK_SPARKPOST_LOGINS": LOGIN,
    }
    commands = (["-m", "preference_center", "web"], ["-m", "worker", "webhooks"])
    running = [subprocess.Popen([sys.executable, *command], env=own, stderr=subprocess.DEVNULL) for command in commands]
    try:
        _wait_for(port)
        time.sleep(2)
        yield _Site(port, running[0].pid, running[1].pid, _database())
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(20)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.2)


if __name__ == "__main__":
    main()
