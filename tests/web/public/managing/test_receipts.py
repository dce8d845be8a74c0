"""A person's own consents: every record with the words shown, and a receipt of each, for nobody else."""

import html
import re

import pytest
from flask.testing import FlaskClient

from preference_center.consent import ledger, wordings
from preference_center.consent.ledger import Evidence
from preference_center.db import transaction
from preference_center.preferences import choices
from tests.support import links, shop
from tests.support.database_hash import digest
from tests.web.public.conftest import Scene


@pytest.fixture
def path(scene: Scene) -> str:
    return links.manage(scene.anna) + "/consents"


def text(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def test_the_page_shows_every_record_with_the_words_shown(client: FlaskClient, scene: Scene, path: str) -> None:
    """S56."""
    with transaction():
        choices.stop_topic(scene.anna, scene.topics["news"], Evidence("one_click"))
        wordings.publish(scene.topics["offers"], "en", "Another text.")
    before = digest()
    shown = text(client, path)
    assert shown.index("Product news: turned off") < shown.index("Offers: turned on")
    assert "May 3, 2026, 2:02:00" in shown and "by the unsubscribe button of your mail program" in shown
    assert "I want to get Offers from Example Shop Ltd by email." in shown and "Another text." not in shown
    assert "anna@" not in shown
    assert digest() == before
    assert 'href="' + path in client.get(path.removesuffix("/consents")).text


def test_a_receipt_can_be_printed_and_kept(client: FlaskClient, scene: Scene, path: str) -> None:
    """S56, S68, S71: what the record holds, under the names of ISO/IEC TS 27560."""
    news = scene.topics["news"]
    with transaction():
        record = choices.stop_topic(scene.anna, news, Evidence("link", language="en")).records[0].public_id
        given = choices.for_contact(scene.anna, "en").topics[1].record
        assert given is not None
        reference = given.public_id
    shown = text(client, f"{path}/{reference}")
    agreed = wordings.current(scene.topics["offers"], "en")
    assert agreed is not None
    for words in (reference, "Offers: turned on", "your consent", agreed.text, agreed.sha256, "1 Long Street"):
        assert words in shown
    answer = client.get(f"{path}/{reference}.json")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="receipt-{reference}.json"'
    assert answer.mimetype == "application/ld+json"
    data = answer.get_json(force=True)
    assert (data["schema_version"], data["receipt_id"]) == ("dpv-27560:receipt-eu-gdpr", f"receipt-{reference}")
    kept = data["record"]
    assert (kept["record_id"], kept["pii_principal_id"]) == (reference, scene.anna.public_id)
    assert kept["event"] == {
        "event_time": "2026-05-03T14:02:00Z",
        "recorded_time": kept["event"]["recorded_time"],
        "validity_duration": "until withdrawn",
        "event_type": "given",
        "event_state": "dpv:ConsentGiven",
        "entity_id": "person",
        "collection_method": "form",
        "collection_reference": "subscribe:test",
    }
    assert (kept["wording"]["text"], kept["wording"]["sha256"]) == (agreed.text, agreed.sha256)
    assert (kept["processing"]["purpose"], kept["processing"]["lawful_basis"]) == ("email_marketing", "eu-gdpr:A6-1-a")
    assert kept["pii_controllers"][0]["party_name"] == "Example Shop Ltd"
    assert "anna@" not in answer.text
    assert (
        client.get(f"{path}/{record}.json").get_json(force=True)["record"]["event"]["event_state"].endswith("Withdrawn")
    )


def test_every_name_in_the_file_is_defined_by_its_context(client: FlaskClient, scene: Scene, path: str) -> None:
    """S72: what carries a meaning beyond this house is a term of the DPV or of Dublin Core; prefixes resolve."""
    with transaction():
        reference = ledger_record(scene)
    data = client.get(f"{path}/{reference}.json").get_json(force=True)
    context = data["@context"]
    prefixes = {name for name, iri in context.items() if isinstance(iri, str) and iri.startswith(("http", "urn"))}
    for term in context.values():
        iri = term["@id"] if isinstance(term, dict) else term
        assert iri.startswith(("http", "@", "urn")) or iri.split(":")[0] in prefixes, term
    for value in (data["schema_version"], data["@type"], data["record"]["event"]["event_state"]):
        assert value.split(":")[0] in prefixes


def ledger_record(scene: Scene) -> str:
    record = ledger.withdraw_all(scene.anna, "email_marketing", Evidence("mail"))
    assert record is not None
    return record.public_id


def test_a_record_of_a_whole_purpose_has_a_receipt_too(client: FlaskClient, scene: Scene, path: str) -> None:
    with transaction():
        reference = ledger_record(scene)
    assert "All marketing emails: turned off" in text(client, f"{path}/{reference}")


@pytest.mark.parametrize("end", ["", ".json"])
def test_nobody_elses_record_and_no_forged_link_opens_anything(
    client: FlaskClient, scene: Scene, path: str, end: str
) -> None:
    with transaction():
        other = shop.customer(scene.topics, "news", email="other@example.org")
        record = choices.for_contact(other, "en").topics[0].record
        assert record is not None
        reference, own = record.public_id, links.manage(other)
    assert client.get(f"{own}/consents/{reference}{end}").status_code == 200
    assert client.get(f"{path}/{reference}{end}").status_code == 404
    assert client.get(f"{path}/nothing{end}").status_code == 404
    assert client.get(f"/p/forged/consents/{reference}{end}").status_code == 404
    assert client.post(f"{path}/{reference}{end}").status_code == 405


def test_a_person_without_a_word_yet_is_told_so(client: FlaskClient, scene: Scene) -> None:
    with transaction():
        nobody = shop.customer(scene.topics, email="nobody@example.org")
        path = links.manage(nobody) + "/consents"
    assert "We have no record of a choice of yours yet." in text(client, path)
