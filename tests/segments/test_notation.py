"""The JSON form of a rule: the same as the text says, and each fault told with its path."""

import json
import time
from typing import Any

import pytest
from hypothesis import given

from preference_center.errors import Invalid
from preference_center.segments import language, notation
from preference_center.segments.rules import Rule
from tests.segments.strategies import KNOWN, rules


@given(rules)
def test_what_is_written_as_json_reads_back_as_the_same_rule(rule: Rule) -> None:
    try:
        assert notation.loads(notation.dumps(rule), KNOWN) == rule
    except Invalid as refused:
        assert "asks too much" in refused.message


@given(rules)
def test_text_and_json_say_the_same(rule: Rule) -> None:
    try:
        from_text = language.parse(str(rule), KNOWN)
    except Invalid as refused:
        assert "asks too much" in refused.message
    else:
        assert notation.read(from_text.as_json(), KNOWN) == from_text


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("everyone", {"everyone": True}),
        ('city = "Kraków"', {"field": "city", "op": "=", "value": "Kraków"}),
        ("points between 1 and 2.5", {"field": "points", "op": "between", "value": [1, 2.5]}),
        ("points = 123456789012345.123456", {"field": "points", "op": "=", "value": "123456789012345.123456"}),
        ("joined before 2026-01-01", {"field": "joined", "op": "<", "value": "2026-01-01"}),
        ("vip = yes", {"field": "vip", "op": "=", "value": True}),
        ('likes has "plants"', {"field": "likes", "op": "has", "value": ["plants"]}),
        ("city is unknown", {"field": "city", "op": "is unknown"}),
        ("since(news) in the last 30 days", {"field": "since(news)", "op": "in the last", "value": 30}),
        ('follows "news"', {"follows": "news"}),
        ("not got any in the last 90 days", {"not": {"got": "any", "days": 90}}),
        ('clicked "4fq2m7c3x5k6zr2a"', {"clicked": "4fq2m7c3x5k6zr2a"}),
        ('segment "Bought in 2026"', {"segment": "Bought in 2026"}),
        (
            "vip = yes or points > 1 and points < 9",
            {
                "any": [
                    {"field": "vip", "op": "=", "value": True},
                    {
                        "all": [
                            {"field": "points", "op": ">", "value": 1},
                            {"field": "points", "op": "<", "value": 9},
                        ]
                    },
                ]
            },
        ),
    ],
)
def test_the_json_of_a_rule(text: str, data: Any) -> None:
    rule = language.parse(text, KNOWN)
    assert rule.as_json() == data
    assert notation.read(data, KNOWN) == rule
    assert str(rule) == text


