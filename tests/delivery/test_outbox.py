"""How a campaign's outbox is filled."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, insert, select

from preference_center import clock
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import CampaignState
from preference_center.consent import ledger
from preference_center.consent.eligibility import Reason
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import State, Subscription
from preference_center.contacts.models import Contact
from preference_center.db import db, new_public_ids, transaction
from preference_center.delivery import chunks, outbox, queries
from preference_center.delivery.models import Message, MessageState
from preference_center.delivery.results import reach
from preference_center.errors import Conflict
from preference_center.topics.purposes import LegalBasis
from tests.support import make
from tests.support.bell import WrittenBell
from tests.support.campaigns import fill

PEOPLE = 2_000


@pytest.mark.both_databases
def test_whoever_was_not_gathered_when_it_was_cancelled_is_told_of_and_can_get_it_once_more(
    app: Flask, bell: WrittenBell, monkeypatch: pytest.MonkeyPatch
) -> None:  # P1, S83
    monkeypatch.setattr(outbox, "RANGE", 2)
    with transaction():
        topic = make.topic()
        people = [make.follower(topic, f"p{number}@example.org") for number in range(4)]
        ledger.withdraw(people[3], topic, Evidence(source="one_click"))
        campaign = scheduling.create("Spring", topic, "Hello", "markdown", "Hello.\n")
        scheduling.schedule(campaign, clock.now())
    with transaction():
        scheduling.start_due(clock.now())
    with transaction():
        assert outbox.fill_range(campaign.id)
    with transaction():
        scheduling.cancel(campaign)
        chunks.close_waiting(campaign.id, Reason.cancelled)
    with pytest.raises(Conflict, match="still being gathered"):
        reach.resend(campaign, ["cancelled"])
    bell.rung.clear()
    with transaction():
        assert not outbox.fill_range(campaign.id)
    assert bell.rung == []
    assert campaign.state is CampaignState.cancelled and campaign.filled_at is not None
    assert queries.figures(campaign).skipped == reach.missed(campaign) == {"cancelled": 3, "withdrawn": 1}
    with transaction():
        again = reach.resend(campaign, ["cancelled"])
    fill(again)
    assert queries.figures(again).queued == 3


@pytest.mark.both_databases
def test_a_campaign_whose_rule_cannot_be_asked_waits_for_a_person_and_says_why(app: Flask, bell: WrittenBell) -> None:
    with transaction():
        topic = make.topic()
        make.follower(topic)
        campaign = scheduling.create("Spring", topic, "Hello", "markdown", "Hello.\n", segment="language = en")
        scheduling.schedule(campaign, clock.now())
        campaign.frozen_segment = "everyone"
    with transaction():
        scheduling.start_due(clock.now())
    for _ in range(2):
        with transaction():
            assert not outbox.fill_range(campaign.id)
        assert campaign.state is CampaignState.paused
        assert campaign.pause_reason and "was altered" in campaign.pause_reason
        with transaction():
            scheduling.resume(campaign)
    with transaction():
        scheduling.cancel(campaign)
    with transaction():
        assert not outbox.fill_range(campaign.id)
    assert campaign.filled_at is not None and queries.figures(campaign).audience == 0


@pytest.mark.both_databases
def test_what_is_cancelled_before_its_time_is_for_nobody(app: Flask) -> None:
    with transaction():
        topic = make.topic()
        make.follower(topic)
        campaign = scheduling.create("Spring", topic, "Hello", "markdown", "Hello.\n")
        scheduling.schedule(campaign, clock.now() + timedelta(days=1))
        scheduling.cancel(campaign)
    with transaction():
        assert not outbox.fill_range(campaign.id)
    assert queries.figures(campaign).audience == 0 and reach.missed(campaign) == {}


@pytest.mark.only_postgresql
def test_people_who_came_a_moment_ago_are_not_looked_for_one_by_one(app: Flask) -> None:
    """The database has not counted them yet. A nested loop over two tables of 50,000 took minutes, and a pause had to wait for it."""
    now = clock.now()
    with transaction():
        topic = make.topic()
        dated = {"created_at": now, "updated_at": now, "jurisdiction": "PL", "jurisdiction_source": "import"}
        ids = range(1, PEOPLE + 1)
        names = new_public_ids(PEOPLE)
        people = [
            {"id": one, "public_id": name, "email": f"p{one}@example.org", "address_hash": one.to_bytes(16, "big")}
            for one, name in zip(ids, names, strict=True)
        ]
        db.session.execute(insert(Contact), [person | dated for person in people])
        follows = {"topic_id": topic.id, "state": State.given, "legal_basis": LegalBasis.double_opt_in}
        db.session.execute(insert(Subscription), [follows | {"contact_id": one, "record_id": one} for one in ids])
        campaign = scheduling.create("Spring", topic, "Hello", "markdown", "Hello.\n")
        scheduling.schedule(campaign, now)
        scheduling.start_due(now)
        db.session.flush()
        plans: list[str] = []

        def explain(_connection: Any, cursor: Any, statement: str, given: Any, *_rest: Any) -> None:
            if statement.startswith("INSERT INTO messages"):
                cursor.execute(f"EXPLAIN {statement}", given)
                plans.append("\n".join(line for (line,) in cursor.fetchall()))

        event.listen(db.engine, "before_cursor_execute", explain)
        try:
            assert not outbox.fill_range(campaign.id)
        finally:
            event.remove(db.engine, "before_cursor_execute", explain)
        queued = select(func.count()).where(Message.state == MessageState.queued)
        assert db.session.scalar(queued) == PEOPLE
    (plan,) = plans
    assert "subscriptions" in plan
    assert "Nested Loop" not in plan
