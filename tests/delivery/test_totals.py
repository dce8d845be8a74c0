"""Counting campaigns for pages: exact where that is quick, kept a while where it is not, and never a page that waits for all."""

import pytest
from flask import Flask

from preference_center import clock
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign
from preference_center.db import db, transaction
from preference_center.delivery import queries
from preference_center.delivery.models import Message, MessageState
from preference_center.delivery.results import totals
from tests.support import make
from tests.support.campaigns import fill

ADDRESSES = [f"n{number}@example.org" for number in range(5)]


@pytest.fixture
def campaigns(app: Flask) -> list[Campaign]:
    """Three campaigns to five people each, filled."""
    with transaction():
        topic = make.topic()
        for address in ADDRESSES:
            make.follower(topic, address)
        made = [scheduling.create(f"No. {number}", topic, "Hello", "markdown", "Hello.") for number in range(3)]
    for campaign in made:
        fill(campaign)
    return made


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if each count took long, and were kept for an hour and more."""
    monkeypatch.setattr(totals, "SHORT", 0.0)
    for name in ("PAGE_SHARE", "LIST_SHARE", "ENDED_SHARE"):
        monkeypatch.setattr(totals, name, 1e-9)


def _deliver_one(campaign: Campaign) -> None:
    with transaction():
        db.session.query(Message).filter_by(campaign_id=campaign.id, state=MessageState.queued).limit(
            1
        ).one().state = MessageState.delivered


def test_a_quick_count_is_never_kept(campaigns: list[Campaign]) -> None:
    for done in range(3):
        assert totals.recent(campaigns[0]) == totals.of_list(campaigns)[campaigns[0].id]
        assert (totals.recent(campaigns[0]).queued, totals.recent(campaigns[0]).delivered) == (5 - done, done)
        _deliver_one(campaigns[0])


def test_a_long_count_is_kept_and_still_adds_up(campaigns: list[Campaign], slow: None) -> None:
    before = totals.recent(campaigns[0], 1e-9)
    _deliver_one(campaigns[0])
    assert totals.recent(campaigns[0], 1e-9) == before
    assert before.audience == len(ADDRESSES)
    assert totals.recent(campaigns[0], 1e9).delivered == 1, "kept only as long as its share of time says"


def test_a_pause_is_counted_at_once(campaigns: list[Campaign], slow: None) -> None:
    totals.recent(campaigns[0], 1e-9)
    _deliver_one(campaigns[0])
    with transaction():
        scheduling.pause(campaigns[0])
    assert totals.recent(campaigns[0], 1e-9).delivered == 1


def test_a_list_waits_for_no_more_than_its_time(
    campaigns: list[Campaign], slow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "LIST_SECONDS", 0.0)
    assert totals.of_list(campaigns) == {}
    totals.recent(campaigns[1])
    assert list(totals.of_list(campaigns)) == [campaigns[1].id], "what is known is shown"
    monkeypatch.setattr(totals, "LIST_SECONDS", 60.0)
    found = totals.of_list(campaigns)
    assert found == {campaign.id: queries.figures(campaign) for campaign in campaigns}


def test_a_draft_has_no_figures(campaigns: list[Campaign]) -> None:
    with transaction():
        draft = scheduling.create("Draft", make.topic("offers", "Offers"), "Hello", "markdown", "Hello.")
        scheduling.schedule(draft, clock.now())
    assert draft.id not in totals.of_list([draft, *campaigns])
