"""How other rooms read campaigns and their versions, and lock one."""

from sqlalchemy import select

from preference_center.campaigns.models import Campaign, CampaignVersion
from preference_center.db import db
from preference_center.errors import NotFound


def by_public_id(public_id: str) -> Campaign:
    campaign = db.session.scalar(select(Campaign).where(Campaign.public_id == public_id))
    if campaign is None:
        raise NotFound("There is no such campaign.")
    return campaign


def newest(limit: int = 50, before: int | None = None) -> list[Campaign]:
    """Campaigns, newest first; `before` is the id to go on from."""
    statement = select(Campaign).order_by(Campaign.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(Campaign.id < before)
    return list(db.session.scalars(statement))


def version(campaign: Campaign, number: int | None = None) -> CampaignVersion:
    """One version of the content; without a number, the newest."""
    wanted = campaign.version if number is None else number
    found = db.session.scalar(
        select(CampaignVersion).where(CampaignVersion.campaign_id == campaign.id, CampaignVersion.number == wanted)
    )
    if found is None:
        raise NotFound(f"This campaign has no version {wanted}.")
    return found


def versions(campaign: Campaign) -> list[CampaignVersion]:
    """All of them, the newest first."""
    mine = select(CampaignVersion).where(CampaignVersion.campaign_id == campaign.id)
    return list(db.session.scalars(mine.order_by(CampaignVersion.number.desc())))


def lock(campaign_id: int) -> Campaign:
    """The campaign as it is now, held until the transaction ends. SQLite has one writer, which is the same guarantee."""
    return db.session.get_one(Campaign, campaign_id, with_for_update=True, populate_existing=True)
