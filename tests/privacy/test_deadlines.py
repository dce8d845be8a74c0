"""Requests of people are answered in time: each gets the day its country's law sets, and we are told before it (S101)."""

# ruff: noqa: F811 - the fixture that this file borrows
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask

from preference_center import clock
from preference_center.db import db, transaction
from preference_center.notices import letters
from preference_center.notices import sending as notices
from preference_center.notices.models import Kind, Notice, NoticeState
from preference_center.privacy import deadlines, escalation, requests
from preference_center.privacy.models import RequestKind
from tests.notices.test_sending import Relay, relay  # noqa: F401 - a fixture
from tests.support import make

JANUARY = datetime(2026, 1, 31, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("country", "due"),
    [
        ("PL", datetime(2026, 2, 28, 9, tzinfo=UTC)),  # a month later there is no 31st: its last day
        ("DE", datetime(2026, 2, 28, 9, tzinfo=UTC)),
        (None, datetime(2026, 2, 28, 9, tzinfo=UTC)),
        ("BR", JANUARY + timedelta(days=15)),
        ("MX", JANUARY + timedelta(days=20)),
        ("CA", JANUARY + timedelta(days=30)),
        ("US", JANUARY + timedelta(days=45)),
    ],
)
def test_each_country_sets_its_own_day(app: Flask, country: str | None, due: datetime) -> None:  # S101
    assert deadlines.due(country, JANUARY) == due


@pytest.mark.both_databases
def test_each_request_near_its_day_is_told_once_until_it_is_closed(app: Flask) -> None:  # S101
    with time_machine.travel(JANUARY, tick=False), transaction():
        brazil = requests.receive(make.contact(jurisdiction="BR"), RequestKind.access)
        poland = requests.receive(make.contact("b@example.org", jurisdiction="PL"), RequestKind.access)
        closed = requests.done(make.contact("c@example.org", jurisdiction="BR"), RequestKind.access)
    told: list[int] = []
    for days in (1, 9, 10, 25, 26):
        with time_machine.travel(JANUARY + timedelta(days=days), tick=False), transaction():
            told.append(escalation.tell())
    assert told == [0, 1, 0, 1, 0]
    first, second = db.session.query(Notice).order_by(Notice.id)
    assert [one["id"] for one in first.payload["requests"]] == [brazil.public_id]
    assert [one["id"] for one in second.payload["requests"]] == [poland.public_id]
    with time_machine.travel(JANUARY + timedelta(days=60), tick=False):
        assert escalation.near() == [brazil, poland] and closed.closed_at
        with transaction():
            brazil.close("user:abc", clock.now())
        assert escalation.near() == [poland]


def test_the_mail_goes_to_our_contact_address_and_names_nobody(app: Flask, relay: Relay) -> None:  # S26, S101
    with transaction():
        contact = make.contact(jurisdiction="BR")
        request = requests.receive(contact, RequestKind.access)
        request.due_at = clock.now() + timedelta(days=2)
        escalation.tell()
    assert notices.drain() == 1
    (notice,) = db.session.query(Notice)
    assert (notice.kind, notice.state) == (Kind.requests_due, NoticeState.sent)
    mail = relay.last()
    assert (mail["To"], mail["Auto-Submitted"]) == ("news@example.com", "auto-generated")
    letter = letters.write(notice, None)
    assert request.public_id in letter.text and "anna" not in letter.text + letter.html
