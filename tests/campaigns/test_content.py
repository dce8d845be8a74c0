"""What a finished campaign mail holds, whatever its author wrote: both parts, the footer, the language, nothing that runs."""

import re
import time
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from flask import Flask

from preference_center.campaigns.rendering import content
from preference_center.campaigns.rendering.content import Rendered, RenderError
from preference_center.errors import Conflict, Invalid
from tests.campaigns.conftest import LINKS, WHY, imprint, rendered, version

MJML = (
    "<mjml><mj-head><mj-style>.red {{ color: red }} @media (max-width:480px) {{ .red {{ color: blue }} }}</mj-style></mj-head>"
    "<mj-body><mj-section><mj-column><mj-text>{0}</mj-text></mj-column></mj-section></mj-body></mjml>"
)
SOURCES = {
    "markdown": "# Hello\n\nSome words.",
    "mjml": MJML.format("<h1>Hello</h1><p>Some words.</p>"),
    "html": "<h1>Hello</h1><p>Some words.</p>",
}
SECTION = "<mj-section><mj-column><mj-text>%s</mj-text></mj-column></mj-section>"
each_format = pytest.mark.parametrize("kind", SOURCES)
FOOTER_GROUND = "#f3f4f2"  # the footer brings its own, so that its contrast is known
Render = Callable[..., Rendered]


