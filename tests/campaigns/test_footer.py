"""Everybody sees the footer, and the way out in it: no style, no selector and no comment for Outlook hides it (S19)."""

import re
from collections.abc import Callable

import pytest
from flask import Flask

from preference_center.campaigns.authoring import markup
from preference_center.campaigns.rendering import footer
from preference_center.campaigns.rendering.content import Rendered
from preference_center.errors import Invalid

SECTION = "<mj-section><mj-column><mj-text>%s</mj-text></mj-column></mj-section>"
Render = Callable[..., Rendered]


HIDING = (
    "display:none",
    "visibility: hidden",
    "opacity:0",
    "opacity:.04",
    "max-height:0;overflow:hidden",
    "height:1px;overflow:hidden",
    "width:calc(0px)",
    "margin-left:-9999px;width:100px",
    "margin:0 0 0 2000px",
    "text-indent:-999em",
    "letter-spacing:-3em",
    "opacity:calc(1/1000)",
    "display:table-column",
    "display:var(--x,none)",
    "width:calc(100% - 9000px)",
    "min-width:9000px",
    "padding-left:calc(100px * 100)",
    "border-left:3000px solid #fff",
    "height:44px;overflow:hidden",
    "max-height:44px;overflow:auto",
)


@pytest.mark.parametrize("hiding", HIDING)
@pytest.mark.parametrize(
    "source",
    [
        '<div style="{hiding}"><p>{{{{ footer }}}}</p></div>',
        '<p style="{hiding}">{{{{ footer }}}}</p>',  # which a table ends for some readers only
        "<style>.h{{{hiding}}}</style><div class='h'>{{{{ footer }}}}</div>",
        "<style>@media screen{{.h{{{hiding}}}}}</style><div class='h'><div>{{{{ footer }}}}</div></div>",
        "<style>@media (max-width:9px){{.h{{color:red}} div.h{{{hiding}}}}} @media screen{{.h{{display:block;opacity:1}}}}</style>"
        "<div class='h'>{{{{ footer }}}}</div>",
        "<style>@media print{{table td{{{hiding}}}}}</style><p>Hello</p>",
        '<html><body style="{hiding}"><p>Hello</p></body></html>',
    ],
)
def test_the_footer_cannot_be_hidden(render: Render, source: str, hiding: str) -> None:  # S19
    with pytest.raises(Invalid, match="hidden"):
        render(source.format(hiding=hiding))


@pytest.mark.parametrize(
    "source",
    [
        "<style>@media (max-width:480px){.wide{display:none}}</style><p class='wide'>Hello</p><div>{{ footer }}</div>",
        "<style>p{margin:0 0 16px}table{width:100%;max-width:600px}img{height:1px;opacity:.3}</style><table><tr><td>{{ footer }}",
        "<div style='padding:0 24px;margin:-8px 0;text-indent:1em;width:50%;max-height:none;opacity:1'>{{ footer }}</div>",
        "<div style='display:none'>Preview words</div>{{ footer }}",
        "<div style='width:calc(100% - 16px);max-width:min(600px, 100%)'>{{ footer }}</div>",
        "<div style='border:1px solid #999999;border-radius:999px;overflow:hidden;max-height:none'>{{ footer }}</div>",
        "<div style='height:80px;border-color:rgb(1, 2, 3)'>{{ footer }}</div>",
        "<style>.no:hover, [data-ogsc] .no, td[class='no']{display:none} p.no:not(.b){height:1px}</style>{{ footer }}",
        "<style>@media screen{.menu li:nth-child(3){display:none} img[width='9']{height:40px;overflow:hidden}}</style><p>Hello</p>",
        "<style>@media screen{td[width=\"20\"]{width:10px !important} td[height='40']{height:16px}}</style><p>Hello</p>",
        "<style>body::after, table:AFTER, .no ::selection{display:none;height:0}</style><p>Hello</p>",
        "<style>.c:after{visibility:hidden;display:block;height:0;content:' '}</style><div class='c'>{{ footer }}</div>",
        "<style>template, [hidden], p[hidden='']{display:none}</style><p>Hello</p>",
    ],
)
def test_styles_that_hide_something_else_may_stay(render: Render, source: str) -> None:
    assert "Choose what you get" in render(source).html


