"""The segment pages: reading, trying, keeping and changing a rule, and the way from the rule to who may be mailed."""

import re
import time

import pytest
from sqlalchemy import event

from preference_center import clock
from preference_center.campaigns import scheduling
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.contacts.models import Attribute, AttributeKind, Contact
from preference_center.db import db, transaction
from preference_center.segments import named, queries, sizing
from preference_center.topics.models import Topic
from tests.web.admin.conftest import Console, words

RULE = 'language = "pl"'


@pytest.fixture
def polish(people: Topic) -> str:
    """Of anna, bo, cai (who follow news) and dag, eva (who do not), bo and dag speak Polish; the segment of those."""
    with transaction():
        db.session.add(Attribute(key="likes", name="Likes", kind=AttributeKind.set, created_at=clock.now()))
        for name in ("bo", "dag"):
            db.session.query(Contact).filter_by(email=f"{name}@example.org").one().language = "pl"
        made = named.add("Polish", queries.read(RULE), "cli")
        return made.public_id


def test_a_segment_is_built_looked_at_and_kept_without_script(owner: Console, people: Topic) -> None:
    owner.get("/admin/segments/new")
    built = {"name": "Polish", "segment": "", "version": ""}
    one = {"do": "add", "about": "language", "comparing": "=", "value": "pl", "joining": "and"}
    answer = owner.post("/admin/segments/new", built | one)
    assert answer.status_code == 200
    assert "language is “pl” Remove" in words(answer)
    text = _text(answer)
    assert text == 'language = "pl"'
    two = {"do": "add", "about": 'follows "news"', "comparing": "=", "value": "", "opposite": "y", "joining": "or"}
    answer = owner.post("/admin/segments/new", built | two | {"segment": text})
    assert _text(answer) == 'language = "pl" or not follows "news"'
    assert "2 people" in words(answer), "dag and eva"
    assert "passes over whoever objected to profiling" in words(answer)
    answer = owner.post("/admin/segments/new", built | {"do": "drop:0", "segment": _text(answer)})
    assert _text(answer) == 'not follows "news"'
    assert queries.everything() == [], "until it is saved nothing is kept"
    answer = owner.post("/admin/segments/new", built | {"do": "save", "segment": _text(answer)})
    [kept] = queries.everything()
    assert answer.headers["Location"] == f"/admin/segments/{kept.public_id}"
    assert "Polish" in owner.text("/admin/segments")
    assert "not: follows “Product news”" in owner.text("/admin/segments")


def _text(answer: object) -> str:
    from html import unescape

    found = re.search(r'<textarea[^>]*name="segment"[^>]*>\r?\n?(.*?)</textarea>', answer.get_data(as_text=True), re.S)  # type: ignore[attr-defined]
    assert found
    return unescape(found[1]).strip()


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        ({"about": "joined", "comparing": "in the last", "value": "30"}, "joined in the last 30 days"),
        (
            {"about": "joined", "comparing": "between", "value": "2026-01-01 and 2026-02-01"},
            "joined between 2026-01-01 and 2026-02-01",
        ),
        ({"about": "country", "comparing": "in", "value": "pl, es"}, 'country in ("PL", "ES")'),
        ({"about": "likes", "comparing": "has", "value": "plants"}, 'likes has "plants"'),
        ({"about": "since(news)", "comparing": "<", "value": "2026-01-01"}, "since(news) before 2026-01-01"),
        ({"about": "source", "comparing": "contains", "value": 'a "b" \\'}, 'source contains "a \\"b\\" \\\\"'),
        ({"about": "source", "comparing": "is unknown", "value": "ignored"}, "source is unknown"),
        ({"about": "got any", "comparing": "=", "value": ""}, "got any"),
        ({"about": 'segment "Polish"', "comparing": "=", "value": ""}, 'segment "Polish"'),
    ],
)
def test_what_is_chosen_becomes_text(owner: Console, polish: str, chosen: dict[str, str], text: str) -> None:
    answer = owner.post("/admin/segments/new", {"do": "add", "segment": "", "joining": "and"} | chosen)
    assert _text(answer) == text


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"about": "joined", "comparing": "contains", "value": "x"}, "for texts"),
        ({"about": "joined", "comparing": "<", "value": "soon"}, "a date, such as 2026-01-31"),
        ({"about": "joined", "comparing": "in the last", "value": "many"}, "1 to 9999 days"),
        ({"about": "email", "comparing": "=", "value": "x"}, "no field"),
        ({"about": "", "comparing": "", "value": ""}, "begins with a field"),
        ({"about": "1 = 1", "comparing": "=", "value": ""}, "begins with a field"),
        ({"about": "source", "comparing": "; DROP TABLE contacts", "value": "x"}, "means nothing here"),
    ],
)
def test_what_cannot_be_compared_is_said_beside_the_field(
    owner: Console, polish: str, chosen: dict[str, str], says: str
) -> None:
    answer = owner.post("/admin/segments/new", {"do": "add", "segment": RULE, "joining": "and"} | chosen)
    assert says in words(answer) and "Something needs changing" in words(answer)
    assert _text(answer) == RULE, "nothing that was there is lost"


