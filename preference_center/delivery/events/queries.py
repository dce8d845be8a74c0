"""How others read events: lists for a person, counts for reports, and what needs somebody."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, func, select

from preference_center.campaigns.models import Campaign
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.delivery.events.models import DeliveryEvent, Effect
from preference_center.delivery.models import Message
from preference_center.errors import NotFound
from preference_center.providers.base import Kind


def by_public_id(public_id: str) -> Row[DeliveryEvent, str | None, str | None]:
    """One event with the public ids of its contact and campaign."""
    found = db.session.execute(_named().where(DeliveryEvent.public_id == public_id)).first()
    if found is None:
        raise NotFound("There is no such event.")
    return found


def listed(
    *,
    source: str | None = None,
    kind: Kind | None = None,
    effect: Effect | None = None,
    since: datetime | None = None,
    limit: int = 50,
) -> list[Row[DeliveryEvent, str | None, str | None]]:
    """The newest events, with the public ids of their contacts and campaigns."""
    return list(db.session.execute(_chosen(_named(), source, kind, effect, since).limit(limit)))


def newest(
    *, source: str | None, kind: Kind | None, effect: Effect | None, before: int | None, limit: int
) -> list[Row[DeliveryEvent, Contact | None, Campaign | None]]:
    """The newest events, older than `before`, with their contacts and campaigns."""
    wanted = _joined(select(DeliveryEvent, Contact, Campaign))
    if before is not None:
        wanted = wanted.where(DeliveryEvent.id < before)
    return list(db.session.execute(_chosen(wanted, source, kind, effect, None).limit(limit)))


def _chosen(wanted: Any, source: str | None, kind: Kind | None, effect: Effect | None, since: datetime | None) -> Any:
    for column, value in (
        (DeliveryEvent.source, source),
        (DeliveryEvent.kind, kind),
        (DeliveryEvent.effect, effect),
    ):
        if value is not None:
            wanted = wanted.where(column == value)
    if since is not None:
        wanted = wanted.where(DeliveryEvent.received_at >= since)
    return wanted.order_by(DeliveryEvent.id.desc())


def _named() -> Select[DeliveryEvent, str | None, str | None]:
    return _joined(select(DeliveryEvent, Contact.public_id, Campaign.public_id))  # type: ignore[no-any-return]


def _joined(wanted: Any) -> Any:
    return (
        wanted.outerjoin(Contact, Contact.id == DeliveryEvent.contact_id)
        .outerjoin(Message, Message.id == DeliveryEvent.message_id)
        .outerjoin(Campaign, Campaign.id == Message.campaign_id)
    )


@dataclass(frozen=True)
class Engagement:
    """People of one campaign who opened or clicked, and how often a machine did it. Machines are in no rate."""

    opened: int = 0
    clicked: int = 0
    by_machines: dict[str, int] = field(default_factory=dict)  # by reason


def engagement(campaign: Campaign) -> Engagement:
    mine = Message.campaign_id == campaign.id
    seen = DeliveryEvent.kind.in_([Kind.opened, Kind.clicked])
    joined = Message.id == DeliveryEvent.message_id
    people = (
        select(DeliveryEvent.kind, func.count(DeliveryEvent.message_id.distinct()))
        .join(Message, joined)
        .where(mine, seen, DeliveryEvent.machine.is_(None))
        .group_by(DeliveryEvent.kind)
    )
    machines = (
        select(DeliveryEvent.machine, func.count())
        .join(Message, joined)
        .where(mine, seen, DeliveryEvent.machine.is_not(None))
        .group_by(DeliveryEvent.machine)
    )
    counts: dict[str, Any] = {row[0]: row[1] for row in db.session.execute(people)}
    return Engagement(
        counts.get(Kind.opened, 0),
        counts.get(Kind.clicked, 0),
        {row[0]: row[1] for row in db.session.execute(machines) if row[0]},
    )


def held() -> dict[str, int]:
    """Events that wait for a person, by source."""
    rows = select(DeliveryEvent.source, func.count()).where(DeliveryEvent.effect == Effect.held)
    return {row[0]: row[1] for row in db.session.execute(rows.group_by(DeliveryEvent.source))}


def unmatched(since: datetime) -> dict[str, int]:
    """Events that fitted nothing of ours, by source."""
    rows = select(DeliveryEvent.source, func.count()).where(
        DeliveryEvent.effect == Effect.unmatched, DeliveryEvent.received_at >= since
    )
    return {row[0]: row[1] for row in db.session.execute(rows.group_by(DeliveryEvent.source))}


def tally(since: datetime) -> dict[str, int]:
    """How many events came since then, by what came of them; and, as `unknown`, those of a kind we do not know."""
    lately = DeliveryEvent.received_at >= since
    rows = select(DeliveryEvent.effect, func.count()).where(lately).group_by(DeliveryEvent.effect)
    found = {str(row[0]): int(row[1]) for row in db.session.execute(rows)}
    unknown = select(func.count()).where(lately, DeliveryEvent.kind == Kind.unknown)
    return found | {"unknown": db.session.scalar(unknown) or 0}