VIP = '{"field": "vip", "op": "=", "value": true}'


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("", "$", "no JSON"),
        ("{", "$", "no JSON"),
        ("[]", "$", "an object"),
        ("null", "$", "an object"),
        ('"city = x"', "$", "an object"),
        ("{}", "$", "an object"),
        ('{"sql": "1=1"}', "$", "begins no rule"),
        ('{"field": "town", "op": "=", "value": "x"}', "$.field", "no field `town`"),
        ('{"field": "citty", "op": "=", "value": "x"}', "$.field", "`city`"),
        ('{"field": "consent", "op": "=", "value": true}', "$.field", "no field"),
        ('{"field": ["city"], "op": "=", "value": "x"}', "$.field", "name of a field"),
        ('{"field": "since(new)", "op": "is known"}', "$.field", "`news`"),
        ('{"field": "city"}', "$.op", "An operator"),
        ('{"field": "city", "op": "LIKE", "value": "x"}', "$.op", "compares nothing"),
        ('{"field": "city", "op": "= 1 OR 1", "value": "x"}', "$.op", "compares nothing"),
        ('{"field": "city", "op": ">", "value": "x"}', "$.op", "numbers and dates"),
        ('{"field": "likes", "op": "=", "value": "x"}', "$.op", "a set"),
        ('{"field": "city", "op": "="}', "$.value", "missing"),
        ('{"field": "city", "op": "=", "value": 5}', "$.value", "A text"),
        ('{"field": "city", "op": "=", "value": ""}', "$.value", "is unknown"),
        ('{"field": "city", "op": "=", "value": "\\ud800"}', "$.value", "A text"),
        ('{"field": "city", "op": "is known", "value": 1}', "$.value", "Nothing"),
        ('{"field": "city", "op": "=", "value": "x", "raw": "1=1"}', "$.raw", "does not belong"),
        ('{"field": "city", "op": "in", "value": "x"}', "$.value", "list of values"),
        ('{"field": "city", "op": "in", "value": ["x", 5]}', "$.value[1]", "A text"),
        ('{"field": "points", "op": "=", "value": NaN}', "$", "no number"),
        ('{"field": "points", "op": "=", "value": Infinity}', "$", "no number"),
        ('{"field": "points", "op": "=", "value": 1e999}', "$.value", "a number"),
        ('{"field": "points", "op": "=", "value": 1e16}', "$.value", "a number"),
        ('{"field": "points", "op": "=", "value": 1e-7}', "$.value", "a number"),
        ('{"field": "points", "op": "=", "value": true}', "$.value", "a number"),
        ('{"field": "points", "op": "=", "value": "many"}', "$.value", "a number"),
        ('{"field": "points", "op": "between", "value": [1]}', "$.value", "list of two"),
        ('{"field": "points", "op": "between", "value": [2, 1]}', "$.value", "other way round"),
        ('{"field": "vip", "op": "=", "value": 1}', "$.value", "yes or no"),
        ('{"field": "birthday", "op": "=", "value": "2026-02-30"}', "$.value", "a date"),
        ('{"field": "joined", "op": "in the last", "value": 0}', "$.value", "1 to 9999"),
        ('{"field": "joined", "op": "in the last", "value": true}', "$.value", "1 to 9999"),
        ('{"field": "country", "op": "=", "value": "Poland"}', "$.value", "two letters"),
        ('{"follows": "gossip"}', "$.follows", "no topic"),
        ('{"follows": 5}', "$.follows", "A name"),
        ('{"segment": "Nobody"}', "$.segment", "no segment"),
        ('{"got": "Summer"}', "$.got", "no campaign"),
        ('{"got": "Spring"}', "$.got", "2 campaigns"),
        ('{"got": "any", "days": 0}', "$.days", "1 to 9999"),
        ('{"all": []}', "$.all", "list of rules"),
        ('{"all": {"a": 1}}', "$.all", "list of rules"),
        (f'{{"all": [{VIP}, {{"any": [{VIP}, 5]}}]}}', "$.all[1].any[1]", "an object"),
        (f'{{"all": [{VIP}], "any": []}}', "$.any", "does not belong"),
        (f'{{"not": {VIP}, "not": {VIP}}}', "$", "twice"),
        ('{"everyone": false}', "$.everyone", "not everyone"),
    ],
)
def test_a_fault_names_its_path(text: str, where: str, says: str) -> None:
    with pytest.raises(Invalid) as refused:
        notation.loads(text, KNOWN)
    assert refused.value.message.startswith(f"At {where}: ")
    assert says in refused.value.message
    assert refused.value.faults == {"segment": refused.value.message}


def nested(kind: str, depth: int) -> str:
    begin, end = {"not": ('{"not":', "}"), "all": ('{"all":[', "]}"), "any": ('{"any":[', "]}")}[kind]
    return begin * depth + VIP + end * depth


HOSTILE = {
    "depth 50": nested("not", 50),
    "depth 50 of lists": nested("all", 50),
    "depth 50 in turns": '{"all":[{"any":[' * 25 + VIP + "]}]}" * 25,
    "depth 100,000": nested("any", 100_000),
    "10,000 nodes": '{"any": [' + ",".join([VIP] * 10_000) + "]}",
    "10,000 nodes in groups": '{"any": [' + ",".join([f'{{"all": [{VIP}, {VIP}]}}'] * 5_000) + "]}",
    "10,000 times everyone": '{"all": [' + ",".join(['{"everyone": true}'] * 10_000) + "]}",
    "a huge list": json.dumps({"field": "city", "op": "in", "value": ["x"] * 100_000}),
    "many long lists": json.dumps(
        {"any": [{"field": "points", "op": "in", "value": list(range(n, n + 1000))} for n in range(0, 90_000, 1000)]}
    ),
    "a number of 100,000 digits": '{"field": "points", "op": "=", "value": ' + "9" * 100_000 + "}",
    "a decimal of 100,000 digits": '{"field": "points", "op": "=", "value": 0.' + "9" * 100_000 + "}",
    "a text of a megabyte": json.dumps({"field": "city", "op": "=", "value": "x" * 900_000}),
    "three megabytes": " " * 3_000_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_json_is_one_error_with_its_path_in_no_time(text: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(Invalid) as refused:
        notation.loads(text, KNOWN)
    assert time.perf_counter() - begun < 1
    assert refused.value.message.startswith("At $")
    assert len(refused.value.message) < 600


def test_json_goes_as_deep_as_text_and_no_deeper() -> None:
    assert notation.loads(nested("not", 5), KNOWN)
    with pytest.raises(Invalid, match=r"At \$\.not\.not\.not\.not\.not\.not: .*5 levels"):
        notation.loads(nested("not", 6), KNOWN)
