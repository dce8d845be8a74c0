"""C1: a withdrawal races the claim of its message. By commit order, nobody who had left is ever claimed."""

import random
import threading
import time

import pytest
from flask import Flask
from sqlalchemy import select, text

from preference_center import clock
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import chunks
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.topics.models import Topic
from tests.support import make

ROUNDS = 250  # tests/faults/long_race.py has more


@pytest.mark.only_postgresql
def test_a_withdrawal_that_commits_before_the_claim_is_obeyed(app: Flask) -> None:  # C1, P3, S39, S82
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    with transaction():
        now = clock.now()
        topic = make.topic()
        campaign = Campaign(name="Race", topic_id=topic.id, state=CampaignState.sending, created_at=now, updated_at=now)
        run = Run(campaign_id=1, host="here", journal="1", started_at=now, lease_until=now)
        db.session.add_all([campaign, run])
        db.session.flush()
        for number in range(ROUNDS):
            person = make.follower(topic, f"person{number}@example.org")
            db.session.add(Message(campaign_id=campaign.id, contact_id=person.id, changed_at=now))
    ids = (campaign.id, topic.id, run.id)
    people = list(db.session.scalars(select(Contact.id).order_by(Contact.id)))
    db.session.rollback()
    barrier = threading.Barrier(2)

    def leave() -> None:
        with app.app_context():
            for contact_id, wait in zip(people, waits_leave, strict=True):
                barrier.wait()
                time.sleep(wait)
                with transaction():
                    contact, topic = db.session.get_one(Contact, contact_id), db.session.get_one(Topic, ids[1])
                    ledger.withdraw(contact, topic, Evidence(source="one_click"))

    def claim() -> None:
        with app.app_context():
            for _ in people:
                barrier.wait()
                time.sleep(waits_claim.pop())
                with transaction():
                    own = [db.session.get_one(kind, key) for kind, key in zip((Campaign, Topic, Run), ids, strict=True)]
                    chunks.claim(own[2], own[0], own[1], 1)

    waits_leave = [dice.uniform(0, 0.004) for _ in people]
    waits_claim = [dice.uniform(0, 0.004) for _ in people]
    threads = [threading.Thread(target=leave), threading.Thread(target=claim)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    late = db.session.execute(
        text(
            "SELECT count(*) FILTER (WHERE m.state = 'sending' AND pg_xact_commit_timestamp(m.xmin)"
            " > pg_xact_commit_timestamp(r.xmin)) AS late, count(*) FILTER (WHERE m.state = 'sending') AS claimed,"
            " count(*) FILTER (WHERE m.state = 'skipped') AS skipped FROM messages m JOIN consent_records r"
            " ON r.contact_id = m.contact_id AND r.action = 'withdrawn'"
        )
    ).one()
    print(f"seed {seed}: {late.claimed} claimed before leaving, {late.skipped} skipped, {late.late} late")
    assert late.claimed + late.skipped == ROUNDS
    assert late.late == 0
    assert late.claimed > ROUNDS / 100, "the race was no race"
    assert late.skipped > ROUNDS / 100, "the race was no race"
    assert MessageState.sending in set(db.session.scalars(select(Message.state)))
