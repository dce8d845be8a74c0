"""R1 to R5 and D1 to D9: the queue server and the database go away, come back empty, hang, fill up or cut a COMMIT."""

import signal
import threading
import time
from pathlib import Path

import pytest
import redis
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.engine import make_url

from preference_center import embedded
from preference_center.app import create_app
from preference_center.config import Settings
from preference_center.consent.models import ConsentRecord
from preference_center.db import db, transaction
from tests.faults.proxy import SOCKET, CuttingProxy
from tests.faults.scenario import CONNECTIONS, MORE_THAN_TWO_CHUNKS, scenario
from tests.support import links, make
from tests.support.databases import postgresql_control

pytestmark = [pytest.mark.only_postgresql, pytest.mark.processes, pytest.mark.usefixtures("app")]

SLOWLY = ("--reply-delay", "0.005")
RESTARTS = 2  # long_rounds.py has more
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def test_a_flushed_queue_loses_nothing(settings: Settings) -> None:  # R1
    with scenario(settings, *SLOWLY, people=150) as play:
        play.worker()
        for share in (0.3, 0.6):
            play.until(lambda share=share: play.accepted() >= share * 150, f"{share} of all")  # type: ignore[misc]
            redis.Redis.from_url(embedded.redis_url(play.own.settings)).flushall()
        assert play.finish().of("sent") == play.people


def test_a_queue_server_that_comes_back_empty_loses_nothing(settings: Settings) -> None:  # R2, R3
    with scenario(settings, *SLOWLY, people=150) as play:
        play.worker()
        play.until(lambda: play.accepted() >= 40, "the first messages")
        play.own.stop_queue()
        _leaves_at_once(play.own.app)  # P4, P14
        time.sleep(1)
        play.own.restart_queue()
        worker = play.own.processes["worker"]
        if worker.poll() is not None:  # as the supervisor does; RQ's worker ends when its heartbeat finds no server
            play.worker()
        past = play.finish(uncertain=CONNECTIONS)  # the horse dies with its worker
        assert past.of("sent", "uncertain") == play.people


def test_a_full_queue_server_keeps_nobody_from_leaving(settings: Settings) -> None:  # R4
    with scenario(settings, started=False, people=2) as play:
        queue = redis.Redis.from_url(embedded.redis_url(play.own.settings))
        queue.config_set("maxmemory", "1")
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            queue.set("anything", "x")
        _leaves_at_once(play.own.app)


def test_a_queue_server_that_hangs_delays_a_page_by_two_seconds_at_most(settings: Settings) -> None:  # R5
    with scenario(settings, started=False, people=2) as play:
        play.own.queue.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            _leaves_at_once(play.own.app)
            assert time.monotonic() - began < 4
        finally:
            play.own.queue.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_database_that_restarts_loses_nothing(settings: Settings, mode: str) -> None:  # D1
    with scenario(settings, *SLOWLY, people=50 * RESTARTS + 50) as play:
        play.worker()
        for wanted in range(30, 50 * RESTARTS, 50):
            play.until(lambda wanted=wanted: play.accepted() >= wanted, f"{wanted} messages")  # type: ignore[misc]
            db.session.remove()
            db.engine.dispose()
            postgresql_control("restart", mode)
        past = play.finish(uncertain=0)
        assert past.of("sent") == play.people


@pytest.mark.parametrize("before", [True, False], ids=["before the server hears it", "before we hear its answer"])
@pytest.mark.parametrize("nth", [5, 7])
def test_a_connection_cut_at_commit_mails_nobody_twice(
    settings: Settings, tmp_path: Path, nth: int, before: bool
) -> None:
    """D2. Only an acknowledged claim is sent."""
    url = make_url(settings.database_url)
    folder = tmp_path / "p"
    folder.mkdir()
    upstream = f"{url.query['host']}/{SOCKET}"
    cutting = CuttingProxy(folder, upstream, nth=nth, before=before)
    with cutting as proxy, scenario(settings, *SLOWLY, people=MORE_THAN_TWO_CHUNKS) as play:
        through = url.update_query_dict({"host": str(folder)}).render_as_string(hide_password=False)
        play.own.start_worker(DATABASE_URL=through)
        past = play.finish(uncertain=0)
        assert proxy.cuts == 1
        assert past.of("sent") == play.people


