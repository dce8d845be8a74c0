"""The ledger: each verb writes one fact, moves the state, and refuses to write the same thing twice."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from preference_center import clock
from preference_center.consent import ledger, vault
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Action, ConsentEvidence, ConsentRecord, Standing, State, Subscription
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.errors import Invalid
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.support import make

pytestmark = pytest.mark.both_databases
BY_LINK = Evidence(source="link", detail={"address": "192.0.2.1"})


def _state(contact: Contact, topic: Topic) -> State | None:
    return db.session.scalar(
        select(Subscription.state).where(Subscription.contact_id == contact.id, Subscription.topic_id == topic.id)
    )


def _records() -> int:
    return db.session.scalar(select(func.count()).select_from(ConsentRecord)) or 0


def test_leaving_a_hundred_times_is_one_record(app: Flask) -> None:  # S33
    with transaction():
        topic = make.topic()
        contact = make.follower(topic)
    before = _records()
    for _ in range(100):
        with transaction():
            ledger.withdraw(contact, topic, BY_LINK)
    assert _records() == before + 1
    assert _state(contact, topic) is State.withdrawn


def test_only_a_standing_wish_can_be_confirmed(app: Flask) -> None:  # S73
    with transaction():
        topic = make.topic()
        contact = make.contact()
    with transaction():
        assert ledger.confirm(contact, topic, BY_LINK) is None
    with transaction():
        ledger.request(contact, topic, BY_LINK)
        ledger.withdraw(contact, topic, BY_LINK)
    with transaction():
        assert ledger.confirm(contact, topic, BY_LINK) is None
    assert _state(contact, topic) is State.withdrawn


def test_asking_again_for_what_is_on_writes_nothing(app: Flask) -> None:
    with transaction():
        topic = make.topic()
        contact = make.follower(topic)
        assert ledger.request(contact, topic, BY_LINK) is None
        assert ledger.grant(contact, topic, LegalBasis.consent, BY_LINK) is None
    assert _state(contact, topic) is State.given


def test_stopping_everything_is_one_record_that_moves_every_topic_of_the_purpose(app: Flask) -> None:
    with transaction():
        news, offers, orders = make.topic("news"), make.topic("offers"), make.topic("orders", purpose="service")
        contact = make.follower(news)
        ledger.grant(contact, offers, LegalBasis.consent, BY_LINK)
        ledger.grant(contact, orders, LegalBasis.contract, BY_LINK)
    before = _records()
    with transaction():
        ledger.withdraw_all(contact, "email_marketing", BY_LINK)
    with transaction():
        assert ledger.withdraw_all(contact, "email_marketing", BY_LINK) is None
    assert _records() == before + 1
    states = [_state(contact, topic) for topic in (news, offers, orders)]
    assert states == [State.withdrawn, State.withdrawn, State.given]


def test_personal_detail_stands_apart_from_the_record(app: Flask) -> None:
    with transaction():
        topic = make.topic()
        contact = make.contact()
        record = ledger.grant(contact, topic, LegalBasis.consent, BY_LINK)
    assert record is not None
    evidence = db.session.get_one(ConsentEvidence, record.id)
    assert evidence.contact_id == contact.id
    assert b"192.0.2.1" not in evidence.detail
    assert vault.open(contact.id) == {record.id: {"email": "anna@example.org", "address": "192.0.2.1"}}


def test_a_basis_that_the_purpose_does_not_allow_is_refused(app: Flask) -> None:
    with pytest.raises(Invalid, match="cannot rest on contract"), transaction():
        topic = make.topic()
        ledger.grant(make.contact(), topic, LegalBasis.contract, BY_LINK)
    assert _records() == 0


def test_a_break_needs_an_end_in_the_future(app: Flask) -> None:
    with transaction():
        topic = make.topic()
        contact = make.follower(topic)
    with pytest.raises(Invalid, match="future"), transaction():
        ledger.pause(contact, topic.purpose_key, clock.now() - timedelta(days=1), BY_LINK)
    assert db.session.get(Standing, (contact.id, topic.purpose_key)) is None


def test_a_record_says_what_happened_when_it_happened_and_when_it_was_written(app: Flask) -> None:
    earlier = clock.now() - timedelta(days=30)
    with transaction():
        topic = make.topic()
        record = ledger.grant(
            make.contact(),
            topic,
            LegalBasis.double_opt_in,
            Evidence(source="import", source_ref="file:7", actor="user:abc", language="pl", happened_at=earlier),
        )
    assert record is not None
    assert (record.action, record.legal_basis, record.channel) == (Action.given, LegalBasis.double_opt_in, "email")
    assert (record.source, record.source_ref, record.actor, record.language) == ("import", "file:7", "user:abc", "pl")
    assert record.happened_at == earlier < record.recorded_at


def test_stopping_again_ends_a_wish_made_after_the_first_stop(app: Flask) -> None:
    with transaction():
        topic = make.topic()
        contact = make.contact()
        ledger.withdraw_all(contact, topic.purpose_key, BY_LINK)
        ledger.request(contact, topic, BY_LINK)
    with transaction():
        assert ledger.withdraw_all(contact, topic.purpose_key, BY_LINK) is not None
    with transaction():
        assert ledger.confirm(contact, topic, BY_LINK) is None
    assert _state(contact, topic) is State.withdrawn
