"""The doorbells for campaigns: one starts what is due, the other fills the outbox."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from preference_center import clock, jobs
from preference_center.campaigns import queries, scheduling, timing
from preference_center.campaigns.models import CampaignState
from preference_center.db import db, transaction
from preference_center.delivery.models import Message
from tests.support import make
from tests.support.bell import WrittenBell
from worker import context
from worker.jobs import campaigns


@pytest.fixture(autouse=True)
def in_this_app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "_app", app)


def test_a_due_campaign_is_started_and_its_outbox_filled(app: Flask, bell: WrittenBell) -> None:
    with transaction():
        topic = make.topic()
        make.follower(topic)
        campaign = scheduling.create("News", topic, "News", "markdown", "Hello")
        scheduling.schedule(campaign, clock.now())
    public_id, campaign_id = campaign.public_id, campaign.id
    campaigns.start_due()
    db.session.rollback()  # a job has a session of its own
    assert queries.by_public_id(public_id).state is CampaignState.sending
    campaigns.fill(campaign_id)
    db.session.rollback()
    assert queries.by_public_id(public_id).filled_at is not None
    assert [path for path, _ in bell.rung] == [jobs.START_DUE.path, jobs.FILL.path, jobs.DELIVER.path]


@pytest.mark.only_postgresql
@pytest.mark.parametrize("wrong", [timedelta(days=1), timedelta(days=-1)], ids=["a day ahead", "a day behind"])
def test_what_is_due_is_told_by_the_clock_of_the_database(app: Flask, wrong: timedelta) -> None:  # T1, P9
    with transaction():
        topic = make.topic()
        made = [scheduling.create(name, topic, "News", "markdown", "Hello") for name in ("due", "in an hour")]
        for campaign, wait in zip(made, (0, 1), strict=True):
            scheduling.schedule(campaign, clock.now() + timedelta(hours=wait))
    with time_machine.travel(clock.now() + wrong):
        campaigns.start_due()
    db.session.rollback()
    due, later = (queries.by_public_id(campaign.public_id) for campaign in made)
    assert (due.state, later.state) == (CampaignState.sending, CampaignState.scheduled)
    assert due.started_at is not None
    assert abs(due.started_at - clock.now()) < timedelta(minutes=5)


@pytest.mark.only_postgresql
def test_whose_own_hour_is_to_come_waits_for_it_though_the_clock_here_is_a_day_ahead(app: Flask) -> None:  # T1
    wall = clock.now().replace(second=0, microsecond=0) + timedelta(hours=22)
    with transaction():
        topic = make.topic()
        make.follower(topic, time_zone="Etc/UTC")
        campaign = scheduling.create("News", topic, "News", "markdown", "Hello")
        scheduling.schedule(campaign, timing.plan(wall.replace(tzinfo=None), ""))
        assert campaign.scheduled_at is not None
        scheduling.start_due(campaign.scheduled_at)
        campaign_id = campaign.id
    with time_machine.travel(clock.now() + timedelta(days=1)):
        campaigns.fill(campaign_id)
    db.session.rollback()
    assert list(db.session.scalars(select(Message.next_try_at))) == [wall]
