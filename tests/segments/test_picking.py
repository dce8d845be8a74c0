"""Choosing named segments in a form: what is chosen becomes one rule, and that rule shows the same choice again."""

import pytest
from flask import Flask

from preference_center.db import transaction
from preference_center.errors import Invalid, NotFound
from preference_center.segments import named, queries
from preference_center.segments.picking import Picked, put_together, taken_apart


@pytest.fixture(autouse=True)
def three(app: Flask) -> None:
    with transaction():
        for name, rule in [("Kraków", "country = PL"), ("Staff", "source = staff"), ("VIP", "language = pl")]:
            named.add(name, queries.read(rule), "cli")


@pytest.mark.parametrize(
    ("include", "exclude", "rule", "made"),
    [
        pytest.param([], [], "", "", id="nothing"),
        pytest.param([], [], "everyone", "", id="everyone"),
        pytest.param(["Kraków"], [], "", 'segment "Kraków"', id="one"),
        pytest.param(["Kraków", "VIP"], [], "", 'segment "Kraków" or segment "VIP"', id="one of two"),
        pytest.param([], ["Staff"], "", 'not segment "Staff"', id="all but one"),
        pytest.param([], ["Staff", "VIP"], "", 'not (segment "Staff" or segment "VIP")', id="all but two"),
        pytest.param(
            ["Kraków", "VIP"],
            ["Staff"],
            "language = es or language = en",
            '(segment "Kraków" or segment "VIP") and (language = "es" or language = "en") and not segment "Staff"',
            id="all three",
        ),
        pytest.param(
            ["Kraków"], [], 'country = PL and segment "VIP"', 'segment "Kraków" and country = "PL" and segment "VIP"',
            id="a segment in the rule beside a chosen one",
        ),
    ],
)  # fmt: skip
def test_what_is_chosen_becomes_one_rule_and_shows_the_same_choice_again(
    include: list[str], exclude: list[str], rule: str, made: str
) -> None:
    assert put_together(include, exclude, rule) == made
    again = taken_apart(made)
    assert (list(again.include), list(again.exclude)) == (include, exclude)
    assert put_together(again.include, again.exclude, again.rule) == made


def test_a_rule_may_be_the_bare_name_of_a_segment() -> None:
    assert put_together([], [], "kraków") == 'segment "Kraków"'


def test_a_fault_is_told_with_its_place_in_what_was_typed() -> None:
    with pytest.raises(Invalid, match="column 10"):
        put_together(["Kraków"], ["Staff"], "language ~ pl")


def test_on_both_sides_is_refused() -> None:
    with pytest.raises(Invalid, match="Staff stands on both sides") as refused:
        put_together(["Staff"], ["Staff"], "")
    assert set(refused.value.faults) == {"exclude"}


def test_a_segment_that_is_gone_is_refused_and_a_rule_that_names_it_stays_whole() -> None:
    with pytest.raises(NotFound):
        put_together(["Gone"], [], "")
    assert taken_apart('segment "Gone" and language = pl') == Picked(rule='segment "Gone" and language = pl')
