"""Whose mail waits for their own morning: campaigns by the recipient's clock, and quiet hours where the contact lives.

A message carries the moment before which it does not leave, so waiting costs nothing and the figures close at every moment.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, case, cast, literal, null, or_, select, update

from preference_center.campaigns import timing
from preference_center.campaigns.models import Campaign
from preference_center.consent.eligibility import Reason
from preference_center.contacts.models import Contact
from preference_center.db import db, is_postgresql
from preference_center.delivery.models import Message, MessageState

AT_ONCE = 20_000  # messages put off by one statement
LATE = timedelta(hours=1)  # a campaign that fills in so much after somebody's hour is still on time


def due(campaign: Campaign, ids: ColumnElement[bool], now: datetime) -> dict[str | None, datetime]:
    """By zone of these contacts: when the mail of this campaign is due there, where that is later than now.

    By the contact's own clock the last of these is the campaign's last wave.
    """
    plan = timing.plan_of(campaign)
    everywhere = plan if plan is not None and plan.is_everywhere else None
    if everywhere is None and timing.settings().quiet_hours is None:
        return {}
    found: dict[str | None, datetime] = {}
    for zone in db.session.scalars(select(Contact.time_zone).where(ids).distinct()):
        at = _hour_of(campaign, everywhere, timing.zone_of(zone), now) if everywhere else now
        at = timing.quiet_until(at, zone) or at
        if at > now:
            found[zone] = at
    if everywhere and found:
        campaign.last_wave_at = max(campaign.last_wave_at or now, *found.values())
    return found


def _hour_of(campaign: Campaign, plan: timing.Plan, zone: ZoneInfo, now: datetime) -> datetime:
    """When it is the planned hour there; where that is past, the next day on which we send at it, or now if none is soon enough."""
    if (planned := plan.there(zone)) >= now - LATE:
        return max(now, planned)
    days, end = plan.there_after(zone, now), campaign.not_after
    return next((at for at in days if timing.is_open(at) and (end is None or at < end)), now)


def columns(campaign: Campaign, waits: dict[str | None, datetime]) -> tuple[Any, Any]:
    """In SQL, over Contact: when the message is due (NULL: at once), and the reason where that is too late for the campaign."""
    kind = Message.next_try_at.type
    if not waits:
        return cast(null(), kind), cast(null(), Message.reason.type)
    over = {zone for zone, at in waits.items() if at >= campaign.gives_up_at()}
    due_at = case(*((lives_in(zone), literal(at, kind)) for zone, at in waits.items()), else_=null())
    if not over:
        return due_at, cast(null(), Message.reason.type)
    reason = Reason.quiet_hours_over if timing.settings().quiet_hours else Reason.too_late
    return due_at, case((or_(*map(lives_in, over)), reason.value), else_=null())


def awake(campaign: Campaign, rows: list[Any], now: datetime) -> list[Any]:
    """Of these claimed rows (id, contact_id), those whose contact has no quiet hours now; the others are put off until morning."""
    if timing.settings().quiet_hours is None:
        return rows
    asked = select(Contact.id, Contact.time_zone).where(Contact.id.in_([row.contact_id for row in rows]))
    zones = {contact_id: zone for contact_id, zone in db.session.execute(asked)}  # noqa: C416
    until = {zone: timing.quiet_until(now, zone) for zone in set(zones.values())}
    resting = [row for row in rows if until[zones[row.contact_id]] is not None]
    if not resting:
        return rows
    for zone in {zones[row.contact_id] for row in resting}:
        morning = until[zone]
        assert morning is not None  # noqa: S101
        _put_off(campaign, zone, [row.id for row in resting if zones[row.contact_id] == zone], morning, now)
    asleep = {row.id for row in resting}
    return [row for row in rows if row.id not in asleep]


def _put_off(campaign: Campaign, zone: str | None, own: Iterable[int], until: datetime, now: datetime) -> None:
    """These, and many more who live there, so that the next claims need not find out one by one."""
    more = (
        select(Message.id)
        .join(Contact, and_(Contact.id == Message.contact_id, lives_in(zone)))
        .where(Message.campaign_id == campaign.id, Message.waits)
        .where(or_(Message.next_try_at.is_(None), Message.next_try_at <= now))
        .order_by(Message.id)
        .limit(AT_ONCE)
    )
    if is_postgresql():
        more = more.with_for_update(skip_locked=True, of=Message)
    values: dict[str, Any] = {"next_try_at": until}
    if until >= campaign.gives_up_at():
        values = {"state": MessageState.skipped, "reason": Reason.quiet_hours_over, "changed_at": now}
    ids = {*own, *db.session.scalars(more)}
    db.session.execute(
        update(Message)
        .where(Message.id.in_(ids), Message.state == MessageState.queued)
        .values(values)
        .execution_options(synchronize_session=False)
    )


def lives_in(zone: str | None) -> ColumnElement[bool]:
    return Contact.time_zone.is_(None) if zone is None else Contact.time_zone == zone
