"""No cell is a formula wherever a spreadsheet cuts a line, and what we exported comes back as it was."""

import csv
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from preference_center.commands.people import exporting
from preference_center.contacts import attributes, cells
from preference_center.contacts.models import AttributeKind, Contact
from preference_center.contacts.spreadsheets import as_csv, harmless, meant
from preference_center.db import db, transaction
from tests.contacts import files
from tests.support import make

SIGNS = "=+-@＝＋－＠"
TRICKY = st.text(alphabet=SIGNS + ";,\t\r\n|'\" 07.a") | st.text()
PEOPLE = [f"{start}{number}@example.org" for start, number in zip(("", "=", "+", "'"), count())]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("=1+1", "'=1+1"),
        ("Jan;=cmd|'/c calc'!A0;x", "Jan;'=cmd|'/c calc'!A0;x"),
        ('Jan;"=1"', 'Jan;\'"=1"'),
        ("Jan; @x", "Jan;' @x"),
        ("a\n+1", "a\n'+1"),
        ("'=1", "''=1"),
        ("+48 600 100 200", "'+48 600 100 200"),
        ("-12.5", "-12.5"),
        ("-12,5", "-12,5"),
        ("-1+cmd", "'-1+cmd"),
        ("O'Neil-Smith; jr", "O'Neil-Smith; jr"),
    ],
)
def test_an_apostrophe_stands_before_what_begins_like_a_formula_and_nowhere_else(text: str, made: str) -> None:
    assert harmless(text) == made and meant(made) == text


def test_a_cell_that_may_be_cut_is_quoted() -> None:
    assert "".join(as_csv([["id", "a;b", 'c"', "d\te", 7, None], ["x"]])) == 'id,"a;b","c""","d\te",7,\r\nx\r\n'


@given(st.lists(TRICKY, min_size=1, max_size=4))
@example(["a;", "=b", '";"=', ";"])
def test_no_cell_is_a_formula_wherever_the_line_is_cut(texts: list[str]) -> None:
    line = "".join(as_csv([["id", *texts]]))
    for cut in ";,\t":
        for record in csv.reader(line.splitlines(keepends=True), delimiter=cut):
            begins = [cell.lstrip("\"' \n\r\t")[:1] for cell in record if not cell.startswith("'")]
            plain = {cell.lstrip()[:1] for cell in record if cells.number(cell) is not None}
            assert not set(begins) & set(SIGNS) - plain, record


@given(TRICKY)
def test_every_text_comes_back_as_it_was(text: str) -> None:
    assert meant(harmless(text)) == text


@given(TRICKY)
def test_clean_text_is_clean_already(text: str) -> None:
    once = cells.clean(text)
    assert once is None or cells.clean(once) == once


def _kept(kind: AttributeKind) -> st.SearchStrategy[Any]:
    """What an import keeps of any text, as a value of this kind."""
    texts: st.SearchStrategy[str | None] = TRICKY.map(cells.clean)
    if kind is AttributeKind.number:
        texts = st.from_regex(r"[+-]?(\d{1,15}|[1-9]\d{0,2}( \d{3}){1,6})([.,]\d{1,6})?", fullmatch=True)
    elif kind is AttributeKind.boolean:
        texts = st.sampled_from(["yes", "no"])
    elif kind is AttributeKind.date:
        texts = st.dates().map(str)
    values = texts.map(lambda text: cells.value(text, kind) if text else None)
    return values.map(lambda value: cells.value("1", kind) if value is None else value)


@pytest.fixture
def known(app: Flask) -> None:
    with transaction():
        for kind in AttributeKind:
            attributes.declare(f"a_{kind}", kind=kind)
        for email in PEOPLE:
            make.contact(email)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.fixed_dictionaries({}, optional={f"a_{kind}": _kept(kind) for kind in AttributeKind}),
                min_size=len(PEOPLE), max_size=len(PEOPLE)))  # fmt: skip
@example([{"a_text": "+48 600 100 200", "a_number": -12.5}, {"a_text": "@bo", "a_set": ["a, b"]},
          {"a_number": 0.000001, "a_set": ["x|y", "-1"]}, {"a_text": "'=x", "a_boolean": False}])  # fmt: skip
def test_what_was_exported_and_imported_again_is_the_same(
    known: None, tmp_path: Path, held: list[dict[str, Any]]
) -> None:
    _hold(held)
    file = tmp_path / "people.csv"
    assert exporting.export(file, "") == len(PEOPLE)
    _hold([{}] * len(PEOPLE))
    done = files.imported(file.read_bytes(), overwrite=True)
    assert files.reasons(done) == []
    assert [contact.attributes for contact in _people()] == held


def _people() -> list[Contact]:
    db.session.rollback()
    people = list(db.session.query(Contact).order_by(Contact.id))
    assert [contact.email for contact in people] == PEOPLE
    return people


def _hold(held: list[dict[str, Any]]) -> None:
    people = _people()
    with transaction():
        for contact, values in zip(people, held, strict=True):
            contact.attributes = values
