"""Blocks: what becomes of each in HTML and text, for whom one shows, and that a fault names its path."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from preference_center.campaigns.authoring import blocks
from preference_center.campaigns.rendering.content import Rendered
from preference_center.errors import Invalid
from tests.support.sources import ROOT

SCHEMA = json.loads((ROOT / "docs" / "blocks.schema.json").read_text())
FOOTER = {"type": "footer"}
SHOP = "https://shop.example.com"
EVERY: list[dict[str, Any]] = [
    {"type": "heading", "text": 'Hello {{ first_name|default("you") }}', "level": 1},
    {"type": "text", "text": "It is **cold** in {{ city }}.\n\n- wool\n- felt, see [all](https://shop.example.com/a?c={{ city }})"},
    {"type": "image", "src": f"{SHOP}/coat.png", "alt": "A green coat", "href": SHOP, "width": 300},
    {"type": "button", "text": "See < all > coats", "href": f"{SHOP}/coats?for={{{{ first_name }}}}"},
    {"type": "columns", "left": [{"type": "text", "text": "Left"}], "right": [{"type": "button", "text": "Right", "href": SHOP}]},
    {"type": "product", "name": "Coat", "href": f"{SHOP}/1", "src": f"{SHOP}/1.png", "alt": "",
     "text": "Warm.", "price": "120 zł", "button": "Buy"},
    {"type": "divider"},
    {"type": "spacer", "height": 24},
    {"type": "text", "text": "Only for Kraków", "when": 'city == "Kraków" and vip'},
    {"type": "footer", "text": "See you soon"},
]  # fmt: skip

Render = Callable[..., Rendered]


def document(*inner: dict[str, Any], **more: Any) -> str:
    return json.dumps({"blocks": [*inner, FOOTER], **more})


def test_every_kind_of_block_comes_out_in_both_parts(render: Render) -> None:
    mail = render(
        json.dumps({"blocks": EVERY, "style": {"accent": "#7a0b0b"}}), "blocks", first_name="Anna", city="Kraków"
    )
    for part in (mail.html, mail.text):
        for words in ("Hello Anna", "wool", "Right", "Coat", "120 zł", "Warm.", "See you soon", "Example Shop Ltd"):
            assert words in part, words
        assert "https://shop.example.com/a?c=Krak%C3%B3w" in part
        assert part.count("https://mail.example.com/u/1.abc") == 1
    assert "<strong>cold</strong>" in mail.html and "**cold**" in mail.text
    assert (
        "See &lt; all &gt; coats" in mail.html
        and "See < all > coats: https://shop.example.com/coats?for=Anna" in mail.text
    )
    assert 'alt="A green coat"' in mail.html and f"A green coat ({SHOP})" in mail.text
    assert mail.html.count("#7a0b0b") >= 2
    assert "{{" not in mail.html + mail.text and "{%" not in mail.html + mail.text


@pytest.mark.parametrize(
    ("who", "shown"), [({"city": "Kraków", "vip": True}, True), ({"city": "Kraków"}, False), ({}, False)]
)
def test_a_block_shows_for_whom_its_condition_holds(render: Render, who: dict[str, Any], shown: bool) -> None:
    inner = {"type": "button", "text": "Left only", "href": SHOP, "when": "vip"}
    source = document(
        EVERY[8], {"type": "columns", "left": [inner, {"type": "text", "text": "x"}], "right": [inner, EVERY[1]]}
    )
    mail = render(source, "blocks", **who)
    for part in (mail.html, mail.text):
        assert ("Only for Kraków" in part) == shown
        assert part.count("Left only") == (2 if shown else 0)


def test_the_footer_stands_at_the_end_in_every_mail(render: Render) -> None:
    mail = render(document({"type": "text", "text": "Short"}), "blocks", language="pl")
    assert mail.html.index("Short") < mail.html.index("https://mail.example.com/u/1.abc")


def test_values_of_contacts_are_escaped_in_blocks_as_everywhere(render: Render) -> None:
    mail = render(json.dumps({"blocks": EVERY}), "blocks", first_name="<script>alert(1)</script>", city='"onload=x')
    assert "<script" not in mail.html and "c=%22onload" in mail.html


FAULTS: list[tuple[Any, str]] = [
    ("{", "Line 1: this is no JSON"),
    ("[]", "blocks: write"),
    ({"blocks": []}, "blocks: one footer"),
    ({"blocks": [FOOTER, EVERY[0]]}, "blocks[0]: one footer"),
    ({"blocks": [FOOTER, FOOTER]}, "blocks[0]: one footer"),
    ({"blocks": [{"type": "footer", "when": "vip"}]}, "blocks[0].when: the footer is for everybody"),
    ({"blocks": [FOOTER], "theme": {}}, "theme: is not known"),
    ({"blocks": [FOOTER], "style": {"accent": "red"}}, "style.accent: write a colour"),
    ({"blocks": [{"type": "video"}, FOOTER]}, "blocks[0].type: choose one of heading, text"),
    ({"blocks": [{"type": "button", "text": "Go"}, FOOTER]}, "blocks[0].href: is missing"),
    ({"blocks": [{"type": "spacer", "height": 1000}, FOOTER]}, "blocks[0].height: write a whole number from 4 to 120"),
    ({"blocks": [{"type": "spacer", "height": True}, FOOTER]}, "blocks[0].height: write a whole number"),
    ({"blocks": [{"type": "divider", "colour": "red"}, FOOTER]}, "blocks[0].colour: is not known"),
    ({"blocks": [{"type": "heading", "text": "a\nb"}, FOOTER]}, "blocks[0].text: write it on one line"),
    ({"blocks": [{"type": "heading", "text": " "}, FOOTER]}, "blocks[0].text: write a text"),
    ({"blocks": [{"type": "heading", "text": "a", "level": 4}, FOOTER]}, "blocks[0].level: choose one of 1, 2, 3"),
    ({"blocks": [{"type": "text", "text": "a", "when": "vip %}{% if city"}, FOOTER]}, "blocks[0].when: write the condition alone"),
    (
        {"blocks": [{"type": "columns", "left": [EVERY[0]], "right": [EVERY[4]]}, FOOTER]},
        "blocks[0].right[0].type: choose one of heading",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "said"), FAULTS)
def test_a_fault_of_form_names_its_path_and_the_schema_refuses_it_too(render: Render, given: Any, said: str) -> None:
    source = given if isinstance(given, str) else json.dumps(given)
    with pytest.raises(Invalid) as refused:
        render(source, "blocks")
    assert said in refused.value.message
    assert set(refused.value.faults) == {"source"}
    if not isinstance(given, str) and said != "blocks[0]: one footer":  # an order is more than a schema can say
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(given, SCHEMA)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"type": "text", "text": "Hi {{ nobody }}"}, "There is no field `nobody`"),
        ({"type": "text", "text": "Hi {{ first_name"}, "never closed"),
        ({"type": "text", "text": "[x](javascript:alert(1))"}, "Write the whole address"),
        ({"type": "button", "text": "Go", "href": "https://{{ city }}.example.com/"}, "cannot choose the host"),
        ({"type": "image", "src": "file:///etc/passwd"}, "Write the whole address"),
        ({"type": "text", "text": "x", "when": "range(9)"}, "A call cannot be used here"),
        ({"type": "heading", "text": "x", "when": "city =="}, "blocks[1]"),
    ],
)
def test_a_fault_inside_a_block_names_its_path(render: Render, block: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid) as refused:
        render(document({"type": "heading", "text": "Fine"}, block), "blocks")
    assert refused.value.message.startswith("blocks[1]: ") and said in refused.value.message


def test_what_the_schema_takes_we_take(render: Render) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate({"blocks": EVERY, "style": {"ink": "#000000"}}, SCHEMA)
    assert set(blocks.KINDS) == {name for name in SCHEMA["$defs"] if name in blocks.KINDS}
    for kind, fields in blocks.KINDS.items():
        said = SCHEMA["$defs"][kind]
        assert set(said["properties"]) - {"type", "when"} == set(fields), kind
        assert set(said["required"]) == {"type", *(name for name, field in fields.items() if field.needed)}, kind


def test_html_in_a_text_is_shown_and_does_nothing(render: Render) -> None:
    mail = render(document({"type": "text", "text": "<img src=x onerror=alert(1)> {{ city }}"}), "blocks", city="X")
    assert "&lt;img src=x" in mail.html and "onerror=alert(1)&gt;" in mail.html


def test_the_schema_is_where_the_handbook_says() -> None:
    assert "blocks.schema.json" in Path(ROOT / "docs" / "campaigns.md").read_text()
