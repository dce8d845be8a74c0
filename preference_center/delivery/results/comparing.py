"""A campaign that has ended beside the last ones on its topic, and how many of those who got it have left the topic."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import and_, func, or_, select

from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.consent.models import ConsentRecord, State, Subscription
from preference_center.db import TimeUp, at_most, db
from preference_center.delivery.models import Message, MessageState
from preference_center.delivery.queries import Figures
from preference_center.delivery.results import totals

LAST = 5
WEEK = timedelta(days=7)  # those who left later say little of this mail, and campaigns of any age can be compared
PATIENCE = 1.0  # seconds
_GOT = (MessageState.sent, MessageState.delivered, MessageState.complained, MessageState.uncertain)
_LEFT = (State.withdrawn, State.objected)


@dataclass(frozen=True)
class Line:
    """What became of one campaign; `left` are those who left the topic within a week of its start, None where that takes too long."""

    campaign: Campaign
    figures: Figures
    left: int | None

    @property
    def handed(self) -> int:
        return self.figures.sent + self.figures.delivered + self.figures.bounced + self.figures.complained


def left_since(campaign: Campaign) -> int | None:
    """How many of those who got it have left its topic since, and are still away. None where counting takes too long for a page."""
    found = _left([campaign], within=None)
    return None if found is None else found.get(campaign.id, 0)


def with_the_last(campaign: Campaign) -> list[Line]:
    """This campaign, and behind it the last ones on its topic that were sent before it, the newest first."""
    earlier = (
        select(Campaign)
        .where(Campaign.topic_id == campaign.topic_id, Campaign.state == CampaignState.sent)
        .where(Campaign.started_at < campaign.started_at, Campaign.id != campaign.id)
        .order_by(Campaign.started_at.desc())
        .limit(LAST)
    )
    beside = [campaign, *db.session.scalars(earlier)]
    figures, left = totals.of_list(beside), _left(beside, within=WEEK)
    return [
        Line(one, figures[one.id], None if left is None else left.get(one.id, 0)) for one in beside if one.id in figures
    ]


def _left(campaigns: Collection[Campaign], within: timedelta | None) -> dict[int, int] | None:
    """By campaign, those who got it and whose last word on its topic, since it began, was to leave."""
    windows = []
    for campaign in campaigns:
        if (begun := campaign.started_at) is None:
            continue
        since = [Message.campaign_id == campaign.id, ConsentRecord.happened_at >= begun]
        if within is not None:
            since.append(ConsentRecord.happened_at < begun + within)
        windows.append(and_(*since))
    if not windows:  # none of them has begun
        return {}
    counted = (
        select(Message.campaign_id, func.count())
        .join(Subscription, Subscription.contact_id == Message.contact_id)
        .join(ConsentRecord, ConsentRecord.id == Subscription.record_id)
        .where(Subscription.topic_id.in_({campaign.topic_id for campaign in campaigns}), Subscription.state.in_(_LEFT))
        .where(Message.state.in_(_GOT), or_(*windows))
        .group_by(Message.campaign_id)
    )
    try:
        with at_most(PATIENCE):
            return dict(db.session.execute(counted).all())
    except TimeUp:
        return None
