"""Templates and experiments in the console."""

import pytest
from sqlalchemy import select, update

from preference_center import clock
from preference_center.campaigns import queries, scheduling, templates
from preference_center.campaigns.models import Campaign, Template
from preference_center.db import db, transaction
from preference_center.delivery import outbox
from preference_center.delivery.models import Message, MessageState
from preference_center.topics.models import Topic
from tests.web.admin.conftest import Console, words

FIELDS = {
    "name": "Monthly",
    "subject": "News",
    "format": "markdown",
    "source": "Hello",
    "preheader": "",
    "text_source": "",
}


@pytest.fixture
def path(marketer: Console) -> str:
    marketer.get("/admin/templates/new")
    return marketer.post("/admin/templates/new", FIELDS).headers["Location"]


def test_a_template_is_written_changed_and_used(marketer: Console, path: str, people: Topic) -> None:
    assert "Monthly" in marketer.text("/admin/templates")
    assert f'href="{path}"' in marketer.get("/admin/campaigns/new").get_data(as_text=True), (
        "one can start from it there"
    )
    assert 'href="/admin/templates"' in marketer.get("/admin/campaigns").get_data(as_text=True)
    assert marketer.post(path, FIELDS | {"version": "1", "subject": "Two"}).status_code == 302
    answer = marketer.post(f"{path}/start", {"name": "March", "topic": "news"})
    made = queries.newest(1)[0]
    assert answer.headers["Location"] == f"/admin/campaigns/{made.public_id}"
    assert (made.name, queries.version(made).subject) == ("March", "Two")
    marketer.get(path)
    marketer.post(f"{path}/retire")
    assert "No templates yet" in marketer.text("/admin/templates")


def test_an_older_version_is_looked_at_used_and_made_the_newest(marketer: Console, path: str, people: Topic) -> None:
    marketer.post(path, FIELDS | {"version": "1", "subject": "Two", "source": "Later words"})
    older = marketer.get(f"{path}?version=1")
    assert "This is version 1; the newest is 2." in words(older) and "Later words" not in words(older)
    made = marketer.post(f"{path}/start", {"name": "March", "topic": "news", "version": "1"}).headers["Location"]
    assert queries.version(queries.by_public_id(made.rpartition("/")[2])).subject == "News"
    assert marketer.post(path, FIELDS | {"version": "2"}).status_code == 302
    [found] = templates.in_use()
    assert [one.subject for one in templates.versions(found)] == ["News", "Two", "News"]
    assert marketer.get(f"{path}?version=9").status_code == 404


def test_the_content_of_a_campaign_is_kept_as_a_template(marketer: Console, viewer: Console, people: Topic) -> None:
    with transaction():
        made = scheduling.create("Spring", people, "Spring is here", "markdown", "Hello", preheader="See")
    path = f"/admin/campaigns/{made.public_id}"
    assert "Keep as a template" in marketer.text(f"{path}/preview")
    assert "Keep as a template" not in viewer.text(f"{path}/preview")
    answer = marketer.post(f"{path}/template")
    [kept] = templates.in_use()
    assert answer.headers["Location"] == f"/admin/templates/{kept.public_id}"
    newest = templates.version(kept)
    assert (kept.name, newest.subject, newest.preheader, newest.source) == ("Spring", "Spring is here", "See", "Hello")
    assert viewer.post(f"{path}/template").status_code == 403


def test_what_was_put_away_can_be_taken_out_again(marketer: Console, path: str) -> None:
    marketer.post(f"{path}/retire")
    assert "Put away" in marketer.text("/admin/templates") and "Monthly" in marketer.text("/admin/templates")
    assert "no campaign starts from it" in marketer.text(path)
    marketer.post(f"{path}/take_out")
    assert [one.name for one in templates.in_use()] == ["Monthly"]
    assert "Make a draft of version 1" in marketer.text(path)


