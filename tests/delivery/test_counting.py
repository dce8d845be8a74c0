"""Caps and cadences count what left, and what may have: who got nothing of a campaign is free for the next one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update

from preference_center import clock, config
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.consent import ledger
from preference_center.consent.eligibility import Reason
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Cadence
from preference_center.db import db, transaction
from preference_center.delivery import chunks, closing
from preference_center.delivery.chunks import Ending
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.topics.models import Topic
from tests.support import make

pytestmark = pytest.mark.both_databases
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FAILED, SKIPPED, SENT = MessageState.failed, MessageState.skipped, MessageState.sent
UNCERTAIN, QUEUED = MessageState.uncertain, MessageState.queued


@pytest.fixture
def march() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as now:
        yield now


@pytest.fixture(params=["cap", "cadence"])
def topic(march: Any, app: Flask, request: pytest.FixtureRequest) -> Topic:
    """With one reader who gets one mail a week at most: everybody does, or they asked for it."""
    with transaction():
        topic = make.topic()
        reader = make.follower(topic)
        if request.param == "cadence":
            ledger.set_cadence(reader, topic, Cadence.weekly, Evidence(source="link"))
        else:
            app.extensions["settings"] = config.with_(app.extensions["settings"], frequency_caps=((1, 7),))
    return topic


def _campaign(topic: Topic) -> Campaign:
    """Filled for everybody who is there, and under way."""
    now = clock.now()
    with transaction():
        campaign = Campaign(
            name="Autumn", topic_id=topic.id, state=CampaignState.sending, created_at=now, updated_at=now, filled_at=now
        )
        db.session.add(campaign)
        db.session.flush()
        for (contact_id,) in db.session.execute(select(make.Contact.id)):
            db.session.add(Message(campaign_id=campaign.id, contact_id=contact_id, changed_at=now))
    return campaign


def _claim(campaign: Campaign, topic: Topic) -> tuple[Run, list[int]]:
    now = clock.now()
    with transaction():
        run = Run(campaign_id=campaign.id, host="here", journal="1.journal", started_at=now, lease_until=now)
        db.session.add(run)
        db.session.flush()
        return run, chunks.claim(run, db.session.get_one(Campaign, campaign.id), topic, 10).ids


def _end(campaign: Campaign, topic: Topic, state: MessageState, **more: Any) -> None:
    run, (one,) = _claim(campaign, topic)
    with transaction():
        chunks.store(run, [Ending(one, state, **more)])


def _gets(topic: Topic) -> bool:
    """Whether another campaign is for our reader, now; it is put off, and does not count."""
    other = _campaign(topic)
    run, taken = _claim(other, topic)
    with transaction():
        chunks.store(run, [Ending(one, FAILED, "refused") for one in taken])
    return bool(taken)


@pytest.mark.parametrize(
    ("state", "reason", "free"),
    [
        (FAILED, "refused", True),
        (FAILED, "gave_up", True),
        (SKIPPED, "render_error", True),
        (QUEUED, "deferred", False),
        (UNCERTAIN, "no_reply", False),
        (SENT, None, False),
    ],
    ids=["refused", "given up", "not written", "put off", "in doubt", "sent"],
)
def test_what_left_or_may_leave_counts(topic: Topic, state: MessageState, reason: str | None, free: bool) -> None:
    _end(_campaign(topic), topic, state, reason=reason)
    assert _gets(topic) is free
    assert _gets(topic) is free


def test_what_another_run_says_is_not_believed(topic: Topic) -> None:  # K17
    campaign = _campaign(topic)
    run, (one,) = _claim(campaign, topic)
    with transaction():
        chunks.store(Run(id=run.id + 1, campaign_id=campaign.id), [Ending(one, FAILED, "refused")])
    assert not _gets(topic)


def test_who_was_put_off_until_it_was_cancelled_gets_the_right_one(topic: Topic) -> None:
    wrong = _campaign(topic)
    _end(wrong, topic, QUEUED, reason="deferred", next_try_at=NOW + timedelta(hours=1))
    assert not _gets(topic)
    with transaction():
        chunks.close_waiting(wrong.id, Reason.cancelled)
    assert _gets(topic)


def test_who_got_a_campaign_that_is_cancelled_still_counts(topic: Topic) -> None:
    wrong = _campaign(topic)
    _end(wrong, topic, SENT)
    with transaction():
        chunks.close_waiting(wrong.id, Reason.cancelled)
    assert not _gets(topic)


def test_when_a_campaign_is_over_whoever_got_nothing_is_free(topic: Topic) -> None:
    campaign = _campaign(topic)
    _end(campaign, topic, QUEUED, reason="deferred")
    with transaction():
        over = update(Message).where(Message.campaign_id == campaign.id)
        db.session.execute(over.values(state=SKIPPED, reason=Reason.quiet_hours_over))
        assert closing.finish_if_done(db.session.get_one(Campaign, campaign.id))
    assert _gets(topic)


def test_a_mail_counts_from_the_try_at_which_it_left(topic: Topic, march: Any) -> None:
    campaign = _campaign(topic)
    _end(campaign, topic, QUEUED, reason="deferred")
    march.move_to(NOW + timedelta(days=6))
    _end(campaign, topic, SENT)
    for days, free in ((7, False), (12.9, False), (13.1, True)):
        march.move_to(NOW + timedelta(days=days))
        assert _gets(topic) is free


def test_what_a_claim_that_began_later_has_noted_first_counts(
    topic: Topic, march: Any
) -> None:  # two at once, or two clocks
    first, second = _campaign(topic), _campaign(topic)
    march.move_to(NOW + timedelta(seconds=1.5))
    assert len(_claim(first, topic)[1]) == 1
    march.move_to(NOW)
    assert _claim(second, topic)[1] == []
