"""Reads the text of a segment rule by recursive descent, and says where a text is wrong and what to write.

rule       = either ("or" either)*            either    = single ("and" single)*
single     = "not" single | "(" rule ")" | "everyone" | condition
condition  = field comparison | "follows" topic | "segment" name
           | ("got" | "delivered" | "bounced" | "opened" | "clicked") (campaign | "any") ["in the last N days"]
field      = name | ("since" | "basis" | "consent_source") "(" topic ")"
comparison = ("=" | "!=" | "<" | "<=" | ">" | ">=" | "before" | "after" | "on" | "is" | "is not" | "more than" | "less than"
              | "at least" | "at most") value
           | "between" value "and" value | ("contains" | "begins with") text | "in" "(" value, … ")"
           | "has" text | "has any of" "(" text, … ")" | "in the" ("last" | "next") N "days" | "is" ["not"] ("known" | "unknown")
"""

import re
from collections.abc import Callable
from typing import NoReturn, TypeVar

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
from preference_center.segments.rules import And, Constant, Everyone, Not, Or, Rule, joined
from preference_center.segments.tokens import NoToken, Token, cut, place, unquoted
from preference_center.segments.traits import Follows, InSegment
from preference_center.segments.words import BY_HAND, LIKE, MAX_ITEMS, Limits, NotUnderstood, Words

_T = TypeVar("_T")

_KEYWORDS = frozenset(
    ["and", "or", "not", "in", "is", "contains", "before", "after", "on", "unknown", "known", "everyone"]
)
_FACTS = {str(fact): fact for fact in Fact}
# how a comparison may be written, the longer ones first
_COMPARISONS = (
    (("more", "than"), ">"),
    (("less", "than"), "<"),
    (("at", "least"), ">="),
    (("at", "most"), "<="),
    (("before",), "<"),
    (("after",), ">"),
    (("on",), "="),
    *(((sign,), sign) for sign in ("=", "!=", "<", "<=", ">", ">=")),
)
_COMPARES = frozenset([first[0] for first, _ in _COMPARISONS]) | {"between", "contains", "begins", "in", "has", "is"}
_YES = {"yes": True, "true": True, "no": False, "false": False}


def parse(text: str, known: Words, limits: Limits = BY_HAND) -> Rule:
    """The rule that `text` says; `known` is what it may speak of. Invalid, with line and column, when it says none."""
    if len(text) > limits.characters:
        raise Invalid(
            f"This rule is too long: keep it under {limits.characters:,} characters.", {"segment": "Too long."}
        )
    reader = _Reader(text, known, limits)
    try:
        return reader.rule()
    except NoToken as fault:
        reader.refuse(str(fault), fault.token)
    except NotUnderstood as fault:
        reader.refuse(str(fault), reader.now)


