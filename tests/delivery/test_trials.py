"""Experiments: who tries what, what the rest waits for, who wins, and that the figures close all the while."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, update

from preference_center import clock, config, jobs
from preference_center.campaigns import copying, experiments, queries, scheduling, templates, timing
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.campaigns.rendering import following
from preference_center.consent import ledger, tracking
from preference_center.consent.eligibility import Reason
from preference_center.consent.ledger import Evidence
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import chunks, closing, outbox
from preference_center.delivery import queries as figures
from preference_center.delivery.claimed import Claimed
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.delivery.results import tracking as ways
from preference_center.delivery.results import trials
from preference_center.delivery.results.trials import Score
from preference_center.errors import Conflict, Invalid
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from preference_center.wall_clock import Hours
from tests.support import make
from tests.support.bell import WrittenBell

pytestmark = pytest.mark.both_databases
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PEOPLE = 24
TRY = {
    "share": 50,
    "metric": "delivered",
    "wait_minutes": 60,
    "variants": [{"subject": "Other"}, {"source": "# Other"}],
}


@pytest.fixture
def march() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as now:
        yield now


@pytest.fixture
def nobody(march: Any, app: Flask) -> Topic:
    with transaction():
        return make.topic()


@pytest.fixture
def topic(march: Any, app: Flask) -> Topic:
    with transaction():
        topic = make.topic()
        for n in range(PEOPLE):
            make.follower(topic, f"p{n}@example.org", time_zone="Asia/Tokyo" if n % 2 else None)
    return topic


def started(topic: Topic, not_after: datetime | None = None, plan: timing.Plan | None = None, **more: Any) -> Campaign:
    with transaction():
        campaign = scheduling.create("Try", topic, "First", "markdown", "Hello", experiment=TRY | more)
        scheduling.schedule(campaign, plan or clock.now(), not_after=not_after)
    with transaction():
        scheduling.start_due(clock.now())
        outbox.fill_range(campaign.id)
    return campaign


def claimed(campaign: Campaign, topic: Topic) -> list[Claimed]:
    now = clock.now()
    with transaction():
        run = Run(campaign_id=campaign.id, host="here", journal="1.journal", started_at=now, lease_until=now)
        db.session.add(run)
        db.session.flush()
        fresh = db.session.get_one(Campaign, campaign.id)
        return trials.with_contents(fresh, chunks.claim(run, fresh, topic, 100)).messages()


def ended(campaign: Campaign, variant: int, state: MessageState, most: int = 1000) -> None:
    with transaction():
        some = select(Message.id).where(Message.campaign_id == campaign.id, Message.variant == variant)
        ids = list(db.session.scalars(some.where(Message.state == MessageState.sending).limit(most)))
        db.session.execute(update(Message).where(Message.id.in_(ids)).values(state=state))


def look(campaign: Campaign) -> None:
    with transaction():
        trials.look(campaign.id, clock.now())


def test_the_share_tries_and_the_rest_waits_and_the_sum_closes(topic: Topic) -> None:
    campaign = started(topic)
    tries = Counter(db.session.scalars(select(Message.variant)))
    assert set(tries) == {None, 0, 1, 2} and 3 <= tries[None] <= 21
    assert figures.figures(campaign).audience == figures.figures(campaign).queued == PEOPLE
    assert len(claimed(campaign, topic)) == PEOPLE - tries[None]
    assert not closing.has_due(campaign)
    with transaction():
        assert not closing.finish_if_done(queries.lock(campaign.id))
    assert figures.figures(campaign).audience == PEOPLE


def test_whoever_fills_the_outbox_gives_everybody_the_same_content(topic: Topic) -> None:
    campaign = started(topic)
    version = queries.version(campaign)
    for row in db.session.execute(select(Message.contact_id, Message.variant)):
        assert row.variant == experiments.assigned(version, row.contact_id)


def test_the_draw_is_even_and_differs_from_campaign_to_campaign(nobody: Topic) -> None:
    version = queries.version(started(nobody, share=90))
    drawn = Counter(experiments.assigned(version, number) for number in range(20_000))
    assert 1_750 < drawn[None] < 2_250
    assert max(drawn[n] for n in range(3)) - min(drawn[n] for n in range(3)) < 500
    other = queries.version(started(nobody, share=90))
    same = sum(experiments.assigned(version, n) == experiments.assigned(other, n) for n in range(1_000))
    assert same < 450


def test_the_winner_goes_to_the_rest_once_the_wait_is_over(topic: Topic, march: Any, bell: WrittenBell) -> None:
    campaign = started(topic)
    look(campaign)
    assert campaign.decide_at == trials.NEVER, "the wait begins when all who try it have it"
    trying = claimed(campaign, topic)
    assert {one.variant for one in trying} == {0, 1, 2}
    for variant, state in ((0, MessageState.sent), (1, MessageState.delivered), (2, MessageState.sent)):
        ended(campaign, variant, state)
    look(campaign)
    assert campaign.decide_at == NOW + timedelta(hours=1) and campaign.winner is None
    march.move_to(NOW + timedelta(minutes=59))
    look(campaign)
    assert campaign.winner is None and claimed(campaign, topic) == []
    march.move_to(NOW + timedelta(hours=1))
    bell.rung.clear()
    look(campaign)
    assert campaign.winner == 1 and bell.rung == [(jobs.DELIVER.path, (campaign.id,))]
    rest = claimed(campaign, topic)
    assert len(rest) == PEOPLE - len(trying) and {one.variant for one in rest} == {1}
    assert figures.figures(campaign).audience == PEOPLE
    assert [one.people for one in trials.scores(campaign)] == [sum(t.variant == n for t in trying) for n in range(3)]


def test_a_mailbox_that_is_full_keeps_nobody_from_their_mail(topic: Topic, march: Any) -> None:
    campaign = started(topic)
    full, *others = claimed(campaign, topic)
    run = db.session.scalars(select(Run)).one()
    later = NOW + timedelta(minutes=1)
    endings = [chunks.Ending(one.id, MessageState.sent) for one in others[1:]]
    with transaction():
        chunks.store(run, [*endings, chunks.Ending(full.id, MessageState.queued, "deferred", 450, "full", later)])
    look(campaign)
    assert campaign.decide_at == trials.NEVER, "one is still under way"
    with transaction():
        chunks.store(run, [chunks.Ending(others[0].id, MessageState.queued, "deferred", 450, "full", later)])
    look(campaign)
    assert campaign.decide_at == NOW + timedelta(hours=1)
    march.move_to(campaign.decide_at)
    look(campaign)
    assert campaign.winner is not None and len(claimed(campaign, topic)) == PEOPLE - len(others) + 1


@pytest.mark.parametrize(
    ("hours", "until"),
    [
        (None, timedelta(hours=12)),  # a day to try, of which half is left
        (24, timedelta(hours=11.5)),
        (3, timedelta(hours=1)),
        (61 / 60, timedelta()),  # so little is left that the wait is cut by a quarter of it
    ],
)
def test_a_slow_trial_ends_early_enough_for_the_rest(
    topic: Topic, march: Any, hours: float | None, until: timedelta
) -> None:
    campaign = started(topic, not_after=hours and NOW + timedelta(hours=hours))
    march.move_to(NOW + until - timedelta(seconds=1))
    if until:
        look(campaign)
        assert campaign.decide_at == trials.NEVER
    march.move_to(NOW + until)
    look(campaign)
    chosen_at = NOW + (until + timedelta(hours=1) if until else timedelta(minutes=61) * 0.75)
    assert campaign.decide_at == chosen_at < campaign.gives_up_at() - timedelta(minutes=15)
    march.move_to(chosen_at)
    look(campaign)
    assert campaign.winner == 0 and len(claimed(campaign, topic)) == PEOPLE


def test_what_is_too_late_is_not_who_waits_for_the_winner(topic: Topic, march: Any) -> None:
    campaign = started(topic)
    trying = db.session.scalar(select(func.count()).where(Message.variant.is_not(None)))
    march.move_to(NOW + timedelta(days=1))  # no clock rang all day, so nobody looked
    with transaction():
        assert chunks.close_waiting(campaign.id, Reason.too_late) == trying
        assert not closing.finish_if_done(queries.lock(campaign.id))
    look(campaign)
    march.move_to(NOW + timedelta(days=1, hours=1))
    look(campaign)
    assert campaign.winner is not None and len(claimed(campaign, topic)) == PEOPLE - (trying or 0)


def test_a_break_that_is_over_when_the_winner_comes_keeps_nobody_from_it(topic: Topic, march: Any) -> None:
    with transaction():
        for contact in db.session.scalars(select(Contact)):
            ledger.pause(contact, "email_marketing", NOW + timedelta(minutes=30), Evidence(source="link"))
    campaign = started(topic)
    waits = Counter(db.session.scalars(select(Message.variant)))[None]
    assert figures.figures(campaign).queued == PEOPLE
    assert claimed(campaign, topic) == []
    assert figures.figures(campaign).skipped == {"paused_by_contact": PEOPLE - waits}
    look(campaign)
    march.shift(timedelta(hours=1))
    look(campaign)
    assert len(claimed(campaign, topic)) == waits > 0
    assert figures.figures(campaign).audience == PEOPLE


def test_a_person_picks_once(topic: Topic) -> None:
    campaign = started(topic, metric="person")
    claimed(campaign, topic)
    for variant in range(3):
        ended(campaign, variant, MessageState.sent)
    look(campaign)
    for wrong in (-1, 3):
        with pytest.raises(Invalid), transaction():
            trials.pick(campaign, wrong)
    with transaction():
        trials.pick(campaign, 2)
    with pytest.raises(Conflict), transaction():
        trials.pick(campaign, 1)
    assert {one.variant for one in claimed(campaign, topic)} == {2}


def test_where_nobody_picks_the_rest_is_closed_as_too_late(topic: Topic, march: Any) -> None:
    campaign = started(topic, metric="person")
    claimed(campaign, topic)
    for variant in range(3):
        ended(campaign, variant, MessageState.sent)
    look(campaign)
    march.move_to(NOW + timedelta(days=8))
    look(campaign)
    assert figures.figures(campaign).queued > 0
    march.move_to(NOW + timedelta(days=9))
    look(campaign)
    assert set(figures.figures(campaign).skipped) == {"too_late"} and figures.figures(campaign).audience == PEOPLE


def test_a_cancel_closes_those_who_wait_too(topic: Topic) -> None:
    campaign = started(topic)
    with transaction():
        scheduling.cancel(campaign)
        chunks.close_waiting(campaign.id, "cancelled")  # type: ignore[arg-type]
    assert figures.figures(campaign).skipped == {"cancelled": PEOPLE}
    look(campaign)
    assert campaign.winner is None


def test_the_winner_waits_for_quiet_hours_like_any_mail(app: Flask, topic: Topic) -> None:
    app.extensions["settings"] = config.with_(app.extensions["settings"], quiet_hours=Hours.parse("20:00-08:00"))
    campaign = started(topic)
    claimed(campaign, topic)
    for variant in range(3):
        ended(campaign, variant, MessageState.sent)
    look(campaign)
    with transaction():  # 20:01 in Tokyo, by the clock that all share, whatever the one here says
        trials.look(campaign.id, NOW + timedelta(hours=2, minutes=1))
    rows = db.session.execute(
        select(Contact.time_zone, Message.next_try_at)
        .join(Message, Message.contact_id == Contact.id)
        .where(Message.variant.is_(None))
    )
    morning = datetime(2026, 3, 2, 23, tzinfo=UTC)
    assert {(zone, at) for zone, at in rows} == {("Asia/Tokyo", morning), (None, None)}


@pytest.mark.parametrize(("hours", "tokyo"), [(None, datetime(2026, 3, 3, 1, tzinfo=UTC)), (14, None)])
def test_the_winner_comes_at_their_hour_too(
    topic: Topic, march: Any, hours: int | None, tokyo: datetime | None
) -> None:
    last = hours and NOW + timedelta(hours=hours)
    campaign = started(topic, plan=timing.plan(datetime(2026, 3, 2, 10, 0), ""), not_after=last)
    march.move_to(NOW + timedelta(hours=3))  # 12:00 here, 21:00 in Tokyo
    with transaction():
        trials.pick(campaign, 1)
    rows = db.session.execute(
        select(Contact.time_zone, Message.next_try_at)
        .join(Message, Message.contact_id == Contact.id)
        .where(Message.variant.is_(None))
    )
    here = tokyo and datetime(2026, 3, 3, 10, tzinfo=UTC)
    assert {(zone, at) for zone, at in rows} == {("Asia/Tokyo", tokyo), (None, here)}
    assert campaign.gives_up_at() == (last or datetime(2026, 3, 4, 10, tzinfo=UTC))


@pytest.mark.parametrize(
    ("scores", "metric", "winner"),
    [
        ([(10, 5, 0, 0), (10, 6, 0, 0)], "delivered", 1),
        ([(10, 5, 0, 2), (20, 6, 0, 3)], "clicked", 0),
        ([(10, 5, 1, 0), (10, 5, 1, 0)], "opened", 0),
        ([(0, 0, 0, 0), (0, 0, 0, 0)], "clicked", 0),
    ],
)
def test_the_highest_share_wins_and_of_equal_ones_the_first(
    scores: list[tuple[int, int, int, int]], metric: str, winner: int
) -> None:
    found = [
        Score(n, handed, handed, delivered, opened, clicked)
        for n, (handed, delivered, opened, clicked) in enumerate(scores)
    ]
    assert trials.best(found, metric) == winner


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 0}, {"share": 91}, {"share": True}, {"metric": "luck"}, {"wait_minutes": 0}, {"wait_minutes": 20_000},
        {"variants": []}, {"variants": [{"subject": "x"}] * 4}, {"variants": [{"subject": "First"}]},
        {"variants": [{"source": "{{ nobody }}"}]}, {"variants": [{"segment": "x"}]},
    ],
)  # fmt: skip
def test_an_experiment_that_cannot_be_is_refused(nobody: Topic, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        started(nobody, **wrong)
    assert set(refused.value.faults) == {"experiment"}


def test_the_variants_are_part_of_what_is_approved(nobody: Topic) -> None:  # P7
    campaign = started(nobody)
    version = queries.version(campaign)
    assert experiments.content_of(version, 1).subject == "Other" and experiments.content_of(version, 1).is_intact()
    assert experiments.content_of(version, 0) is version
    changed = {**version.experiment, "share": 90}
    with transaction():
        version.experiment = changed
    assert not version.is_intact()
    assert campaign.state is CampaignState.sending


def test_a_click_in_a_tried_content_leads_where_it_says_and_counts_for_it(topic: Topic) -> None:
    other = {"source": "Other, with [a link](https://shop.example.com/other)"}
    campaign = started(topic, metric="clicked", variants=[other])
    with transaction():
        tracking.offer()
        switch = tracking.topic()
        assert switch is not None
        one = db.session.scalars(select(Message).where(Message.variant == 1).order_by(Message.id)).first()
        assert one is not None
        reader = db.session.get_one(Contact, one.contact_id)
        ledger.grant(reader, switch, LegalBasis.consent, Evidence("link", language="en"))
    claimed(campaign, topic)
    ended(campaign, 0, MessageState.sent)
    ended(campaign, 1, MessageState.sent)
    with transaction():
        (name,) = ways.names({one.id: one.contact_id}, clock.now()).values()
    with transaction():
        ways.clicked(name, "https://shop.example.com/other", "Mozilla/5.0")
    assert ways.target(name, following.name("https://shop.example.com/other")) == "https://shop.example.com/other"
    assert [(score.letter, score.clicked) for score in trials.scores(campaign)] == [("A", 0), ("B", 1)]
    assert trials.best(trials.scores(campaign), "clicked") == 1


def test_what_is_made_of_an_experiment_says_what_won_and_without_a_winner_tries_again(nobody: Topic) -> None:
    tries = TRY | {"variants": [{"subject": "Other", "source": "# Better"}]}
    with transaction():
        campaign = scheduling.create("Try", nobody, "First", "markdown", "Hello", experiment=tries)
        again = queries.version(copying.duplicate(campaign))
        campaign.approved_version, campaign.state, campaign.winner = 1, CampaignState.sent, 1
        later = queries.version(copying.duplicate(campaign))
        kept = templates.version(templates.keep(campaign))
    assert (again.subject, again.source) == ("First", "Hello")
    assert again.experiment == queries.version(campaign).experiment != {}
    assert (later.subject, later.source, later.experiment) == ("Other", "# Better", {})
    assert (kept.subject, kept.source) == ("Other", "# Better")
