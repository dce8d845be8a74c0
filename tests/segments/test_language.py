"""The text of a rule: what it reads as, how it is printed back, and where it is wrong."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.contacts.models import AttributeKind
from preference_center.errors import Invalid
from preference_center.segments import language
from preference_center.segments.rules import (
    OWN_FIELDS,
    And,
    Compare,
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

DECLARED = {
    "city": AttributeKind.text,
    "points": AttributeKind.number,
    "birthday": AttributeKind.date,
    "vip": AttributeKind.boolean,
}
CITY, POINTS, BIRTHDAY, VIP = (Field(key, kind) for key, kind in DECLARED.items())


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("", "everyone"),
        ("  EVERYONE\n", "everyone"),
        ("language = pl", 'language = "pl"'),
        ("language = pt-BR", 'language = "pt-BR"'),
        ("time_zone = Europe/Warsaw", 'time_zone = "Europe/Warsaw"'),
        ("country = pl", 'country = "PL"'),
        ('source contains "shop"', 'source contains "shop"'),
        ("joined before 2026-01-01", "joined before 2026-01-01"),
        ("joined < 2026-01-01", "joined before 2026-01-01"),
        ("joined in the last 30 days", "joined in the last 30 days"),
        ('city="Kraków"', 'city = "Kraków"'),
        ('city in ("Kraków", "Gdańsk", "Kraków")', 'city in ("Kraków", "Gdańsk")'),
        ("points > 500", "points > 500"),
        ("points >= -1.50", "points >= -1.5"),
        ("points in (1, 2.0)", "points in (1, 2)"),
        ("vip = true", "vip = yes"),
        ("birthday is unknown", "birthday is unknown"),
        ("birthday is not unknown", "birthday is known"),
        ("not city is known", "not city is known"),
        ("vip = yes and (points > 1 and points < 9)", "vip = yes and points > 1 and points < 9"),
        ("vip = yes or points > 1 and points < 9", "vip = yes or points > 1 and points < 9"),
        ("(vip = yes or points > 1) and points < 9", "(vip = yes or points > 1) and points < 9"),
        ("not (vip = yes or points > 1)", "not (vip = yes or points > 1)"),
        ('city = "a \\"b\\" \\\\ c"', 'city = "a \\"b\\" \\\\ c"'),
    ],
)
def test_a_rule_is_printed_in_one_way(text: str, printed: str) -> None:
    rule = language.parse(text, DECLARED)
    assert str(rule) == printed
    assert language.parse(printed, DECLARED) == rule


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("town = x", "Line 1, column 1", "`town`"),
        ("citty = x", "Line 1, column 1", "`city`"),
        ("vip = yes and\n  consent = yes", "Line 2, column 3", "no field `consent`"),
        ("city", "Line 1, column 5", "compared with"),
        ("city =", "Line 1, column 7", "double quotes"),
        ('city = "Kraków', "Line 1, column 8", "does not end"),
        ("city = “Kraków”", "Line 1, column 8", "straight double quotes"),
        ("city > 5", "Line 1, column 6", "numbers and dates"),
        ('city = ""', "Line 1, column 8", "is unknown"),
        ("points = many", "Line 1, column 10", "a number"),
        ("points > 1e999", "Line 1, column 10", "500"),
        ("points > NaN", "Line 1, column 10", "a number"),
        ("points > 9999999999999999", "Line 1, column 10", "500"),
        ("points contains 5", "Line 1, column 8", "for texts"),
        ("birthday = 2026-02-30", "Line 1, column 12", "a date"),
        ("birthday in (2026-02-03)", "Line 1, column 10", "texts and numbers"),
        ("birthday in the last week", "Line 1, column 17", "30 days"),
        ("joined in the last 99999 days", "Line 1, column 15", "30 days"),
        ("country = Poland", "Line 1, column 11", "two letters"),
        ("vip is yes", "Line 1, column 8", "known"),
        ("vip = maybe", "Line 1, column 7", "yes or no"),
        ("(vip = yes", "Line 1, column 11", "`)`"),
        ("vip = yes points > 1", "Line 1, column 11", "`and`"),
        ("vip = yes && points > 1", "Line 1, column 11", "letters"),
        ("vip = yes and", "Line 1, column 14", "begins with a field"),
        ('city in ("a" "b")', "Line 1, column 14", "comma"),
        ('city in "a"', "Line 1, column 9", "parentheses"),
        ("1 = 1", "Line 1, column 1", "begins with a field"),
        ("city = x'; DROP TABLE contacts; --", "Line 1, column 9", "straight double quotes"),
        ("\0", "Line 1, column 1", "means nothing"),
    ],
)
def test_a_fault_names_its_place_and_the_remedy(text: str, where: str, says: str) -> None:
    with pytest.raises(Invalid) as refused:
        language.parse(text, DECLARED)
    assert refused.value.message.startswith(where)
    assert says in refused.value.message
    assert refused.value.faults == {"segment": refused.value.message}


def test_consent_cannot_be_said_in_a_rule() -> None:
    for word in ("consent", "subscribed", "topic", "suppressed", "email", "erased_at", "restricted_at", "attributes"):
        with pytest.raises(Invalid, match="no field"):
            language.parse(f"{word} = yes", DECLARED)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 6 + "vip = yes" + ")" * 6,
        "not " * 6 + "vip = yes",
        "(" * 100_000,
        "not " * 20_000,
        " and ".join(["vip = yes"] * 101),
        " or ".join(["vip = yes"] * 5_000),
        f"points in ({', '.join(map(str, range(1001)))})",
        f'city = "{"x" * 201}"',
        '"' + "\\" * 90_000,
        "x" * 99_000,
        "9" * 99_000,
        "a" * 200_000,
    ],
)
def test_a_rule_too_costly_is_refused_at_once(text: str) -> None:
    with pytest.raises(Invalid):
        language.parse(text, DECLARED)


def test_a_rule_at_its_limits_is_read() -> None:
    assert isinstance(language.parse(" and ".join(["vip = yes"] * 100), DECLARED), And)
    assert isinstance(language.parse("(" * 5 + "vip = yes" + ")" * 5, DECLARED), Compare)
    assert isinstance(language.parse(f"points in ({', '.join(map(str, range(1000)))})", DECLARED), In)


words = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=12).filter(
    lambda text: text.strip() != ""
)
numbers = st.decimals(-(10**12), 10**12, places=3).map(lambda number: language._number(str(number)))
days = st.dates(date(1900, 1, 1), date(2200, 12, 31))
texts = st.sampled_from([CITY, OWN_FIELDS["language"], OWN_FIELDS["source"], OWN_FIELDS["time_zone"]])
ordered = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
conditions: st.SearchStrategy[Rule] = st.one_of(
    st.builds(Compare, texts, st.sampled_from(["=", "!="]), words),
    st.builds(Compare, st.just(POINTS), ordered, numbers),
    st.builds(Compare, st.sampled_from([BIRTHDAY, OWN_FIELDS["joined"]]), ordered, days),
    st.builds(Compare, st.just(VIP), st.sampled_from(["=", "!="]), st.booleans()),
    st.builds(Contains, texts, words),
    st.builds(In, texts, st.lists(words, min_size=1, max_size=4, unique=True).map(tuple)),
    st.builds(In, st.just(POINTS), st.lists(numbers, min_size=1, max_size=4, unique=True).map(tuple)),
    st.builds(InTheLast, st.sampled_from([BIRTHDAY, OWN_FIELDS["joined"]]), st.integers(1, 9999)),
    st.builds(Unknown, st.sampled_from([CITY, POINTS, BIRTHDAY, VIP])),
    st.builds(Known, st.sampled_from([CITY, POINTS, BIRTHDAY, VIP])),
    st.builds(Everyone),
)


def groups(inner: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    def several(kind: Any) -> st.SearchStrategy[Rule]:
        single = inner.filter(lambda rule: not isinstance(rule, kind))
        return st.lists(single, min_size=2, max_size=3).map(lambda rules: kind(tuple(rules)))

    return st.one_of(inner.map(Not), several(And), several(Or))


rules = conditions | groups(conditions) | groups(groups(conditions))


@given(rules)
def test_what_is_printed_reads_back_as_the_same_rule(rule: Rule) -> None:
    assert language.parse(str(rule), DECLARED) == rule


pieces = st.sampled_from(['"', "(", ")", "not", "city", "=", "in", "5", ",", "is", "\\", "and"])


@given(st.text(max_size=60) | st.lists(pieces, max_size=20).map(" ".join))
def test_any_text_is_a_rule_or_a_fault_with_a_place(text: str) -> None:
    try:
        rule = language.parse(text, DECLARED)
    except Invalid as refused:
        assert refused.message.startswith("Line ")
    else:
        assert language.parse(str(rule), DECLARED) == rule


def test_numbers_have_one_spelling() -> None:
    assert language._number("1.500") == Decimal("1.5")
    assert str(language.parse("points = 1.50", DECLARED)) == "points = 1.5"
    assert str(language.parse("points = 1000000", DECLARED)) == "points = 1000000"
