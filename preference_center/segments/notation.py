"""The JSON form of a rule, for programs and for keeping. It says what the text says, no more; faults are told with their path.

{"all": […]} · {"any": […]} · {"not": …} · {"everyone": true} · {"field": "city", "op": "=", "value": "Kraków"}
{"follows": "news"} · {"segment": "Bought in 2026"} · {"got": "<campaign id>" or "any", "days": 30}
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NoReturn, TypeVar

from preference_center.contacts.models import AttributeKind
from preference_center.errors import Invalid
from preference_center.segments import words
from preference_center.segments.comparing import (
    BeginsWith,
    Between,
    Compare,
    Contains,
    Has,
    In,
    InTheLast,
    InTheNext,
    Known,
    Unknown,
)
from preference_center.segments.engagement import Engaged, Fact
from preference_center.segments.fields import CONSENT_FIELDS, Field, on_topic
from preference_center.segments.rules import And, Constant, Everyone, Group, Not, Or, Rule, joined
from preference_center.segments.traits import Follows, InSegment
from preference_center.segments.words import BY_HAND, LIKE, MAX_ITEMS, NotUnderstood, Words

MAX_JSON = 1_000_000
_T = TypeVar("_T")
_ON_TOPIC = re.compile(rf'({"|".join(CONSENT_FIELDS)})\("?([^()"]*)"?\)')
_TEXTS: dict[str, type[Contains]] = {"contains": Contains, "begins with": BeginsWith}
_LISTS: dict[str, type[In]] = {"in": In, "has": Has}
_DAYS: dict[str, type[InTheLast]] = {"in the last": InTheLast, "in the next": InTheNext}
_KNOWN: dict[str, type[Unknown]] = {"is known": Known, "is unknown": Unknown}


def dumps(rule: Rule) -> str:
    return json.dumps(rule.as_json(), ensure_ascii=False)


def loads(text: str, known: Words) -> Rule:
    """The rule that this JSON says. Invalid, with the path, when it says none."""
    if len(text) > MAX_JSON:
        _refuse("$", f"This rule is too long: keep it under {MAX_JSON:,} characters.")
    try:
        data = json.loads(text, parse_float=_exact, parse_constant=_no_number, object_pairs_hook=_once)
    except json.JSONDecodeError as fault:
        _refuse("$", f"This is no JSON: line {fault.lineno}, column {fault.colno}.")
    except NotUnderstood as fault:
        _refuse("$", str(fault))
    except (RecursionError, ValueError):  # nested without end; a number of thousands of digits
        _refuse("$", "This JSON is nested too deep, or holds a number too long.")
    return read(data, known)


def read(data: Any, known: Words) -> Rule:
    """The rule in this data. Invalid, with the path, when there is none."""
    return _Reader(known).rule(data, "$", 0)


def _exact(text: str) -> Decimal:
    return Decimal(text)


def _no_number(text: str) -> NoReturn:
    raise NotUnderstood(f"`{text}` is no number.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotUnderstood(f"A key stands twice in one object: {', '.join(sorted({k for k, _ in pairs}))[:80]}.")
    return found


def _refuse(path: str, what: str) -> NoReturn:
    message = f"At {path}: {what}"
    raise Invalid(message, {"segment": message})


class _Reader:
    def __init__(self, known: Words) -> None:
        self.known, self.budget = known, words.Budget(BY_HAND)

    def rule(self, data: Any, path: str, depth: int) -> Rule:
        """`depth` counts what the text would put in parentheses or behind a `not`."""
        if depth > BY_HAND.depth:
            _refuse(path, f"Groups and `not` go {BY_HAND.depth} levels deep at most. Write it flatter.")
        if not isinstance(data, dict) or not data:
            _refuse(path, 'A rule is an object such as {"field": "language", "op": "=", "value": "pl"}.')
        head = next((key for key in data if key in self._heads), None)
        if head is None:
            _refuse(path, f"`{str(next(iter(data)))[:40]}` begins no rule. Use one of: {', '.join(self._heads)}.")
        make, more = self._heads[head]
        odd = [key for key in data if key not in (head, *more)]
        if odd:
            _refuse(f"{path}.{str(odd[0])[:40]}", f"This does not belong beside `{head}`.")
        return make(self, data, head, path, depth)

    def _group(self, data: dict[str, Any], head: str, path: str, depth: int) -> Rule:
        kind: type[Group] = And if head == "all" else Or
        if not isinstance(data[head], list) or not data[head]:
            _refuse(f"{path}.{head}", "A list of rules is expected here.")
        alone = len(data[head]) == 1
        rules = []
        for index, part in enumerate(data[head]):
            # only an "all" inside an "any" needs no parentheses in the text
            bare = head == "any" and isinstance(part, dict) and "all" in part and len(part.get("all") or ()) > 1
            deeper = isinstance(part, dict) and bool({"all", "any"} & part.keys()) and (alone or not bare)
            rules.append(self.rule(part, f"{path}.{head}[{index}]", depth + deeper))
        return joined(kind, rules)

    def _not(self, data: dict[str, Any], head: str, path: str, depth: int) -> Rule:
        return Not(self.rule(data[head], f"{path}.not", depth + 1))

    def _everyone(self, data: dict[str, Any], head: str, path: str, depth: int) -> Rule:
        if data[head] is not True:
            _refuse(f"{path}.everyone", "Write true; for nobody write not everyone.")
        self._at(path, self.budget.take)
        return Everyone()

    def _condition(self, data: dict[str, Any], head: str, path: str, depth: int) -> Rule:
        self._at(path, self.budget.take)
        if head == "field":
            rule = self._compared(data, path)
        elif head == "follows":
            rule = Follows(self._name(data, head, path, self.known.topic))
        elif head == "segment":
            rule = InSegment(self._name(data, head, path, self.known.segment))
        else:
            anything = data[head] == "any"
            campaign = None if anything else self._name(data, head, path, self.known.campaign)
            rule = Engaged(Fact(head), campaign, self._days(data["days"], f"{path}.days") if "days" in data else None)
        return self._at(path, lambda: self.budget.pay(rule))

    def _name(self, data: dict[str, Any], head: str, path: str, look_up: Callable[[str], str]) -> str:
        name = data[head]
        if not isinstance(name, str):
            _refuse(f"{path}.{head}", "A name is expected here.")
        return self._at(f"{path}.{head}", lambda: look_up(name))

    def _compared(self, data: dict[str, Any], path: str) -> Rule:
        field, operator, at = self._field(data["field"], f"{path}.field"), data.get("op"), f"{path}.value"
        if not isinstance(operator, str):
            _refuse(f"{path}.op", f"An operator is expected here. Use one of: {', '.join(words.OPERATORS)}.")
        self._at(f"{path}.op", lambda: words.check_operator(field, operator))
        if operator in _KNOWN:
            if "value" in data:
                _refuse(at, f"Nothing is compared after `{operator}`.")
            return _KNOWN[operator](field)
        if "value" not in data:
            _refuse(at, f"{field} is compared with {LIKE[field.kind]}; it is missing.")
        value = data["value"]
        if operator in _TEXTS:
            return _TEXTS[operator](field, self._text(value, at, None))
        if operator in _LISTS:
            return _LISTS[operator](field, self._list(field, value, at))
        if operator in _DAYS:
            return _DAYS[operator](field, self._days(value, at))
        if operator == "between":
            return self._between(field, value, at)
        return Compare(field, operator, self._constant(field, value, at))

    def _field(self, name: Any, path: str) -> Field:
        if not isinstance(name, str):
            _refuse(path, "The name of a field is expected here.")
        found = _ON_TOPIC.fullmatch(name)
        if found:
            return on_topic(found[1], self._at(path, lambda: self.known.topic(found[2])))
        return self._at(path, lambda: self.known.field(name))

    def _between(self, field: Field, value: Any, path: str) -> Rule:
        if not isinstance(value, list) or len(value) != 2:
            _refuse(path, "A list of two is expected here: from and to.")
        first, last = (self._constant(field, each, f"{path}[{index}]") for index, each in enumerate(value))
        self._at(path, lambda: words.check_order(first, last))
        return Between(field, first, last)

    def _list(self, field: Field, value: Any, path: str) -> tuple[Constant, ...]:
        if not isinstance(value, list) or not value:
            _refuse(path, "A list of values is expected here.")
        if len(value) > MAX_ITEMS:
            _refuse(f"{path}[{MAX_ITEMS}]", f"A list holds {MAX_ITEMS:,} values at most.")
        return tuple(dict.fromkeys(self._constant(field, each, f"{path}[{index}]") for index, each in enumerate(value)))

    def _constant(self, field: Field, value: Any, path: str) -> Constant:
        found: Constant | None = None
        if field.kind in (AttributeKind.text, AttributeKind.set):
            return self._text(value, path, field)
        if field.kind is AttributeKind.boolean and isinstance(value, bool):
            found = value
        elif field.kind is AttributeKind.date and isinstance(value, str):
            found = words.day(value)
        elif field.kind is AttributeKind.number and not isinstance(value, bool):
            found = _number(value)
        if found is None:
            _refuse(path, f"{field} is compared with {LIKE[field.kind]}; this is not that.")
        return found

    def _text(self, value: Any, path: str, field: Field | None) -> str:
        if not isinstance(value, str):
            _refuse(path, 'A text is expected here, such as "Kraków".')
        return self._at(path, lambda: words.text(value, field))

    def _days(self, value: Any, path: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= words.MAX_DAYS:
            _refuse(path, f"A whole number of days from 1 to {words.MAX_DAYS} is expected here.")
        return value

    def _at(self, path: str, ask: Callable[[], _T]) -> _T:
        """What is wrong in there is wrong at this path."""
        try:
            return ask()
        except NotUnderstood as fault:
            _refuse(path, str(fault))

    # what begins a rule: how it is read, and what else may stand beside it
    _heads: dict[str, tuple[Callable[..., Rule], tuple[str, ...]]] = {
        "all": (_group, ()),
        "any": (_group, ()),
        "not": (_not, ()),
        "everyone": (_everyone, ()),
        "field": (_condition, ("op", "value")),
        "follows": (_condition, ()),
        "segment": (_condition, ()),
        **dict.fromkeys(map(str, Fact), (_condition, ("days",))),
    }


def _number(value: Any) -> Decimal | None:
    """An exact number within the bounds of the text form; NaN, infinities and 1e999 are none."""
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal) and value.is_finite() and -20 < value.adjusted() < 20:
        value = format(value, "f").rstrip("0").rstrip(".") if "." in format(value, "f") else format(value, "f")
    written = value if isinstance(value, str) else str(value) if isinstance(value, int) and abs(value) < 10**16 else ""
    return words.number(written) if words.NUMBER.fullmatch(written) else None
