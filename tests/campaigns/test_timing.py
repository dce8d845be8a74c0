"""Plans by the clock on a wall: jumps of the clocks, changed zone rules, the sending calendar, last moments, and one run a slot."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from flask import Flask
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from preference_center import clock, config
from preference_center.campaigns import approvals, queries, scheduling, timing
from preference_center.campaigns.models import Approval, Campaign, CampaignState
from preference_center.campaigns.timing import Plan
from preference_center.db import db, transaction
from preference_center.errors import Conflict, Invalid
from preference_center.topics.models import Topic
from preference_center.wall_clock import SendingCalendar, Shift
from tests.support import make

pytestmark = pytest.mark.both_databases
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday


@pytest.fixture
def march() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as now:
        yield now


@pytest.fixture
def campaign(march: Any, app: Flask) -> Campaign:
    _set(app, time_zone="Europe/Warsaw")
    with transaction():
        return scheduling.create("Autumn", make.topic(), "News", "markdown", "Hello", actor="user:1")


def _set(app: Flask, **changes: object) -> None:
    app.extensions["settings"] = config.with_(app.extensions["settings"], **changes)


def _planned(campaign: Campaign, *wall: int, zone: str = "Europe/Warsaw", **more: Any) -> Plan:
    made = timing.plan(datetime(*wall), zone)  # type: ignore[arg-type]
    with transaction():
        scheduling.schedule(campaign, made, **more)
    return made


def _start(at: datetime) -> list[int]:
    with transaction():
        return scheduling.start_due(at)


def test_a_plan_in_the_hour_that_is_jumped_over_runs_once_an_hour_later(campaign: Campaign) -> None:  # T2
    plan = _planned(campaign, 2026, 3, 29, 2, 30)
    assert plan.shifted() == {"Europe/Warsaw": Shift.skipped}
    assert campaign.scheduled_at == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    minutes = [datetime(2026, 3, 29, tzinfo=UTC) + timedelta(minutes=n) for n in range(180)]
    assert [at for at in minutes if _start(at)] == [campaign.scheduled_at]


def test_a_plan_in_the_hour_that_comes_twice_runs_once_in_the_first(campaign: Campaign) -> None:  # T3
    plan = _planned(campaign, 2026, 10, 25, 2, 30)
    assert plan.shifted() == {"Europe/Warsaw": Shift.repeated}
    minutes = [datetime(2026, 10, 25, tzinfo=UTC) + timedelta(minutes=n) for n in range(180)]
    assert [at for at in minutes if _start(at)] == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]


def test_new_rules_of_a_zone_move_the_start_and_the_move_is_kept(  # T4
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    _planned(campaign, 2026, 6, 1, 9, 0)
    before = campaign.scheduled_at
    assert before == datetime(2026, 6, 1, 7, 0, tzinfo=UTC)
    # Poland does away with summer time: from then on its clocks show what those of Algiers do
    without_summer_time = ZoneInfo("Africa/Algiers")
    monkeypatch.setattr(timing, "ZoneInfo", lambda name: without_summer_time)
    assert _start(before) == []
    db.session.refresh(campaign)
    assert (campaign.scheduled_at, campaign.moved_from) == (before + timedelta(hours=1), before)
    assert _start(before + timedelta(hours=1)) == [campaign.id]


def test_a_zone_that_is_gone_from_a_machine_keeps_no_campaign_from_starting(campaign: Campaign) -> None:  # T4
    _planned(campaign, 2026, 6, 1, 9, 0)
    with transaction():
        campaign.zone = "Europe/Gone"
        other = scheduling.create("Other", db.session.get_one(Topic, campaign.topic_id), "News", "markdown", "Hello")
    _planned(other, 2026, 6, 1, 9, 0)
    assert _start(datetime(2026, 6, 1, 7, 0, tzinfo=UTC)) == [campaign.id, other.id]


def test_everyones_own_morning_begins_in_the_far_east_and_ends_in_the_far_west(campaign: Campaign) -> None:
    _planned(campaign, 2026, 3, 10, 9, 0, zone="")
    assert campaign.scheduled_at == datetime(2026, 3, 9, 19, 0, tzinfo=UTC)
    assert campaign.last_wave_at == datetime(2026, 3, 10, 21, 0, tzinfo=UTC)
    assert campaign.gives_up_at() == campaign.last_wave_at + timedelta(days=1)


def test_where_that_morning_is_past_it_starts_at_once_and_where_it_is_past_everywhere_it_is_refused(
    campaign: Campaign,
) -> None:
    with pytest.raises(Invalid) as refused:
        _planned(campaign, 2026, 3, 1, 9, 0, zone="")
    assert set(refused.value.faults) == {"at"}
    _planned(campaign, 2026, 3, 2, 8, 0, zone="")
    assert campaign.scheduled_at == NOW


def test_outside_the_calendar_it_starts_when_that_opens(app: Flask, campaign: Campaign) -> None:
    _set(app, sending_calendar=SendingCalendar.parse("mon-fri 08:00-18:00"))
    _planned(campaign, 2026, 3, 7, 9, 0)  # a Saturday
    assert campaign.scheduled_at == datetime(2026, 3, 9, 7, 0, tzinfo=UTC)
    assert campaign.not_after == campaign.scheduled_at + timedelta(days=7)


@pytest.mark.parametrize("at", [NOW, NOW - timedelta(hours=1), datetime(2026, 3, 9, 12)])
def test_a_last_moment_lies_after_the_start(campaign: Campaign, at: datetime) -> None:
    with pytest.raises(Invalid) as refused, transaction():
        scheduling.schedule(campaign, NOW, not_after=at)
    assert refused.value.faults == {"not_after": "The last moment must lie after the start."}


def test_a_last_moment_lies_within_two_years_of_the_start(campaign: Campaign) -> None:
    begin = NOW + timedelta(days=700)
    for far in (begin + timedelta(days=731), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)):
        with pytest.raises(Invalid) as refused, transaction():
            scheduling.schedule(campaign, begin, not_after=far)
        assert refused.value.faults == {"not_after": "The last moment must lie within two years of the start."}
    with transaction():
        scheduling.schedule(campaign, begin, not_after=begin + timedelta(days=730))


def test_the_last_moment_of_a_test_of_contents_lies_after_its_winner(campaign: Campaign) -> None:
    trial = {"share": 20, "wait_minutes": 120, "metric": "clicked", "variants": [{"subject": "Other words"}]}
    with transaction():
        scheduling.save(campaign, on_version=1, actor="", experiment=trial)
    with pytest.raises(Invalid, match="winner") as refused, transaction():
        scheduling.schedule(campaign, NOW, not_after=NOW + timedelta(hours=2))
    assert set(refused.value.faults) == {"not_after"}
    with transaction():
        scheduling.schedule(campaign, NOW, not_after=NOW + timedelta(hours=2, minutes=1))


def test_taking_it_back_forgets_the_plan(campaign: Campaign) -> None:
    _planned(campaign, 2026, 3, 10, 9, 0, zone="", not_after=NOW + timedelta(days=20))
    with transaction():
        scheduling.unschedule(campaign)
    assert (campaign.wall_time, campaign.zone, campaign.last_wave_at, campaign.not_after) == (None,) * 4


def test_an_unknown_zone_is_refused() -> None:
    for zone in ("Warsaw", "../../etc/passwd", "Europe/warsaw\n"):
        with pytest.raises(Invalid):
            timing.plan(datetime(2026, 3, 10, 9), zone)


def test_the_approval_names_the_version_and_freezes_content_rule_and_sender(
    app: Flask, campaign: Campaign
) -> None:  # P7
    with transaction():
        scheduling.save(campaign, on_version=1, actor="user:2", source="Other")
    with pytest.raises(Conflict, match="version 2 was saved meanwhile"), transaction():
        scheduling.schedule(campaign, NOW, version=1)  # C7
    with transaction():
        scheduling.schedule(campaign, NOW, version=2, actor="user:9")
    approved = db.session.query(Approval).one()
    assert (approved.version, approved.by, approved.sha256) == (2, "user:9", queries.version(campaign, 2).sha256)
    assert approvals.fault(campaign) is None
    _set(app, mail_from="Somebody Else <other@example.com>")
    assert "sender" in (approvals.fault(campaign) or "")


def test_a_content_swapped_whole_with_its_own_hash_is_not_what_was_approved(campaign: Campaign) -> None:  # P7
    with transaction():
        scheduling.schedule(campaign, NOW)
        version = queries.version(campaign)
        version.subject = "Other"
        version.sha256 = version.digest()
    assert version.is_intact()
    assert "approved" in (approvals.fault(campaign) or "")


def test_three_clocks_and_a_hundred_slots_start_each_once(app: Flask, march: Any) -> None:  # C6, T1
    with transaction():
        topic = make.topic()
        made = [scheduling.create(f"Slot {n}", topic, "News", "markdown", "Hello") for n in range(100)]
    with transaction():
        for campaign in made:
            scheduling.schedule(campaign, timing.plan(datetime(2026, 3, 2, 10, 0), "UTC"))
    wanted, started = sorted(one.id for one in made), []
    db.session.rollback()
    gate = threading.Barrier(3)

    def ring(ahead: timedelta) -> None:
        with app.app_context():
            gate.wait()
            for _ in range(3):
                with transaction():
                    mine = scheduling.start_due(datetime(2026, 3, 2, 11, 0, tzinfo=UTC) + ahead)
                started.extend(mine)
            db.session.remove()

    skews = (timedelta(), timedelta(hours=1), timedelta(minutes=-59))  # their clocks do not agree
    clocks = [threading.Thread(target=ring, args=[ahead]) for ahead in skews]
    for one in clocks:
        one.start()
    for one in clocks:
        one.join()
    assert sorted(started) == wanted


def test_two_people_who_approve_and_save_at_once_never_send_what_nobody_approved(app: Flask, march: Any) -> None:  # C7
    with transaction():
        topic = make.topic()
    for _ in range(5):
        with transaction():
            made = scheduling.create("Race", topic, "News", "markdown", "Hello")
        number, outcomes, gate = made.id, [], threading.Barrier(2)
        db.session.rollback()

        def act(what: str, number: int = number, outcomes: list[str] = outcomes, gate: Any = gate) -> None:
            with app.app_context():
                gate.wait()
                try:
                    with transaction():
                        mine = db.session.get_one(Campaign, number)
                        if what == "save":
                            scheduling.save(mine, on_version=1, actor="user:2", source="Changed")
                        else:
                            scheduling.schedule(mine, clock.now(), version=1, actor="user:1")
                    outcomes.append(what)
                except Conflict:
                    pass
                db.session.remove()

        both = [threading.Thread(target=act, args=[what]) for what in ("save", "approve")]
        for one in both:
            one.start()
        for one in both:
            one.join()
        db.session.rollback()
        after = db.session.get_one(Campaign, number)
        assert len(outcomes) == 1
        assert (after.state, after.approved_version, after.version) == (
            (CampaignState.scheduled, 1, 1) if outcomes == ["approve"] else (CampaignState.draft, None, 2)
        )


@tries(max_examples=200, deadline=None)
@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),
    st.sampled_from(
        ["Europe/Warsaw", "America/Santiago", "Australia/Lord_Howe", "Pacific/Kiritimati", "Pacific/Midway"]
    ),
)
def test_nobodys_own_time_lies_outside_the_waves(wall: datetime, zone: str) -> None:  # T6
    plan = Plan(wall.replace(second=0, microsecond=0))
    assert plan.begins().at <= plan.there(ZoneInfo(zone)) <= plan.ends()
    assert plan.ends() - plan.begins().at == timedelta(hours=26)


def test_the_topic_of_a_plan_is_looked_at_once_more(campaign: Campaign) -> None:
    topic = db.session.get_one(Topic, campaign.topic_id)
    with transaction():
        topic.retired_at = NOW
    with pytest.raises(Invalid, match="retired"):
        _planned(campaign, 2026, 3, 10, 9, 0)
