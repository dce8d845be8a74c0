"""What an author is told before a mail is sent."""

import pytest

from preference_center.campaigns.authoring import linting
from preference_center.campaigns.authoring.linting import Weight
from preference_center.campaigns.rendering import content
from tests.campaigns.conftest import version


def codes(source: str, **fields: str) -> set[str]:
    return {finding.code for finding in content.lint(version(source, **{"preheader": "Read on", **fields}))}


GOOD = "Hello {{ first_name|default('you') }}, here are the news of this week."


def test_a_good_mail_has_no_findings(declared: None) -> None:
    assert codes(GOOD) == set()


@pytest.mark.parametrize(
    ("code", "source", "fields"),
    [
        ("too_large", GOOD + "\n\n" + "word " * 22_000, {}),  # S27
        ("no_alt", GOOD + '<img src="https://a.example/i.png">', {"format": "html"}),
        (
            "empty_link",
            GOOD + '<a href="https://a.example/"><img src="https://a.example/i.png" alt=""></a>',
            {"format": "html"},
        ),
        ("no_text", '<img src="https://a.example/i.png" alt="A cup">', {"format": "html"}),
        ("draft", GOOD, {"subject": "[DRAFT] News"}),
        ("long_subject", GOOD, {"subject": "x" * 61}),
        ("no_preheader", GOOD, {"preheader": ""}),
        ("no_default", GOOD + " {{ city|upper }}", {}),
        ("left_out", GOOD + "<script>x</script>", {"format": "html"}),
    ],
)
def test_a_fault_is_found_and_nothing_else(declared: None, code: str, source: str, fields: dict[str, str]) -> None:
    assert codes(source, **fields) == {code}


def test_a_field_inside_its_own_condition_needs_no_default(declared: None) -> None:
    assert codes(GOOD + " {% if city %}Greetings to {{ city }}{% endif %}") == set()


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("points > 500", False),
        ("city and points >= 2", False),
        ("points == 3", False),
        ('city == "Rome" and points', False),
        ("points != 3", True),
        ("city", True),
    ],
)
def test_a_number_that_is_compared_is_there(declared: None, condition: str, told: bool) -> None:
    source = GOOD + f" {{% if {condition} %}}You have {{{{ points }}}} points{{% endif %}}"
    assert codes(source) == ({"no_default"} if told else set())


def test_a_text_that_is_compared_with_a_word_is_there(declared: None) -> None:
    assert codes(GOOD + ' {% if city == "Rome" %}Greetings to {{ city }}{% endif %}') == set()
    assert codes(GOOD + ' {% if city == "" %}Greetings to {{ city }}{% endif %}') == {"no_default"}
    assert codes(GOOD + ' {% if city != "Rome" %}Greetings to {{ city }}{% endif %}') == {"no_default"}


@pytest.mark.parametrize(
    ("source", "bare"),
    [
        ("{% if points > 500 %}Gold.{% else %}You have {{ points }} points.{% endif %}", ["points"]),
        ("{% if points > 500 %}Gold.{% endif %} You have {{ points }} points.", ["points"]),
        ("{% if not points > 500 %}You have {{ points }} points.{% endif %}", ["points"]),
        ("{% if points > 500 or vip %}You have {{ points }} points.{% endif %}", ["points"]),
        ('{% if city == "Rome" %}Ciao!{% endif %} See you in {{ city }}.', ["city"]),
        ("{% if city %}{{ city }}{% elif points %}{{ city }}{% endif %}", ["city"]),
        ("{% if city %}{% if points %}{{ points }}, {{ city }}{% endif %} {{ points }}{% endif %}", ["points"]),
        ("{% if vip == false %}{{ vip }}{% endif %}", ["vip"]),
        ("{% if not city %}Hello{% else %}Hello {{ city }}{% endif %}", []),
        ("{% if not (city and points) %}Hello{% elif vip %}{{ city }} {{ points }} {{ vip }}{% endif %}", []),
        ('{% if city == "" %}Hello{% else %}Hello {{ city }}{% endif %}', []),
        ('{% if city != "" %}Hello {{ city }}{% endif %}', []),
        ("{% if points > 5 or points < 2 %}{{ points }}{% endif %}", []),
        ("{% if vip == true %}{{ vip }}{% endif %}", []),
        ('{{ city|default("you") }}', []),
    ],
)
def test_a_field_needs_no_default_only_where_its_condition_has_asked_for_it(
    declared: None, source: str, bare: list[str]
) -> None:
    assert linting.bare_fields(version(f"{GOOD} {source}")) == bare


@pytest.mark.parametrize(("source", "said"), [("Hello", "is very short"), ("<p></p>", "says nothing")])
def test_a_short_text_part_is_not_said_to_say_nothing(declared: None, source: str, said: str) -> None:
    [told] = [one.message for one in content.lint(version(source, format="html")) if one.code == "no_text"]
    assert told == f"The text part {said}: write one for people who read without HTML."


def test_what_must_be_fixed_comes_first(declared: None) -> None:
    found = content.lint(version('<script>x</script><img src="https://a.example/i.png">' + GOOD, format="html"))
    assert [finding.weight for finding in found] == sorted(
        (finding.weight for finding in found), key=list(Weight).index
    )
    assert found[0].weight is Weight.fix
    assert [finding.line for finding in found if finding.code == "left_out"] == [1]
