"""When is a campaign over? When all its messages are filled in and none of them waits or is under way."""

from sqlalchemy import ColumnElement, exists, or_, select

from preference_center import clock
from preference_center.campaigns import timing
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.db import db
from preference_center.delivery import chunks
from preference_center.delivery.models import Message, MessageState


def finish_if_done(campaign: Campaign) -> bool:
    """Close a sending campaign whose last message has ended; True when it is closed. Hold its row."""
    if campaign.state is not CampaignState.sending:
        return campaign.state in (CampaignState.sent, CampaignState.cancelled)
    own = Message.campaign_id == campaign.id
    # Looks at each, if it comes to that: also at one in a state of a later version, which knows when it has ended (P12).
    open_ = exists().where(own, Message.state.not_in(_ENDED))
    if campaign.filled_at is None or _any(exists().where(own, Message.waits), open_):
        return False
    campaign.finish(clock.now())
    chunks.uncount(campaign.id)  # also who was put off, and found no time any more
    return True


def has_due(campaign: Campaign) -> bool:
    """Whether a message of this campaign could leave now."""
    now = clock.now()
    due = or_(Message.next_try_at.is_(None), Message.next_try_at <= now)
    return (
        campaign.state is CampaignState.sending
        and timing.is_open(now)
        and _any(exists().where(Message.campaign_id == campaign.id, Message.waits, due))
    )


def _any(*alternatives: ColumnElement[bool]) -> bool:
    """The quickest first, and all in one statement: between two, a message could go from one state to the other."""
    return bool(db.session.scalar(select(or_(*alternatives))))


_ENDED = frozenset(MessageState) - {MessageState.queued, MessageState.sending}
