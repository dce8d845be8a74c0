"""How many people a rule means: an estimate within a second from a sample, the exact number, and a few of them to look at.

The sample is a number of short ranges of contact ids, spread over all of them, so that old and new contacts are in it alike. It
needs neither a count of the table nor a statistic of the planner, which knows nothing of attributes, and works on both databases.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select

from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.segments import queries
from preference_center.segments.rules import And, Rule, joined

RANGES = 40
IDS_IN_A_RANGE = 500
SHOWN = 10
MAX_TRIED = 8
_GOLDEN = 0.618034  # its multiples fall everywhere between 0 and 1, and nowhere twice


@dataclass(frozen=True)
class Estimate:
    number: int
    margin: int  # nineteen times out of twenty the truth is within `number` plus or minus this
    exact: bool


def estimate(rule: Rule, at: datetime) -> Estimate:
    """Few contacts are counted; of many a sample is."""
    first, last = db.session.execute(select(func.min(Contact.id), func.max(Contact.id))).one()
    if first is None:
        return Estimate(0, 0, exact=True)
    ids = last - first + 1
    if ids <= RANGES * IDS_IN_A_RANGE:
        return Estimate(count(rule, at), 0, exact=True)
    starts = _starts(first, ids)
    inside = or_(*(Contact.id.between(start, start + IDS_IN_A_RANGE - 1) for start in starts))
    found = [0] * RANGES
    for contact_id in db.session.scalars(select(Contact.id).where(inside, queries.meant_by(rule, at))):
        found[bisect_right(starts, contact_id) - 1] += 1
    return _reckoned(found, ids)


def count(rule: Rule, at: datetime) -> int:
    """Exactly, however long that takes."""
    return db.session.scalar(select(func.count()).select_from(Contact).where(queries.meant_by(rule, at))) or 0


def narrowest(rule: Rule, at: datetime) -> Rule | None:
    """Of a rule that means nobody: the part without which it would mean the most people."""
    if not isinstance(rule, And):
        return None
    without = [joined(And, [other for other in rule.rules if other is not part]) for part in rule.rules[:MAX_TRIED]]
    sizes = [estimate(other, at).number for other in without]
    return rule.rules[sizes.index(max(sizes))] if max(sizes) else None


def sample(rule: Rule, at: datetime, limit: int = SHOWN) -> list[Contact]:
    """Some of the people meant, the newest: to see that the rule means what one meant."""
    return list(
        db.session.scalars(select(Contact).where(queries.meant_by(rule, at)).order_by(Contact.id.desc()).limit(limit))
    )


def _starts(first: int, ids: int) -> list[int]:
    """Where each range begins: in its own part of the ids, at another place of it each, so that no rhythm of an import meets ours."""
    part = ids // RANGES
    room = part - IDS_IN_A_RANGE
    return [first + number * part + int(room * (number * _GOLDEN % 1)) for number in range(RANGES)]


def _reckoned(found: list[int], ids: int) -> Estimate:
    """The sum scaled up, with the spread between the ranges as the measure of doubt; a rule that found nobody may still mean a few."""
    scale = ids / (RANGES * IDS_IN_A_RANGE)
    mean = sum(found) / RANGES
    spread = math.sqrt(sum((each - mean) ** 2 for each in found) / (RANGES - 1))
    doubt = 1.96 * max(spread * math.sqrt(RANGES), math.sqrt(3.0 if not mean else sum(found)))
    return Estimate(round(sum(found) * scale), math.ceil(doubt * scale), exact=False)
