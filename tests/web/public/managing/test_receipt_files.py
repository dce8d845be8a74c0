"""A receipt as a file: complete by ISO/IEC TS 27560 and the GDPR, JSON-LD that survives the way there and back, checkable offline."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask import Flask
from flask.testing import FlaskClient
from pyld import jsonld
from structlog.testing import capture_logs

from preference_center import clock
from preference_center.consent import interchange, ledger, standing, tracking
from preference_center.consent.chain import checking, seal
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Action, Cadence
from preference_center.db import db, transaction
from preference_center.errors import Invalid
from preference_center.notices import letters
from preference_center.notices.models import Kind
from preference_center.topics.purposes import LegalBasis
from tests.support import links, shop
from tests.support.sources import ROOT
from tests.web.public.conftest import Scene

SCHEMA = json.loads((ROOT / "docs" / "receipt.schema.json").read_text())
# ISO/IEC TS 27560: mandatory in a record, and what the GDPR makes mandatory besides (standards.md 2.5)
MANDATORY = {
    "schema_version", "record_id", "pii_principal_id",
    "privacy_notice", "language", "purpose", "pii_information", "pii_type", "pii_controllers", "storage_locations", "retention_period",
    "jurisdiction", "recipient_third_parties", "withdrawal_method",
    "party_id", "party_address", "party_name", "party_contact", "party_type",
    "event_time", "validity_duration", "entity_id", "event_type", "event_state",
    "lawful_basis", "collection_method", "processing_method", "processing_locations", "rights", "authority", "party_role",
}  # fmt: skip


def never(url: str, _options: Any) -> Any:
    raise AssertionError(f"a context was fetched: {url}")


def test_a_record_names_the_data_its_purpose_uses(scene: Scene) -> None:
    """S68: a consent to be seen opening and clicking covers more than the address."""
    with transaction():
        switch = tracking.offer()
        agreed = ledger.grant(scene.anna, switch, LegalBasis.consent, Evidence("link", language="en"))
        news = standing.all_records(scene.anna)[0]
        assert agreed is not None
        used = [interchange.record(scene.anna, one, None, None, "en")["processing"] for one in (agreed, news)]
    types = [[one["pii_type"] for one in processing["pii_information"]] for processing in used]
    assert types == [["pd:EmailAddress", "pd:Behavioural", "pd:LinkClicked"], ["pd:EmailAddress"]]


@pytest.fixture
def everything(scene: Scene) -> list[str]:
    """A record of every action that a person or the house can write."""
    news, anna, link = scene.topics["news"], scene.anna, Evidence("link", language="en")
    with transaction():
        until = clock.now().replace(year=clock.now().year + 1)
        ledger.renew(anna, news, link)
        ledger.set_cadence(anna, news, Cadence.weekly, link)
        ledger.pause(anna, "email_marketing", until, link)
        ledger.resume(anna, "email_marketing", link)
        ledger.withdraw(anna, news, link)
        ledger.request(anna, news, link)
        ledger.confirm(anna, news, link)
        ledger.object_to(anna, "email_marketing", link)
        ledger.grant(anna, news, LegalBasis.consent, link, until=until)
        ledger.withdraw_all(anna, "email_marketing", link)
    return [record.public_id for record in standing.all_records(anna)]


def names_in(data: Any) -> set[str]:
    if isinstance(data, dict):
        return set(data).union(*map(names_in, data.values()))
    return set().union(*map(names_in, data)) if isinstance(data, list) else set()


def fetched(client: FlaskClient, scene: Scene, reference: str) -> bytes:
    answer = client.get(f"{links.manage(scene.anna)}/consents/{reference}.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/ld+json")
    return answer.data


def test_every_receipt_is_valid_by_the_published_schema(
    client: FlaskClient, scene: Scene, everything: list[str]
) -> None:  # S71
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    seen = set()
    for reference in everything:
        data = json.loads(fetched(client, scene, reference))
        jsonschema.validate(data, SCHEMA)
        seen.add(data["record"]["event"]["event_state"])
    assert seen >= {interchange.STATES[a] for a in (Action.given, Action.requested, Action.withdrawn, Action.renewed)}
    assert interchange.UNCHANGED in seen


def test_a_record_of_consent_has_every_mandatory_field(
    client: FlaskClient, scene: Scene, everything: list[str]
) -> None:  # S68
    data = json.loads(fetched(client, scene, everything[0]))
    assert MANDATORY - names_in(data["record"]) == set()
    assert data["record"]["wording"]["sha256"] and data["record"]["event"]["collection_reference"] == "subscribe:test"


def test_it_goes_through_json_ld_and_back_without_any_fetch(
    client: FlaskClient, scene: Scene, everything: list[str]
) -> None:  # S72
    for reference in everything:
        data = json.loads(fetched(client, scene, reference))
        expanded = jsonld.expand(data, {"documentLoader": never})
        assert expanded[0]["@type"] == ["https://w3id.org/dpv#ConsentReceipt"]
        assert "https://w3id.org/dpv#hasConsentStatus" in json.dumps(expanded)
        assert jsonld.compact(expanded, data["@context"], {"documentLoader": never}) == data


def test_no_two_names_mean_the_same() -> None:  # S72
    terms = [
        term["@id"] if isinstance(term, dict) else term for name, term in interchange.CONTEXT.items() if name[0] != "@"
    ]
    plain = [term for term in terms if not term.startswith(("http", "urn"))]
    assert len(plain) == len(set(plain))


def test_every_action_has_a_state_of_the_vocabulary() -> None:  # S73
    no_consent = {Action.paused, Action.resumed, *(Action(cadence) for cadence in Cadence)}
    assert set(interchange.STATES) | no_consent == set(Action)
    assert {"dpv:ConsentRequested", "dpv:ConsentGiven", "dpv:ConsentRefused", "dpv:ConsentWithdrawn", "dpv:ConsentExpired",
            "dpv:ConsentInvalidated", "dpv:RenewedConsentGiven"} == set(interchange.STATES.values())  # fmt: skip


def test_it_is_checked_offline_and_one_altered_byte_fails(
    client: FlaskClient, scene: Scene, everything: list[str], tmp_path: Path
) -> None:  # S71
    content = fetched(client, scene, everything[0])
    file = tmp_path / "receipt.json"
    file.write_bytes(content)
    bare = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "DATABASE_URL": "nonsense"}
    command = [sys.executable, "-m", "preference_center", "ledger", "check", str(file)]
    good = subprocess.run(command, capture_output=True, text=True, env=bare, cwd=tmp_path)
    assert good.returncode == 0 and "holds" in good.stdout and "news" in good.stdout, good.stderr
    assert subprocess.run([*command, "--key", "0" * 64], capture_output=True, env=bare, cwd=tmp_path).returncode == 1
    for at in range(0, len(content), 37):
        changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        with pytest.raises(Invalid):
            checking.check_receipt(changed)


def test_a_receipt_can_be_had_by_mail_once(
    app: Flask, client: FlaskClient, scene: Scene, everything: list[str]
) -> None:
    path = f"{links.manage(scene.anna)}/consents/{everything[0]}"
    shown = client.get(path).text
    proof = re.search(r'name="proof"[^>]*value="([^"]+)"', shown)
    assert proof and "Mail me this receipt" in shown and "27560), and is signed." in shown
    assert client.post(f"{path}/mail", data={"proof": "forged"}).status_code == 400
    assert [notice.kind for notice in scene.notices()] == []
    for _ in range(3):
        answer = client.post(f"{path}/mail", data={"proof": proof[1]})
        assert answer.status_code == 200 and "On its way to your mailbox." in answer.text
    (notice,) = scene.notices()
    assert (notice.kind, notice.asked) == (Kind.receipt, 3)
    letter = letters.write(notice, scene.anna)
    assert everything[0] in letter.text and "Product news" in letter.text and "/consents/" in letter.html


def test_a_proof_file_from_the_page_holds_and_names_nobody(
    app: Flask, client: FlaskClient, scene: Scene, everything: list[str], tmp_path: Path
) -> None:  # S53, S71
    own = links.manage(scene.anna)
    with capture_logs() as logs:
        waits = client.get(f"{own}/proof/news.json")
    assert waits.status_code == 503 and logs == [], "its records wait for their seal"
    assert waits.headers["Retry-After"] == "10" and "This proof file cannot be made at the moment." in waits.text
    with transaction():
        seal.seal_all()
    assert f"{own}/proof/news.json" in client.get(f"{own}/consents").text
    settings = app.extensions["settings"]
    app.extensions["settings"] = replace(settings, checkpoint_key_file="/nowhere/key.pem")
    assert "Proof files" not in client.get(f"{own}/consents").text, "this process may not sign"
    shown = client.get(f"{own}/consents/{everything[0]}").text
    assert "ISO/IEC TS 27560)." in shown and "is signed" not in shown
    (tmp_path / "file").write_text("")
    for wrong in (app.extensions["settings"], replace(settings, data_dir=tmp_path / "file" / "data")):
        app.extensions["settings"] = wrong
        with capture_logs() as logs:
            assert client.get(f"{own}/proof/news.json").status_code == 503
        assert [line["event"] for line in logs] == ["proof.not_made"] and "anna@" not in str(logs)
    app.extensions["settings"] = settings
    answer = client.get(f"{own}/proof/news.json")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="proof-news.json"'
    checked = checking.check(answer.data)
    assert len(checked.records) == len(everything) - 1, "what was said on the other topic is not in it"
    assert "anna@" not in answer.text and '"evidence": null' in answer.text
    with transaction():
        other = shop.customer(scene.topics, email="other@example.org")
    db.session.rollback()
    assert client.get(f"{links.manage(other)}/proof/news.json").status_code == 404
    for nothing in ("proof/nothing.json", "consents/nothing", "consents/nothing.json"):
        answer = client.get(f"{own}/{nothing}?lang=pl")
        assert answer.status_code == 404 and "There is no" not in answer.text and '<html lang="pl">' in answer.text
