"""Each try at a message and what the relay said: kept where a mail was put off, nothing written where it was taken at once."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import event, insert, select, update

from preference_center import clock
from preference_center.campaigns.models import Campaign
from preference_center.consent.ledger import Evidence
from preference_center.contacts import queries as contacts
from preference_center.db import db, transaction
from preference_center.delivery import chunks, queries, sending
from preference_center.delivery.chunks import Ending
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.delivery.results import attempts
from preference_center.delivery.results.attempts import Attempt
from preference_center.privacy import erasure, export, retention
from tests.support.campaigns import filled, send_what_waits

pytestmark = [pytest.mark.both_databases, pytest.mark.relay]

PUT_OFF = "eve+450x2@example.org"


def told(campaign: Campaign) -> dict[str, list[str]]:
    db.session.expire_all()
    rows = queries.rows(campaign)
    found = attempts.of([message for message, _contact in rows])
    return {contact.email: [f"{one.number}: {one.reply}" for one in found[message.id]] for message, contact in rows}


def test_each_try_keeps_its_reply_and_only_who_was_put_off_has_rows(app: Flask) -> None:
    campaign = filled(["anna@example.org", PUT_OFF, "di+450rcpt@example.org", "bo+550rcpt@example.org"])
    send_what_waits(campaign)
    assert [reply[:10] for reply in told(campaign)[PUT_OFF]] == ["1: 450 rcp"]
    for _ in range(2):
        send_what_waits(campaign)
    found = told(campaign)
    assert [reply[:6] for reply in found[PUT_OFF]] == ["1: 450", "2: 450", "3: 250"]
    assert [reply[:6] for reply in found["di+450rcpt@example.org"]] == ["1: 450", "2: 450", "3: 450"]
    assert [reply[:6] for reply in found["bo+550rcpt@example.org"]] == ["1: 550"]
    assert found["anna@example.org"] == ["1: 250"]
    assert not any("@" in reply for replies in found.values() for reply in replies), "no address in what is kept"
    kept = {row.contact_id: row.number for row in db.session.query(Attempt).order_by(Attempt.number)}
    names = {contact.email: contact.id for _message, contact in queries.rows(campaign)}
    assert set(kept) == {names[PUT_OFF], names["di+450rcpt@example.org"]}
    sent = next(message for message, contact in queries.rows(campaign) if contact.email == PUT_OFF)
    assert (sent.state, sent.reason, sent.reply) == (MessageState.sent, None, None), "the last try was no refusal"


def test_no_statement_is_made_for_mail_that_is_taken_or_refused_at_once(app: Flask) -> None:
    campaign = filled(["anna@example.org", "bo+550rcpt@example.org"])
    said: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        said.append(statement)

    event.listen(db.engine, "before_cursor_execute", listen)
    sending.run(campaign.id, seconds=20)
    event.remove(db.engine, "before_cursor_execute", listen)
    assert queries.figures(campaign).sent == 1
    assert any("UPDATE messages" in one for one in said) and not any("message_attempts" in one for one in said)


def stored(campaign: Campaign, *endings: Ending, state: MessageState = MessageState.sending) -> Run:
    with transaction():
        made = Run(campaign_id=campaign.id, host="h", journal="j", started_at=clock.now(), lease_until=clock.now())
        db.session.add(made)
        db.session.flush()
        db.session.execute(update(Message).values(state=state, run_id=made.id, attempt=1))
    with transaction():
        chunks.store(made, endings)
    return made


def test_what_is_stored_twice_or_too_late_is_kept_once(app: Flask) -> None:
    campaign = filled(["anna@example.org"])
    [(message, _contact)] = queries.rows(campaign)
    again = clock.now() + timedelta(minutes=1)
    ending = Ending(message.id, MessageState.queued, "deferred", 450, "rcpt: later", again)
    made = stored(campaign, ending)
    with transaction():
        chunks.store(made, [ending._replace(next_try_at=again + timedelta(seconds=1))])
    assert db.session.query(Attempt).count() == 1
    with transaction():
        chunks.store(Run(id=made.id + 1), [ending])
    assert db.session.query(Attempt).count() == 1, "another run's word counts for nothing"


def test_a_mail_that_did_not_start_is_no_try(app: Flask) -> None:
    campaign = filled(["anna@example.org"])
    [(message, _contact)] = queries.rows(campaign)
    stored(campaign, Ending(message.id, MessageState.queued, next_try_at=clock.now()))
    assert db.session.query(Attempt).count() == 0 and told(campaign) == {"anna@example.org": []}


@pytest.mark.parametrize("state", [MessageState.sending, MessageState.delivered])  # known sooner from its provider
def test_the_words_of_a_try_are_not_those_of_the_next_one_under_way(app: Flask, state: MessageState) -> None:
    campaign = filled([PUT_OFF])
    send_what_waits(campaign)
    with transaction():
        db.session.execute(update(Message).values(state=state, attempt=2))
    [said] = told(campaign)[PUT_OFF]
    assert said.startswith("1: 450")


def test_a_person_gets_them_and_takes_them_along(app: Flask) -> None:
    campaign = filled([PUT_OFF])
    send_what_waits(campaign)
    person = contacts.by_email(PUT_OFF)
    assert person
    [row] = export.of(person)["held"]["message_attempts"]
    assert (row["number"], row["reply_code"]) == (1, 450)
    [(message, _contact)] = queries.rows(campaign)
    with transaction():
        erasure.erase(person, Evidence("form"))
    assert db.session.query(Attempt).count() == 0
    late = Ending(message.id, MessageState.queued, "deferred", 450, "rcpt: later", clock.now())
    stored(campaign, late)
    assert db.session.query(Attempt).count() == 0, "a worker's late word of an erased person is not kept"


def test_they_are_kept_for_two_years(app: Flask) -> None:
    send_what_waits(filled([PUT_OFF]))
    rule = next(rule for rule in retention.RULES if rule.name == "message_attempts")
    assert rule.count() == 0
    with transaction():
        db.session.execute(update(Attempt).values(at=clock.now() - timedelta(days=731)))
    assert rule.count() == 1
    with transaction():
        assert rule.step() == 1
    assert db.session.query(Attempt).count() == 0


def test_those_of_whom_an_older_version_erased_go_the_same_night(app: Flask) -> None:  # P11, P12
    send_what_waits(filled([PUT_OFF, "di+450rcpt@example.org"]))
    person, other = contacts.by_email(PUT_OFF), contacts.by_email("di+450rcpt@example.org")
    assert person and other
    kept = db.session.execute(select(Attempt.__table__)).mappings().all()
    with transaction():
        erasure.erase(person, Evidence("form"))
        rows = [dict(row) for row in kept if row["contact_id"] == person.id]
        db.session.execute(insert(Attempt), rows)  # it does not know the table, so they are there still
    assert len(rows) == 1
    rule = next(rule for rule in retention.RULES if rule.name == "message_attempts")
    assert rule.count() == 1
    with transaction():
        assert rule.step() == 1
    assert [row.contact_id for row in db.session.query(Attempt)] == [other.id]
