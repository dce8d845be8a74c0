"""A chain of six records, and what is done to it."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, text

from preference_center import clock
from preference_center.consent import ledger, wordings
from preference_center.consent.chain import checkpoints, rows, seal, verifying
from preference_center.consent.chain.signed import Checkpoint
from preference_center.consent.chain.verifying import Finding
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import ConsentRecord
from preference_center.db import db, transaction
from tests.support import make


@pytest.fixture
def history(app: Flask) -> list[str]:
    """Six sealed records, with every column filled somewhere; their public ids in the order of sealing."""
    with transaction():
        topic = make.topic()
        anna, ben = make.contact("anna@example.org"), make.contact("ben@example.org")
        soon = clock.now() + timedelta(days=30)
        wording = wordings.publish(topic, "en", "I want news.")
        shown = Evidence("form", "sign-up", language="en", wording_id=wording.id, detail={"address": "192.0.2.1"})
        for person in (anna, ben):
            ledger.request(person, topic, shown)
            ledger.confirm(person, topic, Evidence("link", detail={"address": "192.0.2.2"}))
        ledger.pause(anna, topic.purpose_key, soon, Evidence("link"))
        ledger.withdraw(anna, topic, Evidence("one_click"))
    with transaction():
        assert seal.seal() == 6
    return list(db.session.scalars(select(ConsentRecord.public_id).order_by(ConsentRecord.id)))


def verify(*kept: Checkpoint) -> Finding:
    db.session.rollback()
    with rows.snapshot() as connection:
        return verifying.verify(connection, kept)


def take(app: Flask) -> Checkpoint:
    db.session.rollback()
    with rows.snapshot() as connection:
        return checkpoints.take(connection, app.extensions["settings"])


def change(statement: str, **values: object) -> None:
    """As somebody does who has the database and nothing else."""
    with transaction():
        db.session.execute(text(statement), values)