class _Reader:
    def __init__(self, text: str, known: Words, limits: Limits) -> None:
        self.text, self.known, self.limits = text, known, limits
        self.budget = words.Budget(limits)
        self.tokens: list[Token] = []
        self.at = 0
        self.depth = 0

    def rule(self) -> Rule:
        self.tokens = cut(self.text)
        if self.now.kind == "end":
            return Everyone()
        rule = self._any_of()
        if self.now.kind != "end":
            self.refuse(f"{self.now} is not expected here. Join conditions with `and` or `or`.")
        return rule

    def refuse(self, what: str, token: Token | None = None) -> NoReturn:
        line, column = place(self.text, (token or self.now).position)
        message = f"Line {line}, column {column}: {what}"
        raise Invalid(message, {"segment": message})

    @property
    def now(self) -> Token:
        return self.tokens[self.at]

    def _any_of(self) -> Rule:
        rules = [self._all_of()]
        while self._take("or"):
            rules.append(self._all_of())
        return joined(Or, rules)

    def _all_of(self) -> Rule:
        rules = [self._single()]
        while self._take("and"):
            rules.append(self._single())
        return joined(And, rules)

    def _single(self) -> Rule:
        start = self.now
        if self._take("not"):
            self._deeper(start)
            rule: Rule = Not(self._bracketed() if self._take("(") else self._single())
        elif self._take("("):
            self._deeper(start)
            rule = self._bracketed()
        else:
            self._from(start, self.budget.take)
            if self._take("everyone"):
                return Everyone()
            rule = self._condition()
            self._from(start, lambda: self.budget.pay(rule))
            return rule
        self.depth -= 1
        return rule

    def _bracketed(self) -> Rule:
        rule = self._any_of()
        if not self._take(")"):
            self.refuse("A closing parenthesis is missing: write `)`.")
        return rule

    def _deeper(self, start: Token) -> None:
        self.depth += 1
        if self.depth > self.limits.depth:
            self.refuse(f"Parentheses and `not` go {self.limits.depth} levels deep at most. Write it flatter.", start)

    def _condition(self) -> Rule:
        following = self.tokens[self.at + 1]
        if (following.word or following.text) not in _COMPARES or following.kind == "text":
            if self._take("follows"):
                return Follows(self._name(self.known.topic))
            if self._take("segment"):
                return InSegment(self._name(self.known.segment))
            if self.now.word in _FACTS:
                return self._engagement()
        return self._compared(self._field())

    def _engagement(self) -> Rule:
        fact = _FACTS[self.now.word]
        self.at += 1
        anything = self._take("any")
        campaign = None if anything else self._name(self.known.campaign)
        days = None
        if self._take("in", "the"):
            days = self._days("last", f"{fact} any in the last 30 days")
        return Engaged(fact, campaign, days)

    def _name(self, look_up: Callable[[str], str]) -> str:
        """A topic, a segment or a campaign, in quotes or as one word; as it is kept."""
        token = self.now
        if token.kind == "end" or token.kind == "sign" or token.word in _KEYWORDS:
            self.refuse(f"A name is expected here, in double quotes; {token} is none.")
        found = self._from(token, lambda: look_up(unquoted(token) if token.kind == "text" else token.text))
        self.at += 1
        return found

    def _field(self) -> Field:
        token = self.now
        if not token.word or token.word in _KEYWORDS:
            self.refuse(f"A condition begins with a field, such as `language = pl`; {token} is none.")
        if token.word in CONSENT_FIELDS and self.tokens[self.at + 1].text == "(":
            self.at += 2
            field: Field = on_topic(token.word, self._name(self.known.topic))
            if not self._take(")"):
                self.refuse("A closing parenthesis is missing: write `)`.")
            return field
        field = self._from(token, lambda: self.known.field(token.text))
        self.at += 1
        return field

    def _compared(self, field: Field) -> Rule:
        start = self.now
        for written, sign in _COMPARISONS:
            if self._take(*written):
                return self._comparison(field, sign, start, written)
        if self._take("between"):
            return self._between(field, start)
        if self._take("contains"):
            self._check(field, "contains", start)
            return Contains(field, self._text())
        if self._take("begins", "with"):
            self._check(field, "begins with", start)
            return BeginsWith(field, self._text())
        if self._take("has"):
            self._check(field, "has", start)
            return Has(field, self._list(field) if self._take("any", "of") else (self._text(),))
        if self._take("in", "the"):
            return self._dates(field, start)
        if self._take("in"):
            self._check(field, "in", start)
            return In(field, self._list(field))
        if self._take("is"):
            return self._is(field, start)
        return self.refuse(f"Say what {field} is compared with: {_suitable(field.kind)}, `is unknown`.")

    def _comparison(self, field: Field, sign: str, start: Token, written: tuple[str, ...]) -> Rule:
        if start.word in ("before", "after", "on") and field.kind is not AttributeKind.date:
            self.refuse(f"`{start.word}` is for dates; {field} is {LIKE[field.kind]}.", start)
        self._check(field, sign, start, " ".join(written))
        return Compare(field, sign, self._value(field))

    def _between(self, field: Field, start: Token) -> Rule:
        self._check(field, "between", start)
        first_token, first = self.now, self._value(field)
        if not self._take("and"):
            self.refuse(f"Write it as `{field} between … and …`.")
        last = self._value(field)
        self._from(first_token, lambda: words.check_order(first, last))
        return Between(field, first, last)

    def _list(self, field: Field) -> tuple[Constant, ...]:
        if not self._take("("):
            self.refuse(f"Write the list in parentheses: `{field} in (…, …)`.")
        values = [self._value(field)]
        while self._take(","):
            if len(values) == MAX_ITEMS:
                self.refuse(f"A list holds {MAX_ITEMS:,} values at most.")
            values.append(self._value(field))
        if not self._take(")"):
            self.refuse("Put a comma between two values of a list, and `)` after the last.")
        return tuple(dict.fromkeys(values))

    def _dates(self, field: Field, start: Token) -> Rule:
        way = "next" if self.now.word == "next" else "last"
        self._check(field, f"in the {way}", start)
        days = self._days(way, f"{field} in the {way} 30 days")
        return InTheNext(field, days) if way == "next" else InTheLast(field, days)

    def _days(self, way: str, example: str) -> int:
        number = self.tokens[self.at + 1].text if self.now.word == way else ""
        if not re.fullmatch(r"[1-9]\d{0,3}", number) or self.tokens[self.at + 2].word not in ("day", "days"):
            self.refuse(f"Write it as `{example}`, with 1 to {words.MAX_DAYS} days.")
        self.at += 3
        return int(number)

    def _is(self, field: Field, start: Token) -> Rule:
        opposite = self._take("not")
        if self._take("unknown"):
            return Known(field) if opposite else Unknown(field)
        if self._take("known"):
            return Unknown(field) if opposite else Known(field)
        sign = "!=" if opposite else "="
        self._check(field, sign, start, "is not" if opposite else "is")
        return Compare(field, sign, self._value(field))

    def _value(self, field: Field) -> Constant:
        token = self.now
        value: Constant | None = None
        if field.kind in (AttributeKind.text, AttributeKind.set):
            return self._text(field)
        if field.kind is AttributeKind.number and token.kind == "number":
            value = words.number(token.text)
        elif field.kind is AttributeKind.boolean:
            value = _YES.get(token.word)
        elif field.kind is AttributeKind.date and token.kind == "date":
            value = words.day(token.text)
        if value is None:
            self.refuse(f"{field} is compared with {LIKE[field.kind]}; {token} is not that.")
        self.at += 1
        return value

    def _text(self, field: Field | None = None) -> str:
        token = self.now
        if token.kind == "text":
            value = unquoted(token)
        elif token.kind == "word" and token.word not in _KEYWORDS:
            value = token.text
        else:
            self.refuse(f"A text is expected here, in double quotes; {token} is none.")
        checked = self._from(token, lambda: words.text(value, field))
        self.at += 1
        return checked

    def _check(self, field: Field, operator: str, start: Token, shown: str = "") -> None:
        self._from(start, lambda: words.check_operator(field, operator, shown))

    def _from(self, token: Token, ask: Callable[[], _T]) -> _T:
        """What is wrong in there is wrong at this token."""
        try:
            return ask()
        except NotUnderstood as fault:
            self.refuse(str(fault), token)

    def _take(self, *wanted: str) -> bool:
        """Step over these words or signs if they come next."""
        for ahead, word in enumerate(wanted):
            token = self.tokens[self.at + ahead]
            if token.kind not in ("word", "sign") or (token.word or token.text) != word:
                return False
        self.at += len(wanted)
        return True


def _suitable(kind: AttributeKind) -> str:
    return {
        AttributeKind.text: "`=`, `!=`, `in (…)`, `contains …`, `begins with …`",
        AttributeKind.number: "`=`, `!=`, `<`, `>`, `between … and …`, `in (…)`",
        AttributeKind.date: "`before`, `after`, `on`, `between … and …`, `in the last 30 days`, `in the next 30 days`",
        AttributeKind.boolean: "`= yes`, `= no`",
        AttributeKind.set: "`has …`, `has any of (…)`",
    }[kind]
