"""What other rooms may choose people by, as conditions on Contact. None of them permits mail: that is the judge's alone."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, not_, or_

from preference_center.consent.models import Standing, State, Subscription
from preference_center.contacts.models import Contact
from preference_center.topics.models import Topic


def stopped(purpose_key: str) -> ColumnElement[bool]:
    """Who withdrew from the whole purpose or objected to it."""
    return exists().where(
        Standing.contact_id == Contact.id,
        Standing.purpose_key == purpose_key,
        Standing.state.in_([State.withdrawn, State.objected]),
    )


def may_be_tracked(at: datetime) -> ColumnElement[bool]:
    """Who agrees, at this moment, to our counting opens and clicks. Nothing said is a no."""
    agreed = exists().where(
        Subscription.contact_id == Contact.id,
        Subscription.topic_id == Topic.id,
        Topic.purpose_key == "tracking",
        Topic.retired_at.is_(None),
        Subscription.state == State.given,
        or_(Subscription.until.is_(None), Subscription.until > at),
    )
    return and_(agreed, not_(stopped("tracking")))
