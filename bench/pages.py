"""The pages beside a bare Flask hello on the same server: preference page, one-click POST, bytes a contact. Prints JSON.

python bench/pages.py [--seconds 3] [--rounds 5] [--people 2000] [--embedded-postgresql]

G11: GET of the preference page. G13: one-click POST, on disk before it is answered. Both as ratios to the hello, measured in turns, by
requests a second and by the processor time of the server (which other work on the machine disturbs less). G14: bytes a contact with
eight topics' state in SQLite, the ledger apart. The driver is one thread on bare sockets, the same for both sides.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

HELLO = "from flask import Flask\n\ndef site():\n    app = Flask('hello')\n    app.get('/')(lambda: 'hello')\n    return app\n"
SERVE = "import sys; from preference_center.serving import serve; serve(sys.argv[1], '127.0.0.1', int(sys.argv[2]), 4)"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=3)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--people", type=int, default=2000, help="each posts once a round, and has the page opened")
    arguments.add_argument("--connections", type=int, default=8)
    arguments.add_argument("--embedded-postgresql", action="store_true", help="start a PostgreSQL of our own")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(_measure(Path(folder), chosen)))


def _measure(folder: Path, chosen: argparse.Namespace) -> dict[str, object]:
    from bench.databases import create_database
    from preference_center.app import create_app
    from preference_center.db import db
    from tests.conftest import make_settings
    from tests.support.bell import WrittenBell
    from tests.support.house import environment

    (folder / "hello.py").write_text(HELLO, encoding="utf-8")
    url = create_database("pc_bench") if chosen.embedded_postgresql else f"sqlite:///{folder / 'bench.db'}"
    settings = make_settings(folder, url, testing=False, public_url="http://127.0.0.1")
    with create_app(settings, bell=WrittenBell()).app_context():
        db.create_all()
        pages, leaving = _people(chosen.people)
        dialect = db.engine.dialect.name
        db.session.remove()
        db.engine.dispose()
    gets = [_request("GET", path) for path in pages]
    posts = [_request("POST", path, "List-Unsubscribe=One-Click") for path in leaving]
    found: dict[str, list[tuple[float, float]]] = {"hello": [], "page": [], "post": []}
    own = environment(settings) | {"PYTHONPATH": f"{HERE.parent}{os.pathsep}{folder}"}
    with _server("hello:site", own) as hello, _server("preference_center.wsgi:site", own) as site:
        slices = len(posts) // chosen.rounds
        for at in range(chosen.rounds):
            found["hello"].append(_drive(hello, [_request("GET", "/")], chosen))
            found["page"].append(_drive(site, gets, chosen))
            found["post"].append(_drive(site, posts[at * slices : (at + 1) * slices], chosen, once=True))
    rates = {name: median(rate for rate, _ in runs) for name, runs in found.items()}
    work = {name: median(cpu for _, cpu in runs) for name, runs in found.items()}
    return {
        "database": dialect,
        **{f"{name}_a_second": round(rate) for name, rate in rates.items()},
        **{f"{name}_cpu_ms": round(cpu * 1000, 3) for name, cpu in work.items()},
        "G11_page_to_hello": round(rates["page"] / rates["hello"], 3),
        "G11_by_processor_time": round(work["hello"] / work["page"], 3),
        "G13_post_to_hello": round(rates["post"] / rates["hello"], 3),
        "G13_by_processor_time": round(work["hello"] / work["post"], 3),
        "G14_bytes_a_contact": None if chosen.embedded_postgresql else _bytes_a_contact(folder),
        "load_of_the_machine": round(os.getloadavg()[0], 1),
    }


def _people(count: int) -> tuple[list[str], list[str]]:
    """Their preference pages, and their one-click addresses: three topics, two of them on, each since a moment of their own."""
    from preference_center.db import transaction
    from tests.support import links, shop

    pages, leaving = [], []
    with transaction():
        topics = shop.topics()
        for number in range(count):
            since = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=10_007 * number)
            person = shop.customer(topics, "news", "offers", email=f"p{number}@example.org", since=since)
            pages.append(links.manage(person))
            leaving.append(links.unsub(person, topics["news"]))
    return pages, leaving


def _request(method: str, path: str, body: str = "") -> bytes:
    kind = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{kind}\r\n{body}".encode()


def _drive(
    server: tuple[int, int], requests: list[bytes], chosen: argparse.Namespace, once: bool = False
) -> tuple[float, float]:
    """Requests a second, and seconds of the server's processor time for one."""
    port, pid = server
    queue = iter(requests) if once else cycle(requests)
    cpu, started = _cpu(pid), time.perf_counter()
    done = _ask_all(port, queue, chosen.connections, None if once else started + chosen.seconds)
    return done / (time.perf_counter() - started), (_cpu(pid) - cpu) / done


