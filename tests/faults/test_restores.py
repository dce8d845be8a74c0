"""D3, D10: the database comes back older than it was. What had left leaves no second time, and until that is settled nothing leaves."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, update

from preference_center import clock
from preference_center.app import create_app
from preference_center.campaigns import copying, scheduling
from preference_center.campaigns import queries as campaigns
from preference_center.campaigns.models import CampaignState
from preference_center.config import Settings
from preference_center.consent.law.caps import Mailing
from preference_center.db import db, transaction
from preference_center.delivery import marks, outbox, sending
from preference_center.delivery.events import recording
from preference_center.delivery.marks import Place
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.delivery.restoring import holding, reconciling
from preference_center.providers.base import Event, Kind
from tests.faults import inside
from tests.support import make
from tests.support.bell import WrittenBell
from tests.support.campaigns import fill
from tests.support.databases import copy_database
from tests.support.relay import FakeRelay

pytestmark = [pytest.mark.both_databases, pytest.mark.relay(reply_delay=0.005, frequency_caps=((5, 7),))]

PEOPLE = {f"person{number}@example.org" for number in range(60)}


@pytest.fixture
def travel() -> Iterator[Any]:
    with time_machine.travel(datetime(2026, 11, 2, 9, tzinfo=UTC), tick=True) as travel:
        yield travel


def _backup(settings: Settings) -> str:
    db.session.remove()
    db.engine.dispose()
    return copy_database(settings.database_url, "pc_backup")


@contextmanager
def _restored(settings: Settings, backup: str) -> Iterator[Flask]:
    """The same machine with the database as it was."""
    db.session.remove()
    app = create_app(replace(settings, database_url=backup), bell=WrittenBell())
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def _begun_and_half_sent(relay: FakeRelay) -> int:
    campaign_id = inside.begun(PEOPLE)
    sending.run(campaign_id, seconds=20, stop=lambda: len(relay.messages) >= 15)
    assert 15 <= len(relay.messages) < 60
    return campaign_id


def _watch() -> str | None:
    with transaction():
        holding.watch()
    why = holding.held()
    db.session.rollback()
    return why


def _reconcile() -> Counter[str]:
    """As `campaigns reconcile --release` does."""
    found: Counter[str] = Counter()
    for step in reconciling.steps():
        with transaction():
            found += step()
    with transaction():
        holding.release()
        holding.accept()
    return found


def _resume(campaign_id: int) -> None:
    with transaction():
        scheduling.resume(inside.look(campaign_id))


def test_what_left_after_the_backup_leaves_no_second_time(
    app: Flask, settings: Settings, relay: FakeRelay, travel: Any
) -> None:  # D3, D10, P2
    campaign_id = _begun_and_half_sent(relay)
    assert _watch() is None
    backup, before = _backup(settings), len(relay.messages)
    inside.let_it_end(campaign_id, travel)
    with _restored(settings, backup):
        assert inside.figures(campaign_id).queued == 60 - before
        sending.run(campaign_id, seconds=5)  # notices by itself, before it sends anything
        campaign = inside.look(campaign_id)
        assert campaign.state is CampaignState.paused
        assert "older than what" in str(campaign.pause_reason) and "campaigns reconcile" in str(campaign.pause_reason)
        assert holding.held() == campaign.pause_reason
        _resume(campaign_id)  # before its time
        sending.run(campaign_id, seconds=5)
        assert inside.look(campaign_id).state is CampaignState.paused
        assert len(relay.messages) == 60
        with transaction():  # the backup was made after they had been put off once
            waiting = update(Message).where(Message.state == MessageState.queued)
            db.session.execute(waiting.values(reply_code=450, reply="rcpt: come back later"))
        assert _reconcile() == {"sent": 60 - before}
        assert not db.session.query(Message).filter(Message.reply.is_not(None)).count(), "said at an earlier attempt"
        assert _reconcile() == {}
        assert db.session.scalar(select(func.count()).select_from(Mailing)) == 60, "caps count it too"
        assert _watch() is None
        _resume(campaign_id)
        inside.let_it_end(campaign_id, travel)
        assert inside.figures(campaign_id).sent == inside.figures(campaign_id).audience == 60
    assert relay.copies() == Counter(PEOPLE)


def test_no_message_gets_a_number_that_mail_which_is_out_bears(
    app: Flask, settings: Settings, relay: FakeRelay, travel: Any
) -> None:
    """D3. A report on that mail would be taken for one on somebody else's."""
    campaign_id = inside.begun(PEOPLE)
    backup = _backup(settings)
    with transaction():
        second = copying.duplicate(inside.look(campaign_id))
    fill(second)
    borne = set(db.session.scalars(select(Message.id).where(Message.campaign_id == second.id)))
    inside.let_it_end(second.id, travel)
    with _restored(settings, backup):
        assert _watch() is not None
        with transaction():
            third = copying.duplicate(inside.look(campaign_id))
        fill(third)
        given = set(db.session.scalars(select(Message.id).where(Message.campaign_id == third.id)))
        assert len(given) == len(borne) == 60 and not given & borne
        assert inside.figures(campaign_id).audience == 60


