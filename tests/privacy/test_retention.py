"""What is kept no longer: counted by a dry run, deleted by the night's job, and nothing else with it (S103)."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask

from preference_center import clock
from preference_center.accounts.models import FailedSignIn
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import ConsentRecord
from preference_center.contacts import addresses, moving, queries
from preference_center.contacts.models import AddressChange, Contact
from preference_center.db import db, transaction
from preference_center.delivery.models import Message, MessageState
from preference_center.notices import sending as notices
from preference_center.notices.models import Kind, Notice, NoticeState
from preference_center.privacy import links, retention
from preference_center.privacy.models import Opens, RightsLink
from preference_center.suppressions import register
from tests.support import make
from tests.support.database_hash import digest
from worker import context
from worker.jobs import privacy as job

START = datetime(2026, 1, 1, 3, tzinfo=UTC)


def after(days: float) -> time_machine.travel:
    return time_machine.travel(START + timedelta(days=days), tick=False)


def night(app: Flask) -> None:
    context.load(app)
    job.tidy_up()
    db.session.rollback()


@pytest.fixture
def people(app: Flask) -> dict[str, Contact]:
    """One who never confirmed, and everybody who is like that but for one thing."""
    with after(0), transaction():
        topic, form = make.topic(), Evidence("form", detail={"network": "203.0.113.7"})
        made = {
            name: make.contact(f"{name}@example.org", source="form:subscribe")
            for name in ("unconfirmed", "confirmed", "restricted", "left", "silent", "mailed")
        }
        made["imported"] = make.contact("imported@example.org", source="import:x:1")
        for name in ("unconfirmed", "confirmed", "restricted", "left", "imported", "mailed"):
            ledger.request(made[name], topic, form)
        ledger.confirm(made["confirmed"], topic, form)
        ledger.withdraw(made["left"], topic, form)
        made["restricted"].restricted_at = clock.now()
        for name, attempt in (("unconfirmed", 0), ("mailed", 1)):  # a campaign of these days has a row for both
            state = MessageState.uncertain if attempt else MessageState.skipped
            row = {"contact_id": made[name].id, "state": state, "attempt": attempt, "changed_at": clock.now()}
            db.session.add(Message(campaign_id=1, **row))
    return made


@pytest.mark.both_databases
def test_an_unconfirmed_sign_up_is_forgotten_after_seven_days(app: Flask, people: dict[str, Contact]) -> None:
    address = addresses.parse("unconfirmed@example.org")
    with after(6.9):
        night(app)
    assert people["unconfirmed"].email is not None
    with after(7.1):
        night(app)
    assert {name for name, contact in people.items() if contact.email is None} == {"unconfirmed"}
    assert db.session.query(ConsentRecord).filter_by(contact_id=people["unconfirmed"].id).count() == 1
    assert register.standing([address.hash]) == {}, "they may sign up again"
    assert queries.by_email("unconfirmed@example.org") is None


def test_few_people_are_forgotten_in_one_transaction(
    app: Flask, people: dict[str, Contact], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each costs a dozen statements, and on SQLite whoever leaves waits for them."""
    assert retention.PEOPLE <= 20
    with after(0), transaction():
        ledger.request(people["silent"], make.topic("more", "More"), Evidence("form"))
    monkeypatch.setattr(retention, "PEOPLE", 1)
    steps = list[int]()
    with after(8):
        while not steps or steps[-1]:
            with transaction():
                steps.append(retention.RULES[0].step())
    assert steps == [1, 1, 0]


@pytest.mark.both_databases
def test_who_asked_again_gets_seven_more_days(app: Flask, people: dict[str, Contact]) -> None:
    with after(5), transaction():
        ledger.request(people["unconfirmed"], make.topic("more", "More"), Evidence("form"))
    with after(8):
        night(app)
    assert people["unconfirmed"].email is not None


@pytest.mark.both_databases
def test_other_classes_go_by_their_own_time(app: Flask) -> None:
    with after(0), transaction():
        contact = make.follower(make.topic())
        sent, waiting = (notices.owe(Kind.new_link, contact, {}) for _ in range(2))
        sent.state = NoticeState.sent
        db.session.add(FailedSignIn(account=b"a", network=b"n", at=clock.now()))
        links.ask(contact, Opens.data)
        moving.note(contact, addresses.parse("new@example.org"))
        kept = waiting.id
    left = {}
    for days in (0.5, 2, 15, 31, 91):
        with after(days):
            night(app)
        left[days] = [db.session.query(model).count() for model in (RightsLink, AddressChange, FailedSignIn, Notice)]
    assert left == {0.5: [1, 1, 1, 3], 2: [0, 1, 1, 3], 15: [0, 0, 1, 3], 31: [0, 0, 0, 3], 91: [0, 0, 0, 2]}
    assert db.session.get(Notice, kept) is not None, "what still waits is not deleted"


def test_a_dry_run_counts_and_deletes_nothing(app: Flask, people: dict[str, Contact]) -> None:
    with after(8):
        before = digest()
        assert {name: count for name, count in retention.report().items() if count} == {"unconfirmed_sign_ups": 1}
        assert digest() == before
        night(app)
        assert set(retention.report().values()) == {0}


def test_many_go_in_steps(app: Flask) -> None:
    with after(0), transaction():
        db.session.add_all(FailedSignIn(account=b"a", network=b"n", at=clock.now()) for _ in range(retention.STEP + 1))
    with after(31):
        night(app)
    assert db.session.query(FailedSignIn).count() == 0
