"""The clock's jobs for consents: what has ended is written down, who should know is written to, each once."""

from datetime import timedelta

import pytest
from flask import Flask

from preference_center import clock
from preference_center.consent import ledger, standing
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Action
from preference_center.db import db, transaction
from preference_center.notices.models import Kind, Notice
from preference_center.privacy import requests
from preference_center.privacy.models import RequestKind
from preference_center.topics.purposes import LegalBasis
from tests.support import make
from worker import context
from worker.jobs import consent, privacy


@pytest.fixture(autouse=True)
def in_this_app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "_app", app)


@pytest.mark.both_databases
def test_expiry_renewal_and_deadlines_are_tended_and_doing_it_again_changes_nothing(app: Flask) -> None:  # S74, S101
    now = clock.now()
    with transaction():
        topic = make.topic()
        over, soon = make.contact("over@example.org"), make.contact("soon@example.org")
        ledger.grant(over, topic, LegalBasis.consent, Evidence("form"), until=now - timedelta(seconds=1))
        ledger.grant(soon, topic, LegalBasis.consent, Evidence("form"), until=now + timedelta(days=9))
        requests.receive(soon, RequestKind.access).due_at = now + timedelta(days=2)
    for _ in range(2):
        consent.expire()
        consent.ask_to_renew()
        privacy.tell_of_requests()
    db.session.rollback()
    assert [record.action for record in standing.all_records(over)] == [Action.given, Action.expired]
    assert [record.action for record in standing.all_records(soon)] == [Action.given]
    owed = [(notice.kind, notice.contact_id) for notice in db.session.query(Notice).order_by(Notice.id)]
    assert owed == [(Kind.consent_ending, soon.id), (Kind.requests_due, None)]