def test_the_second_editor_sees_what_was_saved_and_loses_nothing(marketer: Console, path: str) -> None:  # P13
    marketer.post(path, FIELDS | {"version": "1", "source": "Theirs"})
    answer = marketer.post(path, FIELDS | {"version": "1", "source": "Mine"})
    assert answer.status_code == 409
    assert "Theirs" in words(answer) and "Mine" in words(answer) and "Somebody else saved" in words(answer)
    assert marketer.post(path, FIELDS | {"version": "2", "source": "Mine"}).status_code == 302
    assert [one.source for one in templates.versions(db.session.scalars(select(Template)).one())] == [
        "Mine",
        "Theirs",
        "Hello",
    ]


def test_a_fault_stands_beside_its_field(marketer: Console, path: str) -> None:
    answer = marketer.post(path, FIELDS | {"version": "1", "source": "{{ nobody }}"})
    assert answer.status_code == 422 and "There is no field" in words(answer)


def test_a_viewer_looks_only(viewer: Console, app: object) -> None:
    with transaction():
        made = templates.create("Monthly", subject="News", format="markdown", source="Hello")
        path = f"/admin/templates/{made.public_id}"
    assert viewer.get(path).status_code == 200
    for where in (path, f"{path}/start", f"{path}/retire", f"{path}/take_out"):
        assert viewer.post(where, FIELDS).status_code == 403


def _campaign() -> Campaign:
    db.session.rollback()
    return queries.newest(1)[0]


def test_an_experiment_is_written_in_the_editor_and_picked_on_the_progress_page(
    marketer: Console, people: Topic
) -> None:
    marketer.get("/admin/campaigns/new")
    tried = {"other_subject": "Better news", "share": "50", "metric": "person", "wait": "60"}
    marketer.post("/admin/campaigns/new", FIELDS | {"topic": "news", "segment": ""} | tried)
    campaign = _campaign()
    path = f"/admin/campaigns/{campaign.public_id}"
    assert 'value="Better news"' in marketer.get(path).get_data(as_text=True)
    with transaction():
        scheduling.schedule(campaign, clock.now())
    with transaction():
        scheduling.start_due(clock.now())
        outbox.fill_range(campaign.id)
        db.session.execute(update(Message).where(Message.variant.is_not(None)).values(state=MessageState.sent))
    text = marketer.text(f"{path}/progress")
    assert "A · News" in text and "B · Better news" in text and "Send B to the rest" in text
    marketer.post(f"{path}/pick/B")
    assert _campaign().winner == 1
    assert "B was chosen" in marketer.text(f"{path}/progress")
    marketer.post(f"{path}/pick/A")
    assert _campaign().winner == 1


def test_more_contents_than_the_editor_shows_stay(marketer: Console, people: Topic) -> None:
    plan = {"share": 20, "metric": "clicked", "wait_minutes": 60, "variants": [{"subject": "B"}, {"subject": "C"}]}
    with transaction():
        made = scheduling.create("Try", people, "A", "markdown", "Hello", experiment=plan)
    path = f"/admin/campaigns/{made.public_id}"
    marketer.get(path)
    changed = FIELDS | {"name": "Try", "topic": "news", "segment": "", "version": "1", "subject": "A", "source": "Hi"}
    assert marketer.post(path, changed).status_code == 302
    assert [one["subject"] for one in queries.version(_campaign()).experiment["variants"]] == ["B", "C"]


