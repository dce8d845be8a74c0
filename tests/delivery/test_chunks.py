"""Claiming: who is judged, who is taken, who is left alone."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from preference_center import clock, driver
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Cadence, ConsentRecord, Subscription
from preference_center.contacts.models import Contact
from preference_center.db import db, is_postgresql, open_connection, transaction
from preference_center.delivery import chunks
from preference_center.delivery.chunks import Ending
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.prepared import together
from preference_center.topics.models import Topic
from tests.support import make

pytestmark = pytest.mark.both_databases


def _sending(contacts: int = 3) -> tuple[Campaign, Topic, Run, list[Contact]]:
    now = clock.now()
    topic = make.topic()
    followers = [make.follower(topic, f"person{n}@example.org") for n in range(contacts)]
    campaign = Campaign(
        name="Autumn", topic_id=topic.id, state=CampaignState.sending, created_at=now, updated_at=now, started_at=now
    )
    run = Run(campaign_id=1, host="here", journal="1.journal", started_at=now, lease_until=now)
    db.session.add_all([campaign, run])
    db.session.flush()
    db.session.add_all(Message(campaign_id=campaign.id, contact_id=one.id, changed_at=now) for one in followers)
    return campaign, topic, run, followers


def _states() -> list[tuple[MessageState, str | None]]:
    return [tuple(row) for row in db.session.execute(select(Message.state, Message.reason).order_by(Message.id))]


def test_a_contact_who_leaves_after_filling_is_skipped(app: Flask) -> None:
    with transaction():
        campaign, topic, run, people = _sending()
    with transaction():
        ledger.withdraw(people[1], topic, Evidence(source="one_click"))
    with transaction():
        taken = chunks.claim(run, campaign, topic, 10)
    assert [one.email for one in taken.messages()] == ["person0@example.org", "person2@example.org"]
    assert _states() == [
        (MessageState.sending, None),
        (MessageState.skipped, "withdrawn"),
        (MessageState.sending, None),
    ]


def test_a_claim_carries_what_the_text_needs(app: Flask) -> None:
    with transaction():
        campaign, topic, run, people = _sending(1)
        people[0].attributes = {"first_name": "Anna"}
    with transaction():
        (one,) = chunks.claim(run, campaign, topic, 10).messages()
    assert (one.attempt, one.public_id, one.language) == (1, people[0].public_id, "en")
    assert (one.attributes, one.consent_source) == ({"first_name": "Anna"}, "form")
    assert one.consent_at == db.session.scalars(select(ConsentRecord.happened_at)).one()


def test_a_message_waits_for_its_next_try(app: Flask) -> None:
    with transaction():
        campaign, topic, run, _ = _sending(1)
        db.session.scalars(select(Message)).one().next_try_at = clock.now() + timedelta(minutes=1)
    with transaction():
        assert not chunks.claim(run, campaign, topic, 10)


def test_what_was_changed_and_not_written_yet_counts(app: Flask) -> None:
    with transaction():
        campaign, topic, run, people = _sending(3)
    with transaction():
        for one in (campaign, topic, run):
            db.session.refresh(one)  # whatever is read again later writes out by itself
        message = db.session.scalars(select(Message).where(Message.contact_id == people[0].id)).one()
        person = db.session.get_one(Contact, people[1].id)
        message.next_try_at, person.link_epoch = clock.now() + timedelta(minutes=1), 7
        taken = chunks.claim(run, campaign, topic, 10)
    assert [(one.email, one.link_epoch) for one in taken.messages()] == [
        ("person1@example.org", 7),
        ("person2@example.org", 0),
    ]


def test_nobody_is_claimed_twice(app: Flask) -> None:
    with transaction():
        campaign, topic, run, _ = _sending()
    with transaction():
        first = chunks.claim(run, campaign, topic, 2)
    with transaction():
        second = chunks.claim(run, campaign, topic, 2)
    assert len({*first.ids, *second.ids}) == 3 == len(first) + len(second)


def test_a_message_that_does_not_wait_any_more_is_not_taken_and_nothing_of_that_chunk_leaves(app: Flask) -> None:
    with transaction():
        campaign, topic, run, _ = _sending()

    def close_one(waiting: Sequence[tuple[int, str]]) -> list[int]:
        gone = update(Message).where(Message.id == waiting[1][0])
        db.session.execute(gone.values(state=MessageState.skipped, reason="cancelled"))
        return [number for number, _ in waiting]

    with pytest.raises(RuntimeError, match=r"3 messages were held .* 2 could be taken"), transaction():
        chunks.claim(run, campaign, topic, 10, admit=close_one)
    assert _states() == [(MessageState.queued, None)] * 3


def test_an_ending_is_stored_once_and_only_by_the_run_that_claimed(app: Flask) -> None:  # K17
    with transaction():
        campaign, topic, run, _ = _sending(2)
        other = Run(campaign_id=campaign.id, host="there", journal="2", started_at=clock.now(), lease_until=clock.now())
        db.session.add(other)
    with transaction():
        first, second = chunks.claim(run, campaign, topic, 2).ids
    with transaction():
        chunks.store(other, [Ending(first, MessageState.sent, reply_code=250)])
    assert [state for state, _ in _states()] == [MessageState.sending, MessageState.sending]
    with transaction():
        chunks.store(run, [Ending(first, MessageState.sent), Ending(second, MessageState.failed, "refused", 550, "no")])
    with transaction():
        chunks.store(run, [Ending(second, MessageState.sent)])
    assert _states() == [(MessageState.sent, None), (MessageState.failed, "refused")]


def test_what_waits_is_closed_when_a_campaign_is_cancelled(app: Flask) -> None:
    with transaction():
        campaign, topic, run, _ = _sending()
    with transaction():
        chunks.claim(run, campaign, topic, 1)
    with transaction():
        assert chunks.close_waiting(campaign.id, chunks.eligibility.Reason.cancelled) == 2
    assert [state for state, _ in _states()] == [MessageState.sending, MessageState.skipped, MessageState.skipped]


def test_who_wants_one_mail_a_week_gets_the_first_campaign_and_not_that_of_the_next_day(app: Flask) -> None:
    """The promise of the preference page, kept where messages are claimed; a retry of the same mail is no second one."""
    with transaction():
        campaign, topic, run, (weekly, anybody) = _sending(2)
        ledger.set_cadence(weekly, topic, Cadence.weekly, Evidence(source="link"))
    with transaction():
        assert len(chunks.claim(run, campaign, topic, 10)) == 2
    retry = [
        Ending(id_, MessageState.queued, next_try_at=clock.now()) for id_ in db.session.scalars(select(Message.id))
    ]
    with transaction():
        chunks.store(run, retry)
    with time_machine.travel(clock.now() + timedelta(minutes=5)), transaction():
        assert len(chunks.claim(run, campaign, topic, 10)) == 2
    for days, expected in ((1, [anybody]), (8, [weekly, anybody])):
        with time_machine.travel(clock.now() + timedelta(days=days)):
            now = clock.now()
            with transaction():
                later = Campaign(
                    name=f"Day {days}", topic_id=topic.id, state=CampaignState.sending, created_at=now, updated_at=now
                )
                db.session.add(later)
                db.session.flush()
                db.session.add_all(
                    Message(campaign_id=later.id, contact_id=one.id, changed_at=now) for one in (weekly, anybody)
                )
            with transaction():
                taken = chunks.claim(run, later, topic, 10)
                skipped = db.session.scalars(select(Message.reason).where(Message.reason.is_not(None))).all()
            assert [one.email for one in taken.messages()] == [one.email for one in expected]
            assert skipped == ["frequency_cap"]


def test_each_temporary_failure_waits_longer(app: Flask) -> None:
    now = clock.now()
    waits = [(chunks.next_try(attempt, now) - now).total_seconds() for attempt in (1, 2, 3, 4, 5, 50)]
    assert waits[0] >= 48
    assert all(earlier < later for earlier, later in pairwise(waits[:5]))
    assert waits[-1] <= 3600 * 1.2


def _pairs(key: Any, value: Any) -> dict[Any, Any]:
    return {row[0]: row[1] for row in db.session.execute(select(key, value))}


def test_a_record_that_is_not_that_of_the_filling_is_the_one_that_is_named(app: Flask) -> None:
    with transaction():
        campaign, topic, run, _ = _sending()
        right = _pairs(Subscription.contact_id, Subscription.record_id)
        first, second, _third = db.session.scalars(select(Message).order_by(Message.id))
        first.record_id, second.record_id = right[first.contact_id], 404
    with transaction():
        chunks.claim(run, campaign, topic, 10)
    assert _pairs(Message.contact_id, Message.record_id) == right


@pytest.mark.only_postgresql
def test_a_chunk_is_stored_and_the_next_is_claimed_without_walking_over_whole_tables(app: Flask) -> None:
    with transaction():
        campaign, topic, run, _ = _sending(4)
    with transaction():
        taken = chunks.claim(run, campaign, topic, 2)
        db.session.execute(text("ANALYZE"))  # now it knows that so few are read quicker than an index
    walks = text(
        "SELECT sum(seq_scan) FROM pg_stat_xact_user_tables "
        "WHERE relname IN ('messages', 'contacts', 'subscriptions', 'consent_records')"
    )
    with transaction():
        before = db.session.scalar(walks)
        chunks.store(run, [Ending(one, MessageState.sent) for one in taken.ids])
        assert len(chunks.claim(run, campaign, topic, 2)) == 2
        assert db.session.scalar(walks) == before
    assert db.session.scalar(text("SHOW enable_seqscan")) == "on"


@pytest.mark.only_postgresql
def test_a_worker_that_freezes_in_a_claim_holds_nobody_for_longer_than_ten_seconds(app: Flask) -> None:  # P4
    with transaction():
        campaign, topic, run, people = _sending()
        ids = [one.id for one in people]
    with pytest.raises(DBAPIError), transaction():  # in whatever words the driver hears of its end
        chunks.claim(run, campaign, topic, 10)
        with db.engine.connect() as other:  # who leaves waits for a lock five seconds and is asked to try again
            other.execute(text("SET lock_timeout = '15s'"))
            assert len(other.execute(select(Contact.id).where(Contact.id.in_(ids)).with_for_update()).all()) == 3
    assert {state for state, _ in _states()} == {MessageState.queued}


@pytest.mark.only_postgresql
def test_a_claim_holds_everybody_it_judges(app: Flask) -> None:
    with transaction():
        campaign, topic, run, people = _sending()
        ids = [one.id for one in people]
    free = select(Contact.id).where(Contact.id.in_(ids)).with_for_update(skip_locked=True)
    with transaction():
        chunks.claim(run, campaign, topic, 10)
        with db.engine.connect() as other:
            assert other.execute(free).all() == []
    with db.engine.connect() as other:
        assert len(other.execute(free).all()) == 3


@pytest.mark.both_databases
def test_what_waits_is_found_by_an_index_of_its_own(app: Flask) -> None:
    with transaction():
        campaign, _, _, _ = _sending()
    words = chunks._WAITING._for(db.engine.dialect)
    given = words.arguments({"campaign": campaign.id, "after": 0, "now": clock.now(), "size": 2})
    with transaction():
        if is_postgresql():
            db.session.execute(text("SET LOCAL enable_seqscan = off"))
            db.session.execute(text("SET LOCAL enable_sort = off"))
        plan = driver.rows(open_connection(), f"EXPLAIN {'' if is_postgresql() else 'QUERY PLAN '}{words.text}", given)
    assert "ix_messages_waits" in " ".join(str(row) for row in plan)


@pytest.mark.only_postgresql
def test_what_became_of_a_message_is_written_without_touching_an_index(app: Flask) -> None:
    with transaction():
        campaign, topic, run, people = _sending()
    with transaction():
        taken = chunks.claim(run, campaign, topic, 10)
    written = text("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'messages'")
    with transaction():
        before = db.session.execute(written).one()
        chunks.store(run, [Ending(one, MessageState.sent) for one in taken.ids])
        after = db.session.execute(written).one()
    assert [now - then for now, then in zip(after, before, strict=True)] == [3, 3] == [len(people)] * 2


def test_whoever_is_judged_is_held_before_and_so_is_when_they_got_the_last_mail(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """reliability.md 2.3: what was committed before the claim is seen, also by two campaigns of one topic at the same time."""
    with transaction():
        campaign, topic, run, _ = _sending()
    said: list[list[str]] = []

    def listen(*asked: Any) -> Any:
        said.append([one.statement._for(db.engine.dialect).text for one in asked])
        return together(*asked)

    monkeypatch.setattr(chunks, "together", listen)
    with transaction():
        assert len(chunks.claim(run, campaign, topic, 10)) == 3
    *locks, spaced, judged = said[1]
    assert [("contacts" in lock, "FOR NO KEY UPDATE" in lock or "FOR KEY SHARE" in lock) for lock in locks] == (
        [(True, True)] if is_postgresql() else []
    )
    assert "cadence" in spaced and "standings" not in spaced and "standings" in judged
    assert not is_postgresql() or "FOR UPDATE" in spaced
