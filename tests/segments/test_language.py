"""The text of a rule: what it reads as, how it is printed back, and where it is wrong."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.errors import Invalid
from preference_center.segments import language, words
from preference_center.segments.comparing import Compare, In
from preference_center.segments.rules import And, Rule
from tests.segments.strategies import KNOWN, rules


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("", "everyone"),
        ("  EVERYONE\n", "everyone"),
        ("language = pl", 'language = "pl"'),
        ("language = pt-BR", 'language = "pt-BR"'),
        ("language = pt_br", 'language = "pt-BR"'),
        ("language is not EN-us", 'language != "en"'),
        ("language in (pt, pl, pt-PT)", 'language in ("pt-BR", "pl")'),
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
        ('city is "Kraków"', 'city = "Kraków"'),
        ('city is not "known"', 'city != "known"'),
        ("points more than 500", "points > 500"),
        ("points less than 500", "points < 500"),
        ("points at least 500", "points >= 500"),
        ("points at most 500", "points <= 500"),
        ("points between 1 and 2 and vip = yes", "points between 1 and 2 and vip = yes"),
        ("city begins with Kra", 'city begins with "Kra"'),
        ("birthday in the next 7 days", "birthday in the next 7 days"),
        ("likes has plants", 'likes has "plants"'),
        ("likes has any of (plants, lamps)", 'likes has any of ("plants", "lamps")'),
        ("follows news", 'follows "news"'),
        ('follows "2026-offers"', 'follows "2026-offers"'),
        ("since(news) in the last 30 days", "since(news) in the last 30 days"),
        ('since("2026-offers") before 2026-06-01', 'since("2026-offers") before 2026-06-01'),
        ("basis(news) = double_opt_in", 'basis(news) = "double_opt_in"'),
        ("consent_source(news) in (form, import)", 'consent_source(news) in ("form", "import")'),
        ('segment "bought  in 2026"', 'segment "Bought in 2026"'),
        ("got Autumn", 'got "4fq2m7c3x5k6zr2a"'),
        ("got 4fq2m7c3x5k6zr2a", 'got "4fq2m7c3x5k6zr2a"'),
        ("not got any in the last 7 days", "not got any in the last 7 days"),
        ("clicked Autumn in the last 30 days", 'clicked "4fq2m7c3x5k6zr2a" in the last 30 days'),
        ("segment = a and got > 5", 'segment = "a" and got > 5'),  # attributes named like words of ours
        ("vip = yes and (points > 1 and points < 9)", "vip = yes and points > 1 and points < 9"),
        ("vip = yes or points > 1 and points < 9", "vip = yes or points > 1 and points < 9"),
        ("(vip = yes or points > 1) and points < 9", "(vip = yes or points > 1) and points < 9"),
        ("not (vip = yes or points > 1)", "not (vip = yes or points > 1)"),
        ('city = "a \\"b\\" \\\\ c"', 'city = "a \\"b\\" \\\\ c"'),
    ],
)
def test_a_rule_is_printed_in_one_way(text: str, printed: str) -> None:
    rule = language.parse(text, KNOWN)
    assert str(rule) == printed
    assert language.parse(printed, KNOWN) == rule


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
        ("language = Polish", "Line 1, column 12", "its code"),
        ("language in (pl, de)", "Line 1, column 18", "one of: en, pl, es, pt-BR"),
        ("vip is", "Line 1, column 7", "yes or no"),
        ("birthday is not soon", "Line 1, column 17", "a date"),
        ("vip is more", "Line 1, column 8", "yes or no"),
        ("points more", "Line 1, column 8", "compared with"),
        ("points between 1", "Line 1, column 17", "between"),
        ("points between 2 and 1", "Line 1, column 16", "other way round"),
        ("city between 1 and 2", "Line 1, column 6", "numbers and dates"),
        ("points begins with 5", "Line 1, column 8", "for texts"),
        ("likes = plants", "Line 1, column 7", "has any of"),
        ("city has plants", "Line 1, column 6", "for sets"),
        ("likes has", "Line 1, column 10", "double quotes"),
        ("city in the next 5 days", "Line 1, column 6", "for dates"),
        ("follows", "Line 1, column 8", "name is expected"),
        ("follows new", "Line 1, column 9", "`news`"),
        ("since(new) is known", "Line 1, column 7", "`news`"),
        ("since(news is known", "Line 1, column 12", "`)`"),
        ("basis(news) > 5", "Line 1, column 13", "numbers and dates"),
        ('segment "Nobody"', "Line 1, column 9", "no segment"),
        ("got Summer", "Line 1, column 5", "no campaign"),
        ('not got "Spring"', "Line 1, column 9", "2 campaigns"),
        ("clicked any in the last year", "Line 1, column 20", "30 days"),
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
        language.parse(text, KNOWN)
    assert refused.value.message.startswith(where)
    assert says in refused.value.message
    assert refused.value.faults == {"segment": refused.value.message}


def test_consent_cannot_be_said_in_a_rule() -> None:
    for word in ("consent", "subscribed", "topic", "suppressed", "email", "erased_at", "restricted_at", "attributes"):
        with pytest.raises(Invalid, match="no field"):
            language.parse(f"{word} = yes", KNOWN)


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
        language.parse(text, KNOWN)


def test_a_rule_at_its_limits_is_read() -> None:
    assert isinstance(language.parse(" and ".join(["vip = yes"] * 100), KNOWN), And)
    assert isinstance(language.parse("(" * 5 + "vip = yes" + ")" * 5, KNOWN), Compare)
    assert isinstance(language.parse(f"points in ({', '.join(map(str, range(1000)))})", KNOWN), In)


@given(rules)
def test_what_is_printed_reads_back_as_the_same_rule(rule: Rule) -> None:
    try:
        assert language.parse(str(rule), KNOWN) == rule
    except Invalid as refused:
        assert "asks too much" in refused.message


pieces = st.sampled_from(['"', "(", ")", "not", "city", "=", "in", "5", ",", "is", "\\", "and"])


@given(st.text(max_size=60) | st.lists(pieces, max_size=20).map(" ".join))
def test_any_text_is_a_rule_or_a_fault_with_a_place(text: str) -> None:
    try:
        rule = language.parse(text, KNOWN)
    except Invalid as refused:
        assert refused.message.startswith("Line ")
    else:
        assert language.parse(str(rule), KNOWN) == rule


def test_numbers_have_one_spelling() -> None:
    assert words.number("1.500") == Decimal("1.5")
    assert str(language.parse("points = 1.50", KNOWN)) == "points = 1.5"
    assert str(language.parse("points = 1000000", KNOWN)) == "points = 1000000"
