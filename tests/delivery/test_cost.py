"""What a chunk costs the database: counted in statements, as time tells nothing on a busy machine."""

import pytest
from flask import Flask
from sqlalchemy import select

from preference_center import clock
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.db import db, transaction
from preference_center.delivery import chunks, sending
from preference_center.delivery.chunks import Ending
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.topics.models import Topic
from tests.support import make, statements


def _claimed_and_stored(campaign: Campaign, topic: Topic, run: Run, size: int) -> list[str]:
    with statements.heard() as said, transaction():
        taken = chunks.claim(run, campaign, topic, size)
        chunks.store(run, [Ending(one, MessageState.sent) for one in taken.ids])
    assert len(taken) == size
    return said


def test_a_larger_chunk_costs_no_more_statements(app: Flask) -> None:
    now = clock.now()
    with transaction():
        topic = make.topic()
        campaign = Campaign(
            name="Autumn", topic_id=topic.id, state=CampaignState.sending, created_at=now, updated_at=now
        )
        run = Run(campaign_id=1, host="here", journal="1.journal", started_at=now, lease_until=now)
        db.session.add_all([campaign, run])
        db.session.flush()
        for number in range(60):
            person = make.follower(topic, f"person{number}@example.org")
            db.session.add(Message(campaign_id=campaign.id, contact_id=person.id, record_id=number + 1, changed_at=now))
    with transaction():
        for one in (campaign, topic, run):
            db.session.refresh(one)
            db.session.expunge(one)
    _claimed_and_stored(campaign, topic, run, 1)  # what is asked once
    few = _claimed_and_stored(campaign, topic, run, 2)
    many = _claimed_and_stored(campaign, topic, run, 50)
    assert few == many
    assert len(many) <= 10
    assert db.session.scalars(select(Message.state).distinct()).all().count(MessageState.sent) == 1


@pytest.mark.parametrize(
    ("left", "taken"),
    [(1_000_000, 1000), (4000, 1000), (2000, 500), (90, 100), (1, 100), (0, 1000), (-7, 1000)],
)
def test_chunks_grow_smaller_towards_the_end_so_that_workers_end_together(left: int, taken: int) -> None:
    assert sending._share(1000, left) == taken
