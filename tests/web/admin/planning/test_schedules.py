"""Letting a campaign go: once, at the meant time, as it was reviewed."""

import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask

from preference_center import clock, config
from preference_center.accounts.audit import AuditEntry
from preference_center.campaigns import queries, scheduling
from preference_center.campaigns.models import Approval, Campaign, CampaignState
from preference_center.db import db, transaction
from preference_center.segments import named
from preference_center.segments import queries as segments
from preference_center.segments.models import Segment
from preference_center.topics.models import Topic
from preference_center.wall_clock import SendingCalendar
from tests.support import make
from tests.support.bell import WrittenBell
from tests.web.admin.conftest import SITE, Console, user_named, words

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def march() -> Iterator[None]:
    """Before the clocks change. Ask for it first: sessions must not come from the future."""
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def path(people: Topic) -> str:
    with transaction():
        made = scheduling.create("Autumn", people, "Autumn", "markdown", "Hello\n", actor="cli")
    return f"/admin/campaigns/{made.public_id}"


def _campaign() -> Campaign:
    db.session.rollback()
    return db.session.query(Campaign).one()


def _stamp(console: Console, path: str) -> str:
    found = re.search(r'name="stamp" value="([^"]+)"', console.get(f"{path}/review").get_data(as_text=True))
    assert found
    return found[1]


def _looked(console: Console, path: str) -> dict[str, Any]:
    """The stamp of the page, with everything ticked that it wants ticked."""
    html = console.get(f"{path}/review").get_data(as_text=True)
    return {"stamp": _stamp(console, path), "known": re.findall(r'name="known" value="([^"]+)"', html)}


def _when(day: str = "2026-03-10", time: str = "09:00", zone: str = "Europe/Warsaw") -> dict[str, str]:
    return {"day": day, "time": time, "zone": zone}


def test_the_review_page_says_how_many_get_it_and_why_not_more(marketer: Console, path: str) -> None:
    text = marketer.text(f"{path}/review")
    assert "Send to 3 people" in text and "Schedule for 3 people" in text
    assert "gave no consent for this topic 2" in text


def test_one_person_is_a_person(marketer: Console, news: Topic) -> None:
    with transaction():
        make.follower(news)
        made = scheduling.create("Autumn", news, "Autumn", "markdown", "Hello\n")
    assert "Send to 1 person" in marketer.text(f"/admin/campaigns/{made.public_id}/review")


@pytest.fixture
def no_hold(app: Flask) -> None:
    app.extensions["settings"] = config.with_(app.extensions["settings"], hold_seconds=0)


def test_send_starts_it_once(no_hold: None, marketer: Console, path: str, bell: WrittenBell) -> None:
    answer = marketer.post(f"{path}/send", _looked(marketer, path))
    assert answer.headers["Location"] == f"{path}/progress"
    assert _campaign().state is CampaignState.scheduled
    assert (_campaign().scheduled_at or NOW) <= clock.now()
    assert [name for name, _ in bell.rung] == ["worker.jobs.campaigns.start_due"]


@pytest.mark.parametrize(
    "filled",
    [
        pytest.param(_when(), id="a day and a time"),
        pytest.param({"day": "2026-03-10", "time": ""}, id="a day"),
        pytest.param({"time": "09:00"}, id="a time"),
        pytest.param({"day": "tomorrow"}, id="a day that is none"),
        pytest.param({"last_day": "2026-03-10"}, id="a last day"),
    ],
)
def test_whoever_chose_a_day_does_not_send_at_once(
    march: None, marketer: Console, path: str, filled: dict[str, str]
) -> None:
    answer = marketer.post(f"{path}/send", filled | _looked(marketer, path))
    assert answer.status_code == 422
    html = answer.get_data(as_text=True)
    said = "You chose a day or a time: press Schedule, or empty it to send at once."
    assert html.count(said) == 2 and f'<a href="#{next(iter(filled))}">{said}</a>' in html
    assert "<details open>" in html and _campaign().state is CampaignState.draft
    empty = dict.fromkeys(filled, "") | {"zone": "Europe/Warsaw"}
    assert marketer.post(f"{path}/send", empty | _looked(marketer, path)).status_code == 302


