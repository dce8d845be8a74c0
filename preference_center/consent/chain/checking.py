"""Checks a proof file without database, settings or secrets: only the file, and best a public key one had from elsewhere."""

import hashlib
import json
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from preference_center.consent.chain import links, merkle, signed
from preference_center.consent.chain.signed import Checkpoint, from_hex
from preference_center.errors import Invalid

SCHEMA = "pc.proof.v1"
# what reading a file of another form ends in
_AMISS = (LookupError, TypeError, AttributeError, ValueError, OverflowError, struct.error)


@dataclass(frozen=True)
class Checked:
    """What the file proves, once nothing in it was found wrong."""

    data: dict[str, Any]
    key: str
    checkpoint: Checkpoint
    records: list[dict[str, Any]]


def check(content: bytes, key: str | None = None) -> Checked:
    """Invalid, with one line that says what is wrong, unless every byte is as it was signed and every record as it was sealed."""
    data = _read(content)
    if key is not None and data["key"] != key.strip().lower():
        raise Invalid(f"It was signed with another key than the one you named: {data['key']}.")
    if not signed.is_signed(data):
        raise Invalid("The signature does not belong to the content: something was changed.")
    try:
        checkpoint = Checkpoint.read(data.get("checkpoint"))
    except Invalid as wrong:
        raise Invalid(f"The checkpoint in it is not sound: {wrong.message}.")
    if checkpoint.key != data["key"]:
        raise Invalid("The checkpoint in it was signed with another key than the proof.")
    try:
        _check_form(data)
        for number, entry in enumerate(data["records"], 1):
            _check_record(number, entry, data, checkpoint)
        _check_order(data["records"])
    except _AMISS:
        raise Invalid("It does not have the form of a proof file.")
    return Checked(data, data["key"], checkpoint, [entry["record"] for entry in data["records"]])


RECEIPT = "dpv:ConsentReceipt"


def is_receipt(content: bytes) -> bool:
    """Whether this is a receipt, and no proof file."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and data.get("@type") == RECEIPT


def check_receipt(content: bytes, key: str | None = None) -> dict[str, Any]:
    """The receipt's data; Invalid, with one line, unless every byte is as it was signed and the text is the one it names."""
    try:
        data: dict[str, Any] = json.loads(content)
        whole = signed.render(data) == content
    except (ValueError, RecursionError):
        raise Invalid("It is no JSON: it was changed, or is no receipt.")
    if data.get("@type") != RECEIPT:
        raise Invalid("It is no receipt.")
    if "signature" not in data:
        raise Invalid("It was not signed: it can be read, but proves nothing of itself.")
    if key is not None and data.get("key") != key.strip().lower():
        raise Invalid(f"It was signed with another key than the one you named: {data.get('key')}.")
    if not whole:
        raise Invalid("It is not written as it was signed: a space, a line break or a spelling was changed.")
    if not signed.is_signed(data):
        raise Invalid("The signature does not belong to the content: something was changed.")
    try:
        wording = data["record"].get("wording")
        whole = not wording or hashlib.sha256(wording["text"].encode()).hexdigest() == wording["sha256"]
        _check_form_of_receipt(data)
    except _AMISS:
        raise Invalid("It does not have the form of a receipt.")
    if not whole:
        raise Invalid("The text in it is not the one that was shown.")
    return data


def _read(content: bytes) -> dict[str, Any]:
    try:
        data = json.loads(content)
        whole = signed.render(data) == content
    except (ValueError, RecursionError):
        raise Invalid("It is no JSON: it was changed, or is no proof file.")
    if not isinstance(data, dict) or data.get("schema") != SCHEMA or not isinstance(data.get("key"), str):
        raise Invalid(f"It is no proof file of the form {SCHEMA}.")
    if not whole:
        raise Invalid("It is not written as it was signed: a space, a line break or a spelling was changed.")
    return data


def _check_form(data: dict[str, Any]) -> None:
    """What is told of a proof that holds is there: else reading it ends here, and not in the telling."""
    _told = data["controller"]["name"], data["made_at"], data["person"]["email"], data["topic"]["name"]
    for entry in data["records"]:
        for when in ("happened_at", "recorded_at"):
            datetime.fromtimestamp(entry["record"][when] / 1e6, UTC)


def _check_form_of_receipt(data: dict[str, Any]) -> None:
    record = data["record"]
    _told = data["issued"], record["record_id"], record["pii_controllers"][0]["party_name"]
    _told = record["event"]["event_time"], record["event"]["event_type"], record["processing"]["purpose"]


def _check_record(number: int, entry: dict[str, Any], data: dict[str, Any], checkpoint: Checkpoint) -> None:
    record, seal = entry["record"], entry["seal"]
    told = f"Record {number} ({record['public_id']})"
    if record["contact_id"] != data["person"]["number"]:
        raise Invalid(f"{told} is of another person.")
    if (record["topic_key"] or data["topic"]["key"]) != data["topic"]["key"] or record["purpose_key"] != data["topic"][
        "purpose"
    ]:
        raise Invalid(f"{told} is on another topic.")
    _check_text(told, entry["wording"], record["wording_sha256"])
    _check_evidence(told, entry["evidence"], record["evidence_digest"])
    made = links.link_hash(
        from_hex(seal["key"], 32),
        seal["seq"],
        seal["sealed_at"],
        from_hex(seal["previous"], 32),
        links.bytes_of(record),
    )
    if made.hex() != seal["hash"]:
        raise Invalid(f"{told} is not what was sealed.")
    path = [from_hex(step, 32) for step in seal["path"]]
    if merkle.root_from(made, seal["seq"] - 1, checkpoint.seq, path) != checkpoint.root:
        raise Invalid(f"{told} is not among the records the checkpoint covers.")


def _check_text(told: str, wording: dict[str, Any] | None, digest: str | None) -> None:
    if (wording is None) != (digest is None):
        raise Invalid(f"The text shown for {told} is missing, or is one too many.")
    if wording is not None and not wording["sha256"] == hashlib.sha256(wording["text"].encode()).hexdigest() == digest:
        raise Invalid(f"The text in it is not the one shown for {told}.")


def _check_evidence(told: str, evidence: dict[str, Any] | None, digest: str | None) -> None:
    """Evidence may be missing (it was erased), but what is there must be what was locked away."""
    if evidence is None:
        return
    opened = from_hex(evidence["salt"], 16) + signed.canonical(evidence["detail"])
    if hashlib.sha256(b"pc.evidence.v1" + opened).hexdigest() != digest:
        raise Invalid(f"The evidence in it is not that of {told}.")


def _check_order(entries: list[dict[str, Any]]) -> None:
    if not entries:
        raise Invalid("It holds no record.")
    ids = [entry["record"]["id"] for entry in entries]
    if ids != sorted(set(ids)):
        raise Invalid("Its records are not in their order.")
