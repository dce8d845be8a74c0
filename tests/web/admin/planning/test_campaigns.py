"""Writing campaigns, alone and at the same time."""

import re

import pytest

from preference_center import clock
from preference_center.campaigns import queries, scheduling
from preference_center.campaigns.models import Campaign
from preference_center.db import db, transaction
from preference_center.delivery.results import totals
from preference_center.segments import named
from preference_center.segments import queries as queries_of_segments
from preference_center.topics.models import Topic
from tests.web.admin.conftest import Console, words

AUTUMN = {
    "version": "",
    "name": "Autumn offers",
    "topic": "news",
    "subject": "Autumn is here",
    "preheader": "Twelve new pairs",
    "format": "markdown",
    "source": "# Hello\r\n\r\nThe autumn collection is **here**.\r\n",
    "text_source": "",
    "segment": "",
}


def _only() -> Campaign:
    db.session.rollback()
    return db.session.query(Campaign).one()


def _path(campaign: Campaign, more: str = "") -> str:
    return f"/admin/campaigns/{campaign.public_id}{more}"


@pytest.fixture
def draft(news: Topic) -> Campaign:
    with transaction():
        fields = {name: value for name, value in AUTUMN.items() if name not in ("topic", "version")}
        return scheduling.create(**fields, topic=news, actor="cli")  # type: ignore[arg-type]


