"""Marks in Message-ID, return path and mailbox: readable by us, worthless when altered or moved."""

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from preference_center.delivery import marks
from preference_center.delivery.marks import Place


@pytest.fixture(scope="module")
def keyed() -> Flask:
    app = Flask("marks")
    app.extensions["address_key"] = b"a" * 32
    return app


@settings(max_examples=200, deadline=None)
@given(number=st.integers(min_value=0, max_value=2**63 - 1), place=st.sampled_from(Place))
def test_a_mark_is_read_back_in_any_case_and_fits_a_local_part(keyed: Flask, number: int, place: Place) -> None:
    with keyed.app_context():
        mark = marks.make(number, place)
        assert marks.read(mark.upper(), place) == number
        assert len(f"unsubscribe+{mark}") <= 64


@settings(max_examples=200, deadline=None)
@given(number=st.integers(min_value=0, max_value=2**40), at=st.integers(min_value=0), to=st.sampled_from("abcxyz0-.é"))
def test_an_altered_mark_names_no_message(keyed: Flask, number: int, at: int, to: str) -> None:
    with keyed.app_context():
        mark = marks.make(number, Place.return_path)
        at %= len(mark)
        altered = mark[:at] + to + mark[at + 1 :]
        if altered != mark:
            assert marks.read(altered, Place.return_path) is None


def test_a_mark_of_one_place_is_worthless_in_another(keyed: Flask) -> None:
    with keyed.app_context():
        mark = marks.make(7, Place.return_path)
        assert marks.read(mark, Place.unsubscribe) is None
        assert marks.read(mark, Place.message_id) is None


@pytest.mark.parametrize(
    "text", ["", "-", "7", "7-", "-abc", "zzzzzzzzzzzzzzzzzzzz-abc", "7-" + "a" * 16, "é-é", "7-\ud800"]
)
def test_nonsense_names_no_message(keyed: Flask, text: str) -> None:
    with keyed.app_context():
        assert marks.read(text, Place.return_path) is None
