"""Conditions on what a person agreed to and on what became of our mail, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from preference_center import clock
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.contacts.models import Attribute, AttributeKind, Contact
from preference_center.db import db, transaction
from preference_center.delivery.events.models import DeliveryEvent, Effect, MatchedBy
from preference_center.delivery.models import Message, MessageState
from preference_center.providers.base import Kind
from preference_center.segments import queries
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.support import make

pytestmark = pytest.mark.both_databases
NAMES = ("anna", "bea", "carl", "dora", "eve")
BY_PERSON = Evidence(source="link")


def found(text: str, at: datetime | None = None) -> str:
    where = queries.predicate(text, at or clock.now())
    emails = db.session.scalars(select(Contact.email).where(where).order_by(Contact.email))
    return " ".join(str(email).partition("@")[0] for email in emails)


@pytest.fixture
def people(app: Flask) -> dict[str, Contact]:
    with transaction():
        news, offers = make.topic(), make.topic("2026-offers", "Offers")
        made = {name: make.contact(f"{name}@example.org") for name in NAMES}
        old = Evidence(source="import", happened_at=datetime(2020, 5, 1, tzinfo=UTC))
        ledger.grant(made["anna"], news, LegalBasis.double_opt_in, Evidence(source="form"))
        ledger.grant(made["bea"], news, LegalBasis.consent, old)
        ledger.grant(made["carl"], news, LegalBasis.consent, BY_PERSON)
        ledger.withdraw(made["carl"], news, BY_PERSON)
        ledger.grant(made["dora"], offers, LegalBasis.double_opt_in, BY_PERSON)
        db.session.add(Attribute(key="city", name="City", kind=AttributeKind.text, created_at=clock.now()))
        for contact in made.values():
            contact.attributes = {"city": "Łódź"}
    return made


FINDS = {
    "follows news": "anna bea",
    "not follows news": "carl dora eve",
    'follows "2026-offers"': "dora",
    "since(news) in the last 2 days": "anna",
    "since(news) before 2020-06-01": "bea",
    "since(news) on 2020-05-01": "bea",
    "since(news) is unknown": "carl dora eve",
    "basis(news) = double_opt_in": "anna",
    "basis(news) is known": "anna bea",
    'basis("2026-offers") = double_opt_in': "dora",
    "consent_source(news) = import": "bea",
    "consent_source(news) != import": "anna carl dora eve",
    "consent_source(news) in (form, import) and not basis(news) = consent": "anna",
}


def test_what_people_agreed_to_chooses_them(people: dict[str, Contact]) -> None:
    assert {text: found(text) for text in FINDS} == FINDS


def test_following_ends_when_the_consent_runs_out(people: dict[str, Contact]) -> None:
    from preference_center.consent.models import Subscription

    with transaction():
        subscription = db.session.scalars(
            select(Subscription).where(Subscription.contact_id == people["anna"].id)
        ).one()
        subscription.until = clock.now() + timedelta(days=1)
    assert found("follows news") == "anna bea"
    assert found("follows news", clock.now() + timedelta(days=2)) == "bea"


def test_a_rule_built_on_a_trait_passes_over_who_objected_to_profiling(people: dict[str, Contact]) -> None:  # S85
    with transaction():
        ledger.object_to(people["anna"], "profiling", BY_PERSON)
        ledger.withdraw_all(people["eve"], "profiling", BY_PERSON)
    assert found("follows news") == "bea"
    assert found("not follows news") == "carl dora"
    assert found('city = "Łódź"') == found('city != "x"') == "bea carl dora"
    assert found('language = en or city = "Łódź"') == "bea carl dora", "whichever part chose"
    assert found("language = en") == "anna bea carl dora eve", "what it takes to write to people is no profile"
    assert found("not got any") == found("everyone") == "anna bea carl dora eve"


@pytest.fixture
def sent(people: dict[str, Contact]) -> Campaign:
    states = {
        "anna": MessageState.delivered,
        "bea": MessageState.bounced,
        "carl": MessageState.uncertain,
        "dora": MessageState.skipped,
    }
    with transaction():
        topic = db.session.scalars(select(Topic).where(Topic.key == "news")).one()
        campaign = scheduling.create("Autumn", topic, "Hello", "markdown", "Hello\n")
        scheduling.create("Spring", topic, "Hello", "markdown", "Hello\n")
        for name, state in states.items():
            at = clock.now() - timedelta(days=10)
            db.session.add(
                Message(campaign_id=campaign.id, contact_id=people[name].id, state=state, changed_at=at, attempt=1)
            )
    return campaign


def test_what_became_of_a_campaign_chooses_people(people: dict[str, Contact], sent: Campaign) -> None:
    finds = {
        "got Autumn": "anna carl",
        f"got {sent.public_id}": "anna carl",
        "not got Autumn": "bea dora eve",  # who may have got it is not written to again
        "delivered Autumn": "anna",
        "bounced any": "bea",
        "got Spring": "",
        "got any in the last 11 days": "anna carl",
        "got any in the last 9 days": "",
        "got Autumn in the last 9 days": "",
    }
    assert {text: found(text) for text in finds} == finds


def test_opens_and_clicks_are_told_only_of_who_agrees_to_being_counted(
    people: dict[str, Contact], sent: Campaign
) -> None:
    with transaction():
        tracking = make.topic("counting", "Counting", "tracking")
        for name, kind, machine in (
            ("anna", Kind.clicked, None),
            ("bea", Kind.clicked, None),
            ("carl", Kind.opened, "prefetch"),
        ):
            message = db.session.scalars(select(Message).where(Message.contact_id == people[name].id)).one()
            db.session.add(_event(message, kind, machine))
        for name in ("anna", "carl"):
            ledger.grant(people[name], tracking, LegalBasis.consent, BY_PERSON)
    assert found("clicked Autumn") == found("clicked any") == "anna"
    assert found("clicked any in the last 2 days") == "anna"
    assert found("clicked Spring") == ""
    assert found("opened any") == "", "a machine opened it"
    assert found("not clicked any") == "bea carl dora eve"
    with transaction():
        ledger.withdraw(people["anna"], tracking, BY_PERSON)
    assert found("clicked any") == "", "as they stand now, not as they stood then"


def _event(message: Message, kind: Kind, machine: str | None) -> DeliveryEvent:
    now = clock.now()
    return DeliveryEvent(
        source="test",
        key=f"{message.id}.{kind}",
        kind=kind,
        machine=machine,
        message_id=message.id,
        contact_id=message.contact_id,
        matched_by=MatchedBy.mark,
        effect=Effect.applied,
        occurred_at=now,
        received_at=now,
    )
