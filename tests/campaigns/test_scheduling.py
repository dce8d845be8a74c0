"""From draft to sending: versions, the frozen content, the order of states, and each campaign started once."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from preference_center import clock, jobs
from preference_center.campaigns import queries, scheduling
from preference_center.campaigns.models import Campaign, CampaignState, CampaignVersion
from preference_center.db import db, transaction
from preference_center.errors import Conflict, Invalid, NotFound
from preference_center.topics import catalogue
from preference_center.topics.models import Topic
from tests.support import make
from tests.support.bell import WrittenBell

pytestmark = pytest.mark.both_databases


@pytest.fixture
def topic(app: Flask) -> Topic:
    with transaction():
        return make.topic()


def drafted(topic: Topic, name: str = "Autumn") -> Campaign:
    with transaction():
        return scheduling.create(name, topic, "News", "markdown", "Hello", segment="language=pl", actor="user:1")


def scheduled(topic: Topic, at: datetime | None = None) -> Campaign:
    campaign = drafted(topic)
    with transaction():
        scheduling.schedule(campaign, at or clock.now())
    return campaign


def started(topic: Topic) -> Campaign:
    campaign = scheduled(topic)
    with transaction():
        scheduling.start_due(clock.now())
    return campaign


def test_a_new_campaign_is_a_draft_with_one_intact_version(topic: Topic) -> None:
    campaign = drafted(topic)
    version = queries.version(campaign)
    assert (campaign.state, campaign.version, version.number) == (CampaignState.draft, 1, 1)
    assert version.segment == 'language = "pl"'
    assert version.is_intact()
    assert queries.by_public_id(campaign.public_id) is campaign


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"subject": ""}, "subject"),
        ({"source": "{{ nobody }}"}, "source"),
        ({"segment": "nobody = 1"}, "segment"),
        ({"format": "docx"}, "format"),
        ({"text_source": "{{ nobody }}"}, "text_source"),
        ({"preheader": "{{ nobody }}"}, "preheader"),
    ],
)
def test_what_cannot_be_sent_is_not_saved(topic: Topic, changes: dict[str, str], field: str) -> None:
    right = {"name": "A", "subject": "B", "format": "markdown", "source": "C"}
    with pytest.raises(Invalid) as refused, transaction():
        scheduling.create(topic=topic, **(right | changes))  # type: ignore[arg-type]
    assert set(refused.value.faults) == {field}
    assert queries.newest() == []


def test_a_topic_that_is_retired_or_not_for_email_takes_no_campaign(topic: Topic) -> None:
    with transaction():
        phone = make.topic("calls", "Calls", "phone")
        catalogue.retire(topic)
    for wrong in (topic, phone):
        with pytest.raises(Invalid), transaction():
            scheduling.create("A", wrong, "B", "markdown", "C")


def test_each_save_adds_a_version_and_changes_none(topic: Topic) -> None:
    campaign = drafted(topic)
    with transaction():
        scheduling.save(campaign, on_version=1, actor="user:2", source="Hello again", name="Winter")
    assert (campaign.name, campaign.version) == ("Winter", 2)
    assert [queries.version(campaign, number).source for number in (1, 2)] == ["Hello", "Hello again"]
    assert queries.version(campaign).subject == "News"
    with pytest.raises(NotFound):
        queries.version(campaign, 3)


def test_the_second_of_two_editors_is_told(topic: Topic) -> None:  # P13
    campaign = drafted(topic)
    with transaction():
        scheduling.save(campaign, on_version=1, actor="user:1", subject="Mine")
    with pytest.raises(Conflict, match="Somebody else"), transaction():
        scheduling.save(campaign, on_version=1, actor="user:2", subject="Yours")
    assert queries.version(campaign).subject == "Mine"


def test_an_altered_row_is_noticed(topic: Topic) -> None:  # P7
    campaign = drafted(topic)
    assert queries.version(campaign).is_intact()
    with transaction():
        db.session.execute(update(CampaignVersion).values(segment=""))
    assert not queries.version(campaign).is_intact()


def test_scheduling_freezes_the_newest_version(topic: Topic) -> None:
    campaign = drafted(topic)
    with transaction():
        scheduling.save(campaign, on_version=1, actor="", subject="Two")
    with transaction():
        scheduling.schedule(campaign, clock.now() + timedelta(hours=1))
    assert (campaign.state, campaign.approved_version) == (CampaignState.scheduled, 2)
    with pytest.raises(Conflict, match="draft"), transaction():
        scheduling.save(campaign, on_version=2, actor="", subject="Three")
    with transaction():
        scheduling.unschedule(campaign)
    assert (campaign.state, campaign.approved_version, campaign.scheduled_at) == (CampaignState.draft, None, None)


@pytest.mark.parametrize(
    "at", [datetime(2020, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC), datetime(2027, 1, 1)]
)
def test_a_moment_that_cannot_be_meant_is_refused(topic: Topic, at: datetime) -> None:
    campaign = drafted(topic)
    with pytest.raises(Invalid) as refused, transaction():
        scheduling.schedule(campaign, at)
    assert set(refused.value.faults) == {"at"}
    assert campaign.state is CampaignState.draft


def test_scheduling_looks_once_more(topic: Topic) -> None:
    campaign = drafted(topic)
    with transaction():
        db.session.execute(update(CampaignVersion).values(source="Other"))
    with pytest.raises(Conflict, match="altered"), transaction():
        scheduling.schedule(campaign, clock.now())
    with transaction():
        catalogue.retire(topic)
    with pytest.raises(Invalid, match="retired"), transaction():
        scheduling.schedule(campaign, clock.now())


def test_what_is_due_starts_once_and_rings(topic: Topic, bell: WrittenBell) -> None:
    now = clock.now()
    due, later = scheduled(topic, now), scheduled(topic, now + timedelta(minutes=1))
    draft = drafted(topic)
    bell.rung.clear()
    with transaction():
        assert scheduling.start_due(now) == [due.id]
    assert bell.rung == [(jobs.FILL.path, (due.id,))]
    with transaction():
        assert scheduling.start_due(now) == []
    assert [campaign.state for campaign in (due, later, draft)] == ["sending", "scheduled", "draft"]
    assert due.started_at == now


def test_two_clocks_start_a_campaign_once(app: Flask, topic: Topic) -> None:
    campaigns = [scheduled(topic).id for _ in range(5)]
    db.session.rollback()
    claimed: list[int] = []
    gate = threading.Barrier(4)

    def ring() -> None:
        with app.app_context():
            gate.wait()
            with transaction():
                mine = scheduling.start_due(clock.now())
            claimed.extend(mine)
            db.session.remove()

    clocks = [threading.Thread(target=ring) for _ in range(4)]
    for one in clocks:
        one.start()
    for one in clocks:
        one.join()
    assert sorted(claimed) == campaigns


def test_sending_now_rings_the_clock(topic: Topic, bell: WrittenBell) -> None:
    scheduled(topic)
    assert bell.rung == [(jobs.START_DUE.path, ())]


def test_pause_resume_and_cancel_ring_who_has_to_act(topic: Topic, bell: WrittenBell) -> None:
    campaign = started(topic)
    bell.rung.clear()
    with transaction():
        scheduling.pause(campaign, "Too fast")
    assert (campaign.state, campaign.pause_reason) == (CampaignState.paused, "Too fast")
    with transaction():
        scheduling.resume(campaign)
    assert bell.rung.pop() == (jobs.FILL.path, (campaign.id,))  # its outbox is not full yet
    with transaction():
        campaign.filled_at = clock.now()
        scheduling.pause(campaign)
        scheduling.resume(campaign)
    assert bell.rung.pop() == (jobs.DELIVER.path, (campaign.id,))
    with transaction():
        scheduling.cancel(campaign)
    assert campaign.state is CampaignState.cancelled
    assert bell.rung.pop() == (jobs.SWEEP.path, ())


@pytest.mark.parametrize("verb", ["unschedule", "pause", "resume", "cancel"])
def test_a_verb_out_of_order_is_refused(topic: Topic, verb: str) -> None:
    campaign = drafted(topic)
    with pytest.raises(Conflict, match="draft"), transaction():
        getattr(scheduling, verb)(campaign)
    assert campaign.state is CampaignState.draft


def test_the_newest_campaigns_come_first_page_by_page(topic: Topic) -> None:
    made = [drafted(topic, f"Number {number}").id for number in range(3)]
    assert [campaign.id for campaign in queries.newest(2)] == [made[2], made[1]]
    assert [campaign.id for campaign in queries.newest(2, before=made[1])] == [made[0]]


def test_a_time_missed_by_more_than_the_grace_waits_for_a_person(topic: Topic, bell: WrittenBell) -> None:  # P9, T5
    now = clock.now()
    late, missed = scheduled(topic), scheduled(topic)
    with transaction():
        late.scheduled_at, missed.scheduled_at = now - timedelta(hours=11), now - timedelta(hours=13)
    with transaction():
        assert scheduling.start_due(now) == [late.id]
    assert (late.state, missed.state) == (CampaignState.sending, CampaignState.paused)
    assert "missed" in (missed.pause_reason or "")
    with transaction():
        scheduling.resume(queries.lock(missed.id))
    assert missed.state is CampaignState.sending
    assert (jobs.FILL.path, (missed.id,)) in bell.rung
