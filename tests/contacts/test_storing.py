"""What a row says of somebody who left is never lost between the columns of a file."""

import sqlite3

import pytest
from flask import Flask

from preference_center import clock
from preference_center.consent import eligibility
from preference_center.consent.declaring import declared
from preference_center.consent.eligibility import Reason
from preference_center.contacts import mapping, queries
from preference_center.db import transaction
from tests.contacts import files
from tests.support import make

TERMS = {"basis": "consent", "topics": ["news"], "consented_on": "2024-05-31"}


@pytest.mark.parametrize(
    "head",
    ["email,subscribed,opted out,city", "email,x,Email Opt Out,city", "email,status,UNSUB_TIME,city",
     "email,x,unsubscribed,unsubscribed"],
)  # fmt: skip
@pytest.mark.parametrize("left", ["yes", "1", "2024-06-01 10:00", "?"])
def test_a_no_in_one_column_outweighs_the_yes_of_another(app: Flask, head: str, left: str) -> None:
    with transaction():
        topic = make.topic()
    files.imported(f"{head}\nanna@example.org,yes,{left},\nbela@example.org,yes,,\n", **TERMS)
    anna, bela = queries.by_email("anna@example.org"), queries.by_email("bela@example.org")
    assert anna is not None and bela is not None
    assert eligibility.verdict(topic, anna, clock.now()).reason is Reason.withdrawn
    assert eligibility.verdict(topic, bela, clock.now()).allowed


def test_a_column_of_leaving_that_is_read_as_the_status_is_not_counted_twice() -> None:
    assert mapping.columns_of_leaving(("email", "Opted out"), "Opted out") == []
    assert mapping.columns_of_leaving(("email", "Opted out", "unsub time"), "Opted out") == [2]


@pytest.mark.parametrize("cell", ["", "no", "No", " 0 ", "FALSE", "n/a", "nie"])
def test_a_plain_no_and_nothing_at_all_leave_nobody_out(cell: str) -> None:
    assert not mapping.has_left(cell)


def test_a_large_file_is_looked_through_without_the_right_to_write(app: Flask) -> None:
    """On SQLite there is one writer: were it the import, an unsubscribe would wait until the whole file was read."""
    with transaction():
        make.topic()
    import_ = files.received("email,spent\nanna@example.org,12.50\n")
    with sqlite3.connect(app.extensions["settings"].database_url.removeprefix("sqlite:///")) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        seen = declared.look(import_, {"spent": "spent"})
        somebody.rollback()
    with transaction():
        declared.declare(import_, source="shop", seen=seen, **TERMS)
    assert import_.declared["attributes"] == {"spent": {"name": "Spent", "kind": "number"}}
