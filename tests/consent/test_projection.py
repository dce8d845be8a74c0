"""Projection, judge and a plain reference model agree over random histories; the stored state can always be rebuilt."""

import random
from datetime import timedelta

import pytest
from flask import Flask

from preference_center import clock
from preference_center.consent import eligibility, ledger, projection
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Cadence, State, Subscription
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.support import make

pytestmark = pytest.mark.both_databases
BY_PERSON = Evidence(source="link")
STEPS = ("request", "confirm", "grant", "withdraw", "stop_all", "object", "pause", "resume", "weekly")


class Reference:
    """What a person would expect, said in the plainest way: per topic a word, and a break for all."""

    def __init__(self) -> None:
        self.topic: dict[str, str] = {}
        self.paused = False

    def take(self, step: str, topic: str) -> None:
        now = self.topic.get(topic, "off")
        if step == "request" and now != "on":
            self.topic[topic] = "asked"
        elif step == "grant" or (step == "confirm" and now == "asked"):
            self.topic[topic] = "on"
        elif step == "withdraw":
            self.topic[topic] = "off"
        elif step in ("stop_all", "object"):
            self.topic = {}
        elif step in ("pause", "resume"):
            self.paused = step == "pause"

    def may_mail(self, topic: str) -> bool:
        return self.topic.get(topic) == "on" and not self.paused


def _take(step: str, contact: Contact, topic: Topic) -> None:
    match step:
        case "request":
            ledger.request(contact, topic, BY_PERSON)
        case "confirm":
            ledger.confirm(contact, topic, BY_PERSON)
        case "grant":
            ledger.grant(contact, topic, LegalBasis.consent, BY_PERSON)
        case "withdraw":
            ledger.withdraw(contact, topic, BY_PERSON)
        case "stop_all":
            ledger.withdraw_all(contact, topic.purpose_key, BY_PERSON)
        case "object":
            ledger.object_to(contact, topic.purpose_key, BY_PERSON)
        case "pause":
            ledger.pause(contact, topic.purpose_key, clock.now() + timedelta(days=3), BY_PERSON)
        case "resume":
            ledger.resume(contact, topic.purpose_key, BY_PERSON)
        case "weekly":
            ledger.set_cadence(contact, topic, Cadence.weekly, BY_PERSON)


def test_judge_and_projection_agree_with_a_plain_model_over_random_histories(app: Flask) -> None:  # S81
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    with transaction():
        topics = {key: make.topic(key) for key in ("news", "offers")}
    for number in range(25):
        reference = Reference()
        with transaction():
            contact = make.contact(f"person{number}@example.org")
        for _ in range(dice.randrange(1, 12)):
            step, key = dice.choice(STEPS), dice.choice(list(topics))
            with transaction():
                _take(step, contact, topics[key])
            reference.take(step, key)
            for name, topic in topics.items():
                allowed = eligibility.verdict(topic, contact, clock.now()).allowed
                assert allowed == reference.may_mail(name), f"seed {seed}, after {step} of {key}, on {name}"
    assert list(projection.differences()) == []


def test_a_state_changed_behind_the_ledgers_back_is_found(app: Flask) -> None:
    with transaction():
        topic = make.topic()
        contact = make.follower(topic)
        ledger.withdraw(contact, topic, BY_PERSON)
    with transaction():
        db.session.get_one(Subscription, (contact.id, topic.id)).state = State.given
    ((found, stored, rebuilt),) = projection.differences()
    assert found == contact.id
    assert (stored.topics[topic.id].state, rebuilt.topics[topic.id].state) == (State.given, State.withdrawn)


def test_a_state_without_any_record_is_found(app: Flask) -> None:
    with transaction():
        topic = make.topic()
        contact = make.contact()
        db.session.add(Subscription(contact_id=contact.id, topic_id=topic.id, state=State.given, record_id=99))
    ((found, _, rebuilt),) = projection.differences()
    assert (found, rebuilt.topics) == (contact.id, {})
