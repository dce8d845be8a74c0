"""SMS, phone and post beside email: shown where the owner offers them, kept as consent of that channel, exported, honoured."""

import csv
import io
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from preference_center.commands.people import exporting
from preference_center.consent import standing, wordings
from preference_center.consent.declaring import declared
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import State
from preference_center.contacts import imports
from preference_center.contacts import queries as contacts
from preference_center.db import db, transaction
from preference_center.errors import Invalid
from preference_center.preferences import choices
from preference_center.privacy import export, restraint
from preference_center.topics import catalogue
from preference_center.topics.models import Topic, TopicText
from preference_center.web.public import acts
from tests.support import links
from tests.web.public.conftest import Scene
from tests.web.public.managing.test_preferences import Page


@pytest.fixture
def by_sms(scene: Scene) -> Topic:
    with transaction():
        topic = catalogue.add("sms", {"en": TopicText(language="en", name="Offers by text message")}, "sms")
        wordings.publish_defaults(topic)
    return topic


def state_of(scene: Scene, topic: Topic) -> State:
    db.session.rollback()
    return standing.subscriptions(scene.anna)[topic.id].state


def test_nothing_is_shown_that_the_owner_does_not_offer(client: FlaskClient, scene: Scene) -> None:
    assert "Other ways to reach you" not in Page(client, links.manage(scene.anna)).text


def test_a_channel_is_chosen_and_kept_as_consent_of_that_channel(
    client: FlaskClient, scene: Scene, by_sms: Topic
) -> None:
    page = Page(client, links.manage(scene.anna))
    assert "Other ways to reach you" in page.text and "may send me offers by SMS." in page.text
    assert "sms" not in page.ticked, "nothing is on by default"
    page.save("news", "offers", "sms")
    (record,) = scene.records()
    assert (record.channel, record.purpose_key, record.action) == ("sms", "sms", "given")
    assert "You will get 2 topics." in page.text, "what is counted comes by mail"
    page.press("stop_all")
    assert state_of(scene, by_sms) is State.given, "the button speaks of emails"
    page.save()
    assert state_of(scene, by_sms) is State.withdrawn


def test_it_stands_in_both_exports_and_an_objection_ends_it(
    client: FlaskClient, scene: Scene, by_sms: Topic, tmp_path: Path
) -> None:
    Page(client, links.manage(scene.anna)).save("news", "offers", "sms")
    with transaction():
        held = export.of(scene.anna)
    assert '"channel": "sms"' in str(held).replace("'", '"')
    exporting.export(tmp_path / "people.csv", "everyone")
    with (tmp_path / "people.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["news"], row["sms"]) == ("given", "given")
    with client.application.test_request_context(), transaction():
        restraint.object_to_marketing(contacts.by_public_id(scene.anna.public_id), acts.evidence("link"))
    assert state_of(scene, by_sms) is State.objected


def test_an_import_declares_consent_for_a_channel_and_keeps_its_rules(scene: Scene, by_sms: Topic) -> None:
    with transaction():
        import_ = imports.receive(io.BytesIO(b"email\nbo@example.org\nanna@example.org\n"), "people.csv", "cli")
        with pytest.raises(Invalid, match="cannot rest on"):
            declared.declare(import_, source="shop", basis="contract", topics=["sms"])
        declared.declare(import_, source="shop", basis="consent", topics=["sms"], consented_on="2026-01-31")
        choices.stop_topic(scene.anna, by_sms, Evidence(source="link", language="en"))
    for step in declared.steps(import_.id):
        with transaction():
            step()
    bo = contacts.by_email("bo@example.org")
    assert bo is not None
    (record,) = standing.all_records(bo)
    assert (record.channel, record.action) == ("sms", "given")
    assert state_of(scene, by_sms) is State.withdrawn
