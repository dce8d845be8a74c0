"""Was it a person who opened the mail or followed the link? The reason, when it was not; such ones are kept out of rates.

No reason means only that nothing speaks for a machine. Neither an opening nor a click is ever a consent, whoever it was.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, select

from preference_center.db import db
from preference_center.delivery.events import gateways
from preference_center.delivery.events.models import SITE, DeliveryEvent
from preference_center.providers.base import Kind

AT_DELIVERY = timedelta(seconds=5)  # faster after the delivery than a person is told of it
TOGETHER = timedelta(seconds=10)  # a person does not follow this many links in that time
MANY_LINKS = 3


class Reason(StrEnum):
    provider = "provider"  # the provider says so
    head = "head"  # asked for the headers only
    gateway = "gateway"  # a known one, by its name
    at_delivery = "at_delivery"
    all_links = "all_links"


@dataclass(frozen=True)
class Hit:
    """One opening or click, with what is known of it."""

    at: datetime
    delivered_at: datetime | None = None
    links_near: int = 0  # different links of the same message followed within TOGETHER of it, this one included
    links_in_all: int | None = None  # that the message has, where known
    method: str = "GET"
    user_agent: str = ""


def judge(hit: Hit) -> Reason | None:
    """Why this was no person; the surest reason first."""
    if hit.method == "HEAD":
        return Reason.head
    if _is_gateway(hit):
        return Reason.gateway
    if hit.links_near >= MANY_LINKS or (hit.links_in_all == hit.links_near and hit.links_near > 1):
        return Reason.all_links
    if hit.delivered_at is not None and timedelta(0) <= hit.at - hit.delivered_at <= AT_DELIVERY:
        return Reason.at_delivery
    return None


def of_event(event: DeliveryEvent) -> Reason | None:
    """The same of a stored event, from the other events of its message. A provider's own word is written down already."""
    if event.message_id is None:
        return None
    mine = DeliveryEvent.message_id == event.message_id
    near = DeliveryEvent.occurred_at.between(event.occurred_at - TOGETHER, event.occurred_at + TOGETHER)
    delivered = select(func.min(DeliveryEvent.occurred_at)).where(mine, DeliveryEvent.kind == Kind.delivered)
    links = select(func.count(DeliveryEvent.link.distinct())).where(mine, near, DeliveryEvent.kind == Kind.clicked)
    # Our own links and image note what fetched them; a provider's detail is in its own words.
    agent = event.detail or "" if event.source == SITE else ""
    return judge(Hit(event.occurred_at, db.session.scalar(delivered), db.session.scalar(links) or 0, user_agent=agent))


def _is_gateway(hit: Hit) -> bool:
    agent = hit.user_agent.casefold()
    return any(part in agent for part in gateways.USER_AGENTS)
