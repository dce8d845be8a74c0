"""Whom an earlier campaign reached or missed: once more for those who did not get it, a correction for those who did (C10).

Who may have got it is never among the missed, and neither is anybody whom an earlier "once more" has reached.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, true

from preference_center.campaigns import copying, queries
from preference_center.campaigns.models import Campaign, CampaignState, CampaignVersion
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.delivery.models import Message, MessageState
from preference_center.errors import Conflict, Invalid

UNCERTAIN = "uncertain"  # closed without proof either way; only where somebody says so
MISSED = (MessageState.skipped, MessageState.failed, MessageState.bounced)
_ENDED = (CampaignState.sent, CampaignState.cancelled)


def missed(campaign: Campaign) -> dict[str, int]:
    """How many did not get it, by reason: what a person chooses from. `uncertain` are those who may have got it."""
    _must_have_ended(campaign)
    if campaign.is_filling:
        raise Conflict("Everybody it was for is still being gathered. Look again in a moment.")
    reason = func.coalesce(Message.reason, Message.state)
    counted = (
        select(Message.state, reason, func.count())
        .where(Message.campaign_id == campaign.id, Message.state.in_([*MISSED, MessageState.uncertain]))
        .where(~_got_another(campaign, Message.contact_id))
        .group_by(Message.state, reason)
    )
    found: dict[str, int] = {}
    for state, why, count in db.session.execute(counted):
        key = UNCERTAIN if state is MessageState.uncertain else str(why)
        found[key] = found.get(key, 0) + count
    return dict(sorted(found.items()))


def resend(campaign: Campaign, reasons: Collection[str], actor: str = "") -> Campaign:
    """A draft with the content that was sent, for those whom these reasons kept from it. It is judged anew, person by person."""
    known = missed(campaign)
    unknown = sorted(set(reasons) - set(known))
    if not reasons or unknown:
        words = f"Nobody was missed because of {', '.join(unknown)}." if unknown else "Say which reasons are meant."
        raise Invalid(f"{words} There are: {', '.join(known) or 'none'}.", {"reasons": words})
    audience = {"missed_by": campaign.public_id, "reasons": sorted(reasons)}
    return copying.copy(campaign, f"{campaign.name} (once more)", actor, kind="resend", audience=audience)


def correct(campaign: Campaign, actor: str = "") -> Campaign:
    """A draft for everybody who got it, or may have; its author writes what to correct."""
    _must_have_ended(campaign)
    return copying.copy(
        campaign, f"{campaign.name} (correction)", actor, kind="correction", segment=f'got "{campaign.public_id}"'
    )


def hold_family(version: CampaignVersion) -> None:
    """Let nobody else fill a "once more" of the same first campaign until the transaction ends: neither would see whom the other takes.

    Who fills holds a campaign of its own before this one, which has ended; whoever holds that one wants no other.
    """
    rule: dict[str, Any] = version.audience or {}
    if "missed_by" in rule:
        above, _ = _family(queries.by_public_id(rule["missed_by"]))
        queries.lock(queries.by_public_id(above[-1]).id)


def condition(version: CampaignVersion) -> ColumnElement[bool]:
    """The part of a version's audience that speaks of an earlier campaign, over Contact."""
    rule: dict[str, Any] = version.audience or {}
    if "missed_by" not in rule:
        return true()
    before = queries.by_public_id(rule["missed_by"])
    reasons = set(rule["reasons"])
    kinds = [and_(Message.state.in_(MISSED), func.coalesce(Message.reason, Message.state).in_(reasons - {UNCERTAIN}))]
    if UNCERTAIN in reasons:
        kinds.append(Message.state == MessageState.uncertain)
    was_missed = exists().where(Message.campaign_id == before.id, Message.contact_id == Contact.id, or_(*kinds))
    return and_(was_missed, ~_got_another(before, Contact.id, version.campaign_id))


def _got_another(campaign: Campaign, contact_id: Any, but: int | None = None) -> ColumnElement[bool]:
    """Whether another of its family has reached that person, or is about to: what it is a "once more" of, or one of any of these.

    Of those it came from, only who surely got it counts: for whom they were uncertain, somebody has asked.
    """
    above, family = _family(campaign)
    others = select(Campaign.id).where(Campaign.public_id.in_(family), Campaign.id.not_in([campaign.id, but or 0]))
    own = Message.__table__.alias()
    return exists().where(
        own.c.campaign_id.in_(others),
        own.c.contact_id == contact_id,
        own.c.state.not_in(MISSED),
        or_(
            own.c.state != MessageState.uncertain,
            own.c.campaign_id.not_in(select(Campaign.id).where(Campaign.public_id.in_(above))),
        ),
    )


def _family(campaign: Campaign) -> tuple[list[str], list[str]]:
    """The campaign and those it is a "once more" of, up to the first; and all that came of that first one."""
    made = select(Campaign.public_id, Campaign.made_from).where(Campaign.made_from.startswith("resend "))
    parents = {name: made_from.split()[1] for name, made_from in db.session.execute(made)}

    def line(name: str) -> list[str]:
        return [name, *line(parents[name])] if name in parents else [name]

    above = line(campaign.public_id)
    return above, [above[-1], *(name for name in parents if line(name)[-1] == above[-1])]


def _must_have_ended(campaign: Campaign) -> None:
    if campaign.state not in _ENDED:
        raise Conflict(f"This campaign is {campaign.state}; that needs it to be {' or '.join(_ENDED)}.")
