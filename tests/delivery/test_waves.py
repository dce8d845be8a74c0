"""Whose mail waits: each contact's own morning, quiet hours where they live, the calendar, and caps over all campaigns."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from preference_center import clock, config
from preference_center.campaigns import scheduling, timing
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.consent import eligibility, ledger
from preference_center.consent.eligibility import Reason
from preference_center.consent.law import caps
from preference_center.consent.law.caps import Mailing
from preference_center.consent.ledger import Evidence
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import chunks, closing, outbox, queries
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from preference_center.wall_clock import Hours, SendingCalendar
from tests.support import make

pytestmark = pytest.mark.both_databases
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday: 10:00 in Warsaw, 18:00 in Tokyo, 04:00 in New York
ZONES = {"anna": "Europe/Warsaw", "bo": "Asia/Tokyo", "cai": "America/New_York", "dag": None, "eva": "Nowhere/Land"}


@pytest.fixture
def march() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as now:
        yield now


@pytest.fixture
def topic(march: Any, app: Flask) -> Topic:
    set_(app, time_zone="Europe/Warsaw")
    with transaction():
        topic = make.topic()
        for name, zone in ZONES.items():
            make.follower(topic, f"{name}@example.org", time_zone=zone)
    return topic


def set_(app: Flask, **changes: object) -> None:
    app.extensions["settings"] = config.with_(app.extensions["settings"], **changes)


def started(topic: Topic, wall: datetime | None = None, **more: Any) -> Campaign:
    with transaction():
        campaign = scheduling.create("Autumn", topic, "News", "markdown", "Hello")
        scheduling.schedule(campaign, timing.plan(wall, "") if wall else clock.now(), **more)
    with transaction():
        scheduling.start_due(max(clock.now(), campaign.scheduled_at or NOW))
        outbox.fill_range(campaign.id)
    return campaign


def due() -> dict[str, datetime | None]:
    """When each queued message is due, by the name before the @."""
    rows = db.session.execute(
        select(Contact.email, Message.next_try_at)
        .join(Message, Message.contact_id == Contact.id)
        .where(Message.state == MessageState.queued)
    )
    return {str(email).partition("@")[0]: at for email, at in rows}


def claimed(campaign: Campaign, topic: Topic) -> list[str]:
    now = clock.now()
    with transaction():
        run = Run(campaign_id=campaign.id, host="here", journal="1.journal", started_at=now, lease_until=now)
        db.session.add(run)
        db.session.flush()
        return [
            one.email.partition("@")[0]
            for one in chunks.claim(run, db.session.get_one(Campaign, campaign.id), topic, 50).messages()
        ]


def test_each_gets_it_at_nine_by_their_own_clock(topic: Topic, march: Any) -> None:
    campaign = started(topic, datetime(2026, 3, 3, 9, 0))
    warsaw, tokyo, new_york = (datetime(2026, 3, 3, hour, tzinfo=UTC) for hour in (8, 0, 14))
    assert due() == {"anna": warsaw, "bo": tokyo, "cai": new_york, "dag": warsaw, "eva": warsaw}
    assert queries.figures(campaign).audience == 5
    march.move_to(tokyo - timedelta(minutes=1))
    assert not closing.has_due(campaign)
    march.move_to(tokyo)
    assert claimed(campaign, topic) == ["bo"]
    march.move_to(new_york)
    assert sorted(claimed(campaign, topic)) == ["anna", "cai", "dag", "eva"]


def test_where_that_hour_is_past_it_is_the_next_days(topic: Topic, march: Any) -> None:
    campaign = started(topic, datetime(2026, 3, 2, 8, 0))
    warsaw, tokyo = datetime(2026, 3, 3, 7, tzinfo=UTC), datetime(2026, 3, 2, 23, tzinfo=UTC)
    new_york = datetime(2026, 3, 2, 13, tzinfo=UTC)
    assert due() == {"anna": warsaw, "bo": tokyo, "cai": new_york, "dag": warsaw, "eva": warsaw}
    assert campaign.gives_up_at() == warsaw + timedelta(days=1), "its last mail is tried for a day too"
    march.move_to(tokyo)
    assert sorted(claimed(campaign, topic)) == ["bo", "cai"]


def test_a_start_some_minutes_late_puts_nobody_off_to_the_next_day(topic: Topic, march: Any) -> None:
    wall, begin = datetime(2026, 3, 3, 9, 0), datetime(2026, 3, 2, 19, tzinfo=UTC)  # where a day begins first
    with transaction():
        make.follower(topic, "kiri@example.org", time_zone="Pacific/Kiritimati")
        campaign = scheduling.create("Autumn", topic, "News", "markdown", "Hello")
        scheduling.schedule(campaign, timing.plan(wall, ""))
    march.move_to(begin + timedelta(minutes=59))
    with transaction():
        scheduling.start_due(clock.now())
        outbox.fill_range(campaign.id)
    assert due()["kiri"] is None


def test_what_would_be_too_late_the_next_day_leaves_now(app: Flask, topic: Topic) -> None:
    set_(app, quiet_hours=Hours.parse("17:00-20:00"))
    started(topic, datetime(2026, 3, 2, 8, 0), not_after=NOW + timedelta(hours=8))
    tokyo, new_york = datetime(2026, 3, 2, 11, tzinfo=UTC), datetime(2026, 3, 2, 13, tzinfo=UTC)
    assert due() == {"anna": None, "bo": tokyo, "cai": new_york, "dag": None, "eva": None}


def test_the_next_day_is_one_on_which_we_send(app: Flask, topic: Topic, march: Any) -> None:
    set_(app, sending_calendar=SendingCalendar.parse("mon-fri 08:00-18:00"))
    march.move_to(friday := datetime(2026, 3, 6, 9, tzinfo=UTC))
    started(topic, datetime(2026, 3, 6, 8, 0))
    monday = datetime(2026, 3, 9, 7, tzinfo=UTC)
    new_york = friday + timedelta(hours=4)
    # eight in the morning in Tokyo is midnight in Warsaw, when we never send
    assert due() == {"anna": monday, "bo": None, "cai": new_york, "dag": monday, "eva": monday}


def test_without_waves_and_quiet_hours_everything_is_due_at_once(topic: Topic) -> None:
    started(topic)
    assert set(due().values()) == {None}


def test_quiet_hours_are_those_where_the_contact_lives(app: Flask, topic: Topic) -> None:
    set_(app, quiet_hours=Hours.parse("17:00-08:00"))
    campaign = started(topic)
    assert due() == {
        "anna": None,
        "bo": datetime(2026, 3, 2, 23, 0, tzinfo=UTC),
        "cai": datetime(2026, 3, 2, 13, 0, tzinfo=UTC),
        "dag": None,
        "eva": None,
    }
    assert sorted(claimed(campaign, topic)) == ["anna", "dag", "eva"]


def test_who_is_still_quiet_at_the_last_moment_is_skipped_and_the_sum_closes(app: Flask, topic: Topic) -> None:
    set_(app, quiet_hours=Hours.parse("17:00-08:00"))
    campaign = started(topic, not_after=NOW + timedelta(hours=6))
    figures = queries.figures(campaign)
    assert (figures.queued, figures.skipped) == (4, {"quiet_hours_over": 1})  # bo in Tokyo
    assert "bo" not in due()


def test_a_wave_after_the_last_moment_is_too_late(topic: Topic) -> None:
    campaign = started(topic, datetime(2026, 3, 3, 9, 0), not_after=datetime(2026, 3, 3, 12, tzinfo=UTC))
    assert queries.figures(campaign).skipped == {"too_late": 1}  # cai in New York


def test_a_campaign_that_runs_into_quiet_hours_puts_the_rest_off_until_morning(
    app: Flask, topic: Topic, march: Any
) -> None:
    set_(app, quiet_hours=Hours.parse("21:00-08:00"))
    with transaction():
        more = [make.follower(topic, f"kei{n}@example.org", time_zone="Asia/Tokyo") for n in range(60)]
    campaign = started(topic)
    assert due()["kei0"] is None
    march.move_to(NOW + timedelta(hours=3))  # 21:00 in Tokyo, and 07:00 in New York
    awake = claimed(campaign, topic) + claimed(campaign, topic)  # a chunk each, in whatever order
    assert sorted(awake) == ["anna", "dag", "eva"]
    morning = datetime(2026, 3, 2, 23, tzinfo=UTC)
    asleep = [at for name, at in due().items() if name.startswith(("kei", "bo"))]
    assert asleep == [morning] * (len(more) + 1)  # also those beyond the chunk: one statement puts a zone off
    assert not closing.has_due(campaign)
    march.move_to(morning)
    assert len(claimed(campaign, topic)) == 50


def test_quiet_hours_that_end_after_the_last_moment_skip_at_the_claim_too(app: Flask, topic: Topic, march: Any) -> None:
    set_(app, quiet_hours=Hours.parse("21:00-08:00"))
    campaign = started(topic, not_after=NOW + timedelta(hours=8))
    march.move_to(NOW + timedelta(hours=3))
    claimed(campaign, topic)
    assert queries.figures(db.session.get_one(Campaign, campaign.id)).skipped == {"quiet_hours_over": 1}


def test_nothing_is_due_while_the_calendar_is_closed(app: Flask, topic: Topic, march: Any) -> None:
    set_(app, sending_calendar=SendingCalendar.parse("mon-fri 08:00-18:00"))
    campaign = started(topic)
    assert closing.has_due(campaign)
    march.move_to(NOW.replace(hour=17))  # 18:00 in Warsaw
    assert not closing.has_due(campaign)
    march.move_to(NOW.replace(day=3, hour=7))
    assert closing.has_due(campaign)


def test_a_cap_holds_over_all_campaigns_and_its_window_passes(app: Flask, topic: Topic, march: Any) -> None:
    set_(app, frequency_caps=((2, 7),))
    with transaction():
        other = make.topic("offers", "Offers")
        for contact in db.session.scalars(select(Contact)):
            _agree(contact, other)
    first, second, third = started(topic), started(other), started(topic)
    assert len(claimed(first, topic)) == len(claimed(second, other)) == 5
    assert claimed(third, topic) == []
    assert queries.figures(third).skipped == {"frequency_cap": 5}
    march.move_to(NOW + timedelta(days=7))
    assert len(claimed(started(topic), topic)) == 5


def rests(until: datetime, *names: str) -> None:
    with transaction():
        for contact in db.session.scalars(
            select(Contact).where(Contact.email.in_([f"{n}@example.org" for n in names]))
        ):
            ledger.pause(contact, "email_marketing", until, Evidence(source="link"))


def test_a_break_counts_when_the_mail_is_due_and_not_when_it_is_filled_in(topic: Topic, march: Any) -> None:
    rests(NOW + timedelta(hours=2), "bo", "cai")
    rests(NOW + timedelta(days=2), "anna")
    campaign = started(topic, datetime(2026, 3, 3, 9, 0))
    assert queries.figures(campaign).queued == 5
    march.move_to(datetime(2026, 3, 3, 14, tzinfo=UTC))
    assert sorted(claimed(campaign, topic)) == ["bo", "cai", "dag", "eva"]
    figures = queries.figures(db.session.get_one(Campaign, campaign.id))
    assert (figures.audience, figures.skipped) == (5, {"paused_by_contact": 1})


def test_whose_mail_does_not_wait_is_refused_for_a_break_at_once(app: Flask, topic: Topic) -> None:
    set_(app, quiet_hours=Hours.parse("17:00-08:00"))
    rests(NOW + timedelta(hours=2), "anna", "bo", "cai")
    campaign = started(topic, not_after=NOW + timedelta(hours=6))  # bo's morning comes after that
    assert queries.figures(campaign).skipped == {"paused_by_contact": 2}
    assert sorted(due()) == ["cai", "dag", "eva"]


def test_a_cap_counts_when_the_mail_is_due_too(app: Flask, topic: Topic, march: Any) -> None:
    set_(app, frequency_caps=((1, 1),))
    assert len(claimed(started(topic), topic)) == 5
    campaign = started(topic, datetime(2026, 3, 3, 9, 0))
    assert queries.figures(campaign).queued == 5
    march.move_to(datetime(2026, 3, 3, 0, tzinfo=UTC))
    assert claimed(campaign, topic) == []
    march.move_to(datetime(2026, 3, 3, 14, tzinfo=UTC))
    assert sorted(claimed(campaign, topic)) == ["anna", "cai", "dag", "eva"]
    assert queries.figures(db.session.get_one(Campaign, campaign.id)).skipped == {"frequency_cap": 1}


def test_the_same_mail_may_be_tried_again_whatever_the_cap(app: Flask, topic: Topic) -> None:
    set_(app, frequency_caps=((1, 7),))
    campaign = started(topic)
    claimed(campaign, topic)
    contacts = [row.id for row in db.session.scalars(select(Contact))]
    assert all(one.allowed for one in eligibility.verdicts(topic, contacts, NOW, campaign.id).values())
    assert {one.reason for one in eligibility.verdicts(topic, contacts, NOW, campaign.id + 1).values()} == {
        Reason.frequency_cap
    }


def test_two_campaigns_at_once_cannot_both_be_the_last_one_allowed(app: Flask, topic: Topic) -> None:
    set_(app, frequency_caps=((1, 7),))
    pair = [started(topic), started(topic)]
    numbers, taken, gate = [one.id for one in pair], [], threading.Barrier(2)
    topic_id = topic.id
    db.session.rollback()

    def claim(number: int) -> None:
        with app.app_context():
            gate.wait()
            taken.extend(claimed(db.session.get_one(Campaign, number), db.session.get_one(Topic, topic_id)))
            db.session.remove()

    threads = [threading.Thread(target=claim, args=[number]) for number in numbers]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(taken) == sorted(ZONES)  # each once


def test_what_no_cap_looks_back_to_is_deleted(app: Flask, topic: Topic, march: Any) -> None:
    set_(app, frequency_caps=((1, 7),))
    claimed(started(topic), topic)
    with transaction():
        assert caps.tidy() == 0
    march.move_to(NOW + timedelta(days=8))
    with transaction():
        assert caps.tidy() == 5
    assert db.session.scalars(select(Mailing)).all() == []


def test_without_a_cap_nothing_is_noted(topic: Topic) -> None:
    claimed(started(topic), topic)
    assert db.session.scalars(select(Mailing)).all() == []


def test_a_filling_by_ranges_gives_each_zone_its_time(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "RANGE", 2)
    campaign = started(topic, datetime(2026, 3, 3, 9, 0))
    with transaction():
        while outbox.fill_range(campaign.id):
            pass
    assert len(due()) == 5 and None not in due().values()
    assert campaign.state is CampaignState.sending


def _agree(contact: Contact, topic: Topic) -> None:
    ledger.grant(contact, topic, LegalBasis.consent, Evidence(source="form", source_ref="test"))


def test_quiet_hours_end_by_the_clock_there_in_the_night_the_clocks_change(
    app: Flask, topic: Topic, march: Any
) -> None:  # S94, T2
    march.move_to(datetime(2026, 3, 28, 21, 0, tzinfo=UTC))  # Warsaw 22:00, an hour is left out at 02:00; Tokyo 06:00
    set_(app, quiet_hours=Hours.parse("21:00-08:00"))
    campaign = started(topic)
    warsaw, tokyo = datetime(2026, 3, 29, 6, 0, tzinfo=UTC), datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    assert due() == {"anna": warsaw, "bo": tokyo, "cai": None, "dag": warsaw, "eva": warsaw}
    assert claimed(campaign, topic) == ["cai"]
    march.move_to(warsaw - timedelta(seconds=1))  # 07:59:59 in Warsaw
    assert claimed(campaign, topic) == ["bo"]
    march.move_to(warsaw)
    assert sorted(claimed(campaign, topic)) == ["anna", "dag", "eva"]


def test_in_autumn_the_morning_comes_an_hour_later(app: Flask, topic: Topic, march: Any) -> None:  # S94, T3
    march.move_to(datetime(2026, 10, 24, 20, 0, tzinfo=UTC))  # Warsaw 22:00; 02:00 comes twice
    set_(app, quiet_hours=Hours.parse("21:00-08:00"))
    started(topic)
    assert due()["anna"] == datetime(2026, 10, 25, 7, 0, tzinfo=UTC)


def test_a_cap_counts_whole_days_over_a_change_of_the_clocks(app: Flask, topic: Topic, march: Any) -> None:  # S94
    begin = datetime(2026, 3, 28, 9, 0, tzinfo=UTC)
    march.move_to(begin)
    set_(app, frequency_caps=((1, 1),))
    assert len(claimed(started(topic), topic)) == 5
    march.move_to(begin + timedelta(hours=23, minutes=59))  # by the clock on the wall in Warsaw that is a day and more
    assert claimed(started(topic), topic) == []
    march.move_to(begin + timedelta(hours=24))
    assert len(claimed(started(topic), topic)) == 5
