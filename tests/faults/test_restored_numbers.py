"""D3: after a restore the mark in mail that is out still means the one who got it, and never anybody else."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from preference_center import clock
from preference_center.campaigns import copying, scheduling
from preference_center.campaigns.models import Campaign
from preference_center.config import Settings
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import ConsentRecord
from preference_center.contacts import queries as contacts
from preference_center.db import db, transaction
from preference_center.delivery import marks, outbox
from preference_center.delivery.marks import Place
from preference_center.delivery.models import Message, MessageState
from preference_center.topics.models import Topic
from preference_center.webhooks import mailbox, processing
from tests.faults import inside
from tests.faults.test_restores import PEOPLE, _backup, _reconcile, _restored, _watch
from tests.support.campaigns import fill
from tests.support.relay import FakeRelay

pytestmark = [pytest.mark.both_databases, pytest.mark.relay(reply_delay=0.0)]


@pytest.fixture
def travel() -> Iterator[Any]:
    with time_machine.travel(datetime(2026, 11, 2, 9, tzinfo=UTC), tick=True) as travel:
        yield travel


@pytest.mark.parametrize(
    ("refused", "refilled"),
    [("", ""), ("person0@example.org", ""), ("person0@example.org", "held"), ("person0@example.org", "unnoticed")],
    ids=["all mailed", "one skipped", "filled again while held", "filled again before anybody noticed"],
)
def test_who_leaves_by_a_mail_that_left_after_the_backup_is_the_one_who_got_it(
    app: Flask, settings: Settings, relay: FakeRelay, travel: Any, refused: str, refilled: str
) -> None:
    """Every message had been tried when the backup was made; the next outbox was filled, and left, after it."""
    first = inside.begun(sorted(PEOPLE))
    inside.let_it_end(first, travel)
    with transaction():
        second = copying.duplicate(inside.look(first)).id
        if refused:
            _leave(refused, first)
    with transaction():
        scheduling.schedule(inside.look(second), clock.now())
    backup = _backup(settings)
    _filled(second)
    inside.let_it_end(second, travel)
    borne = _numbers(second)
    with _restored(settings, backup):
        if refilled == "unnoticed":  # nobody has looked yet, and others stand first: each gets another's number
            with transaction():
                other = copying.duplicate(inside.look(first))
            fill(other)
        assert _watch() is not None
        if refilled:
            _filled(second)
        assert _reconcile()["sent"] == len(borne)
        now = _numbers(second)
        assert now.items() >= borne.items(), "rows with another number than their mail bears"
        assert len(set(now.values())) == len(now)
        person = contacts.by_email("person7@example.org")
        assert person is not None
        gone = person.id
        db.session.rollback()
        _unsubscribe_mail(borne[gone])
        withdrawn = select(ConsentRecord.contact_id).where(ConsentRecord.action == "withdrawn")
        assert db.session.scalars(withdrawn.where(ConsentRecord.source != "one_click")).all() == [gone]
        assert len(_numbers(first)) == 60


def test_who_waited_when_the_backup_was_made_keeps_the_number_of_their_mail(
    app: Flask, settings: Settings, relay: FakeRelay, travel: Any
) -> None:
    """They left after it. The next ones get other numbers."""
    campaign_id = inside.begun(sorted(PEOPLE))
    backup = _backup(settings)
    inside.let_it_end(campaign_id, travel)
    borne = _numbers(campaign_id)
    with _restored(settings, backup):
        assert _watch() is not None
        assert _reconcile() == {"sent": 60}
        assert _numbers(campaign_id) == borne
        with transaction():
            third = copying.duplicate(inside.look(campaign_id))
        fill(third)
        given = db.session.scalars(select(Message.id).where(Message.campaign_id == third.id)).all()
        assert len(given) == 60 and min(given) > 1_000_000_000


def _filled(campaign_id: int) -> None:
    with transaction():
        if inside.look(campaign_id).state == "paused":
            scheduling.resume(inside.look(campaign_id))
        scheduling.start_due(clock.now())
    with transaction():
        outbox.fill_range(campaign_id)


def _leave(address: str, campaign_id: int) -> None:
    person = contacts.by_email(address)
    assert person is not None
    topic = db.session.get_one(Topic, db.session.get_one(Campaign, campaign_id).topic_id)
    ledger.withdraw(person, topic, Evidence("one_click"))


def _numbers(campaign_id: int) -> dict[int, int]:
    """By contact, of those whose mail left."""
    there = select(Message.contact_id, Message.id).where(
        Message.campaign_id == campaign_id, Message.state == MessageState.sent
    )
    found = {row.contact_id: row.id for row in db.session.execute(there)}
    db.session.rollback()
    return found


def _unsubscribe_mail(number: int) -> None:
    to = f"unsubscribe+{marks.make(number, Place.unsubscribe)}@example.com"
    raw = f"From: x@example.org\r\nTo: {to}\r\nSubject: unsubscribe\r\nMessage-ID: <u@x>\r\n\r\n\r\n".encode()
    assert mailbox.keep(raw, (to,), clock.now(), way="imap").stored
    processing.drain()
