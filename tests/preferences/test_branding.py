"""The owner's look: every colour that may be chosen ends up readable, and what was changed for that is said."""

import re
from itertools import product

import pytest
from flask import Flask
from hypothesis import example, given
from hypothesis import strategies as st

from preference_center.db import transaction
from preference_center.errors import Invalid
from preference_center.preferences import branding
from tests.support.sources import ROOT

COLOUR = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


def unreadable(properties: dict[str, str], theme: str) -> list[tuple[str, str]]:
    """All pairs of words and grounds on the pages that miss WCAG 1.4.3 or 1.4.11, by the tokens' own names."""
    css = (ROOT / "static/css/tokens.css").read_text()
    place = branding.THEMES.index(theme)
    fixed = {name: both[place] for name, *both in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", css)}
    tokens = fixed | properties
    pairs = list(product(("ink", "ink-soft", "accent", "good", "warn", "bad"), ("paper", "card")))
    pairs += [("accent-ink", "accent"), ("accent-ink", "accent-strong"), ("accent", "accent-soft")]
    pairs += [
        ("accent-strong", "accent-soft"),
        *(("ink", f"{kind}-soft") for kind in ("accent", "good", "warn", "bad")),
    ]
    faults = [pair for pair in pairs if branding.contrast(tokens[pair[0]], tokens[pair[1]]) < 4.5]
    return faults + [("edge", g) for g in ("paper", "card") if branding.contrast(tokens["edge"], tokens[g]) < 3]


@given(st.dictionaries(st.sampled_from(branding.choosable()), COLOUR))
@example({"accent-dark": "#000000", "card-dark": "#000000"})  # ends between what white and what navy can stand on
def test_whatever_is_chosen_can_be_read(chosen: dict[str, str]) -> None:
    """`screens.md` 3.6 and acceptance check 8."""
    look = branding.made_of(chosen)
    for theme, properties in look.properties.items():
        assert unreadable(properties, theme) == []
    asked = {(one.theme, one.colour) for one in look.corrections}
    for theme, colour in product(branding.THEMES, branding.COLOURS):
        own = chosen.get(colour + ("-dark" if theme == "dark" else ""))
        assert own is None or (theme, colour) in asked or look.properties[theme][colour] == own, "changed in silence"


def test_the_check_would_find_a_fault() -> None:
    good = branding.made_of({}).properties["light"]
    assert unreadable(good, "light") == []
    assert ("accent", "paper") in unreadable(good | {"accent": "#ffd34d"}, "light")


def test_a_colour_that_reads_well_stays_and_one_that_does_not_is_darkened_and_told() -> None:
    assert branding.made_of({"accent": "#00694a", "accent-dark": "#7fd6b5"}).corrections == []
    (told,) = branding.made_of({"accent": "#ffd34d"}).corrections
    assert (told.theme, told.colour, told.asked) == ("light", "accent", "#ffd34d")
    assert branding.contrast(told.used, "#ffffff") >= 4.5


def test_the_stylesheet_sets_eight_properties_in_both_themes() -> None:
    css = branding.made_of({"accent": "#00694a", "corners": "square"}).css
    first = css.splitlines()[0]
    assert len(re.findall(r"--[\w-]+:", first)) == 8
    assert "--accent: light-dark(#00694a, #aab6ff);" in first and "--radius: 0rem;" in first
    assert "@supports not" in css


@pytest.mark.parametrize(
    "chosen", [{"accent": "red"}, {"accent": "#12"}, {"accent": "#123456;}"}, {"corners": "9px"}, {"glow": "#123456"}]
)
@pytest.mark.both_databases
def test_what_is_no_colour_is_refused(app: Flask, chosen: dict[str, str]) -> None:
    with transaction():
        branding.save("Shop", {"accent": "#00694a"})
    with pytest.raises(Invalid), transaction():
        branding.save("Shop", chosen)
    with pytest.raises(Invalid), transaction():
        branding.save("x" * 81, {})
    brand = branding.current()
    assert brand is not None and brand.chosen == {"accent": "#00694a"} and brand.css
    with transaction():
        branding.save("", {})
    assert brand.digest == "" and brand.css == ""
