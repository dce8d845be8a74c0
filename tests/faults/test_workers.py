"""K1 to K17: a worker dies at each step of the send protocol (reliability.md 3.1). Nobody is lost and nobody is mailed twice."""

import os
import signal
import time
from pathlib import Path

import pytest
from rq import Queue
from sqlalchemy import func, select, update

from preference_center import clock, jobs
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.config import Settings
from preference_center.db import db, transaction
from preference_center.delivery.models import Message, Run
from preference_center.notices import sending as notices
from preference_center.notices.models import Kind, Notice
from tests.faults.scenario import CONNECTIONS, MORE_THAN_TWO_CHUNKS, Scenario, children, scenario
from tests.support import make

pytestmark = [pytest.mark.only_postgresql, pytest.mark.processes, pytest.mark.usefixtures("app")]

SLOWLY = ("--reply-delay", "0.003")
RESTARTS = 3  # long_rounds.py has more
BIG = "A long letter with much to read in it. " * 3_000


def _dies_and_another_goes_on(play: Scenario, failpoints: str) -> None:
    play.worker(failpoints=failpoints)
    play.falls()
    play.worker()


@pytest.mark.parametrize(
    "failpoints",
    [
        pytest.param("deliver.start:fell", id="K1-the-doorbell-is-taken"),
        pytest.param("bell.before_ring:fell", id="K3-filled-but-nobody-was-rung"),
        pytest.param("claim.before_commit:fell@2", id="K4-K5-claimed-but-not-committed"),
        pytest.param("claim.committed:fell@2", id="K6-committed-but-not-connected"),
        pytest.param("store.before:fell@2", id="K9-journalled-but-not-stored"),
        pytest.param("claim.committed:fell@3", id="K10-stored-and-the-next-claimed"),
        pytest.param("end.before:fell", id="K11-all-stored-but-not-closed"),
    ],
)
def test_a_worker_that_dies_here_leaves_no_doubt(settings: Settings, failpoints: str) -> None:
    with scenario(settings, *SLOWLY, people=MORE_THAN_TWO_CHUNKS) as play:
        _dies_and_another_goes_on(play, failpoints)
        past = play.finish(uncertain=0)
        assert past.of("sent") == play.people


@pytest.mark.parametrize(
    "failpoints",
    [
        pytest.param("smtp.dot:fell@25", id="K8-the-dot-is-written"),
        pytest.param("smtp.reply:fell@25", id="K9-the-reply-is-read"),
    ],
)
def test_a_worker_that_dies_after_a_dot_leaves_one_doubt_a_connection(settings: Settings, failpoints: str) -> None:
    with scenario(settings, *SLOWLY) as play:
        _dies_and_another_goes_on(play, failpoints)
        past = play.finish(uncertain=CONNECTIONS)
        assert past.of("sent", "uncertain") == play.people
        assert past.of("uncertain"), "the failpoint lies behind a dot: somebody must be in doubt"


def test_a_worker_that_dies_while_rendering_leaves_in_doubt_what_is_on_the_wire(settings: Settings) -> None:  # K6
    with scenario(settings, *SLOWLY) as play:
        _dies_and_another_goes_on(play, "message.rendered:fell@30")
        past = play.finish(uncertain=CONNECTIONS)
        assert past.of("sent", "uncertain") == play.people


def test_a_message_that_is_broken_off_in_its_body_never_left(settings: Settings) -> None:  # K7
    with scenario(settings, people=20, body=BIG) as play:
        _dies_and_another_goes_on(play, "smtp.body:fell@9")
        past = play.finish(uncertain=CONNECTIONS)  # those on the other connections had their dot
        assert past.of("sent", "uncertain") == play.people


def test_an_outbox_whose_filling_broke_off_ends_the_same(settings: Settings) -> None:  # K2
    with scenario(settings) as play:
        play.worker(failpoints="fill.before_commit:fell")
        play.falls()
        assert db.session.scalar(select(func.count()).select_from(Message)) == 0  # no part of an audience is sendable
        db.session.rollback()
        play.worker()
        assert play.finish().of("sent") == play.people


def test_a_sweep_that_dies_is_done_again(settings: Settings) -> None:
    with scenario(settings, *SLOWLY) as play:
        _dies_and_another_goes_on(play, "smtp.dot:fell@25")
        play.kill()
        play.worker(failpoints="sweep.settled:fell")
        play.falls()
        play.worker()
        assert play.finish(uncertain=2 * CONNECTIONS).of("sent", "uncertain") == play.people


