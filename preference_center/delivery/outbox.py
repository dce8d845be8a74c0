"""Fills a campaign's outbox: one message row for everybody in the segment, the refused ones as skipped with their reason.

By ranges of contact id, one INSERT … SELECT and one transaction a range, so it can be stopped and goes on where it was.
"""

from sqlalchemy import and_, cast, func, literal, null, select, true
from sqlalchemy import case as case_
from sqlalchemy.dialects import postgresql, sqlite

from preference_center import clock, failpoints, jobs
from preference_center.campaigns import audience
from preference_center.campaigns import queries as campaigns
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.contacts.models import Contact
from preference_center.db import db, is_postgresql
from preference_center.delivery import reach, trials, waves
from preference_center.delivery.models import Message, MessageState
from preference_center.topics.models import Topic

RANGE = 25_000


def fill_range(campaign_id: int) -> bool:
    """Insert the next range of messages; True while there is more to do. Twice or in parallel is harmless."""
    campaign = db.session.get(Campaign, campaign_id, with_for_update=is_postgresql(), populate_existing=True)
    if campaign is None or campaign.state is not CampaignState.sending or campaign.filled_at is not None:
        return False
    if campaign.fill_to is None:
        campaign.fill_to = db.session.scalar(select(func.max(Contact.id))) or 0
    end = min(campaign.filled_to + RANGE, campaign.fill_to)
    if end > campaign.filled_to:
        _insert(campaign, campaign.filled_to, end)
        campaign.filled_to = end
        failpoints.hit("fill.before_commit")
    if end < campaign.fill_to:
        return True
    campaign.filled_at = clock.now()
    jobs.later(jobs.DELIVER, campaign.id)
    return False


def _insert(campaign: Campaign, after: int, to: int) -> None:
    now = clock.now()
    version = campaigns.version(campaign, campaign.approved_version)
    topic = db.session.get_one(Topic, campaign.topic_id)
    mine = and_(Contact.id > after, Contact.id <= to)
    waits = waves.due(campaign, mine, now)
    due_at, too_late = waves.columns(campaign, waits)
    judged = audience.verdicts(version, topic, now).where(mine, reach.condition(version))
    judged = judged.add_columns(due_at.label("due_at"), too_late.label("too_late")).subquery()
    reason = func.coalesce(judged.c.reason, judged.c.too_late)
    queued = reason.is_(None)
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
    ).where(true())  # SQLite cannot tell ON CONFLICT from a join's ON without a WHERE
    columns = ["campaign_id", "contact_id", "state", "reason", "record_id", "next_try_at", "changed_at"]
    into = (postgresql.insert if is_postgresql() else sqlite.insert)(Message)
    db.session.execute(into.from_select(columns, rows).on_conflict_do_nothing())
    trials.split(campaign, version, after, to)
