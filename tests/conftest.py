"""The app on a fresh database (SQLite; PostgreSQL too for tests marked `both_databases`) and a bell that writes down who rang."""

import gc
import shutil
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from preference_center.app import create_app
from preference_center.config import Settings
from preference_center.db import Base, db
from preference_center.delivery.pace import paces  # noqa: F401 - so that its table is made, whichever tests run
from tests.support.bell import WrittenBell
from tests.support.databases import create_database
from tests.support.made_once import keep_what_apps_share
from tests.support.relay import FakeRelay

keep_what_apps_share()

# The files that take longest. One that is begun last keeps one process of the run at work while the others have nothing left.
LONG = [
    "web/public/test_every_page",
    "cli/test_processes",
    "faults/test_workers",
    "web/admin/test_in_browser",
    "faults/",
]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """All that is loaded before the first test stays to the end: Python need not look through it for garbage again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((at for at, name in enumerate(LONG) if f"tests/{name}" in item.nodeid), len(LONG)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames:
        marks = {mark.name for mark in metafunc.definition.iter_markers()}
        kinds = ["sqlite", "postgresql"] if "both_databases" in marks else ["sqlite"]
        metafunc.parametrize("database", ["postgresql"] if "only_postgresql" in marks else kinds, indirect=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    file = folder / "template.db"
    app = create_app(make_settings(folder, f"sqlite:///{file}"), bell=WrittenBell())
    with app.app_context():
        db.create_all()
        with db.engine.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        db.engine.dispose()
    return file


@pytest.fixture(scope="session")
def postgresql_database() -> str:
    url = create_database("pc_tests")
    app = create_app(make_settings(Path("/nonexistent"), url), bell=WrittenBell())
    with app.app_context():
        db.create_all()
        db.engine.dispose()
    return url


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database with all tables."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "test.db")
        return f"sqlite:///{tmp_path / 'test.db'}"
    url: str = request.getfixturevalue("postgresql_database")
    return url


def make_settings(folder: Path, database_url: str, **more: object) -> Settings:
    values: dict[str, object] = {
        "data_dir": folder,
        "database_url": database_url,
        "redis_url": "unix:///nonexistent.sock",
        "public_url": "https://mail.example.com",
        "secret_key": "s" * 32,
        "link_keys": (("1", "k" * 32),),
        "address_key": "a" * 32,
        "relay_url": "smtp://127.0.0.1:1",
        "mail_from": "Example Shop <news@example.com>",
        "organisation": "Example Shop Ltd",
        "postal_address": "1 Long Street, 00-001 Warsaw, Poland",
        "testing": True,
    }
    return Settings(**(values | more))  # type: ignore[arg-type]


@pytest.fixture
def relay(request: pytest.FixtureRequest) -> Iterator[FakeRelay]:
    """It takes our mail where a test is marked `relay`; `reply_delay` in the mark makes each of its answers take so many seconds."""
    with FakeRelay(reply_delay=_of_relay(request).get("reply_delay", 0.0)) as relay:
        yield relay


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Settings:
    """What else stands in the mark `relay` is a setting."""
    if request.node.get_closest_marker("relay") is None:
        return make_settings(tmp_path, database)
    own = {name: value for name, value in _of_relay(request).items() if name != "reply_delay"}
    return make_settings(tmp_path, database, relay_url=request.getfixturevalue("relay").url, **own)


def _of_relay(request: pytest.FixtureRequest) -> dict[str, Any]:
    marked = request.node.get_closest_marker("relay")
    return marked.kwargs if marked else {}


@pytest.fixture
def bell() -> WrittenBell:
    return WrittenBell()


@pytest.fixture
def app(settings: Settings, bell: WrittenBell) -> Iterator[Flask]:
    """The app with its context pushed; the database is empty again afterwards."""
    app = create_app(settings, bell=bell)
    with app.app_context():
        yield app
        db.session.remove()
        if db.engine.dialect.name == "postgresql":
            with db.engine.begin() as connection:
                connection.exec_driver_sql(_emptying())
        db.engine.dispose()


@cache
def _emptying() -> str:
    """DELETE is several times as fast as TRUNCATE on tables that hold a handful of rows."""
    deletes = [f'DELETE FROM "{table.name}"' for table in reversed(Base.metadata.sorted_tables)]
    numbers = "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"
    return ";".join([*deletes, numbers])
