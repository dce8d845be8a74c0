"""How often: who asked for one mail a week or a month of a topic gets no second one before its time, and it is no consent."""

import threading
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from preference_center import clock
from preference_center.consent import eligibility, history, ledger, projection
from preference_center.consent.eligibility import Reason
from preference_center.consent.law import cadences
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Cadence, ConsentRecord, State, Subscription
from preference_center.contacts.models import Contact
from preference_center.db import db, insert_rows, transaction
from preference_center.errors import Unavailable
from preference_center.topics.models import Topic
from tests.support import make

pytestmark = pytest.mark.both_databases
BY_PERSON = Evidence(source="link")


def weekly_reader(topic: Topic, cadence: Cadence = Cadence.weekly) -> Contact:
    contact = make.follower(topic)
    ledger.set_cadence(contact, topic, cadence, BY_PERSON)
    return contact


def mailed(topic: Topic, contact: Contact, campaign: int, days_ago: float) -> None:
    cadences.note(topic, cadences.hold(topic, [contact.id]), campaign, clock.now() - timedelta(days=days_ago))


@pytest.mark.parametrize(
    ("cadence", "days_ago", "reason"),
    [
        (Cadence.each, 0, None),
        (Cadence.weekly, 1, Reason.frequency_cap),
        (Cadence.weekly, 6.99, Reason.frequency_cap),
        (Cadence.weekly, 7.01, None),
        (Cadence.monthly, 7.01, Reason.frequency_cap),
        (Cadence.monthly, 29.99, Reason.frequency_cap),
        (Cadence.monthly, 30.01, None),
    ],
)
def test_the_next_mail_waits_its_time(app: Flask, cadence: Cadence, days_ago: float, reason: Reason | None) -> None:
    with transaction():
        topic = make.topic()
        contact = weekly_reader(topic, cadence)
        mailed(topic, contact, 1, days_ago)
    assert eligibility.verdict(topic, contact, clock.now()).reason == reason


def test_the_same_mail_may_be_tried_again(app: Flask) -> None:
    with transaction():
        topic = make.topic()
        contact = weekly_reader(topic)
        mailed(topic, contact, 7, 0.01)
    now = clock.now()
    assert eligibility.verdicts(topic, [contact.id], now, 7)[contact.id].allowed
    assert eligibility.verdicts(topic, [contact.id], now, 8)[contact.id].reason is Reason.frequency_cap


def test_another_topic_is_not_held_back_and_an_opt_out_outranks_it(app: Flask) -> None:
    with transaction():
        news, offers = make.topic("news"), make.topic("offers")
        contact = weekly_reader(news)
        ledger.grant(contact, offers, make.LegalBasis.consent, BY_PERSON)
        mailed(news, contact, 1, 1)
    assert eligibility.verdict(offers, contact, clock.now()).allowed
    with transaction():
        ledger.withdraw(contact, news, BY_PERSON)
    assert eligibility.verdict(news, contact, clock.now()).reason is Reason.withdrawn


def test_it_is_a_record_of_its_own_that_leaves_the_consent_alone(app: Flask) -> None:
    with transaction():
        topic = make.topic()
        contact = make.follower(topic)
        before = db.session.get_one(Subscription, (contact.id, topic.id)).record_id
        record = ledger.set_cadence(contact, topic, Cadence.monthly, BY_PERSON)
        assert record is not None and (record.action, record.legal_basis) == ("monthly", None)
        assert ledger.set_cadence(contact, topic, Cadence.monthly, BY_PERSON) is None
    subscription = db.session.get_one(Subscription, (contact.id, topic.id))
    assert (subscription.record_id, subscription.cadence) == (before, Cadence.monthly)
    assert list(projection.differences()) == []


def test_how_often_gives_no_consent(app: Flask) -> None:
    with transaction():
        topic = make.topic()
        contact = make.contact()
        assert ledger.set_cadence(contact, topic, Cadence.weekly, BY_PERSON) is None
    assert eligibility.verdict(topic, contact, clock.now()).reason is Reason.no_consent
    assert db.session.scalars(select(ConsentRecord)).all() == []


def test_an_import_does_not_wipe_out_how_often(app: Flask) -> None:
    """A batch writes over a subscription's state, and only that."""
    with transaction():
        topic = make.topic()
        contact = weekly_reader(topic)
        columns = ("contact_id", "topic_id", "state", "record_id", "until")
        row = (contact.id, topic.id, State.withdrawn, 99, None)
        insert_rows(Subscription.__table__, columns, [row], "replace")  # type: ignore[arg-type]
    found = db.session.get_one(Subscription, (contact.id, topic.id))
    assert (found.state, found.cadence) == (State.withdrawn, Cadence.weekly)


def test_what_the_judge_said_in_the_past_is_known_or_refused(app: Flask) -> None:  # S80
    with transaction():
        topic = make.topic()
        contact = weekly_reader(topic)
        other = make.follower(topic, "other@example.org")
    asked = clock.now()
    with transaction():
        mailed(topic, contact, 1, 0)
    assert history.verdict(topic, contact, clock.now()).reason is Reason.frequency_cap
    assert history.verdict(topic, other, asked).allowed
    with pytest.raises(Unavailable):
        history.verdict(topic, contact, asked)


@pytest.mark.only_postgresql
def test_two_campaigns_that_claim_at_once_do_not_both_pass(app: Flask) -> None:
    """Claims share their lock on the contact, so the second must wait for what the first notes."""
    with transaction():
        topic = make.topic()
        contact = weekly_reader(topic)
    topic_id, contact_id = topic.id, contact.id
    db.session.rollback()
    first_holds, answers = threading.Event(), {}

    def claim(campaign: int) -> None:
        with app.app_context():
            if campaign == 2:
                first_holds.wait(5)
            with transaction():
                own = db.session.get_one(Topic, topic_id)
                held = cadences.hold(own, [contact_id])
                if campaign == 1:
                    first_holds.set()
                    threading.Event().wait(0.2)
                verdict = eligibility.verdicts(own, [contact_id], clock.now(), campaign)[contact_id]
                answers[campaign] = verdict.reason
                cadences.note(own, held if verdict.allowed else [], campaign, clock.now())

    threads = [threading.Thread(target=claim, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {1: None, 2: Reason.frequency_cap}
