"""One run at one campaign: what stops it, what must not stop it, and what it may not overrule."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from preference_center import clock, embedded, jobs
from preference_center.app import RedisBell
from preference_center.campaigns import queries as campaigns
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, CampaignState, CampaignVersion
from preference_center.config import Settings
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import queries, sending, sweeping
from preference_center.delivery.claimed import Claimed
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.delivery.pace import lookout
from preference_center.topics import catalogue
from preference_center.topics.models import Topic
from tests.faults import inside
from tests.support.campaigns import filled
from tests.support.relay import FakeRelay
from worker import context
from worker.jobs import delivery

pytestmark = pytest.mark.relay


def _filled(*emails: str) -> Campaign:
    return filled(emails)


def _states() -> dict[str | None, tuple[str, str | None]]:
    rows = select(Contact.email, Message.state, Message.reason).join(Message, Message.contact_id == Contact.id)
    db.session.rollback()
    return {email: (str(state), reason) for email, state, reason in db.session.execute(rows)}


@pytest.mark.both_databases
def test_one_address_that_cannot_be_written_to_keeps_nobody_else_from_their_mail(app: Flask, relay: FakeRelay) -> None:
    campaign = _filled("anna@example.org", "bela@example.org", "carl@example.org")
    with transaction():  # as an older release kept it
        db.session.execute(update(Contact).where(Contact.email == "bela@example.org").values(email="-b@example.org"))
    sending.run(campaign.id, seconds=20)
    assert _states() == {
        "anna@example.org": ("sent", None),
        "-b@example.org": ("skipped", "invalid_address"),
        "carl@example.org": ("sent", None),
    }
    assert campaign.state is CampaignState.sent


def test_a_language_we_do_not_speak_any_more_stops_nobodys_mail(app: Flask, relay: FakeRelay) -> None:
    campaign = _filled("anna@example.org", "bela@example.org")
    with transaction():
        db.session.execute(update(Contact).where(Contact.email == "anna@example.org").values(language="xx"))
    sending.run(campaign.id, seconds=20)
    assert set(_states().values()) == {("sent", None)}
    assert any("Content-Language: en" in message.data.decode() for message in relay.messages)


@pytest.mark.both_databases
def test_a_pause_of_days_makes_nobody_too_late(app: Flask, relay: FakeRelay) -> None:
    campaign = _filled("anna@example.org")
    with transaction():
        scheduling.pause(campaign)
    with transaction():  # paused an hour after its start, three days ago
        campaign.started_at = clock.now() - timedelta(days=3, hours=1)
        campaign.updated_at = clock.now() - timedelta(days=3)
    with transaction():
        scheduling.resume(campaign)
    sending.run(campaign.id, seconds=20)
    assert _states() == {"anna@example.org": ("sent", None)}


def test_what_still_waits_a_day_after_the_start_is_too_late(app: Flask, relay: FakeRelay) -> None:
    campaign = _filled("anna@example.org")
    with transaction():
        campaign.started_at = campaign.updated_at = clock.now() - timedelta(days=1, seconds=1)
    sending.run(campaign.id, seconds=20)
    assert _states() == {"anna@example.org": ("skipped", "too_late")}
    assert relay.messages == []


@pytest.mark.both_databases
def test_a_topic_retired_after_scheduling_pauses_the_campaign_and_says_why(app: Flask, relay: FakeRelay) -> None:
    campaign = _filled("anna@example.org")
    with transaction():
        catalogue.retire(db.session.get_one(Topic, campaign.topic_id))
    sending.run(campaign.id, seconds=20)
    assert _states() == {"anna@example.org": ("queued", None)}
    assert (campaign.state, campaign.pause_reason) == (
        CampaignState.paused,
        "The topic news was retired: nobody may be mailed on it.",
    )
    assert relay.messages == []


@pytest.mark.both_databases
def test_a_machine_that_slept_asks_again_before_it_mails_anybody(
    app: Flask, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:  # K17
    campaign = _filled("anna@example.org", "bela@example.org")
    hand_over, slept = sending._hand_over, list[int]()

    def sleeps(turn: sending._Turn, chunk: list[Claimed]) -> None:
        """Three hours between the claim and the first message, which time.monotonic() does not count; meanwhile Anna leaves."""
        if not slept:
            slept.append(3 * 3600)
            with transaction():
                anna = db.session.scalars(select(Contact).where(Contact.email == "anna@example.org")).one()
                ledger.withdraw(anna, db.session.get_one(Topic, turn.topic.id), Evidence("one_click"))
        hand_over(turn, chunk)

    monkeypatch.setattr(sending, "_hand_over", sleeps)
    for module in (sending, lookout):
        monkeypatch.setattr(module, "uptime", lambda: time.monotonic() + sum(slept), raising=False)
    sending.run(campaign.id, seconds=20)
    assert relay.copies() == {"bela@example.org": 1}
    assert _states()["anna@example.org"] == ("skipped", "withdrawn")


@pytest.mark.both_databases
def test_a_run_that_was_taken_for_dead_claims_nothing_more(app: Flask, relay: FakeRelay) -> None:  # K17
    """What it claimed would stay `sending` for ever if it died after all: no sweep looks at a settled run again."""
    campaign = _filled("anna@example.org")
    turn = sending._begin(campaign.id, lambda: False)
    assert turn is not None
    with turn.journal:
        with transaction():
            db.session.get_one(Run, turn.run.id).ended_at = clock.now()
        assert sending._next_chunk(turn, over=False) == []
    assert _states() == {"anna@example.org": ("queued", None)}
    turn.courier.close()


def test_a_run_whose_time_is_up_rings_for_the_next_unless_it_may_stay(app: Flask, relay: FakeRelay) -> None:
    campaign = _filled("anna@example.org")
    rung = app.extensions["bell"].rung
    rung.clear()
    assert sending.run(campaign.id, seconds=-1, may_stay=lambda: True).stays
    assert rung == []
    assert not sending.run(campaign.id, seconds=-1, may_stay=lambda: False).stays
    assert rung == [(jobs.DELIVER.path, (campaign.id,))]
    assert not sending.run(campaign.id, seconds=20, may_stay=lambda: True).stays  # nothing is left
    assert _states() == {"anna@example.org": ("sent", None)}


@pytest.mark.both_databases
def test_nothing_is_open_any_more_when_the_queue_is_asked(app: Flask, relay: FakeRelay) -> None:  # P4
    campaign_id = _filled("anna@example.org").id

    def may_stay() -> bool:
        with db.engine.connect() as other, other.begin():
            if db.engine.dialect.name == "sqlite":
                other.exec_driver_sql("PRAGMA busy_timeout = 0")
            else:
                other.exec_driver_sql("SET LOCAL lock_timeout = 1")
            other.execute(update(Campaign).where(Campaign.id == campaign_id).values(name="Winter"))
        return True

    assert sending.run(campaign_id, seconds=-1, may_stay=may_stay).stays
    db.session.rollback()
    assert db.session.get_one(Campaign, campaign_id).name == "Winter"


@pytest.fixture
def queues(app: Flask, tmp_path: Path) -> Iterator[dict[str, Queue]]:
    """Real ones, which the app rings from now on."""
    settings = replace(app.extensions["settings"], redis_url=None)
    with embedded.running(settings):
        bell = app.extensions["bell"] = RedisBell(settings)
        yield {name: Queue(name, connection=bell.redis, serializer=JSONSerializer) for name in jobs.QUEUES}
        bell.redis.close()


def test_a_worker_stays_only_while_no_other_work_waits_for_it(app: Flask, queues: dict[str, Queue]) -> None:
    bell = app.extensions["bell"]
    assert jobs.nobody_else_waits(jobs.DELIVER, 7)
    for _ in range(3):
        bell.ring(jobs.DELIVER, (7,))
    assert jobs.nobody_else_waits(jobs.DELIVER, 7)
    for job, args in ((jobs.DELIVER, (77,)), (jobs.SWEEP, ()), (jobs.SEND_NOTICE, ("7",))):
        bell.ring(job, args)
        assert not jobs.nobody_else_waits(jobs.DELIVER, 7)
        queues[job.queue].empty()
        assert jobs.nobody_else_waits(jobs.DELIVER, 7)


def test_a_run_that_has_called_for_help_goes_on_when_nobody_comes(
    app: Flask, queues: dict[str, Queue], relay: FakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own ring is no other work. What nobody has heard is left over, and harms nothing."""
    campaign = _filled(*(f"person{number}@example.org" for number in range(4 * sending.FIRST)))
    for queue in queues.values():
        queue.empty()
    monkeypatch.setattr(context, "_app", app)
    monkeypatch.setattr(delivery, "SECONDS", 0.001)  # a run's time is up after its first chunk
    delivery.deliver(campaign.id)
    assert inside.look(campaign.id).state is CampaignState.sent
    assert len(db.session.scalars(select(Run.id)).all()) > 1
    [ring] = queues["delivery"].get_jobs()
    assert (ring.func_name, ring.args) == (jobs.DELIVER.path, [campaign.id])
    delivery.deliver(*ring.args)
    assert queues["delivery"].count == 1
    assert len(relay.messages) == 4 * sending.FIRST
    assert sweeping.open_runs() == []