def test_what_left_in_campaigns_made_after_the_backup_is_counted(
    app: Flask, settings: Settings, relay: FakeRelay, travel: Any
) -> None:  # D3
    backup = _backup(settings)
    inside.let_it_end(inside.begun(PEOPLE), travel)
    with _restored(settings, backup):
        assert _watch() is not None
        assert _reconcile() == {reconciling.UNKNOWN_CAMPAIGN: 60}


def test_an_outbox_that_was_filled_after_the_backup_passes_over_whom_it_reached(
    app: Flask, settings: Settings, relay: FakeRelay, travel: Any
) -> None:  # D3
    with transaction():
        topic = make.topic()
        for address in sorted(PEOPLE):
            make.follower(topic, address)
        campaign = scheduling.create("Faults", topic, "Hello", "markdown", "Hello.")
    with transaction():
        scheduling.schedule(campaign, clock.now())
    campaign_id = campaign.id
    backup = _backup(settings)
    with transaction():
        scheduling.start_due(clock.now())
    with transaction():
        outbox.fill_range(campaign_id)
    sending.run(campaign_id, seconds=20, stop=lambda: len(relay.messages) >= 20)
    reached = {message.recipient for message in relay.messages}
    with _restored(settings, backup):
        with transaction():
            newcomer = make.follower(campaigns_topic(campaign_id), "newcomer@example.org")  # takes other numbers
        assert newcomer.id
        assert str(_watch()).startswith("The database is older")
        assert _reconcile() == {"sent": len(reached)}
        with transaction():
            scheduling.start_due(clock.now())
        with transaction():
            outbox.fill_range(campaign_id)
        inside.let_it_end(campaign_id, travel)
        assert inside.figures(campaign_id).audience == inside.figures(campaign_id).sent == 61
    assert relay.copies() == Counter(PEOPLE | {"newcomer@example.org"})


def campaigns_topic(campaign_id: int) -> Any:
    from preference_center.topics.models import Topic

    return db.session.get_one(Topic, inside.look(campaign_id).topic_id)


def test_a_run_that_was_broken_off_after_the_backup_is_read_too(
    app: Flask, settings: Settings, relay: FakeRelay, travel: Any
) -> None:  # D3
    campaign_id = inside.begun(PEOPLE)
    backup = _backup(settings)

    def broken() -> bool:
        if len(relay.messages) >= 15:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        sending.run(campaign_id, seconds=20, stop=broken)
    left = len(relay.messages)
    with _restored(settings, backup):
        assert _watch() is not None, "its journal is nobody's"
        found = _reconcile()
        assert found["sent"] + found["uncertain"] >= left > 0
        assert found["uncertain"] <= settings.relay_connections, "more than what was on the wire"
        assert _watch() is None
        _resume(campaign_id)
        inside.let_it_end(campaign_id, travel)
        assert inside.figures(campaign_id).audience == 60
    assert max(relay.copies().values()) == 1


