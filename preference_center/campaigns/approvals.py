"""What was approved is what is sent: the approval names the version, and freezes its content, rule and sender by hash (P7)."""

from datetime import datetime

from sqlalchemy import select

from preference_center.campaigns import queries, timing
from preference_center.campaigns.models import Approval, Campaign, CampaignVersion
from preference_center.campaigns.rendering import imprints
from preference_center.db import db
from preference_center.errors import Conflict
from preference_center.topics.models import Topic


def note(campaign: Campaign, version: CampaignVersion, by: str, at: datetime) -> Approval:
    """Write down that this version may go as it stands. Hold the campaign's row."""
    made = Approval(
        campaign_id=campaign.id,
        version=version.number,
        sha256=version.sha256,
        sender=timing.settings().mail_from,
        by=by,
        at=at,
    )
    db.session.add(made)
    db.session.flush()
    return made


def newest(campaign: Campaign) -> Approval | None:
    """The approval under which it is sent; None for a draft, and for one scheduled before approvals were written down."""
    return db.session.scalar(
        select(Approval)
        .where(Approval.campaign_id == campaign.id, Approval.version == campaign.approved_version)
        .order_by(Approval.id.desc())
        .limit(1)
    )


def check_newest(campaign: Campaign, number: int) -> None:
    """Conflict when somebody saved another version than the one that is approved here (C7)."""
    if campaign.version != number:
        raise Conflict(
            f"Version {number} was to be approved, but version {campaign.version} was saved meanwhile. Look at that one first."
        )


def fault(campaign: Campaign) -> str | None:
    """Why what would be sent is not what was approved, in words; None when it is."""
    version = queries.version(campaign, campaign.approved_version)
    if not version.is_intact():
        return "The approved content was altered in the database. Nothing more is sent."
    if imprints.of(version, topic := db.session.get_one(Topic, campaign.topic_id)).topic != topic.key:
        return "The topic is not the one that was approved. Nothing more is sent."
    approved = newest(campaign)
    if approved is None:
        return None
    if approved.sha256 != version.sha256:
        return "The content is not the one that was approved. Nothing more is sent."
    if approved.sender != timing.settings().mail_from:
        return "The sender (MAIL_FROM) is not the one that was approved. Cancel it and approve a copy, or set the sender back."
    return None
