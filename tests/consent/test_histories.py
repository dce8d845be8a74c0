"""Random histories over months and countries: judge, projection and a plain reference model agree at every step (S73, S74, S77, S81).

And over all of them: nothing makes "given" but an act of the person, of a guardian, of staff who say so, or a declared file.
"""

import random
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask

from preference_center import clock
from preference_center.consent import eligibility, ledger, projection, standing, tracking
from preference_center.consent.law import jurisdictions
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Action, State
from preference_center.contacts.models import Contact
from preference_center.db import transaction
from preference_center.errors import Invalid
from preference_center.topics import catalogue
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.support import make

pytestmark = pytest.mark.both_databases
BY_PERSON = Evidence("link")
BY_SALE = Evidence("admin", actor="user:abc", detail=make.SALE)
COUNTRIES = ("PL", "ES", "CA", "JP")
SOFT = {"ES", "CA"}  # where a sale may carry mail
STEPS = (
    "request",
    "confirm",
    "grant",
    "sale",
    "renew",
    "withdraw",
    "stop_all",
    "object",
    "expire",
    "track",
    "untrack",
    "move",
    "wait",
)
# a consent that is given and ends by itself, or stops to count by a move, needs its steps in this order: they come more often
OFTEN = (*STEPS, "grant", "sale", "sale", "wait", "wait", "wait", "expire", "expire", "move", "move")
START = datetime(2026, 1, 1, tzinfo=UTC)
LASTS = {"news": 6, "offers": None}  # months


class Reference:
    """In the plainest words: what each topic rests on and until when, and where the person lives."""

    def __init__(self, country: str) -> None:
        self.country = country
        self.on: dict[str, tuple[str, datetime | None]] = {}
        self.asked: set[str] = set()
        self.seen = False

    def yes(self, topic: str, basis: str, now: datetime) -> None:
        months = [
            months for months in (LASTS[topic], 24 if basis == "sale" and self.country == "CA" else None) if months
        ]
        self.on[topic] = basis, jurisdictions.months_after(now, min(months)) if months else None
        self.asked.discard(topic)

    def holds(self, topic: str, now: datetime) -> bool:
        _basis, until = self.on.get(topic, ("", now))
        return topic in self.on and (until is None or until > now)

    def take(self, step: str, topic: str, now: datetime) -> None:
        holds = self.holds(topic, now)
        if step == "request" and not holds:
            self.on.pop(topic, None)
            self.asked.add(topic)
        elif (step == "confirm" and topic in self.asked) or (step == "grant" and not holds):
            self.yes(topic, "consent", now)
        elif step == "sale" and not holds and self.country in SOFT:
            self.yes(topic, "sale", now)
        elif step == "renew" and holds:
            self.yes(topic, "consent", now)
        elif step == "withdraw":
            self.on.pop(topic, None)
            self.asked.discard(topic)
        elif step in ("stop_all", "object"):
            self.on, self.asked = {}, set()
        elif step in ("track", "untrack"):
            self.seen = step == "track"

    def may_mail(self, topic: str, now: datetime) -> bool:
        return self.holds(topic, now) and (self.on[topic][0] != "sale" or self.country in SOFT)


def take(step: str, contact: Contact, topic: Topic) -> None:
    switch = tracking.topic()
    assert switch is not None
    match step:
        case "request":
            ledger.request(contact, topic, BY_PERSON)
        case "confirm":
            ledger.confirm(contact, topic, BY_PERSON)
        case "grant":
            ledger.grant(contact, topic, LegalBasis.consent, BY_PERSON)
        case "sale":
            try:
                ledger.grant(contact, topic, LegalBasis.existing_customer, BY_SALE)
            except Invalid:
                assert contact.jurisdiction not in SOFT
        case "renew":
            ledger.renew(contact, topic, BY_PERSON)
        case "withdraw":
            ledger.withdraw(contact, topic, BY_PERSON)
        case "stop_all":
            ledger.withdraw_all(contact, topic.purpose_key, BY_PERSON)
        case "object":
            ledger.object_to(contact, topic.purpose_key, BY_PERSON)
        case "expire":
            ledger.expire()
        case "track":
            ledger.grant(contact, switch, LegalBasis.consent, BY_PERSON)
        case "untrack":
            ledger.withdraw(contact, switch, BY_PERSON)


def test_judge_projection_and_a_plain_model_agree_over_random_histories(app: Flask) -> None:  # S73, S74, S77, S81
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    with transaction():
        topics = {key: make.topic(key) for key in LASTS}
        for key, months in LASTS.items():
            catalogue.limit_consent(topics[key], months)
        tracking.offer()
    for number in range(30):
        now, country = START, dice.choice(COUNTRIES)
        reference = Reference(country)
        with time_machine.travel(now, tick=False), transaction():
            contact = make.contact(f"person{number}@example.org", jurisdiction=country)
        told: list[str] = []
        for _ in range(dice.randrange(5, 20)):
            step, key = dice.choice(OFTEN), dice.choice(list(topics))
            now += timedelta(days=dice.choice([1, 40, 200, 400]) if step == "wait" else 0, seconds=1)
            told.append(f"{step} {key}")
            with time_machine.travel(now, tick=False):
                with transaction():
                    if step == "move":
                        contact.jurisdiction = reference.country = dice.choice(COUNTRIES)
                    take(step, contact, topics[key])
                reference.take(step, key, now)
                for name, topic in topics.items():
                    allowed = eligibility.verdict(topic, contact, clock.now()).allowed
                    assert allowed == reference.may_mail(name, now), f"seed {seed}, {told}, on {name}"
                seen = contact.id in tracking.consenting({contact.id}, clock.now())
                assert seen == reference.seen, f"seed {seed}, {told}"
        assert only_people_said_yes(contact), f"seed {seed}, {told}"
    assert list(projection.differences()) == [], f"seed {seed}"


def only_people_said_yes(contact: Contact) -> bool:
    """Walk the records: each step into "given" is somebody's act, and what the system writes never is one."""
    stand = projection.Stand()
    for record in standing.all_records(contact):
        after = projection.step(stand, record, [])
        for topic_id, now in after.topics.items():
            before = stand.topics.get(topic_id)
            turned_on = now.state is State.given and (before is None or before.state is not State.given)
            yes = record.action in (Action.given, Action.confirmed, Action.renewed)
            if turned_on and not (yes and record.actor in ("person", "guardian", "user:abc")):
                return False
        if record.actor == "system" and record.action is not Action.expired:
            return False
        stand = after
    return True


def test_no_action_but_three_makes_given() -> None:  # S73
    states = {action: projection._TOPIC_STATE.get(action) for action in Action}
    assert {action for action, state in states.items() if state is State.given} == {
        Action.given,
        Action.confirmed,
        Action.renewed,
    }
