"""Consent declared with a file: what each row comes to, on both databases, and that an import is weaker than a person."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from preference_center import clock
from preference_center.consent import declared, eligibility, ledger, projection
from preference_center.consent.eligibility import Reason
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Action, ConsentEvidence, ConsentRecord, State, Subscription, Wording
from preference_center.contacts import queries
from preference_center.contacts.models import Contact, Import
from preference_center.db import db, transaction
from preference_center.errors import Invalid
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause, Suppression
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.contacts import files
from tests.support import make

pytestmark = pytest.mark.both_databases
TERMS = {"basis": "consent", "topics": ["news"], "consented_on": "2024-05-31"}
BY_PERSON = Evidence(source="link")


@pytest.fixture
def topic(app: Flask) -> Topic:
    with transaction():
        topic = make.topic()
    return topic


def _state(email: str, topic: Topic) -> State | None:
    contact = queries.by_email(email)
    assert contact is not None
    return db.session.scalar(
        select(Subscription.state).where(Subscription.contact_id == contact.id, Subscription.topic_id == topic.id)
    )


def _reason(email: str, topic: Topic) -> Reason | None:
    contact = queries.by_email(email)
    assert contact is not None
    return eligibility.verdict(topic, contact, clock.now()).reason


def test_declared_people_may_be_mailed_and_the_record_names_file_line_source_and_day(topic: Topic) -> None:  # S75
    import_ = files.imported("email\nanna@example.org\n", **TERMS, wording="I want news.")
    record = db.session.scalars(select(ConsentRecord)).one()
    assert (record.action, record.legal_basis) == (Action.given, LegalBasis.consent)
    assert (record.source, record.source_ref, record.actor) == ("import", f"{import_.public_id}:2", "user:abc")
    assert record.happened_at.date().isoformat() == "2024-05-31"
    wording = db.session.get(Wording, record.wording_id)
    assert wording is not None
    assert (wording.text, wording.shown_on) == ("I want news.", "import")
    assert db.session.scalars(select(ConsentEvidence)).one().detail["source"] == "shop checkout"
    assert _reason("anna@example.org", topic) is None
