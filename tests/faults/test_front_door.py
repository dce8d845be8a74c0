"""P4, P10, P14 with a real web process: all else is down, it is killed in the middle, and what it answered is on disk."""

import http.client
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import select

from preference_center import lifelines
from preference_center.config import Settings
from preference_center.consent import projection
from preference_center.consent.chain import rows, seal, verifying
from preference_center.consent.models import ConsentRecord, Subscription
from preference_center.db import db, transaction
from preference_center.supervisor import free_port
from tests.support import links, make, shop
from tests.support.databases import postgresql_control
from tests.support.house import environment

pytestmark = [pytest.mark.both_databases, pytest.mark.processes]
PEOPLE, WRITERS = 120, 4
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@contextmanager
def web(settings: Settings) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """`preference-center web` alone: no queue server, no worker, no clock, no relay behind it."""
    port = free_port()
    given = environment(settings) | {
        "PREFERENCE_CENTER_PORT": str(port),
        "REDIS_URL": "unix:///nonexistent/queue.sock",
        "RELAY_URL": "smtp://127.0.0.1:1",
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    command = [sys.executable, "-m", "preference_center", "web"]
    started = subprocess.Popen(
        command, env=given, start_new_session=True, stderr=subprocess.DEVNULL, preexec_fn=lifelines.in_child()
    )
    try:
        end = time.monotonic() + 120
        while not _answers(port):
            assert started.poll() is None and time.monotonic() < end
            time.sleep(0.1)
        yield port, started
    finally:
        _kill(started)


def _kill(started: "subprocess.Popen[bytes]") -> None:
    """`kill -9` of the server and all it has forked."""
    if started.poll() is None:
        os.killpg(started.pid, signal.SIGKILL)
    started.wait()


def _answers(port: int) -> bool:
    try:
        return ask(port, "GET", "/healthz")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def ask(port: int, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
    """(status, where to, text) of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, urlencode(form) if form else None, FORM if form else {})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Location", ""), answer.read().decode()
    finally:
        connection.close()


def test_what_was_answered_is_on_disk_though_all_is_killed(app: Flask, settings: Settings) -> None:
    """P4, P10: by header POST and by the page's button; whatever was not answered is there whole or not at all."""
    with transaction():
        topic = make.topic()
        people = [make.follower(topic, f"person{number}@example.org") for number in range(PEOPLE)]
    doors = {person.id: links.unsub(person, topic) for person in people}
    own_server = settings.database_url.startswith("postgresql")
    db.session.remove()
    forms = ({"List-Unsubscribe": "One-Click"}, {"stop": "topic"})
    waiting, answered = list(doors), set[int]()
    seed = random.randrange(2**32)
    random.Random(seed).shuffle(waiting)

    def leave(port: int) -> None:
        while waiting:
            try:
                contact = waiting.pop()
                if ask(port, "POST", doors[contact], forms[contact % 2])[0] == 200:
                    answered.add(contact)
            except (OSError, http.client.HTTPException, IndexError):
                return

    with web(settings) as (port, started):
        writers = [threading.Thread(target=leave, args=(port,)) for _ in range(WRITERS)]
        for writer in writers:
            writer.start()
        while len(answered) < PEOPLE // 4:
            assert any(writer.is_alive() for writer in writers)
            time.sleep(0.01)
        _kill(started)
        for writer in writers:
            writer.join()
    if own_server:
        db.engine.dispose()
        postgresql_control("restart", "immediate")
    print(f"seed {seed}: kills 1, answered {len(answered)}")
    left = set(db.session.scalars(select(ConsentRecord.contact_id).where(ConsentRecord.action == "withdrawn")))
    off = set(db.session.scalars(select(Subscription.contact_id).where(Subscription.state != "given")))
    assert PEOPLE // 4 <= len(answered) < PEOPLE, "it was killed before it began, or too late"
    assert answered <= left == off, "an answer was given for what is lost, or a state stands without its record"
    assert len(left) <= len(answered) + WRITERS
    assert list(projection.differences()) == []
    db.session.rollback()
    with transaction():
        seal.seal_all()
    with rows.snapshot() as connection:
        finding = verifying.verify(connection)
    assert (finding.faults, finding.unsealed, finding.records) == ([], 0, PEOPLE + len(left))


def test_every_choice_is_taken_while_all_else_is_down(app: Flask, settings: Settings) -> None:
    """P14: look, save, pause, resume, stop all, undo, sign up and ask for a link, with no queue server, worker or relay."""
    with transaction():
        topics = shop.topics()
        anna = shop.customer(topics, "news", "offers")
        page, leave, anna_id = links.manage(anna), links.unsub(anna, topics["news"]), anna.id
    db.session.remove()
    with web(settings) as (port, _started):

        def act(name: str, **fields: str) -> str:
            status, _, text = ask(port, "GET", page)
            proof = re.search(r'name="proof" type="hidden" value="([0-9a-f]+)"', text)
            assert status == 200 and proof
            status, where, _ = ask(port, "POST", page, {"act": name, "proof": proof[1], **fields})
            assert status == 303, name
            return ask(port, "GET", where.removeprefix(f"http://127.0.0.1:{port}"))[2]

        assert ask(port, "GET", leave)[0] == 200
        assert "Paused until" in act("pause", length="30")
        assert "The break is over" in act("resume")
        done = act("stop_all")
        receipt = re.search(r'name="receipt" value="([^"]+)"', done)
        assert "You will get no marketing emails" in done and receipt
        assert "Undone." in act("undo", receipt=receipt[1])
        assert ask(port, "POST", leave, {"List-Unsubscribe": "One-Click"})[0] == 200
        assert ask(port, "POST", "/link", {"email": "anna@example.org"})[0] == 200
        assert ask(port, "POST", "/data", {"email": "anna@example.org"})[0] == 200
        signed = ask(port, "POST", "/subscribe", {"email": "new@example.org", "topic": "news"})
        assert signed[0] in (200, 303)
        assert ask(port, "GET", "/readyz")[0] == 200, "the queue does not take the page out of the balancer"
    actions = list(
        db.session.scalars(
            select(ConsentRecord.action).where(ConsentRecord.contact_id == anna_id).order_by(ConsentRecord.id)
        )
    )[2:]
    assert actions[:3] == ["paused", "resumed", "withdrawn"] and actions[-1] == "withdrawn"
