"""Keeps segments under a name. Nothing is overwritten unseen, nothing that is used disappears, and no segment contains itself."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import func, select

from preference_center import clock
from preference_center.db import db, is_postgresql
from preference_center.errors import Conflict, Invalid
from preference_center.segments import engagement, queries
from preference_center.segments.engagement import Known
from preference_center.segments.models import Segment
from preference_center.segments.rules import Rule, leaves
from preference_center.segments.traits import InSegment
from preference_center.segments.words import folded

MAX_NAME = 80
_LOCK = 7_021_963_027_412  # any number that nobody else takes


@dataclass(frozen=True)
class Uses:
    """Where a segment is named: in other segments, and in campaigns that were not sent yet."""

    segments: list[Segment] = field(default_factory=list)
    campaigns: list[Known] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.segments or self.campaigns)

    def __str__(self) -> str:
        return ", ".join([*(each.name for each in self.segments), *(each.name for each in self.campaigns)])


def add(name: str, rule: Rule, actor: str) -> Segment:
    """A new segment. Invalid when the rule cannot stand; Conflict when the name is taken."""
    _one_at_a_time()
    now, name = clock.now(), _name(name)
    _check_free(name, None)
    segment = Segment(
        name=name,
        folded_name=folded(name),
        rule=rule.as_json(),
        version=1,
        created_by=actor,
        created_at=now,
        changed_by=actor,
        changed_at=now,
    )
    db.session.add(segment)
    db.session.flush()
    queries.written_out(rule)
    return segment


def save(segment: Segment, name: str, rule: Rule, *, on_version: int, actor: str) -> Segment:
    """The segment with another name or rule. Conflict when somebody else saved meanwhile: `on_version` is the one looked at."""
    _one_at_a_time()
    segment = lock(segment)
    if segment.version != on_version:
        raise Conflict("Somebody else saved this segment meanwhile. Look at what they saved before you save yours.")
    name = _name(name)
    if folded(name) != segment.folded_name:
        _check_free(name, segment)
        if used := uses(segment):
            raise Conflict(f"This segment is used under its name in: {used}. Copy it under another name instead.")
    segment.name, segment.folded_name, segment.rule = name, folded(name), rule.as_json()
    segment.version += 1
    segment.changed_by, segment.changed_at = actor, clock.now()
    segment.counted = segment.counted_at = None
    db.session.flush()
    queries.written_out(
        InSegment(name)
    )  # neither this one nor one that names it may go round in a circle or grow too large
    for other in _naming(name, everywhere=True):
        queries.written_out(InSegment(other.name))
    return segment


def remove(segment: Segment) -> None:
    """Conflict while it is used."""
    _one_at_a_time()
    segment = lock(segment)
    if used := uses(segment):
        raise Conflict(f"This segment is used in: {used}. Change those first.")
    db.session.delete(segment)
    db.session.flush()


def note_count(segment: Segment, count: int) -> None:
    """How many people it means, counted just now."""
    segment.counted, segment.counted_at = count, clock.now()


def uses(segment: Segment) -> Uses:
    return Uses(_naming(segment.name), list(engagement.campaigns().using(segment.name)))


def _one_at_a_time() -> None:
    """Whoever changes segments sees what the one before has changed: two at once could name each other, or one that is removed."""
    if is_postgresql():
        db.session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        db.session.scalars(select(Segment).execution_options(populate_existing=True)).all()  # some were read before


def lock(segment: Segment) -> Segment:
    """As it is now, held until the transaction ends. SQLite has one writer, which is the same guarantee."""
    return db.session.get_one(Segment, segment.id, with_for_update=True, populate_existing=True)


def _naming(name: str, *, everywhere: bool = False) -> list[Segment]:
    """The segments that name this one; with `everywhere` also those that name one of these, and so on."""
    named_by = {segment.folded_name: (segment, _names(segment)) for segment in queries.everything()}
    found: dict[str, Segment] = {}
    searched = [folded(name)]
    while searched:
        wanted = searched.pop()
        for key, (segment, names) in named_by.items():
            if wanted in names and key not in found:
                found[key] = segment
                searched += [key] if everywhere else []
    return list(found.values())


def _names(segment: Segment) -> set[str]:
    return names_in(queries.rule_of(segment))


def names_in(rule: Rule) -> set[str]:
    """The segments a rule names, folded."""
    return {folded(leaf.name) for leaf in _named(leaves(rule))}


def _named(rules: Iterable[Rule]) -> Iterable[InSegment]:
    return (rule for rule in rules if isinstance(rule, InSegment))


def _name(given: str) -> str:
    name = " ".join(given.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise Invalid(
            f"Give the segment a name of 1 to {MAX_NAME} characters.", {"name": f"1 to {MAX_NAME} characters."}
        )
    return name


def _check_free(name: str, but: Segment | None) -> None:
    there = queries.find(name)
    if there is not None and there is not but:
        raise Conflict(f"There is a segment {there.name} already.")