def _ask_all(port: int, queue: Iterator[bytes], connections: int, end: float | None) -> int:
    """How many were answered. Each connection has a request under way, and their answers are read in turn: the server never waits."""
    waiting, done = [], 0
    for request in islice(queue, connections):
        waiting.append(socket.create_connection(("127.0.0.1", port)))
        waiting[-1].sendall(request)
    while waiting:
        for connection in list(waiting):
            _answer(connection)
            done += 1
            following = None if end is not None and time.perf_counter() >= end else next(queue, None)
            if following is None:
                connection.close()
                waiting.remove(connection)
            else:
                connection.sendall(following)
    return done


def _answer(connection: socket.socket) -> None:
    """Read one to its end."""
    come = b""
    while b"\r\n\r\n" not in come:
        come += _come(connection)
    head, _, body = come.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode())
    missing = int(re.findall(rb"(?i)\r\ncontent-length: (\d+)", head)[0]) - len(body)
    while missing > 0:
        missing -= len(_come(connection))


def _come(connection: socket.socket) -> bytes:
    """What has come since."""
    come = connection.recv(65536)
    if not come:
        raise ConnectionError("the server hung up before it had answered")
    return come


@contextmanager
def _server(target: str, environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", SERVE, target, str(port)], env=environment)
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(20)


def _cpu(pid: int) -> float:
    """Seconds of processor time that this process and its children have taken."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = file.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if pid in (int(file.parent.name), int(stat[1])):
            ticks += int(stat[11]) + int(stat[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _bytes_a_contact(folder: Path, count: int = 20_000) -> int:
    """By what the file grows: the contact, the indexes of its address and public id, and its stand on eight topics.

    The numbers are those of a database of a million: small ones take less room.
    """
    from sqlalchemy import insert

    from preference_center import clock
    from preference_center.app import create_app
    from preference_center.consent.models import State, Subscription
    from preference_center.contacts import addresses
    from preference_center.contacts.models import Contact
    from preference_center.db import db, new_public_ids
    from preference_center.topics.purposes import LegalBasis
    from tests.conftest import make_settings
    from tests.support.bell import WrittenBell

    file = folder / "bytes.db"
    with create_app(make_settings(folder, f"sqlite:///{file}"), bell=WrittenBell()).app_context():
        db.create_all()
        before, now, first = _size(file), clock.now(), 1_000_000
        ids = new_public_ids(count)
        people = [addresses.parse(f"customer.{number}@example.org") for number in range(count)]
        contacts = [
            {"id": first + at, "public_id": ids[at], "email": one.email, "address_hash": one.hash, "language": "en",
             "source": "form:subscribe", "attributes": {}, "created_at": now, "updated_at": now}
            for at, one in enumerate(people)
        ]  # fmt: skip
        db.session.execute(insert(Contact), contacts)
        agreed = {"state": State.given, "legal_basis": LegalBasis.consent}
        stands = [
            agreed | {"contact_id": first + at, "topic_id": topic, "record_id": (first + at) * 8 + topic}
            for at in range(count)
            for topic in range(1, 9)
        ]
        db.session.execute(insert(Subscription), stands)
        db.session.commit()
        grown = _size(file) - before
        db.session.remove()
        db.engine.dispose()
    return round(grown / count)


def _size(file: Path) -> int:
    """With what still lies in the write-ahead log: else the empty tables, 480 kB of them, would count as the contacts'."""
    from sqlalchemy import text

    from preference_center.db import db

    db.session.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    db.session.rollback()
    return file.stat().st_size


if __name__ == "__main__":
    main()
