"""Rules of every kind, made up by Hypothesis, in words that need no database."""

from datetime import date
from typing import Any

from hypothesis import strategies as st

from preference_center.contacts.models import AttributeKind
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
from preference_center.segments.fields import OWN_FIELDS, AttributeField, on_topic
from preference_center.segments.rules import And, Everyone, Not, Or, Rule
from preference_center.segments.traits import Follows, InSegment

DECLARED = {
    "city": AttributeKind.text,
    "points": AttributeKind.number,
    "birthday": AttributeKind.date,
    "vip": AttributeKind.boolean,
    "likes": AttributeKind.set,
    "segment": AttributeKind.text,  # named like a word of ours
    "got": AttributeKind.number,
}
TOPICS = ("news", "2026-offers", "a")
SEGMENTS = ("Bought in 2026", 'Say "hi"', "or")
CAMPAIGNS = {"4fq2m7c3x5k6zr2a": "Autumn", "aaaabbbbccccdddd": "Spring", "eeeeffffgggghhhh": "Spring"}
KNOWN = words.Words(
    DECLARED,
    TOPICS,
    SEGMENTS,
    lambda told: [key for key, name in CAMPAIGNS.items() if told in (key, name)],
)

CITY, POINTS, BIRTHDAY, VIP, LIKES, SEGMENT, GOT = (AttributeField(key, kind) for key, kind in DECLARED.items())
texts_ = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=12).filter(
    lambda text: text.strip() != ""
)
numbers = st.decimals(-(10**15) + 1, 10**15 - 1, places=6).map(lambda number: words.number(str(number)))
days = st.dates(date(1900, 1, 1), date(2200, 12, 31))
topics = st.sampled_from(TOPICS)
text_fields = st.sampled_from([CITY, SEGMENT, *(OWN_FIELDS[name] for name in ("source", "time_zone"))]) | st.builds(
    on_topic, st.sampled_from(["basis", "consent_source"]), topics
)
number_fields = st.sampled_from([POINTS, GOT])
date_fields = st.sampled_from([BIRTHDAY, OWN_FIELDS["joined"]]) | topics.map(lambda topic: on_topic("since", topic))
fields = text_fields | number_fields | date_fields | st.sampled_from([VIP, LIKES])
signs = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
signs_of_texts = st.sampled_from(["=", "!="])
languages = st.sampled_from(["pl", "en", "es", "pt-BR"])
some_days = st.integers(1, 9999)
campaigns = st.none() | st.sampled_from(list(CAMPAIGNS))


def pairs(field: Any, values: Any) -> Any:
    ordered = st.tuples(values, values).map(sorted)
    return st.builds(lambda field, pair: Between(field, *pair), field, ordered)


def lists(values: Any) -> Any:
    return st.lists(values, min_size=1, max_size=4, unique=True).map(tuple)


conditions: st.SearchStrategy[Rule] = st.one_of(
    st.builds(Compare, text_fields, signs_of_texts, texts_),
    st.builds(Compare, st.just(OWN_FIELDS["language"]), signs_of_texts, languages),
    st.builds(In, st.just(OWN_FIELDS["language"]), lists(languages)),
    st.builds(Compare, number_fields, signs, numbers),
    st.builds(Compare, date_fields, signs, days),
    st.builds(Compare, st.just(VIP), st.sampled_from(["=", "!="]), st.booleans()),
    st.builds(Contains, text_fields, texts_),
    st.builds(BeginsWith, text_fields, texts_),
    pairs(number_fields, numbers),
    pairs(date_fields, days),
    st.builds(In, text_fields, lists(texts_)),
    st.builds(In, number_fields, lists(numbers)),
    st.builds(Has, st.just(LIKES), lists(texts_)),
    st.builds(InTheLast, date_fields, some_days),
    st.builds(InTheNext, date_fields, some_days),
    st.builds(Unknown, fields),
    st.builds(Known, fields),
    st.builds(Everyone),
    st.builds(Follows, topics),
    st.builds(InSegment, st.sampled_from(SEGMENTS)),
    st.builds(Engaged, st.sampled_from(Fact), campaigns, st.none() | some_days),
)


def groups(inner: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    def several(kind: Any) -> st.SearchStrategy[Rule]:
        single = inner.filter(lambda rule: not isinstance(rule, kind))
        return st.lists(single, min_size=2, max_size=3).map(lambda rules: kind(tuple(rules)))

    return st.one_of(inner.map(Not), several(And), several(Or))


rules = conditions | groups(conditions) | groups(groups(conditions)) | groups(groups(groups(conditions)))