@pytest.mark.parametrize(
    "selector",
    [
        "p + p",
        "p:not(:only-child)",
        "td > p:nth-child(2)",
        ":is(body)",
        "body:has(a)",
        "html:where(:not(.x))",
        "td:has(a)",
        ":root",
        ":read-only",
        "*|body",
        "html[lang=en] table",
        "table[style*='width']",
        ".no, :is(.no, table)",
        "p:not([title=']'])",
        "body > [class=':b'], table",
        'td[align="CENTER"]',
        "p::first-line",
        ":not(.no::after), .no:after",
        "table:not(:before)",
        "p:not([hidden])",
        ":is(.no, [hidden], table)",
        "[title=','], [hidden], td:not([width='9'])",
    ],
)
def test_no_selector_hides_the_footer_or_a_part_of_it(render: Render, selector: str) -> None:  # S19
    with pytest.raises(Invalid, match="hidden"):
        render(f"<style>@media screen{{{selector}{{opacity:0 !important}}}}</style><p>Hello</p>")
    with pytest.raises(Invalid, match="hidden"):
        render(
            f"<style>@media screen{{{selector}{{max-height:44px}} {selector}{{overflow:hidden}}}}</style><p>Hello</p>"
        )


def test_a_style_that_shows_on_one_screen_does_not_outweigh_one_that_hides_on_another(render: Render) -> None:
    sheet = "@media print{.h{display:none}} @media screen{div.h{display:block;opacity:.1}}"
    with pytest.raises(Invalid, match="hidden"):
        render(f"<style>{sheet}</style><div class='h' style='opacity:1'>{{{{ footer }}}}</div>")


@pytest.mark.parametrize("size", ["20", "{{ city }}", "2{{ city }}"])
def test_a_style_for_one_size_does_not_hide_the_footer_in_it(render: Render, size: str) -> None:
    sheet = '@media screen{div[width="20"]{display:none}}'
    with pytest.raises(Invalid, match="hidden"):
        render(f'<style>{sheet}</style><div width="{size}">{{{{ footer }}}}</div>')


@pytest.mark.parametrize("hiding", ["padding-left:3000px", "vertical-align:-3000px", "max-height:44px;overflow:hidden"])
def test_no_style_moves_a_link_of_the_footer_away(render: Render, hiding: str) -> None:
    with pytest.raises(Invalid, match="hidden"):
        render(f"<style>@media screen{{a{{{hiding.replace(';', ' !important;')} !important}}}}</style><p>Hello</p>")


def test_what_is_looked_for_in_a_mail_has_the_elements_of_the_footer(app: Flask) -> None:
    [kept] = set(re.findall(r'<a style="([^"]+)"', markup._FOOTER))
    assert footer.spoken("en").html.count(f'" style="{kept}') == 2
    elements = [re.findall(r"<(\w+)", html) for html in (markup._FOOTER, footer.spoken("en").html)]
    assert [name for name in elements[0] if name != "tbody"] == elements[1]


@pytest.mark.parametrize(
    "source",
    [
        '<div style="display:none">x{% if city %}</div>{% endif %}<p>Hello</p>',
        '<div style="display:none">x{% if city %}</div><div>{% endif %}{{ footer }}</div>',
        '<p>Hello</p>{% if city %}<div style="display:none">{% else %}</div>{% endif %}{{ footer }}',
        "{% if city %}<!--[if !mso]><!-->{% endif %}x{% if vip %}<!--<![endif]-->{% endif %}{{ footer }}",
        "<!--[if !mso]><!-->x{% if vip %}<!--<![endif]-->{% endif %}{{ footer }}",
        '<!--[if mso]><div style="height:0"><![endif]-->x{% if vip %}<!--[if mso]></div><![endif]-->{% endif %}{{ footer }}',
    ],
)
def test_what_hides_ends_for_everybody_before_the_footer(render: Render, source: str) -> None:
    with pytest.raises(Invalid, match="hidden"):
        render(source)


def test_what_begins_and_ends_under_one_condition_may_hide_or_be_for_outlook(render: Render) -> None:
    inner = '<div style="display:none">x</div><!--[if !mso]><!--><p>y</p><!--<![endif]-->'
    source = f"{{% if city %}}{inner}{{% elif vip %}}{inner}{{% else %}}{inner}{{% endif %}}<p>a{{% if vip %}}<p>b{{% endif %}}"
    assert "Choose what you get" in render(source).html


