"""A rule as a sentence one can read aloud, and a fault as the place in the text it is about."""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from babel.dates import format_date
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from preference_center.contacts import attributes
from preference_center.segments import engagement
from preference_center.segments.comparing import Between, Compare, Contains, In, InTheLast, OfField
from preference_center.segments.engagement import Engaged, Fact
from preference_center.segments.fields import ConsentField, Field
from preference_center.segments.rules import And, Constant, Everyone, Not, Or, Rule
from preference_center.segments.traits import Follows, InSegment
from preference_center.topics import catalogue

OWN = {
    "language": _l("language"),
    "country": _l("country"),
    "time_zone": _l("time zone"),
    "source": _l("where from"),
    "joined": _l("with us since"),
}
OF_CONSENT = {
    "since": _l("consent to %(topic)s since"),
    "basis": _l("legal basis for %(topic)s"),
    "consent_source": _l("where consent to %(topic)s came from"),
}
SIGNS = {"=": _l("is"), "!=": _l("is not"), "<": _l("less than"), "<=": _l("at most"), ">": _l("more than")}
SIGNS |= {">=": _l("at least")}
ON_DAYS = {"=": _l("on"), "!=": _l("not on"), "<": _l("before"), "<=": _l("until"), ">": _l("after"), ">=": _l("from")}
OPERATORS = {
    "contains": _l("contains"),
    "begins with": _l("begins with"),
    "in": _l("is one of"),
    "has": _l("has one of"),
    "in the last": _l("in the last"),
    "in the next": _l("in the next"),
    "is known": _l("is known"),
    "is unknown": _l("is unknown"),
}
FACTS = {
    Fact.got: _l("got %(campaign)s"),
    Fact.delivered: _l("got %(campaign)s delivered"),
    Fact.bounced: _l("did not get %(campaign)s because it came back"),
    Fact.opened: _l("opened %(campaign)s"),
    Fact.clicked: _l("clicked a link of %(campaign)s"),
}


class Speaker:
    """Says rules; what it looks up, it looks up once."""

    def __init__(self) -> None:
        self._declared = {key: attribute.name for key, attribute in attributes.declared().items()}
        self._topics = {topic.key: topic.name(str(get_locale()).replace("_", "-")) for topic in catalogue.everything()}

    def say(self, rule: Rule) -> str:
        match rule:
            case Everyone():
                return str(_("everyone"))
            case Not():
                return str(_("not: %(rule)s", rule=self._grouped(rule.rule)))
            case And():
                return str(_(" and ")).join(map(self._grouped, rule.rules))
            case Or():
                return str(_(" or ")).join(map(self._grouped, rule.rules))
            case Follows():
                return str(_("follows %(topic)s", topic=self._topic(rule.topic)))
            case InSegment():
                return str(_("is in the segment “%(name)s”", name=rule.name))
            case Engaged():
                return self._engaged(rule)
            case OfField():
                return f"{self.field(rule.field)} {self._compared(rule)}"
        raise TypeError(f"no words for {type(rule).__name__}")

    def field(self, field: Field) -> str:
        if isinstance(field, ConsentField):
            return str(OF_CONSENT[field.what]) % {"topic": self._topic(field.topic)}
        return str(OWN.get(field.name) or self._declared.get(field.name, field.name))

    def _topic(self, key: str) -> str:
        return f"“{self._topics.get(key, key)}”"

    def _grouped(self, rule: Rule) -> str:
        return f"({self.say(rule)})" if isinstance(rule, And | Or) else self.say(rule)

    def _engaged(self, rule: Engaged) -> str:
        told = f"“{name_of_campaign(rule.campaign)}”" if rule.campaign else str(_("any campaign"))
        when = " " + str(_("in the last %(days)s days", days=rule.days)) if rule.days else ""
        return str(FACTS[rule.fact]) % {"campaign": told} + when

    def _compared(self, rule: OfField) -> str:
        match rule:
            case Compare():
                words = ON_DAYS if isinstance(rule.constant, date) else SIGNS
                return f"{words[rule.sign]} {_value(rule.constant)}"
            case Between():
                return str(_("from %(first)s to %(last)s", first=_value(rule.first), last=_value(rule.last)))
            case In():
                return f"{OPERATORS[rule.operator]} {', '.join(map(_value, rule.values[:20]))}{_more(len(rule.values) - 20)}"
            case Contains():
                return f"{OPERATORS[rule.operator]} {_value(rule.text)}"
            case InTheLast():
                return f"{OPERATORS[rule.operator]} {_('%(days)s days', days=rule.days)}"
        return str(OPERATORS[rule.operator])


def name_of_campaign(public_id: str) -> str:
    return next((known.name for known in engagement.campaigns().named(public_id)), public_id)


def _value(value: Constant) -> str:
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if isinstance(value, date):
        return str(format_date(value, "long", locale=get_locale()))
    return format(value, "f") if isinstance(value, Decimal) else f"“{value}”"


def _more(number: int) -> str:
    return " " + str(_("and %(number)s more", number=number)) if number > 0 else ""


@dataclass(frozen=True)
class Place:
    """A line of the text and, below it, an arrow at what is wrong."""

    line: str
    arrow: str


_WHERE = re.compile(r"Line (\d+), column (\d+): ")


def place_of(message: str, text: str) -> Place | None:
    found = _WHERE.match(message)
    if not found:
        return None
    line, column = text.split("\n")[int(found[1]) - 1], int(found[2])
    start = max(0, column - 60)  # of a long line the part that matters
    return Place(line[start : column + 40], " " * (column - 1 - start) + "^")


def without_place(message: str) -> str:
    return _WHERE.sub("", message)
