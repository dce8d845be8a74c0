"""Campaigns through the sender and a relay: an experiment to its end, mail with its browser link, a changed sender, a closed calendar."""

import re
from collections import Counter
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from preference_center import clock, config
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.db import db, transaction
from preference_center.delivery import queries, sending
from preference_center.delivery.models import Message
from preference_center.delivery.results import trials
from preference_center.wall_clock import SendingCalendar
from tests.support import campaigns
from tests.support.relay import FakeRelay

pytestmark = [pytest.mark.both_databases, pytest.mark.relay]
PEOPLE = 20
TRY = {"share": 50, "metric": "person", "wait_minutes": 60, "variants": [{"subject": "Other"}]}


def filled(source: str = "Hello", **more: object) -> Campaign:
    return campaigns.filled([f"p{n}@example.org" for n in range(PEOPLE)], source, **more)


def subjects(relay: FakeRelay) -> Counter[str]:
    found = (re.search(r"^Subject: (.*?)\r$", message.data.decode(), re.M) for message in relay.messages)
    return Counter(one[1] for one in found if one)


def test_an_experiment_mails_each_person_once_and_the_winner_to_the_rest(app: Flask, relay: FakeRelay) -> None:
    campaign = filled(experiment=TRY)
    tries = Counter(db.session.scalars(select(Message.variant)))
    sending.run(campaign.id, seconds=20)
    assert subjects(relay) == Counter({"Hello": tries[0], "Other": tries[1]})
    assert queries.figures(campaign).queued == tries[None] and campaign.state is CampaignState.sending
    with transaction():
        trials.look(campaign.id, clock.now())
        trials.pick(campaign, 1)
    sending.run(campaign.id, seconds=20)
    db.session.rollback()
    assert subjects(relay)["Other"] == tries[1] + tries[None]
    assert len(relay.messages) == len({message.recipient for message in relay.messages}) == PEOPLE
    assert (campaign.state, queries.figures(campaign).sent) == (CampaignState.sent, PEOPLE)


def test_a_mail_that_says_so_carries_the_way_to_its_page(app: Flask, relay: FakeRelay) -> None:
    sending.run(filled("[Read it in the browser]({{ browser_url }})").id, seconds=20)
    plain = relay.messages[0].data.decode().replace("=\r\n", "").replace("=3D", "=")
    path = re.search(r'href="https://mail\.example\.com(/v/[^"]+)"', plain)
    assert path
    page = app.test_client().get(f"{path[1]}/mail")
    assert page.status_code == 200 and "Read it in the browser" in page.text


def test_under_another_sender_than_approved_nothing_leaves(app: Flask, relay: FakeRelay) -> None:  # P7
    campaign = filled()
    app.extensions["settings"] = config.with_(app.extensions["settings"], mail_from="Other <other@example.com>")
    sending.run(campaign.id, seconds=20)
    db.session.rollback()
    assert relay.messages == [] and campaign.state is CampaignState.paused
    assert "sender" in (campaign.pause_reason or "")


def test_while_the_calendar_is_closed_nothing_leaves_and_nothing_is_lost(app: Flask, relay: FakeRelay) -> None:
    campaign = filled()
    tomorrow = (clock.now() + timedelta(days=1)).strftime("%a").lower()
    closed = SendingCalendar.parse(f"{tomorrow} 10:00-11:00")
    app.extensions["settings"] = config.with_(app.extensions["settings"], sending_calendar=closed)
    sending.run(campaign.id, seconds=20)
    db.session.rollback()
    assert relay.messages == [] and queries.figures(campaign).queued == PEOPLE
    assert campaign.state is CampaignState.sending
