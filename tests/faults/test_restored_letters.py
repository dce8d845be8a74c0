"""D3, D10: service mail that stood queued in a backup does not go again; what a person asks for now does."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from preference_center import clock
from preference_center.consent import ledger
from preference_center.consent.chain import seal
from preference_center.consent.ledger import Evidence
from preference_center.db import db, transaction
from preference_center.delivery.restoring import holding
from preference_center.notices import sending
from preference_center.notices.models import Kind, Notice
from preference_center.topics.purposes import LegalBasis
from tests.support import make
from tests.support.relay import FakeRelay
from worker import context
from worker.jobs import consent, notices

pytestmark = [pytest.mark.both_databases, pytest.mark.relay]


@pytest.fixture
def travel(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(context, "_app", app)
    with time_machine.travel(datetime(2026, 11, 2, 9, tzinfo=UTC), tick=True) as travel:
        yield travel


def _restored(app: Flask) -> None:
    """This machine has seen more than the database knows."""
    folder = app.extensions["settings"].journals
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "seen.json").write_text('{"runs": 7, "seals": 0}')


def _states() -> dict[str, str]:
    db.session.rollback()
    return {str(kind): str(state) for kind, state in db.session.execute(select(Notice.kind, Notice.state))}


def test_after_a_restore_only_service_mail_that_is_asked_for_now_goes(  # D3, D10
    app: Flask, relay: FakeRelay, travel: Any
) -> None:
    with transaction():
        anna = make.contact("anna@example.org")
        bo = make.contact("bo@example.org")
        sending.owe(Kind.new_link, anna, {})  # as it stood in the backup of yesterday
    travel.shift(timedelta(days=1))
    _restored(app)
    with transaction():
        sending.owe(Kind.rights_link, bo, {"opens": "rights"})
    notices.send()
    assert [message.recipient for message in relay.messages] == ["bo@example.org"]
    assert _states() == {"new_link": "queued", "rights_link": "sent"}
    notices.send()
    assert len(relay.messages) == 1
    with transaction():
        assert holding.drop_stale() == 1
        holding.release()
        holding.accept()
    travel.shift(timedelta(hours=1))
    notices.send()
    assert len(relay.messages) == 1
    assert _states() == {"new_link": "dropped", "rights_link": "sent"}


def test_what_was_asked_for_since_the_restore_goes_though_the_workers_start_long_after_it(  # D3, D10
    app: Flask, relay: FakeRelay, travel: Any
) -> None:
    def passes(minutes: int) -> None:
        travel.shift(timedelta(minutes=minutes))

    with transaction():
        anna, bo, cora = (make.follower(make.topic(name), f"{name}@example.org") for name in ("anna", "bo", "cora"))
        seal.seal_all()
    _sweep()
    passes(5)
    with transaction():
        sending.owe(Kind.new_link, anna, {})  # it went, and the backup of that minute knows nothing of it
    passes(5)
    _sweep()
    seen = app.extensions["settings"].journals / "seen.json"
    seen.write_text(json.dumps(json.loads(seen.read_text()) | {"runs": 7}))
    passes(30)  # the restore; from here on `web` alone
    with transaction():
        sending.owe(Kind.rights_link, bo, {"opens": "rights"})
    passes(20)
    notices.send()
    assert [message.recipient for message in relay.messages] == ["bo@example.org"]
    with transaction():
        sending.owe(Kind.rights_link, cora, {"opens": "rights"})
    passes(300)  # until a person has looked
    with transaction():
        assert holding.drop_stale() == 1
        holding.release()
        holding.accept()
    notices.send()
    assert [message.recipient for message in relay.messages] == ["bo@example.org", "cora@example.org"]


def _sweep() -> None:
    with transaction():
        holding.watch()
    assert holding.held() is None
    db.session.rollback()


def test_service_mail_that_waits_for_its_next_try_goes_on_after_a_failover(  # D3
    app: Flask, relay: FakeRelay, travel: Any
) -> None:
    with transaction():
        notice = sending.owe(Kind.new_link, make.contact("anna@example.org"), {})
        notice.created_at = clock.now() - timedelta(hours=5)
        notice.next_try_at = clock.now() + timedelta(minutes=30)
    _restored(app)
    notices.send()
    travel.shift(timedelta(minutes=31))
    with transaction():
        assert holding.drop_stale() == 0
    notices.send()
    assert [message.recipient for message in relay.messages] == ["anna@example.org"]


def test_nobody_is_asked_to_renew_while_it_is_forgotten_who_was_asked(app: Flask, travel: Any) -> None:  # D10
    with transaction():
        anna = make.contact("anna@example.org")
        until = clock.now() + timedelta(days=20)
        ledger.grant(anna, make.topic(), LegalBasis.consent, Evidence("form"), until=until)
    _restored(app)
    consent.ask_to_renew()
    assert _states() == {}
    with transaction():
        holding.release()
        holding.accept()
    consent.ask_to_renew()
    assert _states() == {"consent_ending": "queued"}


def test_a_second_find_while_mail_is_held_makes_no_later_letter_stale(app: Flask, travel: Any) -> None:
    with transaction():
        why = holding.hold()
    before = holding.stale_before()
    db.session.rollback()
    travel.shift(timedelta(hours=1))
    with transaction():
        assert holding.hold() == why
    assert before is not None and holding.stale_before() == before
