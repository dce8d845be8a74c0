"""Fills a campaign's outbox: one message row for everybody in the segment, the refused ones as skipped with their reason.

By ranges of contact id, one INSERT … SELECT and one transaction a range, so it can be stopped and goes on where it was. If it is
cancelled meanwhile, whoever was not there yet comes in as skipped for that.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, cast, func, insert, literal, null, select, true
from sqlalchemy import case as case_

from preference_center import clock, failpoints, jobs
from preference_center.campaigns import audience
from preference_center.campaigns import queries as campaigns
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.consent.eligibility import Reason
from preference_center.contacts.models import Contact
from preference_center.db import db, is_postgresql
from preference_center.delivery.models import Message, MessageState
from preference_center.delivery.pace import waves
from preference_center.delivery.results import reach, trials
from preference_center.errors import DomainError
from preference_center.topics.models import Topic

# They say when to mail, so they may be over when a mail that waits is due: its claim asks again.
_FOR_NOW = (Reason.paused_by_contact, Reason.frequency_cap)
RANGE = 50_000  # a second or two of a transaction: pausing waits no longer, and what each statement costs by itself is spread


def fill_range(campaign_id: int, now: datetime | None = None) -> bool:
    """Insert the next range of messages; True while there is more to do. Twice or in parallel is harmless.

    `now`, by this machine's clock unless it is given, tells whose mail waits for a later moment.
    """
    now = now or clock.now()
    campaign = db.session.get(Campaign, campaign_id, with_for_update=is_postgresql(), populate_existing=True)
    if campaign is None or not campaign.is_filling:
        return False
    if campaign.fill_to is None:
        campaign.fill_to = db.session.scalar(select(func.max(Contact.id))) or 0
    end = min(campaign.filled_to + RANGE, campaign.fill_to)
    if end > campaign.filled_to:
        try:
            _insert(campaign, campaign.filled_to, end, now)
        except DomainError as fault:
            _stop(campaign, fault, now)
            return False
        campaign.filled_to = end
        failpoints.hit("fill.before_commit")
    if end < campaign.fill_to:
        return True
    campaign.filled_at = now
    if campaign.state is CampaignState.sending:
        jobs.later(jobs.DELIVER, campaign.id)
    return False


def _stop(campaign: Campaign, fault: DomainError, now: datetime) -> None:
    """Its rule cannot be asked, so a person must look; where it is cancelled anyway, it is left at those who are there."""
    if campaign.state is CampaignState.sending:
        campaign.pause(now, f"Its people cannot be gathered: {fault.message}"[:200])
    else:
        campaign.filled_at = now


def _insert(campaign: Campaign, after: int, to: int, now: datetime) -> None:
    version = campaigns.version(campaign, campaign.approved_version)
    reach.hold_family(version)
    topic = db.session.get_one(Topic, campaign.topic_id)
    mine = and_(Contact.id > after, Contact.id <= to)
    waits = waves.due(campaign, mine, now)
    due_at, too_late = waves.columns(campaign, waits)
    asked = audience.verdicts(version, topic, now, within=(after, to)).where(reach.condition(version))
    # OFFSET 0 keeps both databases from unfolding the judge into every place its answer is read, which asks it four times a row
    judged = asked.add_columns(due_at.label("due_at"), too_late.label("too_late")).offset(0).subquery()
    cancelled = campaign.state is CampaignState.cancelled
    refused: ColumnElement[Any] = judged.c.reason
    if (waits or version.experiment) and not cancelled:
        later = true() if version.experiment else judged.c.due_at.is_not(None)
        may_end = and_(refused.in_(_FOR_NOW), judged.c.too_late.is_(None), later)
        refused = case_((may_end, null()), else_=refused)
    reason = func.coalesce(refused, judged.c.too_late, Reason.cancelled.value if cancelled else null())
    queued = reason.is_(None)
    there = select(Message.contact_id).where(
        Message.campaign_id == campaign.id, Message.contact_id > after, Message.contact_id <= to
    )
    # a restore has forgotten them, and a journal knew (reconciling.py)
    new = judged.c.contact_id.not_in(there) if db.session.scalar(select(there.exists())) else true()
    rows = select(
        literal(campaign.id),
        judged.c.contact_id,
        case_((queued, MessageState.queued.value), else_=MessageState.skipped.value),
        reason,
        judged.c.record_id,
        cast(
            case_((queued, judged.c.due_at), else_=null()), Message.next_try_at.type
        ),  # PostgreSQL: a bare NULL is text
        literal(now, Message.changed_at.type),
    ).where(new)
    if is_postgresql():
        # Right after an import it does not know yet how many it has to join, and would look through all of them for each.
        db.session.execute(select(func.set_config("enable_nestloop", "off", true())))
    columns = ["campaign_id", "contact_id", "state", "reason", "record_id", "next_try_at", "changed_at"]
    # no ON CONFLICT: the campaign's row is held and tells how far it is filled, so a row that is there already is a fault of ours
    db.session.execute(insert(Message).from_select(columns, rows))
    trials.split(campaign, version, after, to)