@pytest.mark.parametrize(
    ("verb", "data", "said"),
    [
        ("send", {}, "It starts in 60 seconds."),
        ("schedule", _when(), "Scheduled for 10 Mar 2026, 08:00."),
        ("schedule", _when(zone="theirs"), "Scheduled for 09:00 on 2026-03-10 by the clocks where each person lives."),
    ],
)
def test_it_is_said_when_it_starts(
    march: None, marketer: Console, path: str, verb: str, data: dict[str, str], said: str
) -> None:
    marketer.post(f"{path}/{verb}", data | _looked(marketer, path))
    assert said in marketer.text(f"{path}/progress")


def test_what_is_sent_while_the_calendar_is_closed_says_when_that_opens(
    march: None, app: Flask, marketer: Console, path: str
) -> None:
    calendar = SendingCalendar.parse("mon-fri 09:00-17:00")  # 1 March 2026 is a Sunday
    app.extensions["settings"] = config.with_(app.extensions["settings"], sending_calendar=calendar)
    marketer.post(f"{path}/send", _looked(marketer, path))
    assert "Scheduled for 2 Mar 2026, 09:00." in marketer.text(f"{path}/progress")


def test_between_send_and_the_start_there_is_time_to_stop_it(march: None, marketer: Console, path: str) -> None:
    marketer.post(f"{path}/send", _looked(marketer, path))
    assert _campaign().scheduled_at == NOW + timedelta(seconds=60)
    with transaction():
        assert scheduling.start_due(NOW + timedelta(seconds=58)) == []
    text = marketer.text(f"{path}/progress")
    assert "Starts in 60 seconds" in text and "Stop" in text
    marketer.post(f"{path}/unschedule")
    with transaction():
        assert scheduling.start_due(NOW + timedelta(hours=1)) == []
    assert _campaign().state is CampaignState.draft


def test_a_double_press_back_and_reload_are_the_same_run(  # C9
    no_hold: None, marketer: Console, path: str, bell: WrittenBell
) -> None:
    data = _looked(marketer, path)
    answers = [marketer.post(f"{path}/send", data) for _ in range(3)]
    with transaction():
        scheduling.start_due(clock.now() + timedelta(seconds=61))
    answers.append(marketer.post(f"{path}/send", data))
    assert {answer.headers["Location"] for answer in answers} == {f"{path}/progress"}
    assert len([name for name, _ in bell.rung if name.endswith("start_due")]) == 1
    assert db.session.query(AuditEntry).filter_by(action="campaign.scheduled").count() == 1


