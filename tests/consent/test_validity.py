"""A consent may end by itself: by its topic or by law; then nobody is mailed on it, it is written down, and it can be given anew."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from preference_center import clock
from preference_center.consent import eligibility, ledger, projection, standing
from preference_center.consent.eligibility import Reason
from preference_center.consent.law import validity
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Action, ConsentRecord, State
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.errors import Invalid
from preference_center.topics import catalogue
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.contacts import files
from tests.support import make

pytestmark = pytest.mark.both_databases
BY_PERSON = Evidence("link")
BEGIN = datetime(2025, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def topic(app: Flask) -> Topic:
    with transaction():
        topic = make.topic()
        catalogue.limit_consent(topic, 13)
    return topic


def state(contact: Contact, topic: Topic) -> State:
    db.session.rollback()
    return standing.subscriptions(contact)[topic.id].state_at(clock.now())


def actions(contact: Contact) -> list[Action]:
    own = select(ConsentRecord.action).where(ConsentRecord.contact_id == contact.id).order_by(ConsentRecord.id)
    return list(db.session.scalars(own))


def test_a_consent_past_its_time_lets_no_mail_through_and_says_so(topic: Topic) -> None:  # S74
    with time_machine.travel(BEGIN, tick=False), transaction():
        contact = make.follower(topic)
    end = datetime(2026, 2, 28, 12, tzinfo=UTC)  # thirteen months later there is no 31st
    for at, reason in ((end - timedelta(seconds=1), None), (end, Reason.expired)):
        with time_machine.travel(at, tick=False):
            assert eligibility.verdict(topic, contact, clock.now()).reason is reason
    with time_machine.travel(end, tick=False):
        assert state(contact, topic) is State.expired


def test_expiry_is_written_down_once_and_says_when_it_was(topic: Topic) -> None:  # S73, S74
    with time_machine.travel(BEGIN, tick=False), transaction():
        contact = make.follower(topic)
        until = standing.subscriptions(contact)[topic.id].until
    with transaction():
        assert ledger.expire() == 1
    with transaction():
        assert ledger.expire() == 0
    last = standing.all_records(contact)[-1]
    assert (last.action, last.happened_at, last.actor, last.source) == (Action.expired, until, "system", "system")
    assert eligibility.verdict(topic, contact, clock.now()).reason is Reason.expired
    assert list(projection.differences()) == []


def test_what_has_ended_can_be_given_and_asked_for_anew_before_it_was_written_down(topic: Topic) -> None:
    with time_machine.travel(BEGIN, tick=False), transaction():
        anna, bo = make.follower(topic), make.follower(topic, "bo@example.org")
    with transaction():
        assert ledger.renew(anna, topic, BY_PERSON) is None, "what has ended cannot be renewed"
        assert ledger.grant(anna, topic, LegalBasis.consent, BY_PERSON)
        assert ledger.request(bo, topic, BY_PERSON) and ledger.confirm(bo, topic, BY_PERSON)
        assert ledger.expire() == 0
    for contact in (anna, bo):
        assert eligibility.verdict(topic, contact, clock.now()).allowed
        until = standing.subscriptions(contact)[topic.id].until
        assert until is not None and until > clock.now() + timedelta(days=390)


def test_renewing_before_the_end_moves_the_end_and_keeps_the_kind_of_consent(topic: Topic) -> None:
    with time_machine.travel(BEGIN, tick=False), transaction():
        contact = make.contact()
        ledger.request(contact, topic, BY_PERSON)
        ledger.confirm(contact, topic, BY_PERSON)
    with time_machine.travel(datetime(2026, 2, 10, tzinfo=UTC), tick=False), transaction():
        renewed = ledger.renew(contact, topic, BY_PERSON)
    assert renewed is not None and renewed.until == datetime(2027, 3, 10, tzinfo=UTC)
    assert (renewed.legal_basis, actions(contact)) == (LegalBasis.double_opt_in, ["requested", "confirmed", "renewed"])
    assert list(projection.differences()) == []


def test_a_customer_who_renews_gives_consent(app: Flask) -> None:
    with transaction():
        topic, contact = make.topic(), make.contact(jurisdiction="CA")
        record = ledger.grant(contact, topic, LegalBasis.existing_customer, Evidence("admin", detail=make.SALE))
        assert record is not None and record.until is not None, "Canada ends it two years after the sale"
        renewed = ledger.renew(contact, topic, BY_PERSON)
        assert renewed is not None and (renewed.legal_basis, renewed.until) == (LegalBasis.consent, None)


def test_a_file_counts_from_the_day_of_consent_and_brings_back_nothing_that_has_ended(topic: Topic) -> None:  # S74
    now = clock.now()
    lately, long_ago = (now - timedelta(days=100)).date(), (now - timedelta(days=500)).date()
    rows = f"email,consent date\na@example.org,{lately}\nb@example.org,{long_ago}\n"
    import_ = files.imported(rows, basis="consent", topics=["news"])
    assert import_.figures["consent"]["news"] == {"given": 1, "expired": 1}
    (record,) = db.session.scalars(select(ConsentRecord)).all()
    assert record.until is not None and now + timedelta(days=280) < record.until < now + timedelta(days=300)
    assert list(projection.differences()) == []


def test_an_expired_consent_in_a_file_of_ours_is_no_yes(topic: Topic) -> None:  # S76
    with time_machine.travel(BEGIN, tick=False), transaction():
        make.follower(topic)
    import_ = files.imported(
        "email\nanna@example.org\n", basis="consent", topics=["news"], consented_on=clock.now().date().isoformat()
    )
    assert import_.figures["consent"]["news"] == {"refused_because_no": 1}


def test_withdrawing_what_has_ended_is_still_a_withdrawal(topic: Topic) -> None:
    with time_machine.travel(BEGIN, tick=False), transaction():
        contact = make.follower(topic)
    with transaction():
        assert ledger.withdraw(contact, topic, BY_PERSON)
    assert eligibility.verdict(topic, contact, clock.now()).reason is Reason.withdrawn


def test_a_limit_changed_later_leaves_the_end_of_what_was_given(topic: Topic) -> None:
    with transaction():
        contact = make.follower(topic)
        before = standing.subscriptions(contact)[topic.id].until
        catalogue.limit_consent(topic, None)
    assert standing.subscriptions(contact)[topic.id].until == before
    for months in (0, 1, 121):  # one month: people would be asked again as soon as they agreed
        with pytest.raises(Invalid), transaction():
            catalogue.limit_consent(topic, months)


def test_each_end_is_told_once_and_a_new_end_anew(topic: Topic) -> None:
    with transaction():
        contact = make.contact()
        ledger.grant(contact, topic, LegalBasis.consent, BY_PERSON, until=clock.now() + timedelta(days=29))
        other = make.follower(topic, "later@example.org")
    now = clock.now()
    assert validity.to_ask(now, 10) == [contact.id]
    with transaction():
        assert validity.asked(contact, now) == [topic.id]
        assert validity.asked(contact, now) == [] == validity.asked(other, now)
    assert validity.to_ask(now, 10) == []
    with transaction():
        ledger.renew(contact, topic, BY_PERSON)
    later = now + timedelta(days=380)
    assert contact.id in validity.to_ask(later, 10)
    assert list(projection.differences()) == []