def _while_held(app: Flask, hold: Callable[[Connection], None], campaign_id: int, then: Callable[[], None]) -> None:
    """Run the campaign in a thread while another session holds a row; do something, let go, wait for the run."""

    def send() -> None:
        with app.app_context():
            sending.run(campaign_id, seconds=20)

    db.session.rollback()
    with db.engine.connect() as other:
        hold(other)
        thread = threading.Thread(target=send)
        thread.start()
        _until_somebody_waits()
        then()
        other.commit()
    thread.join(timeout=20)
    db.session.rollback()


def _until_somebody_waits() -> None:
    for _ in range(200):
        with db.engine.connect() as look:
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            if look.exec_driver_sql(waiting).scalar():
                return
        time.sleep(0.02)
    raise AssertionError("nobody waited for the row")


@pytest.mark.only_postgresql
def test_a_cancel_that_comes_first_is_not_turned_into_a_pause(app: Flask, relay: FakeRelay) -> None:
    campaign = _filled("anna@example.org")
    with transaction():
        db.session.execute(update(CampaignVersion).values(subject="Something else"))  # makes the run pause it

    def cancel(other: Connection) -> None:
        other.execute(update(Campaign).where(Campaign.id == campaign.id).values(state=CampaignState.cancelled))

    _while_held(app, cancel, campaign.id, lambda: None)
    assert campaigns.by_public_id(campaign.public_id).state is CampaignState.cancelled