class Reader(HTMLParser):
    """Every element with its attributes and the words inside it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        words: list[str] = []
        self.elements.append((tag, dict(attrs), words))
        if tag not in ("br", "img", "meta", "link", "hr"):
            self._open.append(words)

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for words in self._open:
            words.append(data)

    def link(self, href: str) -> tuple[dict[str, str], str]:
        """The style and the words of the link to an address."""
        for tag, attributes, words in self.elements:
            if tag == "a" and attributes.get("href") == href:
                return style(attributes["style"] or ""), "".join(words).strip()
        raise AssertionError(f"no link to {href}")


def style(text: str) -> dict[str, str]:
    pairs = (part.partition(":") for part in text.split(";") if part.strip())
    return {name.strip(): value.replace("!important", "").strip() for name, _, value in pairs}


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast of two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@each_format
def test_both_parts_say_how_to_leave_how_to_choose_who_sends_and_why(render: Render, kind: str) -> None:  # S18 S20 S21
    mail = render(SOURCES[kind], kind)
    for part in (mail.html, mail.text):
        assert "Hello" in part and "Some words." in part
        for needed in (*LINKS.values(), "Example Shop Ltd", "1 Long Street, 00-001 Warsaw, Poland", WHY):
            assert part.count(needed) == 1, needed


@each_format
def test_the_way_out_can_be_seen_and_says_what_it_does(render: Render, kind: str) -> None:  # S19
    hostile = "<style>a { display: none !important; color: #fff; font-size: 1px }</style>"
    source = SOURCES[kind] if kind != "html" else hostile + SOURCES[kind]
    reader = Reader(render(source, kind).html)
    for address, words in (
        (LINKS["unsubscribe_url"], "Unsubscribe from Product news"),
        (LINKS["preferences_url"], "Choose what you get"),
    ):
        look, said = reader.link(address)
        assert said == words
        assert look["display"] == "inline" and look["visibility"] == "visible" and look["opacity"] == "1"
        assert int(look["font-size"].removesuffix("px")) >= 12
        assert contrast(look["color"], FOOTER_GROUND) >= 4.5
    sheets = [
        style(attributes["style"] or "")
        for _, attributes, _ in reader.elements
        if attributes.get("bgcolor") == FOOTER_GROUND
    ]
    assert sheets[-1]["background-color"] == FOOTER_GROUND
    assert contrast(sheets[-1]["color"], FOOTER_GROUND) >= 4.5


def test_the_footer_stands_where_its_author_put_it(render: Render) -> None:
    mail = render("<p>above</p>{{ footer }}<p>below</p>")
    for part in (mail.html, mail.text):
        assert part.index("above") < part.index("Choose what you get") < part.index("below")
        assert part.count("Choose what you get") == 1


@each_format
@pytest.mark.parametrize("language", ["en", "pl", "es", "pt-BR"])
def test_the_language_is_the_contacts(render: Render, kind: str, language: str) -> None:  # S28
    assert f'<html lang="{language}"' in render(SOURCES[kind], kind, language).html


@each_format
def test_nothing_that_runs_or_loads_by_itself_is_left(render: Render, kind: str) -> None:  # S23
    dirt = (
        '<script>alert(1)</script><form action="https://a.example/"><input name="x"></form><object data="https://a.example/"></object>'
        '<p onclick="alert(1)" style="position:fixed;color:red;background:url(javascript:alert(1))">kept</p>'
        "<svg><script>x</script></svg><iframe src='https://a.example/'></iframe><base href='https://a.example/'>"
        '<meta http-equiv="refresh" content="0;url=https://a.example/"><link rel="stylesheet" href="https://a.example/x.css">'
        "<style>@import url(https://a.example/x.css);</style><!--[if mso]><script>x</script><![endif]--><!-- note -->"
    )
    source = MJML.format(dirt) if kind == "mjml" else dirt
    mail = render(source, kind)
    if kind == "markdown":  # raw HTML is text there
        assert "<script" not in mail.html and "&lt;script&gt;" in mail.html
        return
    assert "kept" in mail.html and "color: red" in mail.html.replace("color:red", "color: red")
    for word in (
        "<script",
        "alert",
        "<form",
        "<input",
        "<object",
        "onclick",
        "<svg",
        "<iframe",
        "<base",
        "refresh",
        "<link",
        "@import",
        "a.example",
        "fonts.googleapis",
        "note",
        "position",
    ):
        assert word not in mail.html, word


def test_a_comment_hidden_in_an_attribute_opens_nothing(render: Render) -> None:
    mail = render('<p title="<!--">a<!-- --><b title="onmouseover=alert(1) x=">b</b></p>')
    for _, attributes, _ in Reader(mail.html).elements:
        assert not any(name.startswith("on") for name in attributes)


@each_format
def test_styles_stand_inside_and_media_queries_stay(render: Render, kind: str) -> None:
    source = {
        "html": '<style>.red{color:red} @media (max-width:480px){.red{color:blue}}</style><p class="red">x</p>',
        "mjml": MJML.format('<p class="red">x</p>'),
        "markdown": "x",
    }[kind]
    html = render(source, kind).html
    if kind != "markdown":
        assert re.search(r'<p class="red" style="[^"]*color: ?red', html)
        assert re.search(r"@media \(max-width: ?480px\) \{ \.red \{ color: ?blue", html)
    assert html.count("@media") >= 1


def test_what_outlook_needs_stays(render: Render) -> None:
    html = render(SOURCES["mjml"], "mjml").html
    assert "<!--[if mso | IE]><table" in html


@each_format
def test_conditions_choose_whole_pieces(render: Render, kind: str) -> None:
    source = {
        "markdown": "{% if points > 500 %}\n\n## Gold\n\n{% else %}\n\n## Basic\n\n{% endif %}\n\nHi {{ first_name }}",
        "html": "<table>{% if points > 500 %}<tr><td>Gold</td></tr>{% else %}<tr><td>Basic</td></tr>{% endif %}</table>Hi {{ first_name }}",
        "mjml": f"<mjml><mj-body>{{% if points > 500 %}}{SECTION % 'Gold'}{{% else %}}{SECTION % 'Basic'}{{% endif %}}"
        f"{SECTION % 'Hi {{ first_name }}'}</mj-body></mjml>",
    }[kind]
    gold, basic = (
        render(source, kind, points=501, first_name="Anna"),
        render(source, kind, points=500, first_name="Bea"),
    )
    for mail, word, other, name in ((gold, "Gold", "Basic", "Anna"), (basic, "Basic", "Gold", "Bea")):
        for part in (mail.html, mail.text):
            assert word in part and other not in part and f"Hi {name}" in part


@pytest.mark.parametrize(
    "source",
    [
        "<p {% if city %}class='a'{% endif %}>x</p>",
        "<p style='color:{{ city }}'>x</p>",
        "<style>a { color: {{ city }} }</style>x",
        "<title>{{ city }}</title>x",
        "<script>{{ city }}</script>x",
    ],
)
def test_a_tag_where_it_cannot_work_is_refused_with_its_line(render: Render, source: str) -> None:
    with pytest.raises(Invalid, match="line 2"):
        render("<p>one</p>\n" + source)


def test_the_preheader_comes_first_is_hidden_and_knows_the_fields(render: Render) -> None:
    mail = render("Hello", "markdown", fields={"preheader": "For {{ first_name }} & you"}, first_name="<Anna>")
    elements = Reader(mail.html).elements
    first = elements[[tag for tag, _, _ in elements].index("body") + 1]
    assert first[0] == "div" and style(first[1]["style"] or "")["display"] == "none"
    assert "".join(first[2]).startswith("For <Anna> &")


def test_the_text_part_is_the_authors_or_made_from_the_source(render: Render) -> None:
    html = (
        '<h1>Hello</h1><p>See <a href="https://a.example/x">the shop</a>.<br>Bye</p><ul><li>one<li>two</ul>'
        '<img src="https://a.example/i.png" alt="A cup"><div style="display:none">secret</div>'
    )
    made = render(html).text
    assert made.startswith("Hello\n\nSee the shop (https://a.example/x).\nBye\n\n- one\n- two\n\nA cup\n\n-- \n")
    assert "secret" not in made
    assert render(html, fields={"text_source": "My own words, {{ first_name }}"}, first_name="Anna").text.startswith(
        "My own words, Anna\n\n-- \n"
    )


@pytest.mark.parametrize("value", ["a\r\nBcc: x@example.org", "a\nb", "a\0b", "a\u2028b", "a\u202eb", "a\x1cb"])
def test_a_value_cannot_break_the_subject(render: Render, value: str) -> None:  # S17 S29
    subject = render("Hello", "markdown", fields={"subject": "Hi {{ first_name }}"}, first_name=value).subject
    assert len(subject.splitlines()) == 1
    assert subject.isprintable()


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "   ",
        "{# only a note #}",
        "a\r\nBcc: b",
        "a\0b",
        "x" * 251,
        "{{ unsubscribe_url }}",
        "{{ footer }}",
        "{{ subject }}",
    ],
)
def test_a_subject_that_cannot_stand_is_refused(declared: None, subject: str) -> None:  # S29
    with pytest.raises(Invalid) as refused:
        version("Hello", subject=subject)
    assert "subject" in refused.value.faults


def test_a_subject_that_is_empty_for_somebody_is_a_fault_of_rendering(render: Render) -> None:
    with pytest.raises(RenderError, match="empty"):
        render("Hello", "markdown", fields={"subject": "{{ first_name }}"})


def test_a_mail_without_content_is_refused(declared: None) -> None:
    with pytest.raises(Invalid, match="content"):
        version("  \n")


def test_an_altered_version_is_noticed_and_not_rendered(declared: None) -> None:  # P7
    for name, value in {
        "subject": "Other",
        "segment": "everyone",
        "source": "Other",
        "preheader": "x",
        "text_source": "x",
    }.items():
        made = version("Hello")
        assert made.is_intact()
        setattr(made, name, value)
        assert not made.is_intact()
        with pytest.raises(Conflict, match="altered"):
            content.renderer(made)
    made = version("Hello")
    made.compiled = made.compiled | {"html": "<p>Other</p>"}
    assert not made.is_intact()


def test_a_renderer_is_made_once_for_the_same_content(declared: None) -> None:
    assert content.renderer(version("Hello")) is content.renderer(version("Hello"))
    assert content.renderer(version("Hello")) is not content.renderer(version("Hello!"))


def test_a_preview_leads_nowhere_and_needs_no_contact(declared: None) -> None:
    made = version("Hello {{ first_name }}, [shop](https://a.example/?c={{ city }}), [leave]({{ unsubscribe }})")
    shown = content.preview(made)
    assert "Hello Anna" in shown.html
    assert set(re.findall(r'href="([^"]*)"', shown.html)) == {"#preview"}


def test_rendering_is_fast(declared: None) -> None:
    cell = '<td style="padding:18px 24px;font-family:Helvetica,Arial,sans-serif">{0} <a href="https://a.example/{1}">More</a>'
    row = f"<tr>{cell} {'word ' * 150}</td></tr>"
    rows = "".join(row.format("{{ first_name }} {{ city }}", number) for number in range(13))
    made = version(f"<table>{rows}</table>", format="html")
    mail = rendered(made, first_name="Anna", city="Kraków")
    assert 13_000 < len(mail.html) < 20_000
    renderer = content.renderer(made)
    fields = content.fields_for(
        email="a@example.org",
        language="en",
        attributes={"first_name": "Anna", "city": "Rome"},
        imprint=imprint(),
        why=WHY,
        **LINKS,
    )
    started = time.perf_counter()
    for _ in range(200):
        renderer.render(fields, "en")
    assert (
        time.perf_counter() - started
    ) / 200 < 0.003  # measured: under 0.0001; this only notices a slip of another kind


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("html", "<div>" * 30_000),
        ("html", "<a " * 50_000),
        ("html", "<!--" * 40_000),
        ("html", "<![CDATA[" * 20_000),
        ("html", "<p>" * 50_000),
        ("html", "&" * 100_000),
        ("html", "<style>" * 10_000),
        ("mjml", "<mjml><mj-body>" + "<mj-section></mj-section>" * 7_000 + "</mj-body></mjml>"),
        ("markdown", "![x](" * 20_000),
        ("markdown", "a**" * 30_000),
        ("markdown", "|a|b|\n|-|-|\n" + "|x|y|\n" * 10_000),
        ("markdown", ">" * 5_000 + "x"),
    ],
)
def test_markup_that_would_take_minutes_takes_moments(render: Render, kind: str, source: str) -> None:
    started = time.monotonic()
    try:
        render(source + "x", kind)
    except Invalid as refused:
        assert "line 1" in refused.message
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "source",
    ["hello", "<mjml><mj-body><mj-section>", '<mjml><mj-body>\n<mj-include path="/etc/passwd"/></mj-body></mjml>'],
)
def test_mjml_that_is_not_whole_is_refused_with_a_line(render: Render, source: str) -> None:
    with pytest.raises(Invalid, match=r"\ASource, line \d+: This is not whole MJML"):
        render(source, "mjml")


def test_the_footer_needs_no_request(app: Flask, declared: None) -> None:
    assert "Unsubscribe from Product news" in rendered(version("Hello"), "xx").text
