"""A connection that the server closed while nobody used it is replaced before anybody notices."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from preference_center import driver, lending
from preference_center.db import db, transaction

pytestmark = pytest.mark.only_postgresql


def close_all_but_ours() -> None:
    with db.engine.connect() as ours:
        ours.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


def rested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lending, "REST", 0.0)


def in_steady_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lending, "REST", 600.0)


def test_after_a_rest_a_dead_connection_is_replaced(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    db.session.remove()
    lent = [db.engine.raw_connection() for _ in range(3)]
    for one in lent:
        one.close()
    close_all_but_ours()
    rested(monkeypatch)
    for _ in range(3):
        assert driver.look(db.engine, "SELECT 1", ()) == [(1,)]
        with transaction():
            assert db.session.scalar(text("SELECT 1")) == 1


def test_one_in_steady_use_is_not_asked(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    db.session.remove()
    in_steady_use(monkeypatch)
    asked: list[int] = []
    ping = db.engine.dialect.do_ping

    def asks(connection: Any) -> bool:
        asked.append(1)
        return ping(connection)

    monkeypatch.setattr(db.engine.dialect, "do_ping", asks)
    for _ in range(3):
        driver.look(db.engine, "SELECT 1", ())
    assert asked == []
    rested(monkeypatch)
    driver.look(db.engine, "SELECT 1", ())
    assert asked == [1]


def test_one_that_died_in_use_fails_once_and_is_not_lent_again(app: Flask) -> None:
    db.session.remove()
    own = driver.look(db.engine, "SELECT pg_backend_pid()", ())[0][0]
    with db.engine.connect() as first, db.engine.connect() as other:
        pids = {
            first.scalar(text("SELECT pg_backend_pid()")): other,
            other.scalar(text("SELECT pg_backend_pid()")): first,
        }
        pids[own].execute(text("SELECT pg_terminate_backend(:own)"), {"own": own})
        with pytest.raises(SQLAlchemyError):
            for connection in (first, other):
                connection.execute(text("SELECT 1"))
    for _ in range(3):
        assert driver.look(db.engine, "SELECT 1", ()) == [(1,)]