def test_two_tabs_that_press_at_the_same_moment_make_one_run(app: Flask, marketer: Console, path: str) -> None:  # C9
    data = _looked(marketer, path) | {"csrf_token": marketer.token}
    cookie = marketer.client.get_cookie("__Host-session", "mail.example.com")
    assert cookie
    statuses = []

    def press() -> None:
        client = app.test_client()
        client.set_cookie("__Host-session", cookie.value, domain="mail.example.com", secure=True)
        statuses.append(client.post(f"{path}/send", data=data, base_url=SITE).status_code)

    tabs = [threading.Thread(target=press) for _ in range(4)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert statuses == [302] * 4
    assert db.session.query(AuditEntry).filter_by(action="campaign.scheduled").count() == 1


@pytest.mark.parametrize("stamp", ["", "1", "1.0", "2.5", "x" * 1000])
def test_what_was_not_reviewed_is_not_sent(marketer: Console, path: str, stamp: str) -> None:
    _stamp(marketer, path)
    assert marketer.post(f"{path}/send", {"stamp": stamp}).status_code == 409
    assert _campaign().state is CampaignState.draft


def test_a_change_after_the_review_must_be_reviewed_again(marketer: Console, path: str) -> None:
    old = _stamp(marketer, path)
    with transaction():
        scheduling.save(_campaign(), on_version=1, actor="cli", subject="Other words")
    answer = marketer.post(f"{path}/send", {"stamp": old})
    assert answer.status_code == 409
    assert "changed after you looked" in words(answer)
    assert _campaign().state is CampaignState.draft


def test_a_segment_that_changed_after_the_review_must_be_reviewed_again(marketer: Console, news: Topic) -> None:  # P7
    with transaction():
        testers = named.add("Testers", segments.read("source = nobody"), "cli")
        make.follower(news, "tester@example.org", source="nobody")
        made = scheduling.create(
            "Try", news, "Hello", "markdown", "Hello\n", preheader="See", segment='segment "Testers"'
        )
    path = f"/admin/campaigns/{made.public_id}"
    looked = _looked(marketer, path)
    with transaction():
        named.save(
            db.session.get_one(Segment, testers.id), "Testers", segments.read("everyone"), on_version=1, actor="x"
        )
    assert "changed after you looked" in words(marketer.post(f"{path}/send", looked))
    assert _campaign().state is CampaignState.draft


def test_a_press_from_before_it_was_taken_back_does_not_send_it_again(marketer: Console, path: str) -> None:
    old = _looked(marketer, path)
    marketer.post(f"{path}/send", old)
    marketer.post(f"{path}/unschedule")
    assert marketer.post(f"{path}/send", old).status_code == 409
    assert _campaign().state is CampaignState.draft


def test_a_time_is_meant_in_its_zone(march: None, marketer: Console, path: str) -> None:
    data = _when() | _looked(marketer, path)
    assert marketer.post(f"{path}/schedule", data).status_code == 302
    assert _campaign().scheduled_at == datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
    assert "Starts 10 Mar 2026, 08:00" in marketer.text(f"{path}/progress")


@pytest.mark.parametrize(
    "when",
    [
        pytest.param(_when("2026-03-10") | {"last_day": "2026-03-09"}, id="a last moment before the start"),
        pytest.param(_when("2026-02-28", zone="theirs"), id="the past everywhere"),
        pytest.param(_when("2026-02-28"), id="the past"),
        pytest.param(_when("2026-02-29"), id="29 February of a common year"),
        pytest.param(_when("9999-12-31", "23:59", "America/Los_Angeles"), id="the year 9999"),
        pytest.param(_when(day=""), id="no day"),
        pytest.param(_when(time="25:00"), id="no such time"),
        pytest.param(_when(zone="Etc/GMT+25"), id="no such zone"),
        pytest.param(_when(zone="../../etc/passwd"), id="a file as a zone"),
    ],
)
def test_a_time_that_cannot_be_is_refused_beside_its_field(
    march: None, marketer: Console, path: str, when: dict[str, str]
) -> None:
    answer = marketer.post(f"{path}/schedule", when | _looked(marketer, path))
    assert answer.status_code == 422
    assert "Something needs changing" in words(answer)
    assert _campaign().state is CampaignState.draft


@pytest.mark.parametrize(
    ("day", "said", "shown", "comes_to"),
    [
        ("2026-03-29", "jump over 02:30", "03:30", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # T2
        ("2026-10-25", "show 02:30 twice", "02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # T3
    ],
)
def test_what_a_jump_of_the_clocks_does_is_said_before_it_is_approved(
    march: None, marketer: Console, path: str, day: str, said: str, shown: str, comes_to: datetime
) -> None:
    data = _when(day, "02:30") | _looked(marketer, path)
    answer = marketer.post(f"{path}/schedule", data)
    assert answer.status_code == 422
    assert said in words(answer) and f"It starts at {shown} by the clocks there." in words(answer)
    assert _campaign().state is CampaignState.draft
    seen = re.search(r'name="seen" value="([^"]+)"', answer.get_data(as_text=True))
    assert seen
    other = marketer.post(f"{path}/schedule", data | _when(day, "02:40") | {"seen": seen[1]})
    assert other.status_code == 422, "what was said of another time counts for nothing"
    assert marketer.post(f"{path}/schedule", data | {"seen": seen[1]}).status_code == 302
    assert _campaign().scheduled_at == comes_to


def test_everybodys_own_clock_can_be_meant(march: None, marketer: Console, path: str) -> None:
    assert "it is the next day's where the time is past" in marketer.text(f"{path}/review").replace("\u2019", "'")
    data = _when(zone="theirs") | {"last_day": "2026-03-10", "last_time": "22:00"} | _looked(marketer, path)
    assert marketer.post(f"{path}/schedule", data).status_code == 302
    assert (_campaign().zone, _campaign().wall_time) == (None, "2026-03-10T09:00")
    assert _campaign().not_after == datetime(2026, 3, 10, 22, 0, tzinfo=UTC)
    assert "by the clocks where they live" in marketer.text(f"{path}/progress")


@pytest.mark.parametrize(
    ("last", "beside", "said"),
    [
        ({"last_day": "9999-12-31"}, "last_day", "The last moment must lie within two years of the start."),
        ({"last_day": "9999-12-31", "zone": "America/Lima"}, "last_day", "Choose a day within two years."),
        ({"last_time": "22:00"}, "last_time", "Choose a day."),
        ({"last_day": "some day", "last_time": "22:00"}, "last_day", "Not a valid date value."),
    ],
)
def test_a_last_moment_that_cannot_be_is_told_beside_it(
    march: None, marketer: Console, path: str, last: dict[str, str], beside: str, said: str
) -> None:
    answer = marketer.post(f"{path}/schedule", _when() | last | _looked(marketer, path))
    html = answer.get_data(as_text=True)
    assert answer.status_code == 422 and f'<a href="#{beside}">{said}</a>' in html and html.count(said) == 2
    assert _campaign().state is CampaignState.draft


def test_the_page_says_that_a_start_was_moved(march: None, marketer: Console, path: str) -> None:  # T4
    marketer.post(f"{path}/schedule", _when() | _looked(marketer, path))
    with transaction():
        _campaign().moved_from = NOW
    assert "Before, it was to start 1 Mar 2026, 12:00" in marketer.text(f"{path}/progress")


def test_the_approval_is_written_down_with_its_version(marketer: Console, path: str) -> None:  # P7
    marketer.post(f"{path}/send", _looked(marketer, path))
    approval = db.session.query(Approval).one()
    assert approval.by == user_named("marketer@example.com").actor
    assert "Version 1, approved by" in marketer.text(f"{path}/progress")


def test_nobody_to_send_to_means_no_button(marketer: Console, news: Topic) -> None:
    with transaction():
        made = scheduling.create("Autumn", news, "Autumn", "markdown", "Hello\n")
    text = marketer.text(f"/admin/campaigns/{made.public_id}/review")
    assert "Nobody would get it" in text and "Send to" not in text


def test_pause_resume_and_cancel_move_it_and_say_so(marketer: Console, path: str) -> None:
    marketer.post(f"{path}/send", _looked(marketer, path))
    with transaction():
        scheduling.start_due(clock.now() + timedelta(seconds=61))
    steps = [("pause", "paused", "Paused."), ("resume", "sending", "Going on."), ("cancel", "cancelled", "Cancelled.")]
    for verb, state, said in steps:
        marketer.get(f"{path}/progress")
        marketer.post(f"{path}/{verb}")
        assert _campaign().state == state
        assert said in marketer.text(f"{path}/progress")


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel", "unschedule"])
def test_a_verb_out_of_turn_is_said_and_changes_nothing(marketer: Console, path: str, verb: str) -> None:
    marketer.get(f"{path}/review")
    marketer.post(f"{path}/{verb}")
    assert _campaign().state is CampaignState.draft
    assert "This campaign is draft" in marketer.text(path)


def test_a_viewer_sends_nothing(viewer: Console, path: str) -> None:
    assert viewer.get(f"{path}/review").status_code == 403
    for verb in ("send", "schedule", "pause", "resume", "cancel", "unschedule"):
        assert viewer.post(f"{path}/{verb}", {"stamp": "1.1"}).status_code == 403
    assert queries.by_public_id(path.rpartition("/")[2]).state is CampaignState.draft


@pytest.mark.parametrize(
    ("zone", "said"),
    [("Warsaw", "There is no time zone &#39;Warsaw&#39;; write one like Europe/Warsaw."), ("", "Choose whose clocks.")],
)
def test_an_unknown_zone_is_told_once_above_and_once_beside_it(
    marketer: Console, path: str, zone: str, said: str
) -> None:
    day = (clock.now() + timedelta(days=9)).strftime("%Y-%m-%d")
    answer = marketer.post(f"{path}/schedule", _when(day, zone=zone) | _looked(marketer, path))
    assert answer.status_code == 422
    html = answer.get_data(as_text=True)
    assert html.count(said) == 2
    assert f'<a href="#zone">{said}</a>' in html and html.count('class="fault"') == 1
    assert _campaign().state is CampaignState.draft
