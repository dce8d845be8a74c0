"""Pause and cancel while messages leave: at most the one on each connection still goes, and the sums close."""

import threading

import pytest
from flask import Flask

from preference_center.campaigns import queries as campaigns
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.db import db, transaction
from preference_center.delivery import queries, sending, sweeping
from tests.support.campaigns import filled
from tests.support.relay import FakeRelay

PEOPLE = 300
CONNECTIONS = 4

pytestmark = [pytest.mark.both_databases, pytest.mark.relay(reply_delay=0.01, relay_connections=CONNECTIONS)]


def _started() -> int:
    return filled(f"person{number}@example.org" for number in range(PEOPLE)).id


def _stop_after(app: Flask, relay: FakeRelay, campaign_id: int, verb: str) -> int:
    """Send in a thread, apply the verb in the middle; how many had been taken when its commit was acknowledged."""

    def send() -> None:
        with app.app_context():
            sending.run(campaign_id, seconds=30)

    thread = threading.Thread(target=send)
    thread.start()
    relay.wait_for(40)
    with transaction():
        getattr(scheduling, verb)(campaigns.lock(campaign_id))
    taken = len(relay.messages)
    thread.join(timeout=30)
    return taken


def test_after_a_pause_at_most_one_message_a_connection_leaves(app: Flask, relay: FakeRelay) -> None:  # P5
    campaign_id = _started()
    taken = _stop_after(app, relay, campaign_id, "pause")
    db.session.rollback()
    campaign = db.session.get_one(Campaign, campaign_id)
    figures = queries.figures(campaign)
    # the look at the campaign's state is 20 ms old at most: two rounds of replies at this relay's pace
    assert len(relay.messages) - taken <= 3 * CONNECTIONS
    assert (figures.sent, figures.queued, figures.sending) == (len(relay.messages), PEOPLE - len(relay.messages), 0)
    with transaction():
        scheduling.resume(campaigns.lock(campaign_id))
    sending.run(campaign_id, seconds=30)
    assert queries.figures(campaign).sent == PEOPLE == len(relay.messages)
    assert campaign.state is CampaignState.sent
    assert max(relay.copies().values()) == 1


def test_a_cancelled_campaign_closes_what_had_not_left(app: Flask, relay: FakeRelay) -> None:  # C10
    campaign_id = _started()
    _stop_after(app, relay, campaign_id, "cancel")
    with transaction():
        sweeping.tend(campaign_id)
    figures = queries.figures(db.session.get_one(Campaign, campaign_id))
    assert figures.sent == len(relay.messages) < PEOPLE
    assert figures.skipped == {"cancelled": PEOPLE - figures.sent}
    assert figures.audience == PEOPLE
