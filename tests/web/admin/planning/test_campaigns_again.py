"""Copies, "once more" and corrections in the console."""

import pytest
from sqlalchemy import update

from preference_center import clock
from preference_center.campaigns import queries, scheduling
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.db import db, transaction
from preference_center.delivery import outbox
from preference_center.delivery.models import Message, MessageState
from preference_center.topics.models import Topic
from tests.web.admin.conftest import Console, words


@pytest.fixture
def path(people: Topic) -> str:
    """A cancelled campaign: one has it, two were skipped with the cancel."""
    with transaction():
        made = scheduling.create("Autumn", people, "News", "markdown", "Hello")
        scheduling.schedule(made, clock.now())
    with transaction():
        scheduling.start_due(clock.now())
        outbox.fill_range(made.id)
        scheduling.cancel(made)
        waiting = update(Message).where(Message.state == MessageState.queued)
        db.session.execute(waiting.where(Message.id == 1).values(state=MessageState.sent))
        db.session.execute(waiting.values(state=MessageState.skipped, reason="cancelled"))
    return f"/admin/campaigns/{made.public_id}"


def _newest() -> Campaign:
    db.session.rollback()
    return queries.newest(1)[0]


def test_after_a_cancel_a_correction_goes_to_those_who_have_it(marketer: Console, path: str) -> None:  # C10
    assert "Write a correction to the 1 person who got it" in marketer.text(f"{path}/progress")
    answer = marketer.post(f"{path}/correct")
    made = _newest()
    assert answer.headers["Location"] == f"/admin/campaigns/{made.public_id}"
    assert made.state is CampaignState.draft
    assert "Send to 1 person" in marketer.text(f"/admin/campaigns/{made.public_id}/review")


def test_once_more_for_those_who_were_missed(marketer: Console, path: str) -> None:
    text = marketer.text(f"{path}/again")
    assert "sending was cancelled first · 2" in text and "gave no consent for this topic · 2" in text
    marketer.post(f"{path}/again", {"reason": "cancelled"})
    text = marketer.text(f"/admin/campaigns/{_newest().public_id}/review")
    assert "Send to 2 people" in text and "all in the segment 2" in text


def test_choosing_nothing_makes_nothing(marketer: Console, path: str) -> None:
    before = _newest().id
    marketer.get(f"{path}/again")
    answer = marketer.post(f"{path}/again")
    assert answer.status_code == 302 and _newest().id == before
    assert "Say which reasons are meant" in marketer.text(f"{path}/again")


def test_a_copy(marketer: Console, path: str) -> None:
    marketer.get(f"{path}/progress")
    marketer.post(f"{path}/duplicate")
    assert _newest().name == "Autumn (copy)"


def test_what_still_runs_is_told_so(marketer: Console, people: Topic) -> None:
    with transaction():
        made = scheduling.create("Autumn", people, "News", "markdown", "Hello")
    marketer.get("/admin/campaigns")
    assert "Not yet" in marketer.text(f"/admin/campaigns/{made.public_id}/again")
    marketer.get("/admin/campaigns")
    answer = marketer.post(f"/admin/campaigns/{made.public_id}/correct", follow_redirects=True)
    assert "This campaign is draft" in words(answer)


def test_a_viewer_makes_no_campaign(viewer: Console, path: str) -> None:
    assert viewer.get(f"{path}/again").status_code == 403
    for verb in ("duplicate", "correct", "again"):
        assert viewer.post(f"{path}/{verb}").status_code == 403
