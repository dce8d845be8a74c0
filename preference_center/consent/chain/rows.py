"""Consent records as plain rows in the order of `links.FIELDS`, streamed: no ORM, so that a million of them are quick."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.engine import Connection

from preference_center.consent.chain import links
from preference_center.consent.models import Wording
from preference_center.db import db
from preference_center.topics.models import Topic

BATCH = 5000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TOPIC_ID, TOPIC_KEY = links.FIELDS.index("topic_id"), links.FIELDS.index("topic_key")
WORDING_ID, WORDING_SHA256 = links.FIELDS.index("wording_id"), links.FIELDS.index("wording_sha256")
EVIDENCE_DIGEST = links.FIELDS.index("evidence_digest")


def columns(connection: Connection, alias: str = "r") -> str:
    """The SELECT list of a record: moments as microseconds, an empty place for each meaning."""
    return ", ".join(_column(connection, alias, name) for name in links.FIELDS)


def moment(connection: Connection, column: str) -> str:
    """A moment column as microseconds since 1970. SQLite stores it so."""
    if connection.dialect.name == "sqlite":
        return column
    return f"(extract(epoch from {column}) * 1000000)::bigint"


def stream(connection: Connection, statement: str, **values: Any) -> Iterator[Any]:
    """The rows of a statement as plain tuples, fetched some thousands at a time and never all at once.

    Straight from the driver: what SQLAlchemy does for each row would be half of the time that verifying takes.
    """
    bound = text(statement).bindparams(**values).compile(dialect=connection.dialect)
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        cursor = driver.cursor()
        arguments: Any = [bound.params[name] for name in bound.positiontup or ()]
    else:
        cursor = driver.cursor(f"rows_{secrets.token_hex(6)}")
        arguments = bound.params
    try:
        cursor.execute(str(bound), arguments)
        while found := cursor.fetchmany(BATCH):
            yield from found
    finally:
        cursor.close()


@contextmanager
def texts_as_they_are(connection: Connection) -> Iterator[None]:
    """Streams on SQLite do not stop at a text whose bytes are none: they give it as it is. It takes half as long again."""
    driver: Any = connection.connection.driver_connection
    driver.text_factory = lambda raw: raw.decode(errors="surrogateescape")
    try:
        yield
    finally:
        driver.text_factory = str


class Meanings:
    """What the numbers in records stand for, as it is now: topics by id, and the digests of wordings made anew from their texts."""

    def __init__(self, connection: Connection) -> None:
        self.topics = {row.id: row.key for row in connection.execute(select(Topic.id, Topic.key))}
        self.wordings = {
            row.id: hashlib.sha256(row.text.encode(errors="surrogateescape")).hexdigest()
            for row in connection.execute(select(Wording.id, Wording.text))
        }

    def fill(self, values: list[Any]) -> list[Any]:
        """Put the meanings and a written digest into the values of a record."""
        values[TOPIC_KEY] = self.topics.get(values[TOPIC_ID])
        values[WORDING_SHA256] = self.wordings.get(values[WORDING_ID])
        digest = values[EVIDENCE_DIGEST]
        if digest is not None:
            values[EVIDENCE_DIGEST] = digest.hex()
        return values


@contextmanager
def snapshot() -> Iterator[Connection]:
    """One moment of the database, read for as long as it takes while others go on writing."""
    with db.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            yield connection


def _column(connection: Connection, alias: str, name: str) -> str:
    if name in links.MEANINGS:
        return f"NULL AS {name}"
    if name in links.MOMENTS:
        return f"{moment(connection, f'{alias}.{name}')} AS {name}"
    return f"{alias}.{name}"


def microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_microseconds(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)
