"""Writing campaigns, alone and at the same time."""

import pytest

from preference_center.campaigns import queries, scheduling
from preference_center.campaigns.models import Campaign
from preference_center.db import db, transaction
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
    marketer.get("/admin/campaigns/new")
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