def _chunks_of_twenty(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = sending._begin

    def begin_slowly(*given: Any) -> Any:
        turn = begin(*given)
        assert turn is not None
        turn.size = 20
        return turn

    monkeypatch.setattr(sending, "LARGEST", 20)
    monkeypatch.setattr(sending, "_begin", begin_slowly)


@pytest.mark.parametrize("hold", [False, True], ids=["healthy", "held"])
def test_after_a_power_cut_only_the_chunk_under_way_is_in_doubt(
    app: Flask, settings: Settings, relay: FakeRelay, travel: Any, monkeypatch: pytest.MonkeyPatch, hold: bool
) -> None:
    """P2. What an earlier chunk held back waits with its attempt taken back: that is no sign of an older database."""
    campaign_id = inside.begun(PEOPLE)
    first: list[float] = []

    def may_start(turn: Any, envelope: Any) -> bool:
        first.append(turn.claimed_at)
        if turn.claimed_at != first[0]:
            if len(relay.messages) >= 8:
                raise KeyboardInterrupt
            return True
        if len(relay.messages) >= 5:  # as when the chunk has become too old
            turn.held_back.add(envelope.key)
            return False
        return True

    _chunks_of_twenty(monkeypatch)
    monkeypatch.setattr(sending._Turn, "may_start", may_start)
    with pytest.raises(KeyboardInterrupt):
        sending.run(campaign_id, seconds=20)
    under_way = len(db.session.scalars(select(Message.id).where(Message.state == MessageState.sending)).all())
    [journal] = settings.journals.glob("*.journal")
    journal.write_text("boot before-the-cut\n" + journal.read_text().split("\n", 1)[1])
    before = inside.figures(campaign_id)
    assert before.queued > 0 and 3 < under_way < 60 - before.sent
    if hold:
        with transaction():
            holding._hold("The database is older, says a person.")
    inside.sweep()
    after = inside.figures(campaign_id)
    assert after.queued == before.queued
    assert after.uncertain <= under_way
    assert sum(_reconcile().values()) == 0, "what is settled stays so"


@pytest.mark.parametrize("answer", ["", "+554data"], ids=["accepted", "refused"])
def test_a_claim_that_a_failover_forgot_during_its_run_is_stored_and_holds_all_other_mail(
    app: Flask, relay: FakeRelay, travel: Any, answer: str
) -> None:
    """D3. One lost claim proves that others may be lost too: of runs on other machines, and of those that ended."""
    campaign_id = inside.begun(sorted(one.replace("@", f"{answer}@") for one in PEOPLE))
    forgotten: list[int] = []

    def fail_over() -> bool:
        if not forgotten and len(relay.events("refused") + relay.messages) >= 5:
            forgotten.append(1)
            thread = threading.Thread(target=_forget_claims)
            thread.start()
            thread.join()
        return False

    def _forget_claims() -> None:
        with app.app_context():
            with transaction():
                db.session.execute(
                    update(Message)
                    .where(Message.state == MessageState.sending)
                    .values(state="queued", attempt=0, run_id=None)
                )
            db.session.remove()

    sending.run(campaign_id, seconds=20, stop=fail_over)
    assert forgotten
    campaign = inside.look(campaign_id)
    assert campaign.state is CampaignState.paused and campaign.pause_reason == holding.held()
    assert "campaigns reconcile" in str(campaign.pause_reason)
    assert _reconcile() == {}, "the run itself has stored what it knew"
    _resume(campaign_id)
    inside.let_it_end(campaign_id, travel)
    figures = inside.figures(campaign_id)
    assert (figures.sent, figures.failed) == ((0, 60) if answer else (60, 0))
    assert relay.copies() == Counter(set() if answer else PEOPLE)


@pytest.mark.parametrize("answer", ["", "+451data"], ids=["accepted", "put off"])
def test_a_run_whose_commit_a_failover_forgot_takes_no_more_and_leaves_nobody_under_way(
    app: Flask, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch, travel: Any, answer: str
) -> None:
    """D3. "Store the first chunk, claim the second" was acknowledged and is gone, and the worker has lived through it."""
    campaign_id = inside.begun(sorted(one.replace("@", f"{answer}@") for one in PEOPLE))
    hand_over, taken = sending._hand_over, list[list[int]]()

    def fail_over(turn: Any, chunk: list[Any]) -> None:
        taken.append([one.id for one in chunk])
        hand_over(turn, chunk)
        if len(taken) == 2:
            first, second = (update(Message).where(Message.id.in_(ids)) for ids in taken)
            with transaction():
                forgotten = {"reply_code": None, "reply": None, "reason": None, "next_try_at": None}
                db.session.execute(first.values(state="sending", run_id=turn.run.id, attempt=1, **forgotten))
                db.session.execute(second.values(state="queued", run_id=None, attempt=0, **forgotten))

    _chunks_of_twenty(monkeypatch)
    monkeypatch.setattr(sending, "_hand_over", fail_over)
    sending.run(campaign_id, seconds=20)
    assert [len(chunk) for chunk in taken] == [20, 20], "it went on after it had seen that claims were lost"
    assert inside.look(campaign_id).pause_reason == holding.held()
    inside.sweep()
    _reconcile()
    assert not db.session.scalars(select(Message.id).where(Message.state == MessageState.sending)).all()
    assert inside.figures(campaign_id).sent == (0 if answer else 40)
    monkeypatch.undo()
    if not answer:
        _resume(campaign_id)
        inside.let_it_end(campaign_id, travel)
        assert relay.copies() == Counter(PEOPLE)


def test_a_sweep_that_finds_a_forgotten_claim_holds_all_other_mail(
    app: Flask, relay: FakeRelay, travel: Any
) -> None:  # D3
    campaign_id = inside.begun(PEOPLE)

    def broken() -> bool:
        if len(relay.messages) >= 15:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        sending.run(campaign_id, seconds=20, stop=broken)
    assert not holding.is_older(), "a dead run is no sign of an older database"
    with transaction():
        db.session.execute(update(Message).values(state="queued", attempt=0, run_id=None))
    assert holding.is_older(), "also before the sweep has come"
    inside.sweep()
    assert inside.look(campaign_id).state is CampaignState.paused
    assert inside.figures(campaign_id).sent + inside.figures(campaign_id).uncertain == len(relay.messages)
    _reconcile()
    _resume(campaign_id)
    inside.let_it_end(campaign_id, travel)
    assert max(relay.copies().values()) == 1
    assert inside.figures(campaign_id).audience == 60


@pytest.mark.parametrize(
    ("recipient", "ends"), [("anna@example.org", "delivered"), ("other@example.org", "queued"), (None, "queued")]
)
def test_a_report_with_our_mark_settles_a_row_that_has_forgotten(
    app: Flask, relay: FakeRelay, recipient: str | None, ends: str
) -> None:
    """D3. Only if it names the address too: numbers are given anew after a restore."""
    campaign_id = inside.begun(["anna@example.org"])
    message_id = db.session.scalars(select(Message.id)).one()
    event = Event(Kind.delivered, "once", mark=marks.make(message_id, Place.metadata), recipient=recipient)
    with transaction():
        recording.record("postmark", [event], clock.now())
    assert inside.states(campaign_id)["anna@example.org"][0] == ends


def test_a_database_that_only_grows_is_never_taken_for_an_older_one(app: Flask, relay: FakeRelay, travel: Any) -> None:
    assert _watch() is None
    campaign_id = inside.begun(PEOPLE)
    for wanted in (10, 30, 60):
        sending.run(campaign_id, seconds=20, stop=lambda wanted=wanted: len(relay.messages) >= wanted)  # type: ignore[misc]
        assert _watch() is None
    db.session.rollback()
    assert db.session.scalars(select(Run.id)).all()
    assert campaigns.newest()[0].state in (CampaignState.sending, CampaignState.sent)


def test_forgotten_consents_are_noticed_though_nothing_was_sent(app: Flask, settings: Settings) -> None:  # D10
    from preference_center.consent.chain import seal

    with transaction():
        topic = make.topic()
        make.follower(topic)
    backup = _backup(settings)
    with transaction():
        seal.seal_all()
    assert _watch() is None
    with _restored(settings, backup):
        assert _watch() is not None
