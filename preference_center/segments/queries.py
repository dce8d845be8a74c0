"""How other rooms use a segment: its text in, a condition on Contact out. An erased contact is in no segment."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property

from sqlalchemy import ColumnElement, and_, not_, select

from preference_center.consent import traits
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import AttributeKind, Contact
from preference_center.db import db
from preference_center.errors import Invalid, NotFound
from preference_center.segments import engagement, language, notation
from preference_center.segments.models import Segment
from preference_center.segments.rules import And, Group, Not, Or, Rule, joined, leaves, written
from preference_center.segments.traits import InSegment
from preference_center.segments.words import BY_HAND, WRITTEN_OUT, Budget, Limits, NotUnderstood, Words, folded
from preference_center.topics import catalogue

MAX_CHAIN = 5  # a segment that names one that names one …


class TodaysWords(Words):
    """What there is to speak of in this installation; looked up only when a rule speaks of it."""

    def __init__(self) -> None:
        pass

    @cached_property
    def attributes(self) -> dict[str, AttributeKind]:  # type: ignore[override]
        return contacts.declared_attributes()

    @cached_property
    def topics(self) -> list[str]:  # type: ignore[override]
        return [topic.key for topic in catalogue.everything()]

    @cached_property
    def segments(self) -> list[str]:  # type: ignore[override]
        return list(db.session.scalars(select(Segment.name).order_by(Segment.folded_name)))

    def campaigns_named(self, words: str) -> list[str]:  # type: ignore[override]
        return [campaign.public_id for campaign in engagement.campaigns().named(words)]


def read(text: str) -> Rule:
    """The rule somebody wrote. Invalid, with the position, when the text is no rule, or one that costs too much."""
    rule = _read(text, BY_HAND)
    written_out(rule)
    return rule


def read_json(text: str) -> Rule:
    """The rule of a JSON text. Invalid, with the path."""
    rule = notation.loads(text, TodaysWords())
    written_out(rule)
    return rule


def predicate(text: str, at: datetime) -> ColumnElement[bool]:
    """Who is meant, as a condition for `.where()`."""
    return meant_by(_read(text, WRITTEN_OUT), at)


def meant_by(rule: Rule, at: datetime) -> ColumnElement[bool]:
    """Who is meant by this rule. One that looks at what people are or do passes over whoever objected to profiling (S85)."""
    whole = written_out(rule)
    conditions = [Contact.erased_at.is_(None), whole.sql(at)]
    if profiles(whole):
        conditions.append(not_(traits.stopped("profiling")))
    return and_(*conditions)


def profiles(rule: Rule) -> bool:
    return any(leaf.profiles for leaf in leaves(rule))


def frozen(text: str) -> str:
    """The text with every segment it names written out: what an approval freezes, so that no later change of a segment moves it.

    Invalid when that could not be read again.
    """
    whole = str(written_out(_read(text, WRITTEN_OUT)))
    if len(whole) > WRITTEN_OUT.characters:
        words = (
            f"With the segments it names, this rule is too long: keep it under {WRITTEN_OUT.characters:,} characters."
        )
        raise Invalid(words, {"segment": words})
    return whole


def named_or_text(given: str) -> str:
    """A rule from what somebody typed: the name of a segment, or a rule itself."""
    segment = find(given) if given.strip() else None
    return f"segment {written(segment.name)}" if segment else given


def choose(include: Sequence[str], exclude: Sequence[str] = ()) -> str:
    """One rule from lists of names or texts: in one of the first, and in none of the second. Empty for everyone."""
    wanted = [named_or_text(given) for given in include if given.strip()]
    unwanted = [named_or_text(given) for given in exclude if given.strip()]
    if not unwanted and len(wanted) < 2:
        return wanted[0] if wanted else ""  # as it was typed, so that a fault in it names its place
    parts = [joined(Or, [read(text) for text in texts]) for texts in (wanted, unwanted) if texts]
    if unwanted:
        parts[-1] = Not(parts[-1])
    return str(joined(And, parts))


def written_out(rule: Rule) -> Rule:
    """The rule with the rules of the segments it names in their place. Invalid for a circle, or when it grows too large."""
    try:
        return _written_out(rule, (), Budget(WRITTEN_OUT))
    except NotUnderstood as fault:
        raise Invalid(f"With the segments it names: {fault}", {"segment": str(fault)}) from None


def _written_out(rule: Rule, within: tuple[str, ...], budget: Budget) -> Rule:
    if isinstance(rule, InSegment):
        name = folded(rule.name)
        if name in within:
            raise NotUnderstood(f"The segment {rule.name} would be part of itself.")
        if len(within) == MAX_CHAIN:
            raise NotUnderstood(f"Segments name each other over {MAX_CHAIN} steps at most.")
        return _written_out(rule_of(by_name(rule.name)), (*within, name), budget)
    if isinstance(rule, Not):
        return Not(_written_out(rule.rule, within, budget))
    if isinstance(rule, Group):
        return joined(type(rule), [_written_out(part, within, budget) for part in rule.rules])
    budget.take()
    return budget.pay(rule)


def rule_of(segment: Segment) -> Rule:
    return notation.read(segment.rule, TodaysWords())


def everything() -> list[Segment]:
    return list(db.session.scalars(select(Segment).order_by(Segment.folded_name)))


def by_public_id(public_id: str) -> Segment:
    segment = db.session.scalar(select(Segment).where(Segment.public_id == public_id))
    if segment is None:
        raise NotFound("There is no such segment.")
    return segment


def find(name: str) -> Segment | None:
    key = folded(name)
    if not key.isprintable():  # no name has such a character, and PostgreSQL takes no NUL
        return None
    return db.session.scalar(select(Segment).where(Segment.folded_name == key))


def by_name(name: str) -> Segment:
    segment = find(name)
    if segment is None:
        raise NotFound(f"There is no segment {name[:80]}. `preference-center segments list` shows them all.")
    return segment


def _read(text: str, limits: Limits) -> Rule:
    return language.parse(text, TodaysWords(), limits)
