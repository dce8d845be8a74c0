"""A report beside the last ones on its topic, and who left the topic since."""

from datetime import timedelta

import pytest
from flask import Flask

from preference_center import clock
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery.models import Message, MessageState
from preference_center.delivery.results import comparing
from preference_center.topics.models import Topic
from tests.support import make

pytestmark = pytest.mark.both_databases
LINK = Evidence("link")


@pytest.fixture
def people(app: Flask) -> list[Contact]:
    """Five who follow one topic, and two campaigns about it, of thirty days and of an hour ago, that four of them got."""
    with transaction():
        topic, other = make.topic(), make.topic("other")
        everybody = [make.follower(topic, f"n{number}@example.org") for number in range(5)]
        for name, ago, its in (("First", 30 * 24, topic), ("Other", 20 * 24, other), ("Second", 1, topic)):
            made = scheduling.create(name, its, "Hello", "markdown", "Hello.")
            made.started_at, made.finished_at = clock.now() - timedelta(hours=ago), clock.now()
            made.state, made.approved_version = CampaignState.sent, 1
            states = [MessageState.sent, MessageState.delivered, MessageState.uncertain, MessageState.complained]
            for one, state in zip(everybody, [*states, MessageState.skipped], strict=True):
                db.session.add(Message(campaign_id=made.id, contact_id=one.id, state=state, changed_at=clock.now()))
    return everybody


def _campaign(name: str) -> Campaign:
    return db.session.query(Campaign).filter_by(name=name).one()


def test_who_got_it_and_left_the_topic_since_is_counted_once(people: list[Contact]) -> None:  # screens.md 4.6
    topic = db.session.query(Topic).filter_by(key="news").one()
    assert comparing.left_since(_campaign("Second")) == 0
    with transaction():
        ledger.withdraw(people[0], topic, LINK)
        ledger.withdraw_all(people[1], topic.purpose_key, LINK)
        ledger.withdraw(people[2], topic, Evidence("mail", happened_at=clock.now() - timedelta(hours=2)))  # before it
        ledger.withdraw(people[4], topic, LINK)  # who did not get it
    assert comparing.left_since(_campaign("Second")) == 2
    assert comparing.left_since(_campaign("First")) == 3
    with transaction():
        ledger.grant(people[0], topic, "consent", LINK)  # who came back has not left
    assert comparing.left_since(_campaign("Second")) == 1


def test_the_last_ones_on_the_topic_stand_beside_it_with_who_left_within_a_week(people: list[Contact]) -> None:
    topic = db.session.query(Topic).filter_by(key="news").one()
    with transaction():
        ledger.withdraw(people[0], topic, LINK)
        ledger.withdraw(people[1], topic, Evidence("mail", happened_at=clock.now() - timedelta(days=25)))
    told = [(one.campaign.name, one.handed, one.left) for one in comparing.with_the_last(_campaign("Second"))]
    assert told == [("Second", 3, 1), ("First", 3, 1)], "the first one's week was over when the other left"
    assert [one.campaign.name for one in comparing.with_the_last(_campaign("First"))] == ["First"]


def test_nobody_left_because_of_a_campaign_that_never_began(people: list[Contact]) -> None:
    with transaction():
        topic = db.session.query(Topic).filter_by(key="news").one()
        never = scheduling.create("Never", topic, "Hello", "markdown", "Hello.")
        never.schedule(clock.now() + timedelta(hours=1), clock.now())
        scheduling.cancel(never)
    assert comparing.left_since(never) == 0