def test_after_the_close_nothing_is_sent_and_what_is_left_to_do_is_done_once(settings: Settings) -> None:  # K12
    """No message, letter or ring is owed for a close, so none can get lost; its journal is put aside by the sweep."""
    with scenario(settings, *SLOWLY) as play:
        play.worker(failpoints="end.committed:fell")
        play.falls()
        db.session.rollback()
        campaign = db.session.get_one(Campaign, play.campaign_id)
        closed_at, journals = campaign.finished_at, play.own.settings.journals
        assert campaign.state is CampaignState.sent and closed_at is not None
        assert len(list(journals.glob("*.journal"))) == 1 and not list(journals.glob("kept/*/*"))
        play.worker()
        play.until(lambda: len(list(journals.glob("kept/*/*"))) == 1, "the journal is put aside")
        for _ in range(3):
            play.ring(jobs.DELIVER, play.campaign_id)
            play.ring(jobs.SWEEP)
        queues = [Queue(name, connection=play.own.app.extensions["bell"].redis) for name in jobs.QUEUES]
        play.until(lambda: not any(queue.count for queue in queues), "the end of all work")
        assert play.finish(uncertain=0).of("sent") == play.people
        db.session.rollback()
        assert db.session.get_one(Campaign, play.campaign_id).finished_at == closed_at
        assert play.accepted() == len(play.people)
        assert not list(journals.glob("*.journal")) and len(list(journals.glob("kept/*/*"))) == 1


def test_a_letter_that_nobody_could_send_goes_once_the_relay_runs(settings: Settings) -> None:  # K12
    """The outbox of service mail: owed and committed, nobody rung for it, and its first sender dies."""
    with scenario(settings, *SLOWLY, people=2, started=False) as play:
        play.own.stop_queue()
        with play.own.app.app_context(), transaction():
            notices.owe(Kind.new_link, make.contact("asks@example.org"), {})
        play.own.restart_queue()
        play.worker(failpoints="smtp.body:fell")
        play.own.start_clock()
        play.falls()
        with transaction():
            db.session.execute(update(Notice).values(next_try_at=clock.now()))  # it counts as dead now
        play.worker()
        play.ring(jobs.SEND_NOTICE)
        play.until(lambda: "asks@example.org" in play.past().accepted, "the letter")
        play.until(lambda: _letter() == "sent", "its end")
        assert play.past().accepted == {"asks@example.org": 1}


def test_a_horse_dies_with_its_worker(settings: Settings) -> None:  # K13
    with scenario(settings, *SLOWLY, people=200) as play:
        worker = play.worker()
        play.until(lambda: play.accepted() >= 20, "twenty messages")
        horses = children(worker.pid)
        assert horses, "no horse is at work"
        play.kill()
        time.sleep(0.3)
        assert not [pid for pid in horses if _lives(pid)], "an orphan goes on sending"
        play.worker()
        assert play.finish(uncertain=CONNECTIONS).of("sent", "uncertain") == play.people


def test_workers_told_to_stop_leave_no_doubt(settings: Settings) -> None:  # K15
    with scenario(settings, "--reply-delay", "0.01", people=24 * RESTARTS) as play:
        for round_ in range(RESTARTS):
            worker = play.worker()
            wanted = 20 * (round_ + 1)
            play.until(lambda wanted=wanted: play.accepted() >= wanted, f"{wanted} messages")  # type: ignore[misc]
            began = time.monotonic()
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(60) == 0
            assert time.monotonic() - began < 5 * _slowness()
            play.own.processes.pop("worker")
        play.worker()
        assert play.finish(uncertain=0).of("sent") == play.people


def test_a_worker_that_slept_through_its_lease_changes_nothing(settings: Settings) -> None:  # K17
    with scenario(settings, *SLOWLY, people=MORE_THAN_TWO_CHUNKS) as play:
        sleeper = play.worker(failpoints="claim.committed:stop@2")
        play.until(lambda: bool(_stopped(sleeper.pid)), "the worker sleeps")
        asleep = _stopped(sleeper.pid)
        (play.own.settings.journals / _open_run().journal).unlink()  # as if it slept on another machine
        _end_all_leases()
        play.worker("second")
        play.finish_without_judging()
        for pid in asleep:
            os.kill(pid, signal.SIGCONT)
        play.until(lambda: not any(map(_lives, asleep)), "the end of its run")
        past = play.judge(uncertain=len(play.people), journal_lost=True)
        assert past.of("uncertain"), "what slept was not doubted, so nothing was proven"


def _slowness() -> float:
    """How much longer than alone a process takes on this machine just now, because others work too."""
    began, spent = time.monotonic(), time.process_time()
    while time.process_time() - spent < 0.1:
        pass
    return max(1.0, (time.monotonic() - began) / 0.1)


def _letter() -> str:
    db.session.rollback()
    return str(db.session.scalars(select(Notice.state)).one())


def _open_run() -> Run:
    db.session.rollback()
    return db.session.scalars(select(Run).where(Run.ended_at.is_(None))).one()


def _end_all_leases() -> None:
    with transaction():
        db.session.execute(update(Run).values(lease_until=Run.started_at))


def _stopped(pid: int) -> list[int]:
    """The horses of this worker that sleep."""
    return [child for child in children(pid) if _state(child) == "T"]


def _lives(pid: int) -> bool:
    return _state(pid) not in ("", "Z", "X")


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""
