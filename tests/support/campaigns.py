"""Campaigns for tests, as far along as a test wants them: written, under way, filled."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import update

from preference_center import clock
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign
from preference_center.db import db, transaction
from preference_center.delivery import outbox, sending
from preference_center.delivery.models import Message, MessageState
from tests.support import make


def filled(addresses: Iterable[str], source: str = "Hello.", **more: Any) -> Campaign:
    """A campaign to new followers of a new topic: under way and filled, nothing of it sent."""
    with transaction():
        topic = make.topic()
        for address in addresses:
            make.follower(topic, address)
        campaign = scheduling.create("Autumn", topic, "Hello", "markdown", source, **more)
    fill(campaign)
    return campaign


def fill(campaign: Campaign) -> None:
    """Let a draft go and fill its outbox."""
    with transaction():
        scheduling.schedule(campaign, clock.now())
    with transaction():
        scheduling.start_due(clock.now())
    more = True
    while more:
        with transaction():
            more = outbox.fill_range(campaign.id)


def send_what_waits(campaign: Campaign) -> None:
    """As if the wait of whatever waits were over."""
    with transaction():
        waiting = update(Message).where(Message.state == MessageState.queued)
        db.session.execute(waiting.values(next_try_at=clock.now() - timedelta(seconds=1)))
    sending.run(campaign.id, seconds=20)