OUT_OF_OUTLOOK = (
    "<!--[if !mso]><!--><div>{{ footer }}</div><!--<![endif]-->",
    "<!--[if !mso]><!--><p>Hello</p>",
    "<!--[if !mso]><!-- --><p>Hello</p>",
    '<!--[if mso]><div style="height:0"><![endif]-->x<!--[if gte mso 15]><p>y</p></div><![endif]-->{{ footer }}',
    '<!--[if mso]><div style="height:0"><![endif]-->x<!--[if mso 12]><div>y</div></div><![endif]-->{{ footer }}',
    '<!--[if mso]><div style="height:0"><![endif]-->x<!--[if lte ie 8]></div><![endif]-->{{ footer }}',
    '<!--[if mso]><div style="display:none"><![endif]--><p>Hello</p>',
    '<!--[if mso]><div style="display:none"><![endif]--><p>Hello</p><!--[if !mso]></div><![endif]-->',
    '<!--[if mso 12]><div style="mso-hide:all"><![endif]-->{{ footer }}<!--[if mso 16]></div><![endif]-->',
    '<div style="mso-hide:all"><!--[if !mso]><!--></div><!--<![endif]--><p>Hello</p>',
    "<!--[if !mso]><!--><!--[if !mso]><!-->Hello<!--<![endif]-->{{ footer }}<!--<![endif]-->",
    '<style>.x-outlook{display:none}</style><!--[if mso | IE]><table class="x-outlook"><tr><td><![endif]-->{{ footer }}'
    "<!--[if mso | IE]></td></tr></table><![endif]-->",
)


@pytest.mark.parametrize("source", OUT_OF_OUTLOOK)
def test_the_footer_cannot_be_hidden_in_outlook(render: Render, source: str) -> None:  # S19
    with pytest.raises(Invalid, match="hidden, in Outlook"):
        render(source)


@pytest.mark.parametrize("source", OUT_OF_OUTLOOK[:2])
def test_mjml_cannot_keep_the_footer_from_outlook_either(render: Render, source: str) -> None:
    below = SECTION % ("Bye" if "footer" in source else "{{ footer }}")
    with pytest.raises(Invalid, match="hidden, in Outlook"):
        render(f"<mjml><mj-body>{SECTION % 'Hello'}<mj-raw>{source}</mj-raw>{below}</mj-body></mjml>", "mjml")


@pytest.mark.parametrize(
    "source",
    [
        '<!--[if !mso]><!--><a href="https://x.example/">B</a><!-- <![endif]--><p>Hello</p>',
        "<!--[if !mso]> <!-- --><p>Hello</p><!-- <![endif] --><p>x</p>",
        "<!--[if !mso]><!--><p>Hello</p><!--<![endif]--><!--[if mso]><p>Hello, Outlook</p><![endif]-->{{ footer }}",
        '<!--[if mso]><table><tr><td width="600"><![endif]-->{{ footer }}<!--[if mso]></td></tr></table><![endif]-->',
        '<!--[if gte mso 12]><v:oval style="width:9px;height:9px" /><![endif]--><p>Hello</p>',
        '<!--[if mso]><div style="display:none"><![endif]--><p>Hello</p><!--[if mso]></div><![endif]-->{{ footer }}',
        '<!--[if (gte mso 9)|(IE)]><div style="height:0">&nbsp;</div><![endif]-->{{ footer }}',
        '<!--[if lte mso 11]><div style="height:10px">&nbsp;</div><![endif]-->{{ footer }}',
        '<!--[if gte mso 15]><span style="font-size:1px;height:1px">&nbsp;</span><br><![endif]-->{{ footer }}',
        '<div style="display:none"><!--[if (gte mso 9)|(lte ie 8)]><table><tr><td><![endif]--><p>x</p>'
        "<!--[if (gte mso 9)|(lte ie 8)]></td></tr></table><![endif]--></div>{{ footer }}",
        "<!--[if (gte mso 9)|(lte ie 8)]><table><tr><td><![endif]--><p>x</p>"
        "<!--[if (gte mso 9)|(lte ie 8)]></td></tr></table><![endif]-->" * 110,
    ],
)
def test_what_outlook_alone_gets_or_lacks_may_stand_beside_the_footer(render: Render, source: str) -> None:
    assert "Choose what you get" in render(source).html
