"""A worker is killed with `kill -9` in the middle of a campaign, three times: nobody lost, nobody mailed twice, sums close."""

import time
from collections import Counter

import pytest
from flask import Flask
from sqlalchemy import select

from preference_center import clock, jobs
from preference_center.campaigns import queries as campaigns
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import CampaignState, ContentFormat
from preference_center.config import Settings
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import queries
from preference_center.delivery.models import Message, MessageState
from tests.support import make
from tests.support.house import House, house

PEOPLE = 400
KILL_AFTER = (60, 150, 260)  # accepted messages
CONNECTIONS = 4

pytestmark = [pytest.mark.both_databases, pytest.mark.processes]


def test_a_campaign_survives_three_kills_of_its_worker(app: Flask, settings: Settings) -> None:
    # K5, K6, K8, K13, S84, P1, P2, P6
    with house(settings, "--hold", "30:1.0", "--reply-delay", "0.002") as own, own.app.app_context():
        campaign_id = _campaign(own)
        kills = 0
        own.start_worker()
        deadline = time.monotonic() + 120
        while not _done(campaign_id):
            assert time.monotonic() < deadline, "the campaign did not end"
            if kills < len(KILL_AFTER) and len(own.accepted()) >= KILL_AFTER[kills]:
                own.kill("worker")
                own.start_worker()
                kills += 1
            own.app.extensions["bell"].ring(jobs.SWEEP, ())
            time.sleep(0.25)
        _judge(own, campaign_id, kills)


def _campaign(own: House) -> int:
    with transaction():
        topic = make.topic()
        for number in range(PEOPLE):
            make.follower(topic, f"person{number}@example.org")
        stranger = make.contact("stranger@example.org")
        campaign = scheduling.create("Kills", topic, "Hello", ContentFormat.markdown, "Hello, and more to read.")
    with transaction():
        scheduling.schedule(campaign, clock.now())
    with transaction():
        scheduling.start_due(clock.now())
    assert stranger.id
    return campaign.id


def _done(campaign_id: int) -> bool:
    db.session.rollback()
    campaign = db.session.get_one(campaigns.Campaign, campaign_id)
    figures = queries.figures(campaign)
    assert figures.audience in (0, PEOPLE + 1), "the sums must close at every moment"
    return campaign.state is CampaignState.sent


def _judge(own: House, campaign_id: int, kills: int) -> None:
    campaign = db.session.get_one(campaigns.Campaign, campaign_id)
    figures = queries.figures(campaign)
    copies = Counter(line["recipient"] for line in own.accepted())
    doubtful = set(
        db.session.scalars(
            select(Contact.email)
            .join(Message, Message.contact_id == Contact.id)
            .where(Message.state == MessageState.uncertain)
        )
    )
    sent = set(
        db.session.scalars(
            select(Contact.email)
            .join(Message, Message.contact_id == Contact.id)
            .where(Message.state == MessageState.sent)
        )
    )
    print(
        f"kills {kills}, accepted {len(copies)}, uncertain {len(doubtful)}, copies {sum(copies.values()) - len(copies)}"
    )
    assert kills == len(KILL_AFTER)
    assert max(copies.values()) == 1, "somebody was mailed twice"
    assert sent | doubtful == {f"person{number}@example.org" for number in range(PEOPLE)}, "somebody was lost"
    assert sent <= set(copies), "a message counts as sent that the relay never took"
    assert len(doubtful) <= kills * CONNECTIONS
    assert figures.skipped == {"no_consent": 1}
    assert figures.audience == figures.sent + figures.uncertain + 1 == PEOPLE + 1
    _only_unanswered_dots_are_doubtful(own, doubtful)


def _only_unanswered_dots_are_doubtful(own: House, doubtful: set[str]) -> None:
    """The dot is journalled just before it leaves, so the relay may not have seen it, but it had taken the recipient."""
    begun = {line.get("recipient") for line in own.relay_history() if line["event"] == "rcpt"}
    assert doubtful - begun == set()