def test_a_locked_table_is_waited_for_some_seconds_and_no_longer(app: Flask) -> None:  # D5
    person, topic = _somebody()
    client = app.test_client()
    with db.engine.connect() as other:
        other.execute(text("LOCK TABLE consent_records IN EXCLUSIVE MODE"))
        began = time.monotonic()
        answer = client.post(links.unsub(person, topic), data=ONE_CLICK)
        took = time.monotonic() - began
        other.rollback()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "120")
    assert took < 8
    assert client.post(links.unsub(person, topic), data=ONE_CLICK).status_code == 200


def test_eight_writers_on_the_same_people_all_get_their_way(app: Flask) -> None:  # D6
    with transaction():
        topic = make.topic()
        people = [make.follower(topic, f"person{number}@example.org") for number in range(20)]
    addresses = [links.unsub(person, topic) for person in people]
    db.session.rollback()
    answers: list[int] = []

    def leave(turn: int) -> None:
        for number in range(20):
            with app.app_context():
                answers.append(app.test_client().post(addresses[(number * 7 + turn) % 20], data=ONE_CLICK).status_code)

    threads = [threading.Thread(target=leave, args=(turn,)) for turn in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 160
    withdrawn = select(ConsentRecord.contact_id).where(ConsentRecord.action == "withdrawn")
    assert len(list(db.session.scalars(withdrawn))) == 20  # once each


def test_a_database_that_may_only_be_read_shows_pages_and_refuses_kindly(app: Flask) -> None:  # D8
    person, topic = _somebody()
    address = links.unsub(person, topic)
    db.session.rollback()  # here and below: what is lent when a pool is thrown away would be closed by nobody
    client = app.test_client()
    name = db.engine.url.database
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    db.engine.dispose()
    try:
        assert client.get(address).status_code == 200
        refused = client.post(address, data=ONE_CLICK)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "120")
    finally:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SET default_transaction_read_only = off"))
            connection.execute(text(f'ALTER DATABASE "{name}" RESET default_transaction_read_only'))
        db.session.rollback()
        db.engine.dispose()
    assert client.post(address, data=ONE_CLICK).status_code == 200


def test_an_exhausted_pool_answers_busy_instead_of_hanging(settings: Settings) -> None:  # D9
    app = create_app(settings)
    with app.app_context():
        person, topic = _somebody()
        address = links.unsub(person, topic)
        db.session.rollback()
        held = [db.engine.connect() for _ in range(20)]  # pool_size and max_overflow
        began = time.monotonic()
        answer = app.test_client().post(address, data=ONE_CLICK)
        took = time.monotonic() - began
        for connection in held:
            connection.close()
        assert answer.status_code == 503
        assert took < 8  # one wait of five seconds
        assert app.test_client().post(address, data=ONE_CLICK).status_code == 200
        db.engine.dispose()


def _somebody():  # type: ignore[no-untyped-def]
    with transaction():
        topic = make.topic("other")
        person = make.follower(topic, "somebody@example.org")
    return person, topic


def _leaves_at_once(app: Flask) -> None:
    """One click, answered 200 and on disk."""
    with app.app_context():
        person, topic = _somebody()
        assert app.test_client().post(links.unsub(person, topic), data=ONE_CLICK).status_code == 200
        last = (
            select(ConsentRecord.action).where(ConsentRecord.contact_id == person.id).order_by(ConsentRecord.id.desc())
        )
        assert db.session.scalars(last).first() == "withdrawn"
        db.session.rollback()
