"""What other rooms may choose people by, as conditions on Contact. None of them permits mail: that is the judge's alone.

Each reads the tables under a name of its own: the statement around it, the judge's above all, may read the same tables.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, not_, or_
from sqlalchemy.orm import aliased

from preference_center.consent.models import Standing, State, Subscription
from preference_center.contacts.models import Contact
from preference_center.topics.models import Topic


def stopped(purpose_key: str) -> ColumnElement[bool]:
    """Who withdrew from the whole purpose or objected to it."""
    standing = aliased(Standing)
    return exists().where(
        standing.contact_id == Contact.id,
        standing.purpose_key == purpose_key,
        standing.state.in_([State.withdrawn, State.objected]),
    )


def may_be_tracked(at: datetime) -> ColumnElement[bool]:
    """Who agrees, at this moment, to our counting opens and clicks. Nothing said is a no."""
    subscription, topic = aliased(Subscription), aliased(Topic)
    agreed = exists().where(
        subscription.contact_id == Contact.id,
        subscription.topic_id == topic.id,
        topic.purpose_key == "tracking",
        topic.retired_at.is_(None),
        subscription.state == State.given,
        or_(subscription.until.is_(None), subscription.until > at),
    )
    return and_(agreed, not_(stopped("tracking")))
