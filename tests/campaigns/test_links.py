"""Addresses that may stand in a mail, and those that are refused when it is saved (security.md 4, "campaign URL")."""

from collections.abc import Callable

import pytest

from preference_center.campaigns.authoring import links
from preference_center.campaigns.rendering.content import Rendered
from preference_center.errors import Invalid

WRONG = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>",
    "vbscript:x",
    "file:///etc/passwd",
    "cid:part",
    "//evil.example",
    "/relative",
    "https:evil",
    "https:///evil",
    "https://ok.example@evil.example/",
    "https://user:pass@evil.example/",
    "https://ok.example\\@evil.example",
    "https://exаmple.com",  # a Cyrillic letter among Latin ones
    "https://аррӏе.com",  # nothing but letters that pass for Latin ones
    "https://xn--80ak6aa92e.com",  # the same, written in ASCII
    "https://xn--\ud800.com",
    "https://a..b/",
    "https://a:99999/",
    "https://[zz]/",
    "https://" + "a" * 10_000,
    "https://a.example/x y",
    "https://a.example/\u202eyx",
    "tel:call me",
    "mailto:nobody",
]
RIGHT = [
    "https://shop.example",
    "HTTP://Shop.Example:8080/a/b?c=d&e=%20#f",
    "https://münchen.de/",
    "https://пример.рф/",
    "https://例え.jp/",
    "https://xn--mnchen-3ya.de/",
    "mailto:shop@example.com?subject=Hello",
    "tel:+48123456789",
    "#top",
]


@pytest.mark.parametrize("address", WRONG)
def test_a_wrong_address_has_a_fault(address: str) -> None:
    assert links.fault(address)


@pytest.mark.parametrize("address", RIGHT)
def test_a_right_address_has_none(address: str) -> None:
    assert links.fault(address) is None


SOURCES = {
    "html": '<p>Hello</p>\n<p>\n<a href="%s">x</a></p>',
    "mjml": "<mjml><mj-body><mj-section>\n<mj-column>\n"
    '<mj-button href="%s">x</mj-button></mj-column></mj-section></mj-body></mjml>',
    "markdown": "Hello\n\n[x](<%s>)",
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "&#106;avascript:x", "data:x", "//evil.example", "https://ok@evil.example"]
)
def test_every_format_refuses_it_when_saved_and_names_the_line(
    render: Callable[..., Rendered], kind: str, address: str
) -> None:
    with pytest.raises(Invalid, match=r"\ASource, line 3: "):
        render(SOURCES[kind] % address, kind)


def test_a_line_break_inside_an_address_is_refused(render: Callable[..., Rendered]) -> None:
    with pytest.raises(Invalid, match="line 1"):
        render('<a href="java\nscript:alert(1)">x</a>')


@pytest.mark.parametrize(
    "address",
    [
        "{{ city }}",
        "https://{{ city }}",
        "https://{{ city }}.example/",
        "https://a.example{{ city }}",
        "{{ unsubscribe_url }}x",
    ],
)
def test_a_value_never_chooses_where_a_link_leads(render: Callable[..., Rendered], address: str) -> None:
    with pytest.raises(Invalid, match="line 1"):
        render(f'<a href="{address}">x</a>', city="evil.example")


@pytest.mark.parametrize("kind", SOURCES)
def test_a_value_inside_an_address_is_one_part_of_it(render: Callable[..., Rendered], kind: str) -> None:
    mail = render(SOURCES[kind] % "https://a.example/?c={{ city }}", kind, city='a&b=c "d"/é')
    assert 'href="https://a.example/?c=a%26b%3Dc%20%22d%22%2F%C3%A9"' in mail.html
    assert "https://a.example/?c=a%26b%3Dc%20%22d%22%2F%C3%A9" in mail.text


@pytest.mark.parametrize("kind", SOURCES)
def test_our_own_links_can_be_used_by_the_author(render: Callable[..., Rendered], kind: str) -> None:
    mail = render(SOURCES[kind] % "{{ preferences }}", kind)
    assert mail.html.count('href="https://mail.example.com/p/1.abc"') == 2  # the author's and the footer's
