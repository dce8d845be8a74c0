"""What became of campaigns, for segments to choose by: `segments/engagement.py` asks, `app.py` joins the answer to it.

An opening or a click counts when a mark of ours proves whose it is, and when no machine made it (`events/machines.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import aliased

from preference_center.campaigns.models import Campaign, CampaignState, CampaignVersion
from preference_center.contacts.models import Contact
from preference_center.db import TimeUp, at_most, db
from preference_center.delivery.events.models import PROVEN, DeliveryEvent
from preference_center.delivery.models import Message, MessageState
from preference_center.delivery.results.tracking import TrackedMessage
from preference_center.providers.base import Kind
from preference_center.segments import tokens
from preference_center.segments.engagement import Fact, Known

PATIENCE = 1.0  # seconds
_STATES = {
    # what may have left, and what is leaving, counts as got: a correction is for them, and by `not got` nobody gets it twice
    Fact.got: (
        MessageState.sending,
        MessageState.sent,
        MessageState.delivered,
        MessageState.complained,
        MessageState.uncertain,
    ),
    Fact.delivered: (MessageState.delivered, MessageState.complained),
    Fact.bounced: (MessageState.bounced,),
}
_UNSENT = (CampaignState.draft, CampaignState.scheduled)  # what is scheduled may become a draft again
_KINDS = {Fact.opened: Kind.opened, Fact.clicked: Kind.clicked}


def named(words: str) -> Iterable[Known]:
    found = db.session.execute(
        select(Campaign.public_id, Campaign.name)
        .where(or_(Campaign.public_id == words, func.lower(Campaign.name) == func.lower(words)))
        .order_by(Campaign.id)
    ).all()
    by_id = [row for row in found if row.public_id == words]
    return [Known(*row) for row in by_id or found]


def who(fact: Fact, campaign: str | None, since: datetime | None) -> ColumnElement[bool]:
    # the statement around it may read these tables too
    message, event, plan = aliased(Message), aliased(DeliveryEvent), aliased(Campaign)
    conditions = [message.contact_id == Contact.id]
    if campaign is not None:
        conditions.append(message.campaign_id == select(plan.id).where(plan.public_id == campaign).scalar_subquery())
    if fact in _STATES:
        conditions.append(message.state.in_(_STATES[fact]))
        when = message.changed_at
    else:
        conditions += [
            event.message_id == message.id,
            event.kind == _KINDS[fact],
            event.machine.is_(None),
            event.matched_by.in_(PROVEN),
        ]
        when = event.occurred_at
    if since is not None:
        conditions.append(when >= since)
    return exists().where(*conditions)


def using(segment: str) -> Iterable[Known]:
    newest = and_(CampaignVersion.campaign_id == Campaign.id, CampaignVersion.number == Campaign.version)
    found = db.session.execute(
        select(Campaign.public_id, Campaign.name, CampaignVersion.segment)
        .join(CampaignVersion, newest)
        .where(Campaign.state.in_(_UNSENT), CampaignVersion.segment.contains("segment"))
        .order_by(Campaign.id)
    )
    return [Known(public_id, name) for public_id, name, rule in found if tokens.names(rule, segment)]


@dataclass(frozen=True)
class Seen:
    """How many got it who agreed to be seen, and of these, who opened it and who followed a link."""

    agreed: int
    opened: int
    clicked: int


def seen(campaign: Campaign) -> Seen | None:
    """None where nobody agreed, or where counting takes too long for a page."""
    mine = Message.campaign_id == campaign.id
    followed = select(func.count()).select_from(TrackedMessage).join(Message, Message.id == TrackedMessage.message_id)
    events = (
        select(DeliveryEvent.kind, func.count(func.distinct(DeliveryEvent.message_id)))
        .join(Message, Message.id == DeliveryEvent.message_id)
        .where(mine, DeliveryEvent.kind.in_(_KINDS.values()), DeliveryEvent.machine.is_(None))
        .where(DeliveryEvent.matched_by.in_(PROVEN))
        .group_by(DeliveryEvent.kind)
    )
    try:
        with at_most(PATIENCE):
            agreed = db.session.scalar(followed.where(mine)) or 0
        with at_most(PATIENCE):
            counts: dict[Kind, int] = dict(db.session.execute(events).all()) if agreed else {}
    except TimeUp:
        return None
    return Seen(agreed, counts.get(Kind.opened, 0), counts.get(Kind.clicked, 0)) if agreed else None
