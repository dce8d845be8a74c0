"""The chain, to the byte; and values that no record can hold, which SQLite keeps in any column: found and named like any change."""

import json

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from preference_center.consent.chain import links
from tests.consent.conftest import change, take, verify


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("source", "x'00'"),
        ("evidence_digest", "'text'"),
        ("contact_id", "1.5"),
        ("contact_id", "9e999"),
        ("happened_at", "'soon'"),
        ("source_ref", "CAST(x'E2' AS TEXT)"),
        ("public_id", "CAST(x'E2' AS TEXT)"),
    ],
)
def test_a_value_that_no_record_can_hold_is_found_and_named(
    app: Flask, history: list[str], column: str, value: str
) -> None:
    """S70: SQLite keeps any kind of value in any column, and a text that is none."""
    change(f"UPDATE consent_records SET {column} = {value} WHERE id = 2")
    (fault,) = verify(take(app)).faults
    assert "(number 2) is not what was sealed (seal 2)" in fault and fault.encode()


@pytest.mark.parametrize("value", ["x'00'", "'text'", "1"])
def test_a_seal_that_holds_no_hash_is_found(history: list[str], value: str) -> None:  # S70
    change(f"UPDATE consent_seals SET hash = {value} WHERE seq = 3")
    assert verify().faults[0].startswith(f"Consent record {history[2]} (number 3) is not what was sealed")


@given(st.lists(st.none() | st.integers() | st.text(), min_size=len(links.FIELDS), max_size=len(links.FIELDS)))
def test_the_bytes_of_a_record_are_plain_json(values: list[object]) -> None:
    version = [links.V1, *values[:-1]] if values[-1] is None else [links.V2, *values]
    assert links.record_bytes(values) == json.dumps(version, separators=(",", ":")).encode("ascii")
