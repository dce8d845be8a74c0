"""The proof file: it verifies with nothing but itself, fails when one byte of it is altered, and shows only one person."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preference_center.config import Settings
from preference_center.consent import ledger, vault, wordings
from preference_center.consent.chain import checking, checkpoints, proof, rows, seal, signed
from preference_center.consent.ledger import Evidence
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.errors import Invalid, NotFound, Unavailable
from preference_center.topics import catalogue
from preference_center.topics.purposes import LegalBasis
from tests.support import make
from tests.support.sources import ROOT

SCHEMA = json.loads((ROOT / "docs" / "proof.schema.json").read_text())


@pytest.fixture
def people(app: Flask) -> None:
    """Anna asked, confirmed, left; others stand around her in the chain."""
    with transaction():
        news, offers = make.topic(), make.topic("offers", "Offers")
        text = wordings.publish(news, "pl", "Chcę dostawać „nowości” – zażółć.").id
        for number in range(5):
            make.follower(news, f"before{number}@example.org")
        anna = make.contact("anna@example.org", language="pl")
        shown = Evidence(
            "form", "sign-up", language="pl", wording_id=text, detail={"network": "192.0.2.1", "said": "tak, proszę"}
        )
        ledger.request(anna, news, shown)
        ledger.confirm(anna, news, Evidence("link", detail={"network": "192.0.2.2"}))
        ledger.grant(anna, offers, LegalBasis.consent, Evidence("form"))
        make.follower(news, "after@example.org")
        ledger.withdraw_all(anna, "email_marketing", Evidence("one_click"))
        seal.seal_all()
    db.session.rollback()


def anna() -> Contact:
    found = contacts.by_email("anna@example.org")
    assert found is not None
    return found


def made() -> bytes:
    return proof.make(anna(), catalogue.by_key("news"))


@pytest.mark.both_databases
def test_a_proof_holds_what_counts_for_the_topic_in_order_with_text_evidence_and_seal(people: None) -> None:  # S69, S71
    found = checking.check(made())
    assert [record["action"] for record in found.records] == ["requested", "confirmed", "withdrawn"]
    assert [record["topic_key"] for record in found.records] == ["news", "news", None]
    first = found.data["records"][0]
    assert first["wording"]["text"] == "Chcę dostawać „nowości” – zażółć."
    assert first["evidence"]["detail"] == {"email": "anna@example.org", "network": "192.0.2.1", "said": "tak, proszę"}
    assert found.checkpoint.seq == 10
    assert b"before0@example.org" not in made() and b"after@example.org" not in made()


def test_it_has_the_published_form(people: None) -> None:  # S71
    data = json.loads(made())
    assert list(wrong_with(data, SCHEMA)) == []
    for name in ("records", "signature"):
        assert list(wrong_with({key: value for key, value in data.items() if key != name}, SCHEMA))
    assert list(wrong_with(data | {"more": 1}, SCHEMA))
    data["records"][0]["seal"]["key"] = "AB" * 32
    assert list(wrong_with(data, SCHEMA)) == ["/records/0/seal/key: pattern"]


def wrong_with(value: Any, schema: dict[str, Any], at: str = "") -> Any:
    """As much of JSON Schema as ours uses."""
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "null": type(None)}
    known = {"$schema", "$id", "title", "description", "type", "const", "pattern", "required", "properties", "items"}
    assert set(schema) <= known | {"additionalProperties", "minItems"}, "this test does not know such a rule"
    named = schema.get("type", [])
    if named and type(value) not in [kinds[kind] for kind in ([named] if isinstance(named, str) else named)]:
        yield f"{at}: type"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{at}: const"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{at}: pattern"
    if isinstance(value, dict):
        own = schema.get("properties", {})
        yield from (f"{at}/{name}: missing" for name in schema.get("required", []) if name not in value)
        if schema.get("additionalProperties") is False:
            yield from (f"{at}/{name}: unknown" for name in value if name not in own)
        for name in set(own) & set(value):
            yield from wrong_with(value[name], own[name], f"{at}/{name}")
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{at}: too few"
        for index, item in enumerate(value):
            yield from wrong_with(item, schema.get("items", {}), f"{at}/{index}")


def test_one_altered_byte_fails_at_every_place(people: None) -> None:  # S71
    whole = made()
    checking.check(whole)
    for at in range(len(whole)):
        with pytest.raises(Invalid):
            checking.check(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_cut_a_doubled_or_a_foreign_piece_fails(people: None, data: st.DataObject) -> None:
    whole = made_once()
    at = data.draw(st.integers(0, len(whole) - 1))
    kind = data.draw(st.sampled_from(["cut", "insert", "replace", "case"]))
    piece = data.draw(st.binary(min_size=1, max_size=3))
    other = {
        "cut": whole[:at],
        "insert": whole[:at] + piece + whole[at:],
        "replace": whole[:at] + piece + whole[at + len(piece) :],
        "case": whole[:at] + whole[at : at + 8].swapcase() + whole[at + 8 :],
    }[kind]
    if other != whole:
        with pytest.raises(Invalid):
            checking.check(other)


_kept: dict[str, bytes] = {}


def made_once() -> bytes:
    return _kept.setdefault("proof", made())


def _signed_again(change: Any, app_settings: Settings, key: Ed25519PrivateKey | None = None) -> bytes:
    """As the owner of the signing key could forge it: altered first, signed after."""
    data = json.loads(made())
    change(data)
    bare = {name: value for name, value in data.items() if name not in ("key", "signature")}
    return signed.render(signed.sign(key or checkpoints.signing_key(app_settings), bare))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d["records"][0]["record"].update(action="given"), r"Record 1 \(.*\) is not what was sealed"),
        (lambda d: d["records"][1]["record"].update(happened_at=1), "Record 2 .* is not what was sealed"),
        (lambda d: d["records"][0]["wording"].update(text="All"), "The text in it is not the one shown for Record 1"),
        (lambda d: d["records"][0].update(wording=None), "The text shown for Record 1 .* is missing"),
        (
            lambda d: d["records"][0]["evidence"]["detail"].update(network="::1"),
            "The evidence in it is not that of Record 1",
        ),
        (lambda d: d["records"][0]["seal"].update(sealed_at=1), "Record 1 .* is not what was sealed"),
        (lambda d: d["records"][0]["seal"]["path"].pop(), "Record 1 .* is not among the records"),
        (lambda d: d["checkpoint"].update(seq=11), "The checkpoint in it is not sound"),
        (lambda d: d["person"].update(number=99), "Record 1 .* is of another person"),
        (lambda d: d["topic"].update(key="offers"), "Record 1 .* is on another topic"),
        (lambda d: d["records"].reverse(), "not in their order"),
        (lambda d: d.update(records=[]), "It holds no record"),
        (lambda d: d["records"][0].pop("seal"), "does not have the form"),
    ],
)
def test_what_the_owner_of_the_signing_key_alters_is_found_by_the_chain(
    people: None, app: Flask, change: Any, told: str
) -> None:
    with pytest.raises(Invalid, match=told):
        checking.check(_signed_again(change, app.extensions["settings"]))


def test_a_forger_with_a_key_of_his_own_fails_against_the_named_key(people: None, app: Flask) -> None:
    own = checkpoints.own_key(app.extensions["settings"])
    assert own is None  # made at first use
    real = checking.check(made()).key
    forged = _signed_again(lambda d: None, app.extensions["settings"], Ed25519PrivateKey.generate())
    with pytest.raises(Invalid, match="The checkpoint in it was signed with another key"):
        checking.check(forged)
    with pytest.raises(Invalid, match="signed with another key than the one you named"):
        checking.check(forged, real)
    assert checking.check(made(), real.upper()).key == real


@pytest.mark.parametrize("part", ["records", "checkpoint", "person", "topic"])
def test_a_file_of_another_form_is_refused_whoever_signed_it(people: None, app: Flask, part: str) -> None:
    forged = _signed_again(lambda data: data.pop(part), app.extensions["settings"])
    with pytest.raises(Invalid):
        checking.check(forged)
    receipt = signed.sign(Ed25519PrivateKey.generate(), {"@type": checking.RECEIPT, part: {}})
    with pytest.raises(Invalid, match="form of a receipt"):
        checking.check_receipt(signed.render(receipt))


def test_a_signed_file_without_what_is_told_of_it_is_refused_in_one_line(people: None, app: Flask) -> None:
    for change in (
        lambda data: data.pop("controller"),
        lambda data: data.pop("made_at"),
        lambda data: data["person"].pop("email"),
        lambda data: data["topic"].pop("name"),
        lambda data: data["records"][0]["record"].update(happened_at=None),
        lambda data: data["records"][0]["seal"].update(seq=2**70),
    ):
        with pytest.raises(Invalid, match="form of a proof file"):
            checking.check(_signed_again(change, app.extensions["settings"]))
    record = {"record_id": "a", "pii_controllers": [], "event": {"event_time": "", "event_type": ""}, "processing": {}}
    for kept in ({}, record):
        receipt = signed.sign(Ed25519PrivateKey.generate(), {"@type": checking.RECEIPT, "issued": "", "record": kept})
        with pytest.raises(Invalid, match="form of a receipt"):
            checking.check_receipt(signed.render(receipt))


def test_the_earliest_kept_checkpoint_that_covers_all_is_shown(people: None, app: Flask) -> None:
    own: Settings = app.extensions["settings"]
    with rows.snapshot() as connection:
        first = checkpoints.take(connection, own)
    checkpoints.keep(first, checkpoints.file_of(own))
    with transaction():
        make.contact("later@example.org")
        ledger.withdraw_all(anna_later(), "email_marketing", Evidence("link"))
        seal.seal_all()
    assert checking.check(made()).checkpoint == first
    with transaction():
        db.session.execute(db.text("UPDATE consent_seals SET hash = :other WHERE seq = 2"), {"other": bytes(32)})
    with pytest.raises(Unavailable, match="ledger verify"):
        made()


def anna_later() -> Contact:
    found = contacts.by_email("later@example.org")
    assert found is not None
    return found


def test_erased_detail_leaves_a_proof_that_still_holds(people: None) -> None:
    with transaction():
        vault.destroy(anna().id)
    found = checking.check(made())
    assert [entry["evidence"] for entry in found.data["records"]] == [None] * 3


def test_who_said_nothing_has_no_proof_and_an_unsealed_record_is_waited_for(people: None) -> None:
    with transaction():
        stranger = make.contact("stranger@example.org")
        with pytest.raises(NotFound):
            proof.make(stranger, catalogue.by_key("news"))
        ledger.grant(stranger, catalogue.by_key("news"), LegalBasis.consent, Evidence("form"))
        with pytest.raises(Unavailable, match="waits for its seal"):
            proof.make(stranger, catalogue.by_key("news"))


def test_the_check_needs_no_settings_and_no_database(people: None, tmp_path: Path) -> None:  # S71
    file = tmp_path / "proof.json"
    file.write_bytes(made())
    command = [sys.executable, "-m", "preference_center", "ledger", "check", str(file)]
    bare = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "DATABASE_URL": "nonsense"}
    good = subprocess.run(command, capture_output=True, text=True, env=bare, cwd=tmp_path)
    assert good.returncode == 0, good.stderr
    assert "holds: not a byte was changed" in good.stdout and "anna@example.org" in good.stdout
    assert "; written down" not in good.stdout
    with transaction():
        long_ago = datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)
        ledger.grant(anna(), catalogue.by_key("news"), LegalBasis.consent, Evidence("import", happened_at=long_ago))
        seal.seal_all()
    file.write_bytes(proof.make(anna(), catalogue.by_key("news"), personal=False))
    nameless = subprocess.run(command, capture_output=True, text=True, env=bare, cwd=tmp_path)
    assert "A person whom the file does not name, topic news" in nameless.stdout
    assert "  2020-02-03 04:05:06 UTC  given, consent, from import; written down 20" in nameless.stdout
    file.write_bytes(made().replace(b"confirmed", b"Confirmed"))
    bad = subprocess.run(command, capture_output=True, text=True, env=bare, cwd=tmp_path)
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr.count("\n") == 1 and "does not hold: The signature does not belong to the content" in bad.stderr
