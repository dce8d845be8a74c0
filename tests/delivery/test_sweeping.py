"""The sweep: what a dead run's journal proves, what waits unheard, what is done."""

import socket
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, text

from preference_center import clock, jobs
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.contacts.models import Contact
from preference_center.db import db, is_postgresql, transaction
from preference_center.delivery import sweeping
from preference_center.delivery.journal import Journal, this_boot
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.delivery.restoring import holding
from tests.support import make
from tests.support.bell import WrittenBell

pytestmark = pytest.mark.both_databases


def _abandoned(
    journal: bytes | None,
    app: Flask,
    *,
    host: str | None = None,
    lease: timedelta = timedelta(hours=1),
    boot: str = "",
) -> Run:
    """A run with five messages under way (ids 1 to 5), and what its journal says."""
    now = clock.now()
    topic = make.topic()
    campaign = Campaign(
        name="Autumn", topic_id=topic.id, state=CampaignState.sending, created_at=now, updated_at=now, filled_at=now
    )
    run = Run(
        campaign_id=1,
        host=host or socket.gethostname()[:80],
        journal="1.journal",
        started_at=now,
        lease_until=now + lease,
    )
    db.session.add_all([campaign, run])
    db.session.flush()
    for number in range(1, 6):
        person = make.follower(topic, f"person{number}@example.org")
        db.session.add(
            Message(
                campaign_id=campaign.id,
                contact_id=person.id,
                state=MessageState.sending,
                run_id=run.id,
                attempt=1,
                changed_at=now,
            )
        )
        db.session.flush()
    if journal is not None:
        path: Path = app.extensions["settings"].journals / "1.journal"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"boot %s\n" % (boot or this_boot()).encode() + journal)
    return run


def _states() -> list[str]:
    return [str(state) for state in db.session.scalars(select(Message.state).order_by(Message.id))]


def test_the_journal_of_a_dead_run_decides_each_message(app: Flask) -> None:  # K6, K8, K9
    with transaction():
        run = _abandoned(b"dot 2 1\nreply 2 1 250\ndot 3 1\ndot 4 1\nreply 4 1 451\ndot 5 1\nreply 5 1 554\n", app)
    with transaction():
        sweeping.settle_run(run.id)
    assert _states() == ["queued", "sent", "uncertain", "queued", "failed"]
    attempts = list(db.session.scalars(select(Message.attempt).order_by(Message.id)))
    assert attempts == [0, 1, 1, 1, 1], "nothing of the first had left: that was no attempt"
    assert run.ended_at is not None
    sweeping.tidy_journals()
    assert not (app.extensions["settings"].journals / "1.journal").exists()


def test_a_line_of_an_earlier_attempt_proves_nothing_of_this_one(app: Flask) -> None:
    with transaction():
        run = _abandoned(b"dot 1 0\nreply 1 0 250\n", app)
    with transaction():
        sweeping.settle_run(run.id)
    assert _states() == ["queued"] * 5


def test_after_a_power_cut_only_what_the_journal_says_is_known(app: Flask) -> None:
    """The end of the file may not have reached the disk: a message without a line may have left all the same."""
    with transaction():
        run = _abandoned(b"dot 2 1\nreply 2 1 250\ndot 3 1\n", app, boot="an-earlier-one")
    with transaction():
        sweeping.settle_run(run.id)
    assert _states() == ["uncertain", "sent", "uncertain", "uncertain", "uncertain"]


def test_a_power_cut_that_takes_the_head_of_a_journal_holds_no_mail(app: Flask) -> None:
    with transaction():
        run = _abandoned(None, app)
    person = db.session.scalars(select(Contact.public_id).order_by(Contact.id)).first()
    noted = f"\nchunk\nto 1 1 {person}\ndot 1 1\nreply 1 1 250\n"
    path: Path = app.extensions["settings"].journals / "1.journal"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\0" * 60 + noted.encode())
    with transaction():
        assert not sweeping.settle_run(run.id)
    assert _states() == ["sent", "uncertain", "uncertain", "uncertain", "uncertain"]
    assert holding.held() is None
    assert db.session.scalars(select(Campaign.state)).one() is CampaignState.sending


def test_a_run_whose_worker_lives_is_left_alone(app: Flask) -> None:
    with transaction():
        run = _abandoned(None, app)
    with Journal(app.extensions["settings"].journals / "1.journal"):
        with transaction():
            sweeping.settle_run(run.id)
        assert _states() == ["sending"] * 5
        assert run.ended_at is None


@pytest.mark.parametrize("host", [None, "another-machine"], ids=["journal lost", "machine lost"])
def test_without_a_journal_all_is_in_doubt_but_only_once_the_lease_is_over(app: Flask, host: str | None) -> None:
    with transaction():
        run = _abandoned(None, app, host=host)
    with transaction():
        sweeping.settle_run(run.id)
    assert _states() == ["sending"] * 5
    with transaction():
        run.lease_until = clock.now() - timedelta(seconds=1)
    with transaction():
        sweeping.settle_run(run.id)
    assert _states() == ["uncertain"] * 5


def test_a_container_that_got_another_name_still_finds_what_its_dead_run_noted(app: Flask) -> None:
    with transaction():
        run = _abandoned(b"dot 2 1\nreply 2 1 250\ndot 3 1\n", app, host="the-name-before")
    with transaction():
        sweeping.settle_run(run.id)
    assert _states() == ["queued", "sent", "uncertain", "queued", "queued"]