def test_a_campaign_is_written_and_stays_a_draft(marketer: Console, news: Topic) -> None:
    assert "{{ browser_url }}" in marketer.text("/admin/campaigns/new"), "among the merge fields one can use"
    answer = marketer.post("/admin/campaigns/new", AUTUMN)
    assert answer.headers["Location"] == _path(_only())
    assert "Nothing is sent before you say so." in marketer.text(_path(_only()))
    assert queries.version(_only()).source == AUTUMN["source"].replace("\r\n", "\n")
    assert "Autumn offers Draft Product news" in marketer.text("/admin/campaigns")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"name": ""}, "Give the campaign a name.", id="no name"),
        pytest.param({"subject": ""}, "Write a subject.", id="no subject"),
        pytest.param({"source": ""}, "Write the content.", id="no content"),
        pytest.param({"topic": "nothing"}, "choice", id="unknown topic"),
        pytest.param({"format": "docx"}, "choice", id="unknown format"),
        pytest.param({"subject": "Hi\nBcc: x@example.org"}, "one line", id="a line break in the subject"),
        pytest.param({"source": "Hello {{ nonsense }}"}, "line 1", id="unknown field"),
        pytest.param({"source": "{{ contact.__class__ }}"}, "line 1", id="a way into the program"),
        pytest.param({"source": "{% for x in y %}{% endfor %}"}, "line 1", id="a loop"),
        pytest.param({"source": "[x](javascript:alert(1))"}, "javascript", id="a script as a link"),
        pytest.param({"segment": "likes = "}, "Something needs changing", id="a segment that is none"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_place_and_kept_in_the_form(
    marketer: Console, news: Topic, change: dict[str, str], said: str
) -> None:
    marketer.get("/admin/campaigns/new")
    answer = marketer.post("/admin/campaigns/new", AUTUMN | {"preheader": "Kept words"} | change)
    assert answer.status_code == 422
    assert said in words(answer)
    assert "Kept words" in answer.get_data(as_text=True)
    assert db.session.query(Campaign).count() == 0


def test_each_save_adds_a_version(marketer: Console, draft: Campaign) -> None:
    marketer.get(_path(draft))
    answer = marketer.post(_path(draft), AUTUMN | {"version": "1", "subject": "Second"})
    assert answer.headers["Location"] == _path(draft)
    assert (_only().version, queries.version(_only()).subject) == (2, "Second")
    answer = marketer.post(_path(draft), AUTUMN | {"version": "2", "preview": "1"})
    assert answer.headers["Location"] == _path(draft, "/preview")


def test_an_earlier_version_is_looked_at_and_made_the_newest(marketer: Console, draft: Campaign) -> None:
    assert "Earlier versions" not in marketer.text(_path(draft))
    marketer.post(_path(draft), AUTUMN | {"version": "1", "subject": "Winter is here"})
    html = marketer.get(_path(draft)).get_data(as_text=True)
    assert f'href="{_path(draft)}?version=1"' in html and "This is version" not in html
    older = marketer.get(_path(draft, "?version=1"))
    assert "This is version 1; the newest is 2." in words(older)
    assert 'value="Autumn is here"' in older.get_data(as_text=True)
    assert marketer.post(_path(draft), AUTUMN | {"version": "2"}).status_code == 302
    assert [one.subject for one in queries.versions(_only())] == ["Autumn is here", "Winter is here", "Autumn is here"]
    assert marketer.get(_path(draft, "?version=9")).status_code == 404


def test_of_two_who_save_the_second_sees_both_texts_and_loses_none(  # C7, P13
    marketer: Console, owner: Console, draft: Campaign
) -> None:
    marketer.get(_path(draft))
    owner.get(_path(draft))
    owner.post(_path(draft), AUTUMN | {"version": "1", "subject": "Words of the owner"})
    answer = marketer.post(_path(draft), AUTUMN | {"version": "1", "subject": "Words of the marketer"})
    assert answer.status_code == 409
    html = answer.get_data(as_text=True)
    assert "Words of the owner" in html and "Words of the marketer" in html
    assert "saved by owner@example.com" in words(answer)
    assert "Saved by them: Content" not in html, "only what differs is shown"
    assert queries.version(_only()).subject == "Words of the owner"
    for version in ("1", "9", "0", ""):
        assert marketer.post(_path(draft), AUTUMN | {"version": version}).status_code == 409
    assert '<input id="version" name="version" type="hidden" value="2">' in html
    again = AUTUMN | {"version": "2", "subject": "Words of the marketer"}
    assert marketer.post(_path(draft), again).status_code == 302
    assert (_only().version, queries.version(_only()).subject) == (3, "Words of the marketer")


def test_a_campaign_that_is_on_its_way_is_not_changed_any_more(marketer: Console, draft: Campaign) -> None:
    marketer.get(_path(draft))
    with transaction():
        scheduling.schedule(queries.by_public_id(draft.public_id), draft.created_at)
    answer = marketer.post(_path(draft), AUTUMN | {"version": "1", "subject": "Too late"})
    assert answer.status_code == 409
    assert "Too late" in answer.get_data(as_text=True), "what was typed is still there"
    assert marketer.get(_path(draft)).headers["Location"] == _path(draft, "/progress")


def test_a_viewer_looks_and_does_not_write(viewer: Console, draft: Campaign) -> None:
    assert viewer.get(_path(draft)).headers["Location"] == _path(draft, "/preview")
    assert "Write a campaign" not in viewer.text("/admin/campaigns")
    assert viewer.post(_path(draft), AUTUMN | {"version": "1"}).status_code == 403
    assert viewer.get("/admin/campaigns/new").status_code == 403


def test_a_long_text_is_taken_and_an_endless_one_refused(marketer: Console, news: Topic) -> None:
    marketer.get("/admin/campaigns/new")
    assert marketer.post("/admin/campaigns/new", AUTUMN | {"source": "word " * 30_000}).status_code == 302
    assert marketer.post("/admin/campaigns/new", AUTUMN | {"source": "word " * 60_000}).status_code == 422
    assert marketer.post("/admin/campaigns/new", AUTUMN | {"source": "word " * 1_000_000}).status_code == 413


@pytest.mark.parametrize("payload", ["<script>alert(1)</script>", "</textarea><script>alert(1)</script>", '"onload="x'])
def test_a_hostile_name_is_inert(marketer: Console, news: Topic, payload: str) -> None:  # V1.2.1
    marketer.get("/admin/campaigns/new")
    assert marketer.post("/admin/campaigns/new", AUTUMN | {"name": payload}).status_code == 302
    for path in ("/admin/campaigns", _path(_only()), _path(_only(), "/review"), "/admin/"):
        html = marketer.get(path).get_data(as_text=True)
        assert "<script>alert" not in html and '"onload="' not in html


@pytest.fixture
def segments(news: Topic) -> dict[str, str]:
    """Two segments: their public ids by name."""
    with transaction():
        rules = {"Kraków": "country = PL", "Staff": "source = staff"}
        return {name: named.add(name, queries_of_segments.read(rule), "cli").public_id for name, rule in rules.items()}


def test_segments_are_chosen_to_be_in_and_to_leave_out(marketer: Console, segments: dict[str, str]) -> None:
    page = marketer.get("/admin/campaigns/new").get_data(as_text=True)
    assert "Only who is in one of these segments" in page and page.count('type="checkbox"') == 4
    chosen = {"include": segments["Kraków"], "exclude": segments["Staff"], "segment": "language = pl"}
    assert marketer.post("/admin/campaigns/new", AUTUMN | chosen).status_code == 302
    meant = 'segment "Kraków" and language = "pl" and not segment "Staff"'
    assert queries.version(_only()).segment == meant
    html = marketer.get(_path(_only())).get_data(as_text=True)
    ticked = re.findall(r'<input checked id="(\w+)-\d" name="\w+" type="checkbox" value="(\w+)">', html)
    assert ticked == [("include", segments["Kraków"]), ("exclude", segments["Staff"])]
    assert marketer.post(_path(_only()), AUTUMN | chosen | {"version": "1"}).status_code == 302
    assert queries.version(_only()).segment == meant, "saved as it was shown, it means the same"
    assert marketer.post(_path(_only()), AUTUMN | {"version": "2"}).status_code == 302
    assert queries.version(_only()).segment == "", "none chosen, none meant"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"include": "aaaaaaaaaaaaaaaa"}, "was removed meanwhile", id="a segment that is gone"),
        pytest.param({"include": "Staff", "exclude": "Staff"}, "Staff stands on both sides", id="on both sides"),
        pytest.param({"include": "Staff", "segment": "language ~ pl"}, "column 10", id="a fault in the rule besides"),
        pytest.param({"segment": 'segment "Gone"'}, "There is no segment", id="no such segment in the rule"),
    ],
)
def test_a_choice_that_cannot_be_is_told_beside_it_and_kept(
    marketer: Console, segments: dict[str, str], change: dict[str, str], said: str
) -> None:
    marketer.get("/admin/campaigns/new")
    sent = {name: segments.get(value, value) for name, value in change.items()}
    answer = marketer.post("/admin/campaigns/new", AUTUMN | sent)
    assert answer.status_code == 422
    assert said in words(answer)
    html = answer.get_data(as_text=True)
    assert all(value in html for value in sent.values() if value in segments.values())
    assert html.count(" checked ") == sum(value in segments.values() for value in sent.values())
    assert db.session.query(Campaign).count() == 0


