"""The sweep: what goes wrong at one of its tasks keeps it from none of the others."""

import pytest
from flask import Flask
from sqlalchemy import select, text

from preference_center import clock, jobs
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.db import db, transaction
from preference_center.delivery.journal import Journal
from preference_center.delivery.models import Run
from tests.faults import inside
from tests.support import make
from tests.support.bell import WrittenBell
from worker import context
from worker.jobs import delivery


@pytest.mark.parametrize("place", ["seen.json", "kept/newest", "5-0bad.journal"])
def test_what_cannot_be_read_beside_the_journals_does_not_stop_the_sweep(
    app: Flask, bell: WrittenBell, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(context, "_app", app)
    campaign_id = inside.begun(["anna@example.org"])
    (app.extensions["settings"].journals / place).mkdir(parents=True)  # to read it is an OSError, for any user
    bell.rung.clear()
    delivery.sweep()
    assert bell.rung == [(jobs.DELIVER.path, (campaign_id,))]


# What a filling inserts between the look at what is there and the row that the journal proves.
_FILLING = """
CREATE TRIGGER filling BEFORE INSERT ON messages WHEN NEW.state = 'sent' BEGIN
    INSERT INTO messages (campaign_id, contact_id, state, attempt, changed_at)
    VALUES (NEW.campaign_id, NEW.contact_id, 'queued', 0, NEW.changed_at);
END
"""


def test_a_run_that_cannot_be_settled_now_keeps_no_campaign_from_being_tended(
    app: Flask, bell: WrittenBell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "_app", app)
    campaign_id = inside.begun(["anna@example.org"])
    campaign, now = inside.look(campaign_id), clock.now()
    with transaction():
        missing = make.contact("bela@example.org").public_id
        db.session.execute(text(_FILLING))
        runs = [
            Run(campaign_id=campaign_id, host="here", journal=f"{name}.journal", started_at=now, lease_until=now)
            for name in ("1-0bad", "2-0bad")
        ]
        db.session.add_all(runs)
    for run, people in zip(runs, ([(9, 1, missing)], []), strict=True):
        with (
            pytest.raises(KeyboardInterrupt),
            Journal(app.extensions["settings"].journals / run.journal, campaign.public_id) as journal,
        ):
            journal.take(people)
            for number, _, _ in people:
                journal.dot(number)
                journal.reply(number, 250)
            raise KeyboardInterrupt
    bell.rung.clear()
    delivery.sweep()
    assert bell.rung == [(jobs.DELIVER.path, (campaign_id,))]
    db.session.rollback()
    assert db.session.scalars(select(Run.journal).where(Run.ended_at.is_(None))).all() == ["1-0bad.journal"]


@pytest.mark.only_postgresql
def test_a_campaign_that_somebody_holds_keeps_no_other_from_being_tended(
    app: Flask, bell: WrittenBell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "_app", app)
    first, now = inside.look(inside.begun(["anna@example.org"])), clock.now()
    topic_id, held = first.topic_id, first.id
    with transaction():
        second = Campaign(name="Winter", topic_id=topic_id, state=CampaignState.sending, created_at=now, updated_at=now)
        db.session.add(second)
    bell.rung.clear()
    with db.engine.connect() as other:
        other.execute(select(Campaign.id).where(Campaign.id == held).with_for_update())
        delivery.sweep()
    assert bell.rung == [(jobs.FILL.path, (second.id,))]
