"""The made-up shop: its file imports as a real one would, with every kind of person in it, and its campaign can be sent."""

import csv
import io
from itertools import islice

from flask import Flask

from preference_center import i18n
from preference_center.campaigns import scheduling
from preference_center.consent import wordings
from preference_center.contacts import imports
from preference_center.db import db, transaction
from preference_center.samples import made_up, make_sample, shop
from preference_center.topics import catalogue
from tests.contacts import files

RESERVED = ("example.com", "example.org", "example.net", ".example")


def test_the_file_is_what_its_maker_makes() -> None:
    again = b"".join(map(made_up.line, [list(made_up.COLUMNS), *make_sample.rows()]))
    assert again == shop.CSV.read_bytes()


def test_no_address_of_the_shop_can_belong_to_anybody() -> None:
    rows = list(csv.DictReader(io.StringIO(shop.CSV.read_text(encoding="utf-8"))))
    assert len(rows) == 1000
    assert {row["language"] for row in rows} == set(i18n.LANGUAGES)
    domains = {row["email"].lower().rpartition("@")[2] for row in rows if "@" in row["email"]}
    assert [domain for domain in domains if domain and not domain.endswith(RESERVED)] == []


def test_the_shop_imports_with_every_kind_of_person(app: Flask) -> None:
    with transaction():
        shop.load("cli")
    import_ = files.imported(shop.CSV.read_bytes(), **shop.TERMS)
    figures = import_.figures
    assert (figures["rows"], figures["duplicate"], figures["refused_because"]) == (1000, 12, {"invalid_address": 8})
    news = figures["consent"]["news"]
    assert set(news) == {
        "given", "kept", "not_confirmed", "withdrawn", "suppressed", "no_status", "no_date", "invalid_address", "row_refused",
    }  # fmt: skip
    assert news["no_date"] == 18
    assert news["given"] > 800
    assert sum(news.values()) == 1000
    assert set(figures["suppressed"]) == {"bounce", "complaint"}
    assert import_.declared["ignored"] == []
    kinds = {key: kept["kind"] for key, kept in import_.declared["attributes"].items()}
    assert kinds == {
        "first_name": "text",
        "last_name": "text",
        "city": "text",
        "customer_since": "date",
        "points": "number",
    }


def test_loading_the_shop_twice_changes_nothing_and_every_language_has_its_text(app: Flask) -> None:
    with transaction():
        first = [topic.id for topic in shop.load("cli")]
    with transaction():
        assert [topic.id for topic in shop.load("cli")] == first
    for key in ("news", "offers", "events"):
        topic = catalogue.by_key(key)
        texts = [wordings.current(topic, language) for language in i18n.LANGUAGES]
        assert all(text is not None and text.version == 1 for text in texts)
        assert len({text.text for text in texts if text}) == len(i18n.LANGUAGES)
    assert catalogue.by_key("orders").purpose_key == "service"


def test_the_campaign_of_the_shop_compiles(app: Flask) -> None:
    with transaction():
        shop.load("cli")
    files.imported(shop.CSV.read_bytes(), **shop.TERMS)
    with transaction():
        made = dict(shop.CAMPAIGN)
        campaign = scheduling.create(topic=catalogue.by_key(made.pop("topic")), actor="cli", **made)
    assert db.session.merge(campaign).version == 1


def test_made_up_people_are_always_the_same_and_never_share_an_address(app: Flask) -> None:
    people = list(made_up.people(5000))
    assert people == list(made_up.people(5000))
    assert len({row[0] for row in people}) == 5000
    assert next(islice(made_up.people(10**6), 1)) == people[0]


def test_a_stream_of_made_up_people_is_received_as_a_file(app: Flask) -> None:
    with transaction():
        import_ = imports.receive(made_up.stream(300), "made-up.csv", "cli")
        rows = len(imports.path(import_).read_bytes().splitlines())
    assert rows == 301
