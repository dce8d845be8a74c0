"""What stands in each mail beside its content is approved with it: who sends it, from where, what the topic is called (P7)."""

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import update

from preference_center import clock, config
from preference_center.campaigns import approvals, queries, scheduling
from preference_center.campaigns.models import Campaign
from preference_center.campaigns.rendering import content, imprints
from preference_center.config import Settings
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import sending
from preference_center.delivery.models import Message
from preference_center.delivery.results import viewing
from preference_center.topics import catalogue
from preference_center.topics.models import Topic
from tests.conftest import make_settings
from tests.support import make
from tests.support.campaigns import filled
from tests.support.relay import FakeRelay

pytestmark = pytest.mark.both_databases
BEFORE, AFTER = ("Shop Ltd", "1 Long Street", "Product news"), ("Other Ltd", "9 Short Street", "All the news")


@pytest.fixture
def settings(tmp_path: Path, database: str, relay: FakeRelay) -> Settings:
    return make_settings(
        tmp_path, database, relay_url=relay.url, organisation=BEFORE[0], postal_address=f"{BEFORE[1]}\n00-001 Warsaw"
    )


def _change(app: Flask, topic_id: int) -> None:
    before = app.extensions["settings"]
    app.extensions["settings"] = config.with_(before, organisation=AFTER[0], postal_address=AFTER[1])
    with transaction():
        catalogue.amend(db.session.get_one(Topic, topic_id), "en", name=AFTER[2])


def _says(text: str) -> tuple[bool, bool]:
    """Whether all that was set before the change stands in it, and whether anything set after does."""
    return all(words in text for words in BEFORE), any(words in text for words in AFTER)


def test_a_mail_says_what_was_approved_whatever_was_set_since(app: Flask, relay: FakeRelay) -> None:
    campaign = filled(["anna@example.org"], "Hello from {{ organisation }} about {{ topic }}.")
    _change(app, campaign.topic_id)
    assert approvals.fault(campaign) is None
    sending.run(campaign.id, seconds=20)
    [message] = relay.messages
    assert _says(message.data.decode()) == (True, False)
    seen = viewing.seen_by(db.session.query(Contact).one(), db.session.query(Message).one().id)
    assert _says(seen.text) == (True, False), "and so does the mail in the browser"


def test_each_content_of_an_experiment_says_what_was_approved(app: Flask, relay: FakeRelay) -> None:
    tried = {"share": 90, "metric": "delivered", "wait_minutes": 5, "variants": [{"subject": "Another"}]}
    campaign = filled([f"n{number}@example.org" for number in range(12)], experiment=tried)
    _change(app, campaign.topic_id)
    sending.run(campaign.id, seconds=20)
    mails = [message.data.decode() for message in relay.messages]
    assert {"Subject: Hello" in mail for mail in mails} == {True, False}
    assert {_says(mail) for mail in mails} == {(True, False)}


@pytest.fixture
def scheduled(app: Flask) -> Campaign:
    with transaction():
        made = scheduling.create("Autumn", make.topic(), "Hello", "markdown", "Hello.")
        scheduling.schedule(made, clock.now())
    return made


def test_a_preview_shows_what_will_be_sent(app: Flask, scheduled: Campaign) -> None:
    _change(app, scheduled.topic_id)
    assert _says(content.preview(queries.version(scheduled)).text) == (True, False)


def test_back_in_a_draft_it_says_what_is_so_today_and_the_next_approval_seals_that(
    app: Flask, scheduled: Campaign
) -> None:
    _change(app, scheduled.topic_id)
    with transaction():
        scheduling.unschedule(scheduled)
    assert _says(content.preview(queries.version(scheduled)).text) == (False, True)
    with transaction():
        scheduling.schedule(scheduled, clock.now())
    assert approvals.fault(scheduled) is None
    assert imprints.of(queries.version(scheduled), _topic(scheduled)).organisation == AFTER[0]


def test_what_differs_from_today_is_named(app: Flask, scheduled: Campaign) -> None:
    version, topic = queries.version(scheduled), _topic(scheduled)
    assert imprints.changed(version, topic) == []
    _change(app, scheduled.topic_id)
    assert imprints.changed(version, topic) == ["organisation", "postal_address", "names"]


def test_an_imprint_altered_in_the_database_is_found(scheduled: Campaign) -> None:
    version = queries.version(scheduled)
    with transaction():
        kept = version.compiled["imprint"] | {"organisation": AFTER[0]}
        version.compiled = version.compiled | {"imprint": kept}
    assert "altered" in (approvals.fault(scheduled) or "")


def test_a_topic_swapped_behind_the_approval_is_found(scheduled: Campaign) -> None:
    with transaction():
        other = make.topic("offers", "Offers")
        db.session.execute(update(Campaign).values(topic_id=other.id))
    assert "topic" in (approvals.fault(scheduled) or "")


def test_what_was_approved_before_imprints_were_sealed_goes_on_as_it_did(
    scheduled: Campaign, app: Flask
) -> None:  # P12
    with transaction():
        version = queries.version(scheduled)
        imprints.unseal(version)
        made = approvals.newest(scheduled)
        assert made is not None
        made.sha256 = version.sha256
    _change(app, scheduled.topic_id)
    assert approvals.fault(scheduled) is None
    assert _says(content.preview(queries.version(scheduled)).text) == (False, True)


def _topic(campaign: Campaign) -> Topic:
    return db.session.get_one(Topic, campaign.topic_id)
