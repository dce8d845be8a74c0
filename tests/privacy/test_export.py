"""A person gets everything we hold: a marker in every column of every table comes back (S95)."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Boolean, Enum, Integer, LargeBinary, SmallInteger, String, Text, insert
from sqlalchemy.schema import Column
from sqlalchemy.types import TypeEngine

from preference_center import clock
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import ConsentEvidence, ContactKey
from preference_center.contacts.models import Contact
from preference_center.db import Base, SmallEnum, UTCDateTime, db, plain, transaction
from preference_center.privacy import export
from preference_center.topics.purposes import LegalBasis
from tests.support import make

GIVEN_OTHERWISE = {"consent_evidence", "contact_keys"}  # locked; written by the ledger


class Markers:
    """A different value for every column, and where each was put."""

    def __init__(self, contact: Contact) -> None:
        self.contact, self.count, self.put = contact, 1000, dict[str, Any]()

    def row(self, name: str) -> dict[str, Any]:
        table = Base.metadata.tables[name]
        given = [column for column in table.columns if column.computed is None]  # the database works those out itself
        values = {column.name: self.value(column) for column in given}
        for column, value in values.items():
            self.put[f"{name}.{column}"] = plain(value)
        return values

    def value(self, column: Column[Any]) -> Any:
        self.count += 1
        if column.name == "contact_id":
            return self.contact.id
        if column.name == "address_hash":
            return self.contact.address_hash
        kind: TypeEngine[Any] = column.type
        if isinstance(kind, Enum):
            if column.name == "kind" and column.table.name == "notices":
                return kind.python_type("new_link")
            return next(iter(kind.python_type))  # type: ignore[call-overload]
        if isinstance(kind, SmallEnum):
            return next(iter(kind.kind))
        if isinstance(kind, UTCDateTime):
            return datetime(2026, 1, 1, tzinfo=clock.now().tzinfo) + timedelta(seconds=self.count)
        if isinstance(kind, Boolean):
            return True
        if isinstance(kind, SmallInteger | Integer):
            return self.count
        if isinstance(kind, LargeBinary):
            return self.count.to_bytes(kind.length or 16, "big")
        if isinstance(kind, String | Text):
            return f"m{self.count}"[: kind.length or 99]
        return {"marker": f"m{self.count}"}


@pytest.mark.both_databases
def test_a_marker_in_every_column_comes_back(app: Flask) -> None:
    """S95: access and portability."""
    with transaction():
        topic = make.topic()
        contact = make.contact(
            "anna@example.org", language="pl", time_zone="Europe/Warsaw", attributes={"city": "Łódź"}
        )
        ledger.grant(contact, topic, LegalBasis.consent, Evidence("form", detail={"network": "203.0.113.7"}))
    markers = Markers(contact)
    tables = [model.__tablename__ for room in export.ROOMS for model in room.TABLES]
    with transaction():
        for name in tables:
            if name not in {"contacts", *GIVEN_OTHERWISE}:
                if name in ("subscriptions", "standings"):
                    db.session.execute(Base.metadata.tables[name].delete())
                db.session.execute(insert(Base.metadata.tables[name]).values(**markers.row(name)))
    found = export.of(contact)
    held = json.loads(json.dumps(found))["held"]
    assert set(held) == set(tables)
    missing = [
        where
        for where, value in markers.put.items()
        if value not in [row.get(where.partition(".")[2]) for row in held[where.partition(".")[0]]]
    ]
    assert missing == []
    (own,) = held["contacts"]
    assert set(own) == set(Contact.__table__.columns.keys())
    assert (own["email"], own["time_zone"], own["attributes"]) == (
        "anna@example.org",
        "Europe/Warsaw",
        {"city": "Łódź"},
    )


@pytest.mark.both_databases
def test_locked_evidence_is_given_in_plain_words_and_keys_are_not(app: Flask) -> None:
    with transaction():
        contact = make.follower(make.topic())
        other = make.topic("offers", "Offers")
        ledger.grant(contact, other, LegalBasis.consent, Evidence("form", detail={"network": "203.0.113.7"}))
    held = export.of(contact)["held"]
    assert {"email": "anna@example.org", "network": "203.0.113.7"} in [
        row["detail"] for row in held["consent_evidence"]
    ]
    assert set(held["consent_evidence"][0]) == set(ConsentEvidence.__table__.columns.keys())
    kept_back = {name.partition(".")[2] for room in export.ROOMS for name in room.KEPT_BACK if "contact_keys" in name}
    assert set(held["contact_keys"][0]) == set(ContactKey.__table__.columns.keys()) - kept_back


def test_nobody_elses_rows_are_given(app: Flask) -> None:
    with transaction():
        topic = make.topic()
        anna, bo = make.follower(topic), make.follower(topic, "bo@example.org")
    text = json.dumps(export.of(anna))
    assert "anna@example.org" in text and "bo@example.org" not in text and bo.public_id not in text


def test_the_law_stands_beside_the_data(app: Flask) -> None:
    """GDPR 15(1): purposes, recipients, how long, rights."""
    with transaction():
        contact = make.contact()
    found = export.of(contact)
    assert found["controller"]["name"] == "Example Shop Ltd"
    assert all(found[name] for name in ("purposes", "recipients", "kept", "rights", "format", "made_at"))
