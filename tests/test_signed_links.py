"""Our tokens are those of itsdangerous, byte for byte, and an older key of the ring still opens what it once signed."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer, URLSafeTimedSerializer

from preference_center.signed_links import _LIFE, BadLink, ExpiredLink, KeyRing, Power

KEY = "k" * 40
RING = KeyRing((("1", "o" * 32), ("2", KEY)))
PAYLOADS = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
        st.integers(min_value=-(2**63), max_value=2**63),
        st.none(),
        st.booleans(),
        st.lists(st.text("ab", max_size=3), max_size=3),
    ),
    max_size=4,
)


def theirs(power: Power) -> URLSafeSerializer | URLSafeTimedSerializer:
    kind = URLSafeSerializer if power is Power.unsub else URLSafeTimedSerializer
    how = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
    return kind(KEY, salt=f"pc.{power}.v1", signer_kwargs=how)


@settings(max_examples=300, deadline=None)
@given(power=st.sampled_from(Power), payload=PAYLOADS)
def test_itsdangerous_reads_what_we_write(power: Power, payload: list[object]) -> None:
    token = RING.sign(power, payload)
    assert theirs(power).loads(token.removeprefix("2.")) == payload
    assert RING.read(power, token) == payload


@settings(max_examples=100, deadline=None)
@given(name=st.text(max_size=20), number=st.integers(min_value=0, max_value=2**63 - 1))
def test_a_link_without_a_date_is_what_itsdangerous_writes(name: str, number: int) -> None:
    payload = ["abcdefghij234567", name.encode("utf-8", "replace").decode(), number]
    serializer = theirs(Power.unsub)
    if not serializer.dump_payload(payload).startswith(b"."):  # a long one it would compress
        assert RING.sign(Power.unsub, payload) == f"2.{serializer.dumps(payload)}"


def test_the_newest_key_signs_and_an_older_one_still_opens() -> None:
    before = KeyRing(RING.keys[:1]).sign(Power.manage, ["anna", 0])
    assert RING.read(Power.manage, before) == ["anna", 0]
    assert RING.sign(Power.manage, ["anna", 0]).startswith("2.")
    with pytest.raises(BadLink):
        KeyRing(RING.keys[1:]).read(Power.manage, before)


@pytest.mark.parametrize("power", Power)
def test_a_link_of_one_power_is_worthless_for_another(power: Power) -> None:
    token = RING.sign(power, ["anna", 0])
    for other in set(Power) - {power}:
        with pytest.raises(BadLink):
            RING.read(other, token)


@settings(max_examples=100, deadline=None)
@given(power=st.sampled_from(Power), payload=PAYLOADS, many=st.integers(min_value=1, max_value=4))
def test_we_read_what_itsdangerous_writes_compressed_or_not(power: Power, payload: list[object], many: int) -> None:
    token = f"2.{theirs(power).dumps(payload * many)}"
    if len(token) <= 512:
        assert RING.read(power, token) == payload * many


def test_what_was_changed_anywhere_opens_nothing() -> None:
    """S3, and each spelling of the last character but ours."""
    for power in Power:
        token = RING.sign(power, ["anna", 0])
        for at in range(len(token)):
            for other in {"A", "_", ".", "ą", chr(ord(token[at]) + 1)} - {token[at]}:
                with pytest.raises(BadLink) as told:
                    RING.read(power, token[:at] + other + token[at + 1 :])
                assert type(told.value) is BadLink


@pytest.mark.parametrize("odd", ["\ud800", "é", "\0", "١"])
@pytest.mark.parametrize("power", Power)
def test_what_no_token_holds_opens_nothing(power: Power, odd: str) -> None:
    """A lone surrogate is what a browser's broken escape may become."""
    token = RING.sign(power, ["anna", 0])
    for changed in (odd + token, "2." + odd, token[:5] + odd + token[5:], token + odd):
        with pytest.raises(BadLink) as told:
            RING.read(power, changed)
        assert type(told.value) is BadLink


@pytest.mark.parametrize("power", [power for power in Power if power is not Power.unsub])
def test_a_link_opens_until_its_last_second_and_not_before_it_was_made_give_or_take_five_seconds(power: Power) -> None:
    now, life = datetime(2026, 5, 3, 14, 2, tzinfo=UTC), _LIFE[power]
    assert life is not None
    with time_machine.travel(now, tick=False):
        token = RING.sign(power, ["anna", 0])
    for seconds, opens in {-6: False, -5: True, 0: True, life: True, life + 1: False}.items():
        with time_machine.travel(now + timedelta(seconds=seconds), tick=False):
            if opens:
                assert RING.read(power, token) == ["anna", 0]
            else:
                with pytest.raises(ExpiredLink) as told:
                    RING.read(power, token)
                assert told.value.payload == ["anna", 0]