@pytest.mark.parametrize(
    ("variant", "typed", "kept"),
    [
        ({"preheader": "P"}, {}, {"preheader": "P"}),
        ({"text_source": "Text"}, {}, {"text_source": "Text"}),
        ({"subject": "B", "preheader": "P"}, {"other_subject": "B"}, {"subject": "B", "preheader": "P"}),
        ({"subject": "B", "preheader": "P"}, {"other_subject": "C"}, {"subject": "C", "preheader": "P"}),
        ({"subject": "B", "preheader": "P"}, {"other_subject": ""}, None),
        (
            {"source": "# X", "text_source": "X"},
            {"other_source": "# X"},
            {"source": "# X", "text_source": "X", "subject": "A"},
        ),
        ({"source": "# X", "text_source": "X"}, {"other_source": "# Y"}, {"source": "# Y", "text_source": ""}),
        (
            {"source": "<p>X</p>\r\n<p>Y</p>\r", "format": "html", "text_source": "X"},  # line ends of another machine
            {"other_source": "<p>X</p>\r\n<p>Y</p>\r\n"},
            {"source": "<p>X</p>\n<p>Y</p>\n", "format": "html", "text_source": "X"},
        ),
    ],
)
def test_what_the_editor_does_not_show_of_another_content_stays(
    marketer: Console, people: Topic, variant: dict[str, str], typed: dict[str, str], kept: dict[str, str] | None
) -> None:
    plan = {"share": 20, "metric": "person", "wait_minutes": 60, "variants": [variant]}
    with transaction():
        made = scheduling.create("Try", people, "A", "markdown", "Hello", experiment=plan)
    path = f"/admin/campaigns/{made.public_id}"
    text = marketer.text(path)
    assert ("differs in its preheader" in text) == ("preheader" in variant)
    assert ("text part" in text.partition("Try another")[2]) == ("text_source" in variant)
    changed = FIELDS | {"name": "Try", "topic": "news", "segment": "", "version": "1", "subject": "A", "source": "Hi"}
    assert marketer.post(path, changed | {"share": "20", "metric": "person", "wait": "60"} | typed).status_code == 302
    saved = queries.version(_campaign())
    assert saved.source == "Hi"
    (stored,) = saved.experiment["variants"] if kept else [None]
    assert stored is None if kept is None else stored == stored | kept | {"source": kept.get("source", "Hi")}
    assert bool(saved.experiment) == bool(kept)


TRIED = {"share": 20, "metric": "person", "wait_minutes": 60}


@pytest.mark.parametrize("later", [[], [{"subject": "X"}, {"subject": "Y"}]])
@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ([{"subject": "B", "preheader": "P"}], "differs in its preheader"),
        ([{"subject": "B"}, {"subject": "C"}, {"subject": "D"}], "3 other contents are tried"),
        ([{"subject": "B"}], ""),
    ],
)
def test_an_older_version_comes_back_with_all_it_tried(
    marketer: Console, people: Topic, variants: list[dict[str, str]], said: str, later: list[dict[str, str]]
) -> None:
    with transaction():
        made = scheduling.create("Try", people, "A", "markdown", "Hi", experiment=TRIED | {"variants": variants})
        scheduling.save(made, on_version=1, actor="cli", experiment=TRIED | {"variants": later} if later else {})
    path = f"/admin/campaigns/{made.public_id}"
    text = marketer.text(f"{path}?version=1")
    assert said in text and (said or "contents are tried" not in text)
    again = FIELDS | {"name": "Try", "topic": "news", "segment": "", "subject": "A", "source": "Hi"}
    again |= {"other_subject": "B", "share": "20", "metric": "person", "wait": "60", "shown": "1"}
    mistaken = marketer.post(path, again | {"version": "2", "subject": ""})
    assert mistaken.status_code == 422 and "This is version 1; the newest is 2." in words(mistaken)
    assert marketer.post(path, again | {"version": "2", "shown": "9"}).status_code == 404
    overtaken = marketer.post(path, again | {"version": "1"})
    assert overtaken.status_code == 409 and 'name="shown" value="2"' in overtaken.get_data(as_text=True)
    overtaken = marketer.post(path, again | {"version": "0"})
    assert 'name="shown" value="1"' in overtaken.get_data(as_text=True), "an older one was to be brought back"
    assert marketer.post(path, again | {"version": "2"}).status_code == 302
    stored = queries.version(_campaign()).experiment["variants"]
    assert [one["subject"] for one in stored] == [one["subject"] for one in variants]
    assert [one["preheader"] for one in stored] == [one.get("preheader", "") for one in variants]


def test_an_experiment_that_cannot_be_is_told(marketer: Console, people: Topic) -> None:
    marketer.get("/admin/campaigns/new")
    answer = marketer.post(
        "/admin/campaigns/new",
        FIELDS | {"topic": "news", "other_subject": "x", "share": "99", "metric": "clicked", "wait": "60"},
    )
    assert answer.status_code == 422 and "1 to 90 percent" in words(answer)
