"""Over random people and random rules, the funnel says what the freeze then gives: the same people, the same reasons (acceptance 9)."""

import random
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, select

from preference_center import clock
from preference_center.campaigns import audience, scheduling
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Subscription
from preference_center.contacts.models import AddressStatus, Attribute, AttributeKind, Contact
from preference_center.db import db, transaction
from preference_center.delivery import outbox
from preference_center.delivery import queries as delivery
from preference_center.delivery.models import Message, MessageState
from preference_center.segments import named
from preference_center.segments import queries as segments
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.support import make

pytestmark = pytest.mark.both_databases
WORLDS, AUDIENCES, PEOPLE = 5, 20, 40  # on each database: 200 audiences in all
BY_PERSON = Evidence(source="link")
CONDITIONS = (
    "language = pl", "language in (pl, es)", "country is known", "city = Łódź", "points > 500", "points is unknown",
    "points between 100 and 900", "joined in the last 200 days", "source begins with shop", "follows news",
    "follows offers", "since(news) in the last 3 days", "basis(news) = double_opt_in", "consent_source(offers) = form",
    "got any", "bounced any", "clicked any", "likes has plants", 'segment "Kept"', "everyone",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(WORLDS))
def test_the_funnel_is_what_the_freeze_then_gives(app: Flask, seed: int) -> None:
    dice = random.Random(seed)
    news = _world(dice)
    for _ in range(AUDIENCES):
        text = _rule(dice, 3)
        at = clock.now()
        funnel = audience.funnel(news, text, at)
        figures = _frozen(news, text)
        assert figures.audience == funnel.matched == funnel.allowed + sum(funnel.reasons.values()), (seed, text)
        assert figures.queued == funnel.allowed, (seed, text)
        assert figures.skipped == {str(reason): count for reason, count in funnel.reasons.items()}, (seed, text)


def test_the_worlds_are_varied_enough_to_prove_something(app: Flask) -> None:
    news = _world(random.Random(0))
    assert len(audience.funnel(news, "", clock.now()).reasons) >= 6
    assert len({audience.funnel(news, text, clock.now()).matched for text in CONDITIONS}) >= 8


def _frozen(topic: Topic, text: str) -> delivery.Figures:
    with transaction():
        campaign = scheduling.create("Any", topic, "Hi", "markdown", "Hello\n", segment=text)
        scheduling.schedule(campaign, clock.now())
        scheduling.start_due(clock.now())
    with transaction():
        outbox.fill_range(campaign.id)
    figures = delivery.figures(campaign)
    with transaction():
        scheduling.cancel(campaign)
        db.session.execute(delete(Message).where(Message.campaign_id == campaign.id))
    return figures


def _rule(dice: random.Random, depth: int) -> str:
    if depth == 0 or dice.random() < 0.3:
        return dice.choice(CONDITIONS)
    if dice.random() < 0.25:
        return f"not ({_rule(dice, depth - 1)})"
    word = dice.choice([" and ", " or "])
    return word.join(f"({_rule(dice, depth - 1)})" for _ in range(dice.randint(2, 3)))


def _world(dice: random.Random) -> Topic:
    """People with random histories: consent given, confirmed, withdrawn, paused, run out; dead, suppressed, restricted, erased."""
    with transaction():
        news, offers = make.topic(), make.topic("offers", "Offers")
        past = scheduling.create("Past", offers, "Hi", "markdown", "Hello\n")
        for key, kind in (("city", "text"), ("points", "number"), ("likes", "set")):
            db.session.add(Attribute(key=key, name=key, kind=AttributeKind(kind), created_at=clock.now()))
        for number in range(PEOPLE):
            person = _person(dice, number)
            for _ in range(dice.randint(0, 4)):
                _act(dice, person, dice.choice([news, news, offers]))
            if dice.random() < 0.3:
                state = dice.choice([MessageState.sent, MessageState.bounced, MessageState.uncertain])
                db.session.add(
                    Message(campaign_id=past.id, contact_id=person.id, state=state, changed_at=clock.now(), attempt=1)
                )
        _afflict(dice, list(db.session.scalars(select(Contact).order_by(Contact.id))), news)
        named.add("Kept", segments.read("language = pl or points > 700"), "cli")
    return news


def _person(dice: random.Random, number: int) -> Contact:
    attributes = {
        "city": dice.choice(["Łódź", "Kraków", None]),
        "points": dice.choice([50, 450, 900, None]),
        "likes": dice.choice([["plants"], ["lamps", "plants"], []]),
    }
    person = make.contact(
        f"person{number}@example.org",
        language=dice.choice(["pl", "en", "es"]),
        jurisdiction=dice.choice(["PL", None]),
        source=dice.choice(["shop", "fair", ""]),
        attributes={key: value for key, value in attributes.items() if value is not None},
    )
    person.created_at = clock.now() - timedelta(days=dice.randint(0, 400))
    return person


def _act(dice: random.Random, person: Contact, topic: Topic) -> None:
    match dice.randint(0, 9):
        case 0 | 1 | 2 | 3:
            basis = dice.choice([LegalBasis.consent, LegalBasis.double_opt_in])
            ledger.grant(person, topic, basis, Evidence(source=dice.choice(["form", "import"])))
        case 4:
            ledger.request(person, topic, BY_PERSON)
        case 5 | 6:
            ledger.withdraw(person, topic, BY_PERSON)
        case 7:
            ledger.pause(person, "email_marketing", clock.now() + timedelta(days=30), BY_PERSON)
        case 8:
            ledger.object_to(person, "email_marketing", BY_PERSON)
        case _:
            ledger.object_to(person, "profiling", BY_PERSON)


def _afflict(dice: random.Random, people: list[Contact], topic: Topic) -> None:
    now: datetime = clock.now()
    for person in people:
        match dice.randint(0, 24):
            case 0:
                person.address_status = AddressStatus.invalid
            case 1:
                assert person.address_hash
                register.suppress(person.address_hash, dice.choice([Cause.bounce, Cause.manual]), "test")
            case 2:
                person.restrict(now)
            case 3:
                person.forget(now)
            case 4 | 5:
                subscription = db.session.get(Subscription, (person.id, topic.id))
                if subscription is not None:
                    subscription.until = now - timedelta(days=1)
