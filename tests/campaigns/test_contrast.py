"""Contrast on the finished styles, and links that stand but are odd."""

import pytest

from preference_center.campaigns.authoring import contrast, links
from preference_center.campaigns.rendering import content
from tests.campaigns.conftest import version


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000", "white", 21.0),
        ("#767676", "#ffffff", 4.54),
        ("#777777", "#ffffff", 4.48),
        ("rgb(255, 0, 0)", "#ffffff", 4.0),
    ],
)
def test_the_ratio_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    first, second = contrast.colour(one), contrast.colour(other)
    assert first and second and abs(contrast.ratio(first, second) - ratio) < 0.01


@pytest.mark.parametrize(
    ("html", "faint"),
    [
        ('<p style="color:#777">grey words</p>', ["grey words"]),
        ('<p style="color:#767676">grey words</p>', []),
        ('<p style="color:#777;font-size:24px">large</p>', []),
        ('<p style="color:#888;font-size:14pt;font-weight:bold">large and bold</p>', []),
        ('<p style="color:#999;font-size:14pt;font-weight:bold">large and bold</p>', ["large and bold"]),
        ('<td bgcolor="#000080"><b>black on navy</b></td>', ["black on navy"]),
        ('<td style="background:#0b5c7a"><a href="https://a.example" style="color:#fff">white on blue</a></td>', []),
        ('<td style="background-color:#0b5c7a"><a href="https://a.example">blue on blue</a></td>', ["blue on blue"]),
        ('<td style="background:url(https://a.example/i.png)"><font color="#fff">on a picture</font></td>', []),
        ('<div style="display:none;color:#fff">hidden</div>', []),
        ('<p style="color:#fff">&nbsp; · </p>', []),
        ('<p style="color:#fff">one</p><p style="color:#fff">two</p>', ["one"]),
        ('<p style="color:var(--x)">unknown</p>', []),
    ],
)
def test_what_is_hard_to_read_is_named_once_a_pair_of_colours(html: str, faint: list[str]) -> None:
    assert [one.words for one in contrast.faint(html)] == faint


def test_an_author_is_told_where(declared: None) -> None:
    source = "<p>Hello there, all of you</p>\n<style>.x { color: #ddd }</style>\n<p class='x'>hardly seen</p>"
    found = [one for one in content.lint(version(source, format="html", preheader="x")) if one.code == "contrast"]
    assert [(one.line, "#dddddd on #ffffff" in one.message) for one in found] == [(3, True)]


def test_our_own_frame_and_footer_are_readable(declared: None) -> None:
    text = (
        "# Heading\n\nText with [a link](https://a.example/) and `code`.\n\n> quoted\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    )
    assert [one.code for one in content.lint(version(text, preheader="x")) if one.code == "contrast"] == []


@pytest.mark.parametrize(
    ("address", "words", "told"),
    [
        ("#", "here", "leads nowhere"),
        ("https://localhost/a", "a", "no address that people outside"),
        ("https://10.0.0.1/", "a", "no address that people outside"),
        ("https://shop.internal/", "a", "no address that people outside"),
        ("http://shop.example.com/", "a", "not encrypted"),
        ("https://bit.ly/x", "a", "hides where the link leads"),
        ("https://evil.example.net/", "www.shop.example.com", "says shop.example.com and leads to evil.example.net"),
        ("https://www.shop.example.com/a", "shop.example.com", None),
        ("https://track.shop.example.com/a", "https://shop.example.com/b", None),
        ("https://shop.example.com/", "our shop. Come in", None),
        ("mailto:a@example.com", "write", None),
        ("#preview", "leave", None),
    ],
)
def test_an_odd_link_is_told(address: str, words: str, told: str | None) -> None:
    found = links.odd(address, words)
    assert (told is None) == (found is None) and (told or "") in (found or "")


def test_findings_say_on_which_line_it_stands(declared: None) -> None:
    source = 'Hello {{ city }}, here are the news\n<img src="https://a.example/i.png">\n[DRAFT]\n<a href="http://a.example/">x</a>'
    found = {one.code: one.line for one in content.lint(version(source, format="html", preheader="x"))}
    assert found == {"no_default": 1, "no_alt": 2, "draft": 3, "odd_link": 4}
