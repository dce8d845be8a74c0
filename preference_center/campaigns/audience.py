"""Where segment and consent meet: the segment chooses, the judge permits, in one statement (house rule 6)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from preference_center.campaigns.models import CampaignVersion
from preference_center.consent import eligibility
from preference_center.consent.eligibility import Reason
from preference_center.db import db
from preference_center.segments import queries as segments
from preference_center.topics.models import Topic


@dataclass(frozen=True)
class Funnel:
    """How many the segment matches, how many of them may be mailed, and why the others may not. The parts add up."""

    matched: int
    allowed: int
    reasons: dict[Reason, int]  # the largest first


def verdicts(version: CampaignVersion, topic: Topic, at: datetime) -> Select[Any]:
    """`SELECT contact_id, record_id, reason` for everybody in the version's segment; `reason` is NULL for who may be mailed."""
    return eligibility.judge(topic, at).where(segments.predicate(version.segment, at))


def funnel(topic: Topic, segment: str, at: datetime) -> Funnel:
    """The figures of a segment on a topic, counted in one statement."""
    judged = eligibility.judge(topic, at).where(segments.predicate(segment, at)).subquery()
    counted = select(judged.c.reason, func.count()).group_by(judged.c.reason)
    counts: dict[str | None, int] = dict(db.session.execute(counted).all())
    refused = {Reason(reason): count for reason, count in counts.items() if reason is not None}
    return Funnel(
        matched=sum(counts.values()),
        allowed=counts.get(None, 0),
        reasons=dict(sorted(refused.items(), key=lambda item: -item[1])),
    )
