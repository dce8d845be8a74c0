"""The past is explained as it was: over random histories the answer for each moment is the one the judge gave at that moment."""

import random
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask

from preference_center import clock
from preference_center.consent import eligibility, history, ledger, wordings
from preference_center.consent.eligibility import Verdict
from preference_center.consent.ledger import Evidence
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.errors import Conflict
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause, Suppression
from preference_center.topics import catalogue
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.support import make

pytestmark = pytest.mark.both_databases
START = datetime(2026, 1, 5, 12, tzinfo=UTC)
BY_PERSON = Evidence(source="link")
STEPS = (
    "request", "confirm", "grant", "grant_for_days", "withdraw", "stop_all", "object", "pause", "resume",
    "bounce_for_days", "bounce", "complaint", "manual", "lift_bounce", "lift_manual",
)  # fmt: skip


def _take(step: str, contact: Contact, topic: Topic, days: int) -> None:
    later = clock.now() + timedelta(days=days)
    match step:
        case "request":
            ledger.request(contact, topic, BY_PERSON)
        case "confirm":
            ledger.confirm(contact, topic, BY_PERSON)
        case "grant":
            ledger.grant(contact, topic, LegalBasis.consent, BY_PERSON)
        case "grant_for_days":
            ledger.grant(contact, topic, LegalBasis.consent, BY_PERSON, until=later)
        case "withdraw":
            ledger.withdraw(contact, topic, BY_PERSON)
        case "stop_all":
            ledger.withdraw_all(contact, topic.purpose_key, BY_PERSON)
        case "object":
            ledger.object_to(contact, topic.purpose_key, BY_PERSON)
        case "pause":
            ledger.pause(contact, topic.purpose_key, later, BY_PERSON)
        case "resume":
            ledger.resume(contact, topic.purpose_key, BY_PERSON)
        case "bounce_for_days":
            register.suppress(contact.address_hash or b"", Cause.bounce, "smtp", until=later)
        case "lift_bounce" | "lift_manual":
            register.lift(contact.address_hash or b"", Cause(step.removeprefix("lift_")), "")
        case _:
            register.suppress(contact.address_hash or b"", Cause(step), "test")


def _judged(topics: list[Topic], contact: Contact) -> list[Verdict]:
    return [eligibility.verdict(topic, contact, clock.now()) for topic in topics]


def test_every_past_moment_has_the_answer_the_judge_gave_then(app: Flask) -> None:  # S80
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    with transaction():
        topics = [make.topic("news"), make.topic("offers", "Offers")]
        people = [make.contact(f"person{number}@example.org") for number in range(8)]
    remembered: list[tuple[datetime, Contact, str, list[Verdict]]] = []
    with time_machine.travel(START, tick=False) as time:
        for person in people:
            time.move_to(START)
            for _ in range(dice.randrange(3, 14)):
                step = dice.choice(STEPS)
                with transaction():
                    _take(step, person, dice.choice(topics), dice.randrange(1, 9))
                for _ in range(2):  # at once, and when something may have ended by itself
                    remembered.append((clock.now(), person, step, _judged(topics, person)))
                    time.shift(timedelta(hours=dice.randrange(1, 80)))
    answers = {verdict.reason for *_, verdicts in remembered for verdict in verdicts}
    assert len(answers) > 3, "the histories were too plain"
    for at, person, step, verdicts in remembered:
        found = [history.verdict(topic, person, at) for topic in topics]
        assert found == verdicts, f"seed {seed}: {person.public_id} at {at}, after {step}"


def test_looking_back_changes_nothing(app: Flask) -> None:
    with transaction():
        topic = make.topic()
        anna = make.follower(topic)
        register.suppress(anna.address_hash or b"", Cause.bounce, "smtp", until=clock.now() + timedelta(days=3))
    before = db.session.query(Suppression).one().until
    verdict = eligibility.verdict(topic, anna, clock.now())
    assert history.verdict(topic, anna, clock.now() - timedelta(days=1)).reason == "no_consent"
    db.session.rollback()
    assert db.session.query(Suppression).one().until == before
    assert eligibility.verdict(topic, anna, clock.now()) == verdict


def test_the_text_that_was_shown_then_is_told_though_a_newer_one_is_in_force(app: Flask) -> None:  # S69, S80
    from preference_center.commands.people import explaining

    with transaction():
        topic = make.topic()
        shown = wordings.publish(topic, "en", "I want news.").id
        ledger.grant(make.contact(), topic, LegalBasis.consent, Evidence("form", language="en", wording_id=shown))
    then = clock.now()
    with transaction():
        wordings.publish(topic, "en", "I want news and offers.")
    answer = explaining.explain("anna@example.org", "news", then)
    assert (answer["record"]["wording"]["version"], answer["record"]["wording"]["text"]) == (1, "I want news.")
    assert "who gave consent" in explaining.RULES[answer["reason"]]
    assert answer["record"]["evidence"] == {"email": "anna@example.org"}


def test_what_was_agreed_to_ends_with_its_topic_and_the_past_stays_as_it_was(app: Flask) -> None:  # S74, S80
    """A retired topic is never taken up again, so that nobody is mailed on what was said for something else (GDPR 5(1)(b))."""
    with transaction():
        topic, other = make.topic(), make.topic("other")
        anna = make.contact()
        for one in (topic, other):
            ledger.grant(anna, one, LegalBasis.consent, BY_PERSON)
    before = clock.now()
    with transaction():
        catalogue.retire(topic)
    assert eligibility.verdict(topic, anna, clock.now()).reason == "expired"
    assert eligibility.verdict(other, anna, clock.now()).allowed
    with transaction():
        assert history.verdict(topic, anna, before).allowed
        catalogue.retire(topic)
    assert topic.retired_at is not None and topic.retired_at < clock.now()
    for same in ("other", "news"):
        with pytest.raises(Conflict), transaction():
            make.topic(same)