def test_a_journal_from_another_machine_is_read_when_the_lease_is_over_and_its_silence_proves_nothing(
    app: Flask,
) -> None:
    """On a shared disk. Whether its writer lives, no lock can tell from here."""
    with transaction():
        run = _abandoned(b"dot 2 1\nreply 2 1 250\n", app, host="another-machine", boot="of-that-machine")
    with transaction():
        sweeping.settle_run(run.id)
    assert _states() == ["sending"] * 5
    with transaction():
        run.lease_until = clock.now() - timedelta(seconds=1)
    with transaction():
        sweeping.settle_run(run.id)
    assert _states() == ["uncertain", "sent", "uncertain", "uncertain", "uncertain"]


def test_a_journal_of_a_later_version_is_left_to_it_while_the_lease_lasts(app: Flask) -> None:  # P12
    with transaction():
        run = _abandoned(b"handed 2 1\nend\n", app)
    path: Path = app.extensions["settings"].journals / "1.journal"
    path.write_bytes(b"journal 2\n" + path.read_bytes())
    with transaction():
        sweeping.settle_run(run.id)
    assert _states() == ["sending"] * 5
    with transaction():
        run.lease_until = clock.now() - timedelta(seconds=1)
    with transaction():
        sweeping.settle_run(run.id)
    assert _states() == ["uncertain"] * 5


def test_journals_of_ended_runs_are_put_aside_and_in_time_deleted(app: Flask) -> None:
    """Those of a worker that was killed before it could do so itself too; not one that the database knows nothing of."""
    with transaction():
        run = _abandoned(b"end\n", app, host="the-name-before")
    folder: Path = app.extensions["settings"].journals
    (folder / "1.journal").rename(folder / f"{run.id}-0badcafe.journal")
    (folder / "7-0badcafe.journal").write_bytes(b"boot x\n")
    long_ago = folder / "kept" / f"{clock.now() - timedelta(days=9):%Y-%m-%d}"
    long_ago.mkdir(parents=True)
    sweeping.tidy_journals()
    assert len(list(folder.glob("*.journal"))) == 2, "the first has not ended"
    with transaction():
        run.journal, run.ended_at = f"{run.id}-0badcafe.journal", clock.now()
    sweeping.tidy_journals()
    assert [path.name for path in folder.glob("*.journal")] == ["7-0badcafe.journal"]
    assert [path.name for path in folder.glob("kept/*/*")] == [run.journal]
    assert not long_ago.exists()


def test_settling_twice_changes_nothing_more(app: Flask) -> None:
    with transaction():
        run = _abandoned(b"dot 3 1\n", app)
    for _ in range(2):
        with transaction():
            sweeping.settle_run(run.id)
    assert _states() == ["queued", "queued", "uncertain", "queued", "queued"]


def test_a_sweep_rings_for_messages_nobody_rang_for(app: Flask, bell: WrittenBell) -> None:  # R1
    with transaction():
        _abandoned(None, app)
        db.session.execute(Message.__table__.update().values(state=MessageState.queued))
    (campaign_id,) = sweeping.open_campaigns()
    with transaction():
        sweeping.tend(campaign_id)
    assert (jobs.DELIVER.path, (campaign_id,)) in bell.rung


def test_a_sweep_goes_on_filling(app: Flask, bell: WrittenBell) -> None:
    with transaction():
        _abandoned(None, app)
        db.session.scalars(select(Campaign)).one().filled_at = None
    with transaction():
        sweeping.tend(sweeping.open_campaigns()[0])
    assert bell.rung == [(jobs.FILL.path, (1,))]


def test_a_sweep_closes_a_campaign_whose_last_message_ended(app: Flask, bell: WrittenBell) -> None:  # K11
    with transaction():
        _abandoned(None, app)
        db.session.execute(Message.__table__.update().values(state=MessageState.sent))
    with transaction():
        sweeping.tend(sweeping.open_campaigns()[0])
    assert db.session.scalars(select(Campaign.state)).one() is CampaignState.sent
    assert bell.rung == []


def test_a_sweep_closes_what_a_cancelled_campaign_left_waiting(app: Flask) -> None:
    with transaction():
        _abandoned(None, app)
        db.session.execute(Message.__table__.update().where(Message.id > 2).values(state=MessageState.queued))
        db.session.scalars(select(Campaign)).one().state = CampaignState.cancelled
    with transaction():
        sweeping.tend(sweeping.open_campaigns()[0])
    assert _states() == ["sending", "sending", "skipped", "skipped", "skipped"]
    assert sweeping.open_campaigns() == []


def test_a_sweep_has_everybody_told_that_it_was_cancelled(app: Flask, bell: WrittenBell) -> None:  # P1
    with transaction():
        _abandoned(None, app)
        campaign = db.session.scalars(select(Campaign)).one()
        campaign.state, campaign.filled_at, campaign.started_at = CampaignState.cancelled, None, clock.now()
    with transaction():
        sweeping.tend(sweeping.open_campaigns()[0])
    assert bell.rung == [(jobs.FILL.path, (1,))]
    with transaction():
        db.session.scalars(select(Campaign)).one().started_at = None  # it was cancelled before its time
    assert sweeping.open_campaigns() == []


def test_runs_are_found_without_reading_all_that_ever_were(app: Flask) -> None:
    explain = "EXPLAIN QUERY PLAN" if not is_postgresql() else "EXPLAIN"
    if is_postgresql():
        db.session.execute(text("SET LOCAL enable_seqscan = off"))  # an empty table is read as a whole whatever it has
    for condition, index in (
        (Run.campaign_id == 1, "ix_delivery_runs_campaign_id"),
        (Run.ended_at.is_(None), "ix_delivery_runs_open"),
    ):
        asked = select(Run.id).where(condition).order_by(Run.id.desc()).limit(1)
        wanted = asked.compile(db.engine, compile_kwargs={"literal_binds": True})
        plan = str(db.session.execute(text(f"{explain} {wanted}")).all())
        assert index in plan
        assert "Sort" not in plan