def test_who_chose_other_segments_meanwhile_is_shown_by_name(
    marketer: Console, draft: Campaign, segments: dict[str, str]
) -> None:  # P13
    marketer.get(_path(draft))
    marketer.post(_path(draft), AUTUMN | {"version": "1", "include": segments["Kraków"], "exclude": segments["Staff"]})
    answer = marketer.post(_path(draft), AUTUMN | {"version": "1", "include": segments["Staff"]})
    assert answer.status_code == 409
    html = answer.get_data(as_text=True)
    assert (
        ">Kraków</pre>" in html
        and f'checked id="include-1" name="include" type="checkbox" value="{segments["Staff"]}"' in html
    )
    assert segments["Staff"] not in html.partition("Saved by them")[2].partition("Yours")[0]


def test_a_viewer_sees_no_form_to_choose_in(viewer: Console, draft: Campaign, segments: dict[str, str]) -> None:
    assert viewer.post(_path(draft), AUTUMN | {"version": "1", "include": segments["Staff"]}).status_code == 403
    assert queries.version(_only()).segment == ""


def test_a_campaign_that_was_not_counted_in_time_says_so(
    viewer: Console, draft: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction():
        scheduling.schedule(draft, clock.now())
    with transaction():
        scheduling.start_due(clock.now())
    assert "Sending Product news 0 0" in viewer.text("/admin/campaigns")
    monkeypatch.setattr(totals, "LIST_SECONDS", 0.0)
    said = viewer.text("/admin/campaigns")
    assert "… not counted yet" in said and "load this page again" in said
