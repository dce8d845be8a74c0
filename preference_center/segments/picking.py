"""A rule as a form shows it: the named segments to be in one of, those to be in none of, and what else was written."""

from collections.abc import Sequence
from dataclasses import dataclass

from preference_center.errors import DomainError, Invalid
from preference_center.segments import queries
from preference_center.segments.rules import And, Everyone, Not, Or, Rule, joined
from preference_center.segments.traits import InSegment
from preference_center.segments.words import folded


@dataclass(frozen=True)
class Picked:
    include: tuple[str, ...] = ()  # names: in one of them
    exclude: tuple[str, ...] = ()  # in none of them
    rule: str = ""  # and this besides


def put_together(include: Sequence[str], exclude: Sequence[str], rule: str) -> str:
    """One rule; empty for everyone. A fault in `rule` is told with its place there."""
    if both := [name for name in include if folded(name) in map(folded, exclude)]:
        words = f"{both[0]} stands on both sides: nobody can be in it and not in it."
        raise Invalid(words, {"exclude": words})
    parts: list[Rule] = [_one_of(include)] if include else []
    if rule.strip():
        parts.append(queries.read(queries.named_or_text(rule)))
    if exclude:
        parts.append(Not(_one_of(exclude)))
    parts = [part for part in parts if not isinstance(part, Everyone)]
    return str(joined(And, parts)) if parts else ""


def taken_apart(text: str) -> Picked:
    """What `put_together` makes this rule of. One that cannot be read any more stays whole, for its author to mend."""
    try:
        whole = queries.read(text) if text.strip() else Everyone()
    except DomainError:
        return Picked(rule=text)
    parts = list(whole.parts) if isinstance(whole, And) else [whole]
    include = next((part for part in parts if _names(part)), None)
    exclude = next((part for part in parts if isinstance(part, Not) and _names(part.rule)), None)
    rest = [part for part in parts if part is not include and part is not exclude and not isinstance(part, Everyone)]
    return Picked(
        tuple(_names(include)) if include else (),
        tuple(_names(exclude.rule)) if isinstance(exclude, Not) else (),
        str(joined(And, rest)) if rest else "",
    )


def _one_of(names: Sequence[str]) -> Rule:
    return joined(Or, [InSegment(queries.by_name(name).name) for name in names])


def _names(rule: Rule) -> list[str]:
    """The names, where the rule is a segment, or a choice between segments; none otherwise."""
    parts = rule.parts if isinstance(rule, Or) else (rule,)
    named = [part.name for part in parts if isinstance(part, InSegment)]
    return named if len(named) == len(parts) else []
