"""Reads the text of a segment rule: a tokenizer and a recursive descent, which say where a text is wrong and what to write.

rule       = either ("or" either)*            either    = single ("and" single)*
single     = "not" single | "(" rule ")" | "everyone" | condition
condition  = field ( = != < <= > >= before after on value | contains text | in (value, …)
                   | in the last N days | is [not] unknown | is known )
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from preference_center.contacts.models import AttributeKind
from preference_center.errors import Invalid
from preference_center.segments.rules import (
    OWN_FIELDS,
    And,
    Compare,
    Constant,
    Contains,
    Everyone,
    Field,
    In,
    InTheLast,
    Known,
    Not,
    Or,
    Rule,
    Unknown,
)

MAX_DEPTH = 5
MAX_CONDITIONS = 100
MAX_ITEMS = 1000
MAX_TEXT = 100_000
MAX_VALUE = 200

_TOKENS = re.compile(
    r"""(?P<space>\s+)
      | (?P<date>\d{4}-\d{2}-\d{2}(?![\w-]))
      | (?P<number>-?\d{1,15}(?:\.\d{1,6})?(?![\w.]))
      | (?P<text>"(?:[^"\\\n]|\\.)*")
      | (?P<word>[^\W\d](?:[\w/+-]*\w)?)
      | (?P<sign><=|>=|!=|=|<|>|\(|\)|,)""",
    re.VERBOSE,
)
_KEYWORDS = frozenset(
    ["and", "or", "not", "in", "is", "contains", "before", "after", "on", "unknown", "known", "everyone"]
)
_COMPARISONS = {
    "=": "=",
    "!=": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
    "before": "<",
    "after": ">",
    "on": "=",
}
_YES = {"yes": True, "true": True, "no": False, "false": False}
_LIKE = {
    AttributeKind.text: 'a text, such as "Kraków"',
    AttributeKind.number: "a number, such as 500",
    AttributeKind.date: "a date, such as 2026-01-31",
    AttributeKind.boolean: "yes or no",
}


@dataclass(frozen=True)
class _Token:
    kind: str  # word, text, number, date, sign, end
    text: str
    position: int

    @property
    def word(self) -> str:
        """The word in small letters, for keywords; empty for anything else."""
        return self.text.lower() if self.kind == "word" else ""


def parse(text: str, declared: Mapping[str, AttributeKind]) -> Rule:
    """The rule that `text` says; `declared` are the attributes it may speak of. Invalid, with line and column, when it says none."""
    if len(text) > MAX_TEXT:
        raise Invalid(f"This rule is too long: keep it under {MAX_TEXT:,} characters.", {"segment": "Too long."})
    return _Reader(text, declared).rule()


class _Reader:
    def __init__(self, text: str, declared: Mapping[str, AttributeKind]) -> None:
        self.text = text
        self.fields = {key: Field(key, kind) for key, kind in declared.items()} | OWN_FIELDS
        self.tokens = self._tokens()
        self.at = 0
        self.depth = 0
        self.conditions = 0

    def rule(self) -> Rule:
        if self._now.kind == "end":
            return Everyone()
        rule = self._any_of()
        if self._now.kind != "end":
            raise self._wrong(f"{self._shown()} is not expected here. Join conditions with `and` or `or`.")
        return rule

    def _any_of(self) -> Rule:
        rules = [self._all_of()]
        while self._take("or"):
            rules.append(self._all_of())
        return rules[0] if len(rules) == 1 else Or(_flat(rules, Or))

    def _all_of(self) -> Rule:
        rules = [self._single()]
        while self._take("and"):
            rules.append(self._single())
        return rules[0] if len(rules) == 1 else And(_flat(rules, And))

    def _single(self) -> Rule:
        start = self._now
        if self._take("not"):
            self._deeper(start)
            rule: Rule = Not(self._single())
        elif self._take("("):
            self._deeper(start)
            rule = self._any_of()
            if not self._take(")"):
                raise self._wrong("A closing parenthesis is missing: write `)`.")
        elif self._take("everyone"):
            return Everyone()
        else:
            return self._condition()
        self.depth -= 1
        return rule

    def _deeper(self, start: _Token) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._wrong(f"Parentheses and `not` go {MAX_DEPTH} levels deep at most. Write it flatter.", start)

    def _condition(self) -> Rule:
        start = self._now
        field = self._field()
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            raise self._wrong(f"A rule holds {MAX_CONDITIONS} conditions at most.", start)
        operator = self._now
        word = operator.word or operator.text
        if word in _COMPARISONS and operator.kind != "text":
            self.at += 1
            return self._comparison(field, _COMPARISONS[word], operator)
        if self._take("contains"):
            if field.kind is not AttributeKind.text:
                raise self._wrong(f"`contains` is for texts; {field} is {_LIKE[field.kind]}.", operator)
            return Contains(field, self._text())
        if self._take("in"):
            return self._days(field, operator) if self._take("the") else self._list(field, operator)
        if self._take("is"):
            return self._knowledge(field)
        raise self._wrong(f"Say what {field} is compared with: `=`, `!=`, `in (…)`, `is unknown`{_more(field.kind)}.")

    def _field(self) -> Field:
        token = self._now
        if not token.word or token.word in _KEYWORDS:
            raise self._wrong(f"A condition begins with a field, such as `language = pl`; {self._shown()} is none.")
        field = self.fields.get(token.text) or self.fields.get(token.word)
        if field is None:
            near = difflib.get_close_matches(token.word, self.fields, 1)
            hint = f"Did you mean `{near[0]}`?" if near else f"Known are: {', '.join(sorted(self.fields))}."
            raise self._wrong(f"There is no field `{token.text[:40]}`. {hint}")
        self.at += 1
        return field

    def _comparison(self, field: Field, operator: str, token: _Token) -> Rule:
        ordered = field.kind in (AttributeKind.number, AttributeKind.date)
        if token.word and field.kind is not AttributeKind.date:
            raise self._wrong(f"`{token.word}` is for dates; {field} is {_LIKE[field.kind]}.", token)
        if operator not in ("=", "!=") and not ordered:
            raise self._wrong(f"`{operator}` is for numbers and dates; {field} is {_LIKE[field.kind]}.", token)
        return Compare(field, operator, self._value(field))

    def _list(self, field: Field, operator: _Token) -> Rule:
        if field.kind not in (AttributeKind.text, AttributeKind.number):
            raise self._wrong(f"`in (…)` is for texts and numbers; {field} is {_LIKE[field.kind]}.", operator)
        if not self._take("("):
            raise self._wrong(f"Write the list in parentheses: `{field} in (…, …)`.")
        values = [self._value(field)]
        while self._take(","):
            if len(values) == MAX_ITEMS:
                raise self._wrong(f"A list holds {MAX_ITEMS:,} values at most.")
            values.append(self._value(field))
        if not self._take(")"):
            raise self._wrong("Put a comma between two values of a list, and `)` after the last.")
        return In(field, tuple(dict.fromkeys(values)))

    def _days(self, field: Field, operator: _Token) -> Rule:
        if field.kind is not AttributeKind.date:
            raise self._wrong(f"`in the last … days` is for dates; {field} is {_LIKE[field.kind]}.", operator)
        number = self.tokens[self.at + 1].text if self._take("last", move=False) else ""
        if not re.fullmatch(r"[1-9]\d{0,3}", number) or self.tokens[self.at + 2].word not in ("day", "days"):
            raise self._wrong(f"Write it as `{field} in the last 30 days`, with 1 to 9999 days.")
        self.at += 3
        return InTheLast(field, int(number))

    def _knowledge(self, field: Field) -> Rule:
        opposite = self._take("not")
        if self._take("unknown"):
            return Known(field) if opposite else Unknown(field)
        if self._take("known"):
            return Unknown(field) if opposite else Known(field)
        raise self._wrong(f"After `is` comes `known` or `unknown`; for a value write `{field} = …`.")

    def _value(self, field: Field) -> Constant:
        token = self._now
        value: Constant | None = None
        if field.kind is AttributeKind.text:
            return self._country() if field is OWN_FIELDS["country"] else self._text()
        if field.kind is AttributeKind.number and token.kind == "number":
            value = _number(token.text)
        elif field.kind is AttributeKind.boolean:
            value = _YES.get(token.word)
        elif field.kind is AttributeKind.date and token.kind == "date":
            value = _day(token.text)
        if value is None:
            raise self._wrong(f"{field} is compared with {_LIKE[field.kind]}; {self._shown()} is not that.")
        self.at += 1
        return value

    def _country(self) -> str:
        token = self._now
        code = self._text()
        if not re.fullmatch(r"[A-Za-z]{2}", code):
            raise self._wrong("Write a country as its two letters, such as PL or ES.", token)
        return code.upper()

    def _text(self) -> str:
        token = self._now
        if token.kind == "text":
            value = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], token.text[1:-1])
        elif token.kind == "word" and token.word not in _KEYWORDS:
            value = token.text
        else:
            raise self._wrong(f"A text is expected here, in double quotes; {self._shown()} is none.")
        if not value.strip() or len(value) > MAX_VALUE or "\0" in value:
            raise self._wrong(f"A text has 1 to {MAX_VALUE} characters. For nothing at all write `is unknown`.")
        self.at += 1
        return value

    def _tokens(self) -> list[_Token]:
        tokens, position = [], 0
        while position < len(self.text):
            found = _TOKENS.match(self.text, position)
            if found is None:
                raise self._wrong(_remedy(self.text[position]), _Token("sign", self.text[position], position))
            if found.lastgroup != "space":
                tokens.append(_Token(str(found.lastgroup), found.group(), position))
            position = found.end()
        end = len(self.text.rstrip())
        return [*tokens, *[_Token("end", "", end)] * 3]

    @property
    def _now(self) -> _Token:
        return self.tokens[self.at]

    def _take(self, wanted: str, *, move: bool = True) -> bool:
        token = self._now
        found = token.kind in ("word", "sign") and (token.word or token.text) == wanted
        self.at += found and move
        return found

    def _shown(self) -> str:
        return f"`{self._now.text[:40]}`" if self._now.kind != "end" else "the end of the text"

    def _wrong(self, what: str, token: _Token | None = None) -> Invalid:
        position = (token or self._now).position
        line = self.text.count("\n", 0, position) + 1
        column = position - self.text.rfind("\n", 0, position)
        message = f"Line {line}, column {column}: {what}"
        return Invalid(message, {"segment": message})


def _flat(rules: Iterable[Rule], kind: type[And] | type[Or]) -> tuple[Rule, ...]:
    """`a and (b and c)` is `a and b and c`: one way to write it, one way to print it."""
    flat: list[Rule] = []
    for rule in rules:
        flat.extend(rule.rules if isinstance(rule, kind) else (rule,))  # type: ignore[attr-defined]
    return tuple(flat)


def _number(text: str) -> Decimal:
    value = Decimal(text)
    return Decimal(0) if value == 0 else value.quantize(Decimal(1)) if value == int(value) else value.normalize()


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1900 <= day.year <= 2200 else None


def _more(kind: AttributeKind) -> str:
    return {
        AttributeKind.text: ", `contains …`",
        AttributeKind.number: ", `<`, `>`",
        AttributeKind.date: ", `before`, `after`, `on`, `in the last 30 days`",
    }.get(kind, "")


def _remedy(char: str) -> str:
    if char == '"':
        return "This text does not end: close it with a double quote."
    if char in "'“”„‘’«»":
        return 'Write texts in straight double quotes: "Kraków".'
    if char.isdigit() or char == "-":
        return "This number or date is not understood; write 500, 12.50 or 2026-01-31."
    if char == "&" or char == "|":
        return "Write `and` and `or` in letters."
    return f"`{char if char.isprintable() else repr(char)}` means nothing here. Texts with such characters go in double quotes."
