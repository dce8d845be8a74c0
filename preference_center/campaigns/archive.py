"""The public archive: what was sent on public topics, where its author says so. Never anybody's own copy: fields stand empty."""

from flask import current_app
from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.engine import Connection

from preference_center import clock
from preference_center.campaigns import experiments, queries
from preference_center.campaigns.models import Campaign, CampaignState, CampaignVersion
from preference_center.campaigns.rendering import content, imprints
from preference_center.campaigns.rendering.content import Rendered
from preference_center.config import Settings
from preference_center.db import db
from preference_center.errors import Invalid, NotFound
from preference_center.topics.models import Topic

_SHOWN: ColumnElement[bool] = and_(
    Campaign.archived_at.is_not(None), Campaign.state == CampaignState.sent, Topic.public, Topic.retired_at.is_(None)
)


def put(campaign: Campaign) -> None:
    """Show it in the archive: at once where it was sent, else as soon as that is done. Invalid where its topic is not public."""
    campaign = queries.lock(campaign.id)
    topic = db.session.get_one(Topic, campaign.topic_id)
    if not topic.public:
        raise Invalid(f"The topic {topic.key} is not public, so its mails are not shown to everybody.")
    campaign.archived_at = campaign.archived_at or clock.now()


def take_out(campaign: Campaign) -> None:
    queries.lock(campaign.id).archived_at = None


def topics() -> list[Topic]:
    """The public topics that have something in the archive."""
    some = select(Campaign.topic_id).join(Topic, Topic.id == Campaign.topic_id).where(_SHOWN)
    return list(db.session.scalars(select(Topic).where(Topic.id.in_(some)).order_by(Topic.position, Topic.id)))


def topic_with(key: str) -> Topic:
    """A topic of the archive by its key. NotFound for one without anything in it: strangers learn nothing of other topics."""
    found = next((topic for topic in topics() if topic.key == key), None)
    if found is None:
        raise NotFound("There is nothing here.")
    return found


def of(topic: Topic, limit: int = 50) -> list[tuple[Campaign, CampaignVersion]]:
    """What was sent on a topic with the version that went out, the newest first."""
    newest_first = _sent_on(topic).order_by(Campaign.started_at.desc(), Campaign.id.desc())
    return [_as_sent(campaign, version) for campaign, version in db.session.execute(newest_first.limit(limit))]


def _sent_on(topic: Topic) -> Select[Campaign, CampaignVersion]:
    went_out = and_(CampaignVersion.campaign_id == Campaign.id, CampaignVersion.number == Campaign.approved_version)
    campaigns = select(Campaign, CampaignVersion).join(Topic, Topic.id == Campaign.topic_id)
    return campaigns.join(CampaignVersion, went_out).where(_SHOWN, Campaign.topic_id == topic.id)


def _as_sent(campaign: Campaign, version: CampaignVersion) -> tuple[Campaign, CampaignVersion]:
    return campaign, experiments.content_of(version, campaign.winner)


def newest(connection: Connection) -> dict[str, str]:
    """The last mail of each topic that has something in the archive: its public id by the topic's key."""
    newest_first = func.row_number().over(
        partition_by=Campaign.topic_id, order_by=[Campaign.started_at.desc(), Campaign.id.desc()]
    )
    shown = select(Topic.key, Campaign.public_id, newest_first.label("place"))
    ranked = shown.join(Campaign, Campaign.topic_id == Topic.id).where(_SHOWN).subquery()
    return {key: name for key, name, _place in connection.execute(select(ranked).where(ranked.c.place == 1))}


def one(topic: Topic, public_id: str) -> tuple[Campaign, CampaignVersion]:
    for campaign, version in db.session.execute(_sent_on(topic).where(Campaign.public_id == public_id)):
        return _as_sent(campaign, version)
    raise NotFound("There is nothing here.")


def page(topic: Topic, version: CampaignVersion, language: str, why: str) -> Rendered:
    """The mail as it reads to nobody in particular. Its links for leaving lead to where one asks for one's own link."""
    settings: Settings = current_app.extensions["settings"]
    fields = content.fields_for(
        email="",
        language=language,
        attributes={},
        unsubscribe_url=f"{settings.public_url}/link",
        preferences_url=f"{settings.public_url}/link",
        imprint=imprints.of(version, topic),
        why=why,
    )
    return content.renderer(version).render(fields, language)
