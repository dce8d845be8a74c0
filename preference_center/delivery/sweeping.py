"""Finds committed work that nobody rang for, and settles what dead workers left behind. Any number of sweeps is harmless."""

import socket
from collections import Counter
from dataclasses import replace

import structlog
from flask import current_app
from sqlalchemy import or_, select

from preference_center import clock, failpoints, jobs
from preference_center.accounts import audit
from preference_center.campaigns import queries as campaigns
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.config import Settings
from preference_center.consent.eligibility import Reason
from preference_center.db import db, is_postgresql, shared_time
from preference_center.delivery import chunks, closing, journal
from preference_center.delivery.chunks import Ending
from preference_center.delivery.journal import Noted
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.delivery.restoring import holding, reconciling

log = structlog.get_logger()

DEATHS, DIED = 5, "campaign.run_died"
STUCK = (
    f"{DEATHS} workers in a row died at it before anything left, perhaps for want of memory (PREFERENCE_CENTER_JOB_MEMORY). "
    "Look at their logs, then resume it."
)


def open_runs() -> list[int]:
    """Runs that have not ended: under way, or abandoned."""
    return list(db.session.scalars(select(Run.id).where(Run.ended_at.is_(None)).order_by(Run.id)))


def settle_run(run_id: int) -> Counter[str]:
    """If the worker of this run is dead, give each of its messages the ending that its journal proves.

    What it claimed and the database has forgotten is counted, and holds all mail: other runs may have lost theirs too (D3).
    """
    run = db.session.get(Run, run_id, with_for_update=is_postgresql(), populate_existing=True)
    noted = _journal_of(run) if run is not None and run.ended_at is None else None
    if run is None or noted is None:
        return Counter()
    # through all of its campaign: an index of what is under way would cost each message more than this does once
    under_way = (
        Message.campaign_id == run.campaign_id,
        Message.run_id == run.id,
        Message.state == MessageState.sending,
    )
    rows = db.session.execute(select(Message.id, Message.attempt).where(*under_way)).all()
    endings = [_proven(noted, row.id, row.attempt) for row in rows]
    chunks.store(run, endings)
    # Silence after another boot puts in doubt what was under way, stored above; of other rows only an older database knows too little.
    held = holding.held()
    forgotten = Counter[str]()
    if noted.campaign:  # a power cut may have taken the head of the journal
        forgotten = reconciling.settle(noted if held else replace(noted, whole=True))
    if forgotten.total():
        holding.hold()
    failpoints.hit("sweep.settled")
    run.ended_at = clock.now()
    if endings and all(ending.state is MessageState.queued for ending in endings):
        _note_death(run, len(endings))
    doubtful = sum(ending.state is MessageState.uncertain for ending in endings)
    log.warning("run.settled", run=run.id, messages=len(endings), uncertain=doubtful)
    return forgotten


def _note_death(run: Run, messages: int) -> None:
    """It died before anything left. When that is all that happens to a campaign, trying again helps nobody: a person must look (K16)."""
    campaign = campaigns.lock(run.campaign_id)
    audit.note("system", DIED, "campaign", campaign.public_id, run=run.id, messages=messages)
    db.session.flush()
    deaths = audit.moments(DIED, "campaign", campaign.public_id, since=campaign.updated_at)[-DEATHS:]
    if len(deaths) < DEATHS or campaign.state is not CampaignState.sending:
        return
    got_on = select(Message.id).where(
        Message.campaign_id == campaign.id,
        Message.state.not_in([MessageState.queued, MessageState.sending]),
        Message.changed_at > deaths[0],
    )
    if not db.session.scalar(select(got_on.exists())):
        campaign.pause(clock.now(), STUCK)


def stuck() -> list[Campaign]:
    """Campaigns that wait for a person because their workers died."""
    waiting = select(Campaign).where(Campaign.state == CampaignState.paused, Campaign.pause_reason == STUCK)
    return list(db.session.scalars(waiting.order_by(Campaign.id)))


def tidy_journals() -> None:
    """Put aside what lies here of runs whose ending is committed: settled, or killed before it could do that itself (K12)."""
    settings: Settings = current_app.extensions["settings"]
    for name, _ in journal.read_left(settings.journals):
        if holding.has_ended(name):
            journal.put_aside(settings.journals / name)
    journal.purge(settings.journals)


def open_campaigns() -> list[int]:
    """Campaigns with work: sending ones, and cancelled ones with people to be gathered or waiting messages to be closed."""
    waiting = select(Message.id).where(Message.campaign_id == Campaign.id, Message.waits).exists()
    unfilled = Campaign.started_at.is_not(None) & Campaign.filled_at.is_(None)
    unfinished = or_(
        Campaign.state == CampaignState.sending,
        (Campaign.state == CampaignState.cancelled) & or_(unfilled, waiting),
    )
    return list(db.session.scalars(select(Campaign.id).where(unfinished)))


def tend(campaign_id: int) -> None:
    """Ring for what waits, close what was cancelled, finish what is done."""
    campaign = campaigns.lock(campaign_id)
    if campaign.state is CampaignState.cancelled:
        chunks.close_waiting(campaign.id, Reason.cancelled)
    if campaign.is_filling:
        jobs.later(jobs.FILL, campaign.id)
    elif not closing.finish_if_done(campaign) and closing.has_due(campaign):
        jobs.later(jobs.DELIVER, campaign.id)


def _journal_of(run: Run) -> Noted | None:
    """What is known of a dead run: its journal here; with the machine lost, nothing (then every row is doubtful)."""
    settings: Settings = current_app.extensions["settings"]
    noted = None
    try:
        noted = journal.read_abandoned(settings.journals / run.journal)
        if noted is None:  # its worker lives
            return None
    except FileNotFoundError:
        kept = iter(journal.read_kept(settings.journals, run.journal))
        noted = next(kept, None)  # it ended, and the database has forgotten that
    except journal.NotUnderstood:
        log.warning(
            "journal.of_a_later_version", run=run.id
        )  # a worker of that version may settle it, while the lease lasts
    # The lock tells that its writer is dead, if that was on this machine: by name, or by the boot, for a container changes its name.
    if noted is not None and (noted.whole or run.host == socket.gethostname()[:80]):
        return noted
    if shared_time() > run.lease_until:
        return noted or Noted({}, whole=False)
    return None


def _proven(noted: Noted, message_id: int, attempt: int) -> Ending:
    if (message_id, attempt) not in noted.replies and noted.whole:
        return Ending(message_id, MessageState.queued)
    code = noted.replies.get((message_id, attempt))
    if code is None:
        return Ending(message_id, MessageState.uncertain, "no_reply")
    if code < 300:
        return Ending(message_id, MessageState.sent, reply_code=code)
    if code < 500:
        return Ending(
            message_id, MessageState.queued, "deferred", code, next_try_at=chunks.next_try(attempt, clock.now())
        )
    return Ending(message_id, MessageState.failed, "refused", code)
