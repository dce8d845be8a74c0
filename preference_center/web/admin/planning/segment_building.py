"""Building a rule by choosing: what a condition can be about, how it compares, and putting it to what is there."""

import re

from flask_babel import gettext as _
from wtforms.fields import SelectChoice

from preference_center.campaigns import queries as campaigns
from preference_center.campaigns.models import CampaignState
from preference_center.contacts.models import AttributeKind
from preference_center.errors import Invalid
from preference_center.segments import queries
from preference_center.segments.engagement import Fact
from preference_center.segments.fields import CONSENT_FIELDS, OWN_FIELDS, AttributeField, on_topic
from preference_center.segments.rules import And, Everyone, Group, Not, Or, Rule, joined, written
from preference_center.segments.words import OPERATORS
from preference_center.topics import catalogue
from preference_center.web.admin.planning import segment_words
from preference_center.web.admin.planning.segment_words import Speaker, without_place

_CAMPAIGNS = 15  # the newest ones; any other one is named in the text
_ALONE = {"is known", "is unknown"}


def about() -> list[SelectChoice]:
    """Fields by their name; whole conditions, which need no comparing, by their text."""
    speaker, words = Speaker(), queries.TodaysWords()
    own, attributes = _("What we hold of everybody"), _("Attributes")
    agreed, sent, kept = _("What they agreed to"), _("What became of our mail"), _("Other segments")
    found = [SelectChoice(name, speaker.field(field), None, own) for name, field in OWN_FIELDS.items()]
    for key, kind in words.attributes.items():
        found.append(SelectChoice(key, speaker.field(AttributeField(key, kind)), None, attributes))
    for topic in catalogue.live():
        found.append(
            SelectChoice(f"follows {written(topic.key)}", _("follows %(topic)s", topic=topic.name()), None, agreed)
        )
        for what in CONSENT_FIELDS:
            field = on_topic(what, topic.key)
            found.append(SelectChoice(field.name, speaker.field(field), None, agreed))
    for fact in Fact:
        told = str(segment_words.FACTS[fact])
        found.append(SelectChoice(f"{fact} any", told % {"campaign": _("any campaign")}, None, sent))
        found += [
            SelectChoice(f"{fact} {written(one.public_id)}", told % {"campaign": f"“{one.name}”"}, None, sent)
            for one in campaigns.newest(_CAMPAIGNS)
            if one.state is not CampaignState.draft
        ]
    found += [SelectChoice(f"segment {written(name)}", name, None, kept) for name in words.segments]
    return found


def comparing() -> list[SelectChoice]:
    signs = {sign: str(word) for sign, word in segment_words.SIGNS.items()}
    words = (
        signs
        | {"between": str(_("between … and …"))}
        | {key: str(word) for key, word in segment_words.OPERATORS.items()}
    )
    return [SelectChoice(operator, words[operator]) for operator in OPERATORS]


def joining() -> list[SelectChoice]:
    return [SelectChoice("and", _("both must hold")), SelectChoice("or", _("one of them is enough"))]


def added(rule: Rule, about: str, comparing: str, value: str | None, opposite: bool, joining: str) -> Rule:
    """The rule with one more condition. Invalid, told beside the field it is about."""
    try:
        one = queries.read(_condition(about or "", comparing or "", (value or "").strip()))
    except Invalid as fault:
        words = without_place(fault.message)
        raise Invalid(words, {"value": words}) from None
    one = Not(one) if opposite else one
    if isinstance(rule, Everyone):
        return one
    return queries.read(str(joined(Or if joining == "or" else And, [rule, one])))


def parts(rule: Rule) -> list[Rule]:
    """What can be taken away: the parts of the outermost group."""
    if isinstance(rule, Group):
        return list(rule.rules)
    return [] if isinstance(rule, Everyone) else [rule]


def dropped(rule: Rule, number: str) -> Rule:
    kept = [part for index, part in enumerate(parts(rule)) if str(index) != number]
    if not kept:
        return Everyone()
    return joined(type(rule), kept) if isinstance(rule, Group) else kept[0]


def _condition(about: str, comparing: str, value: str) -> str:
    words = queries.TodaysWords()
    if " " in about:
        return about
    kind = _kind(about, words)
    if comparing in _ALONE:
        return f"{about} {comparing}"
    if comparing in ("in the last", "in the next"):
        return f"{about} {comparing} {value} days"
    if comparing in ("in", "has"):
        items = ", ".join(_literal(part.strip(), kind) for part in value.split(",") if part.strip())
        return f"{about} {'has any of' if comparing == 'has' else 'in'} ({items})"
    if comparing == "between":
        first, _and, last = re.sub(r"\s+(and|to|–)\s+|\s*;\s*", "\0", value, count=1).partition("\0")
        return f"{about} between {_literal(first, kind)} and {_literal(last, kind)}"
    return f"{about} {comparing} {_literal(value, kind)}"


def _literal(value: str, kind: AttributeKind) -> str:
    return written(value) if kind in (AttributeKind.text, AttributeKind.set) else value


def _kind(about: str, words: queries.TodaysWords) -> AttributeKind:
    if "(" in about:
        return AttributeKind.date if about.startswith("since") else AttributeKind.text
    known = OWN_FIELDS.get(about)
    return known.kind if known else words.attributes.get(about, AttributeKind.text)
