"""D4 and D7: SQLite's file may not grow, or somebody else holds it. A no is told at once, and nothing is half written."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select, text

from preference_center.config import Settings
from preference_center.consent.chain import rows, seal, verifying
from preference_center.consent.models import ConsentRecord, Subscription
from preference_center.db import db, transaction
from tests.support import links, make

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
PEOPLE = 80


@pytest.fixture
def doors(app: Flask) -> dict[int, str]:
    """The unsubscribe addresses of many followers, by contact id."""
    with transaction():
        topic = make.topic()
        people = [make.follower(topic, f"person{number}@example.org") for number in range(PEOPLE)]
    with transaction():
        seal.seal_all()
    made = {person.id: links.unsub(person, topic) for person in people}
    db.session.rollback()
    return made


def test_a_full_disk_is_told_and_leaves_nothing_half_written(app: Flask, doors: dict[int, str]) -> None:  # D4
    client = app.test_client()
    with _pragma("max_page_count", 1):  # SQLite takes the present size for it: not one page more
        answers = {contact: client.post(door, data=ONE_CLICK) for contact, door in doors.items()}
    refused = {contact for contact, answer in answers.items() if answer.status_code == 503}
    assert refused, "the disk was never full"
    assert {answer.status_code for answer in answers.values()} <= {200, 503}
    assert all(answers[contact].headers["Retry-After"] == "120" for contact in refused)
    left = set(db.session.scalars(select(ConsentRecord.contact_id).where(ConsentRecord.action == "withdrawn")))
    off = set(db.session.scalars(select(Subscription.contact_id).where(Subscription.state != "given")))
    assert left == off == set(doors) - refused  # P4, P10: the fact and the state, or neither
    db.session.rollback()
    assert all(client.post(doors[contact], data=ONE_CLICK).status_code == 200 for contact in refused)
    with transaction():
        seal.seal_all()
    with rows.snapshot() as connection:
        assert verifying.verify(connection).faults == []


def test_a_short_writer_is_waited_for_and_a_long_one_refused(app: Flask, doors: dict[int, str]) -> None:  # D7
    first, second, *_ = doors.values()
    with _pragma("busy_timeout", 600):
        with _holding_for(0.3):
            assert app.test_client().post(first, data=ONE_CLICK).status_code == 200
        with _holding_for(1.5):
            answer = app.test_client().post(second, data=ONE_CLICK)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "120")
        assert app.test_client().post(second, data=ONE_CLICK).status_code == 200


def test_the_log_of_writes_shrinks_when_a_long_reader_ends(
    app: Flask, settings: Settings, doors: dict[int, str]
) -> None:  # D7
    log = Path(settings.database_url.removeprefix("sqlite:///") + "-wal")
    with db.engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM contacts"))
        for door in doors.values():
            assert app.test_client().post(door, data=ONE_CLICK).status_code == 200
        grown = log.stat().st_size
    with db.engine.connect() as connection:
        busy, _, _ = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()
    assert grown > 0
    assert (busy, log.stat().st_size) == (0, 0)


@contextmanager
def _pragma(name: str, value: int) -> Iterator[None]:
    """Every new connection gets this pragma; the old ones are let go."""

    def say(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA {name}={value}")

    db.session.remove()
    db.engine.dispose()
    event.listen(db.engine, "connect", say)
    try:
        yield
    finally:
        event.remove(db.engine, "connect", say)
        db.session.remove()
        db.engine.dispose()


@contextmanager
def _holding_for(seconds: float) -> Iterator[None]:
    """Somebody else holds the right to write."""
    held = threading.Event()

    def hold() -> None:
        with db_engine.connect().execution_options(immediate=True) as other:
            other.execute(text("SELECT 1"))
            held.set()
            time.sleep(seconds)
            other.rollback()

    db_engine = db.engine
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(5)
    yield
    thread.join()