@pytest.mark.only_postgresql
def test_nothing_leaves_when_a_pause_is_committed_while_the_claim_waits(app: Flask, relay: FakeRelay) -> None:  # P5
    campaign = _filled(*(f"person{number}@example.org" for number in range(40)))
    campaign_id = campaign.id

    def hold_a_contact(other: Connection) -> None:
        other.execute(select(Contact.id).where(Contact.email == "person7@example.org").with_for_update())

    def pause() -> None:
        with transaction():
            scheduling.pause(campaign)

    _while_held(app, hold_a_contact, campaign_id, pause)
    assert relay.messages == []
    assert queries.figures(db.session.get_one(Campaign, campaign_id)).queued == 40
    assert set(db.session.scalars(select(Message.state))) == {MessageState.queued}
    assert sweeping.open_runs() == []


def test_a_signing_key_that_is_gone_pauses_with_the_reason(app: Flask, relay: FakeRelay, tmp_path: Path) -> None:
    campaign = _filled("anna@example.org")
    own = app.extensions["settings"]
    app.extensions["settings"] = Settings(
        **(vars(own) | {"dkim_selector": "a", "dkim_key_file": str(tmp_path / "gone")})
    )
    sending.run(campaign.id, seconds=20)
    assert campaign.state is CampaignState.paused
    assert "cannot be written" in (campaign.pause_reason or "")
    assert relay.messages == []
    assert db.session.scalar(select(Run.id)) is None, "a run was left open"


@pytest.mark.both_databases
@pytest.mark.parametrize("others", [False, True], ids=["alone", "beside another"])
def test_the_last_messages_are_shared_where_there_is_somebody_to_share_with(
    app: Flask, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch, others: bool
) -> None:
    campaign = _filled(*(f"person{number}@example.org" for number in range(60)))
    with transaction():
        now, ended = clock.now(), None if others else clock.now()
        beside = Run(campaign_id=campaign.id, host="x", journal="1", started_at=now, lease_until=now, ended_at=ended)
        db.session.add(beside)
    sizes, hand_over = list[int](), sending._hand_over

    def counted(turn: sending._Turn, chunk: list[Claimed]) -> None:
        sizes.append(len(chunk))
        hand_over(turn, chunk)

    monkeypatch.setattr(sending, "_hand_over", counted)
    sending.run(campaign.id, seconds=20)
    assert sizes[0] == (20 if others else 60) and sum(sizes) == 60
    assert campaign.state is CampaignState.sent
