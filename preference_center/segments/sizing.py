"""How many people a rule means: an estimate within a second from a sample, the exact number, and a few of them to look at.

The sample is a number of short ranges of contact ids, spread over all of them, so that old and new contacts are in it alike. It
needs neither a count of the table nor a statistic of the planner, which knows nothing of attributes, and works on both databases.
"""

import math
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select

from preference_center.contacts.models import Contact
from preference_center.db import TimeUp, at_most, db
from preference_center.segments import queries
from preference_center.segments.rules import And, Rule, joined

RANGES = 40
IDS_IN_A_RANGE = 500
ROUNDS = 5  # in which the ranges are looked at; after any of them there is an answer
LONGEST = 1.0  # seconds
SHOWN = 10
MAX_TRIED = 8
_GOLDEN = 0.618034  # its multiples fall everywhere between 0 and 1, and nowhere twice


@dataclass(frozen=True)
class Estimate:
    """How many a rule means. `cut`: the second was over first, so it rests on less; without a margin, `number` are those found by then."""

    number: int
    margin: int  # nineteen times out of twenty the truth is within `number` plus or minus this
    exact: bool
    cut: bool = False


def estimate(rule: Rule, at: datetime, seconds: float = LONGEST) -> Estimate:
    """Few contacts are counted; of many a sample is. Never longer than `seconds`, whatever the rule."""
    return _estimate(rule, at, time.monotonic() + seconds)


def _estimate(rule: Rule, at: datetime, until: float) -> Estimate:
    """Round by round over the sample, each round spread over all contacts, until the time is up."""
    found: list[int] = []
    ids = whole = width = 0
    try:
        with _before(until):
            first, last = db.session.execute(select(func.min(Contact.id), func.max(Contact.id))).one()
        if first is None:
            return Estimate(0, 0, exact=True)
        ids = last - first + 1
        whole = ids <= RANGES * IDS_IN_A_RANGE
        width = -(-ids // RANGES) if whole else IDS_IN_A_RANGE
        starts = [first + number * width for number in range(RANGES)] if whole else _starts(first, ids)
        meant = queries.meant_by(rule, at)
        for part in range(ROUNDS):
            with _before(until):
                found += _found(starts[part::ROUNDS], width, meant)
    except TimeUp:
        return _reckoned(found, ids, width, cut=True) if found else Estimate(0, 0, exact=False, cut=True)
    return Estimate(sum(found), 0, exact=True) if whole else _reckoned(found, ids, width)


@contextmanager
def _before(until: float) -> Iterator[None]:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeUp
    with at_most(left):
        yield


def _found(starts: Sequence[int], width: int, meant: ColumnElement[bool]) -> list[int]:
    """How many are meant in each of these ranges."""
    inside = or_(*(Contact.id.between(start, start + width - 1) for start in starts))
    found = [0] * len(starts)
    for contact_id in db.session.scalars(select(Contact.id).where(inside, meant)):
        found[bisect_right(starts, contact_id) - 1] += 1
    return found


def count(rule: Rule, at: datetime) -> int:
    """Exactly, however long that takes."""
    return db.session.scalar(select(func.count()).select_from(Contact).where(queries.meant_by(rule, at))) or 0


def narrowest(rule: Rule, at: datetime) -> Rule | None:
    """Of a rule that means nobody: the part without which it would mean the most people."""
    if not isinstance(rule, And):
        return None
    until = time.monotonic() + LONGEST
    without = [joined(And, [other for other in rule.rules if other is not part]) for part in rule.rules[:MAX_TRIED]]
    sizes = [_estimate(other, at, until).number for other in without]
    return rule.rules[sizes.index(max(sizes))] if max(sizes) else None


def sample(rule: Rule, at: datetime, limit: int = SHOWN, seconds: float = LONGEST) -> list[Contact] | None:
    """Some of the people meant, the newest: to see that the rule means what one meant. None when they could not be found in time."""
    some = select(Contact).where(queries.meant_by(rule, at)).order_by(Contact.id.desc()).limit(limit)
    try:
        with at_most(seconds):
            return list(db.session.scalars(some))
    except TimeUp:
        return None


def _starts(first: int, ids: int) -> list[int]:
    """Where each range begins: in its own part of the ids, at another place of it each, so that no rhythm of an import meets ours."""
    part = ids // RANGES
    room = part - IDS_IN_A_RANGE
    return [first + number * part + int(room * (number * _GOLDEN % 1)) for number in range(RANGES)]


def _reckoned(found: list[int], ids: int, width: int, *, cut: bool = False) -> Estimate:
    """The sum scaled up, with the spread between the ranges as the measure of doubt; a rule that found nobody may still mean a few."""
    ranges = len(found)
    scale = ids / (ranges * width)
    mean = sum(found) / ranges
    spread = math.sqrt(sum((each - mean) ** 2 for each in found) / (ranges - 1))
    doubt = 1.96 * max(spread * math.sqrt(ranges), math.sqrt(3.0 if not mean else sum(found)))
    return Estimate(round(sum(found) * scale), math.ceil(doubt * scale), exact=False, cut=cut)
