"""Where segment and consent meet: the segment chooses, the judge permits, in one statement (house rule 6)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select

from preference_center.campaigns.models import Campaign, CampaignVersion
from preference_center.consent import eligibility
from preference_center.consent.eligibility import Reason
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.errors import Conflict
from preference_center.segments import queries as segments
from preference_center.topics.models import Topic


@dataclass(frozen=True)
class Funnel:
    """How many the segment matches, how many of them may be mailed, and why the others may not. The parts add up."""

    matched: int
    allowed: int
    reasons: dict[Reason, int]  # the largest first

    @property
    def steps(self) -> list[tuple[Reason, int, int]]:
        """The way from matched to allowed in the order the judge asks: reason, how many it takes away, how many are left."""
        found, left = [], self.matched
        for reason in Reason:
            if taken := self.reasons.get(reason, 0):
                left -= taken
                found.append((reason, taken, left))
        return found


def verdicts(
    version: CampaignVersion, topic: Topic, at: datetime, within: tuple[int, int] | None = None
) -> Select[Any]:
    """`SELECT contact_id, record_id, reason` for everybody in the version's segment; `reason` is NULL for who may be mailed.

    `within`: only contacts after the first id up to the second.
    """
    return eligibility.judge(topic, at, within=within).where(segments.predicate(rule(version), at))


def rule(version: CampaignVersion) -> str:
    """The rule that counts: the one frozen at approval, where this is the approved version. Conflict when that was altered (P7)."""
    campaign = db.session.get_one(Campaign, version.campaign_id)
    if campaign.approved_version != version.number or campaign.frozen_segment is None:
        return version.segment
    if not campaign.segment_is_intact():
        raise Conflict("The approved audience rule was altered in the database. Nothing is sent by it.")
    return campaign.frozen_segment


def refused(
    version: CampaignVersion,
    topic: Topic,
    at: datetime,
    reason: Reason,
    also: ColumnElement[bool],
    after: int,
    limit: int,
) -> list[Contact]:
    """Some of those in the segment whom this reason keeps from the mail, by rising id, starting behind `after`."""
    judged = verdicts(version, topic, at).where(also).subquery()
    mine = select(Contact).join(judged, judged.c.contact_id == Contact.id)
    behind = mine.where(judged.c.reason == reason, Contact.id > after)
    return list(db.session.scalars(behind.order_by(Contact.id).limit(limit)))


def funnel(topic: Topic, segment: str, at: datetime, also: ColumnElement[bool] | None = None) -> Funnel:
    """The figures of a segment on a topic, counted in one statement; `also` narrows it further."""
    meant = segments.predicate(segment, at)
    judged = eligibility.judge(topic, at).where(meant if also is None else and_(meant, also)).subquery()
    counted = select(judged.c.reason, func.count()).group_by(judged.c.reason)
    counts: dict[str | None, int] = dict(db.session.execute(counted).all())
    refused = {Reason(reason): count for reason, count in counts.items() if reason is not None}
    return Funnel(
        matched=sum(counts.values()),
        allowed=counts.get(None, 0),
        reasons=dict(sorted(refused.items(), key=lambda item: -item[1])),
    )