def test_a_fault_in_the_text_is_shown_at_its_place(owner: Console, polish: str) -> None:
    answer = owner.post(
        "/admin/segments/new", {"do": "save", "name": "X", "segment": 'language = pl\r\nand citty = "x"'}
    )
    assert answer.status_code == 422
    assert "Line 2, column 5: There is no field `citty`." in words(answer)
    assert re.search(r'and citty = (&#34;|")x(&#34;|")\s<strong[^>]*>    \^</strong>', answer.get_data(as_text=True))


def test_the_way_from_the_rule_to_who_may_be_mailed(owner: Console, polish: str) -> None:
    with transaction():
        bo = db.session.query(Contact).filter_by(email="bo@example.org").one()
        ledger.withdraw(bo, db.session.query(Topic).one(), Evidence(source="link"))
    text = owner.text(f"/admin/segments/{polish}?topic=news")
    assert "agreed to the topic of the mail, and may be mailed always applied" in text
    assert "all in the segment 2" in text
    assert "withdrew consent 1 1" in text and "gave no consent for this topic 1 0" in text
    assert "may be mailed 0 Consent" in text
    assert "b•••@example.org" in text and "bo@example.org" not in text


def test_the_second_to_save_sees_both(owner: Console, polish: str) -> None:  # P13
    owner.get(f"/admin/segments/{polish}")
    with transaction():
        named.save(queries.by_public_id(polish), "Polish", queries.read("language = es"), on_version=1, actor="cli")
    answer = owner.post(
        f"/admin/segments/{polish}", {"do": "save", "version": "1", "name": "Polish", "segment": "language = en"}
    )
    assert answer.status_code == 409
    assert 'language = "es"' in words(answer) and "language = en" in words(answer)
    assert str(queries.rule_of(queries.by_public_id(polish))) == 'language = "es"'
    answer = owner.post(
        f"/admin/segments/{polish}", {"do": "save", "version": "2", "name": "Polish", "segment": "language = en"}
    )
    assert answer.status_code == 302
    assert queries.by_public_id(polish).version == 3


def test_what_is_used_stays(owner: Console, polish: str, news: Topic) -> None:
    with transaction():
        scheduling.create("Autumn", news, "Hi", "markdown", "Hello\n", segment='segment "Polish"')
    owner.get(f"/admin/segments/{polish}")
    assert "Autumn campaign, not sent yet" in owner.text(f"/admin/segments/{polish}")
    assert owner.post(f"/admin/segments/{polish}/remove").status_code == 302
    assert "This segment is used in: Autumn." in owner.text(f"/admin/segments/{polish}")
    answer = owner.post(f"/admin/segments/{polish}", {"do": "save", "version": "1", "name": "Poles", "segment": RULE})
    assert answer.status_code == 422 and "used under its name" in words(answer)


def test_a_segment_nobody_uses_can_go(owner: Console, polish: str) -> None:
    owner.get(f"/admin/segments/{polish}")
    assert owner.post(f"/admin/segments/{polish}/remove").headers["Location"] == "/admin/segments"
    assert owner.get(f"/admin/segments/{polish}").status_code == 404


def test_counting_keeps_the_number_with_its_time(owner: Console, polish: str) -> None:
    owner.get(f"/admin/segments/{polish}")
    assert owner.post(f"/admin/segments/{polish}/count").status_code == 302
    assert "Counted: 2" in owner.text(f"/admin/segments/{polish}")


def test_a_rule_that_means_nobody_says_which_condition_is_to_blame(owner: Console, polish: str) -> None:
    rule = 'language = "pl" and source = "nowhere"'
    answer = owner.post("/admin/segments/new", {"do": "look", "segment": rule})
    assert "takes away the most: where from is “nowhere”" in words(answer)


def test_a_viewer_reads_segments_and_changes_none(viewer: Console, polish: str) -> None:
    html = viewer.get(f"/admin/segments/{polish}").get_data(as_text=True)
    assert "language is “pl”" in html and "Save the segment" not in html and "Remove" not in html
    assert viewer.post(f"/admin/segments/{polish}", {"name": "X"}).status_code == 403
    assert viewer.get("/admin/segments/new").status_code == 403


def test_a_name_that_is_a_payload_stays_text(owner: Console, people: Topic) -> None:
    name = "<script>alert(1)</script>{{7*7}}"
    answer = owner.post("/admin/segments/new", {"do": "save", "name": name, "segment": ""}, follow_redirects=True)
    assert "<script>alert" not in answer.get_data(as_text=True) and name in words(answer).replace("&lt;", "<")


def test_an_estimate_that_was_cut_off_says_so(owner: Console, polish: str) -> None:
    def wait(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "BETWEEN" in statement:
            time.sleep(sizing.LONGEST + 0.1)

    event.listen(db.engine, "before_cursor_execute", wait)
    text = owner.text(f"/admin/segments/{polish}")
    event.remove(db.engine, "before_cursor_execute", wait)
    assert "The second for an estimate was over before all of the sample was looked at." in text
    assert re.search(r"(More than 0 people|About \d+ people, give or take)", text) and "Count every one" in text
