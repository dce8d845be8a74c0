"""A mail as an ordered list of blocks (JSON): checked by path, written out as MJML and, from the same list, as text.

Each block becomes one line of MJML, so a fault found later on a line can be told by the block's path. The form is in
`docs/blocks.schema.json`. Texts may hold merge fields; `when` is a condition like that of an `if`.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, NoReturn

from markdown_it import MarkdownIt

from preference_center.errors import Invalid

MAX_BLOCKS = 200
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_LINE, _TEXT, _LINK = 500, 20_000, 2_000

Block = Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """What one field of a block may be."""

    kind: str  # line, markdown, link, number, choice, colour, blocks
    needed: bool = False
    low: int = 0
    high: int = 0
    choices: tuple[Any, ...] = ()


_LINE_, _TEXT_, _LINK_ = Field("line", needed=True), Field("markdown", needed=True), Field("link", needed=True)
_ALIGN = Field("choice", choices=("left", "center", "right"))
KINDS: dict[str, dict[str, Field]] = {
    "heading": {"text": _LINE_, "level": Field("choice", choices=(1, 2, 3)), "align": _ALIGN},
    "text": {"text": _TEXT_, "align": _ALIGN},
    "image": {"src": _LINK_, "alt": Field("line"), "href": Field("link"), "width": Field("number", low=16, high=600)},
    "button": {"text": _LINE_, "href": _LINK_, "align": _ALIGN},
    "columns": {"left": Field("blocks", needed=True), "right": Field("blocks", needed=True)},
    "product": {
        "name": _LINE_, "href": _LINK_, "src": Field("link"), "alt": Field("line"), "text": Field("markdown"),
        "price": Field("line"), "button": Field("line"),
    },
    "divider": {},
    "spacer": {"height": Field("number", needed=True, low=4, high=120)},
    "footer": {"text": Field("markdown")},
}  # fmt: skip
_IN_COLUMNS = ("heading", "text", "image", "button", "divider", "spacer")
_STYLE = {"accent": "#0b5c7a", "background": "#f3f4f2", "paper": "#ffffff", "ink": "#1f2421"}


@dataclass(frozen=True)
class WrittenOut:
    """The same mail as MJML and as text, and the path of the block on each line of the MJML."""

    mjml: str
    text: str
    paths: dict[int, str]


def written_out(source: str) -> WrittenOut:
    """Invalid with the path, where it is no list of blocks."""
    document = _document(source)
    style = _STYLE | document.get("style", {})
    lines = [_head(style)]
    paths: dict[int, str] = {}
    for number, block in enumerate(document["blocks"]):
        paths[len(lines) + 1] = f"blocks[{number}]"
        lines.append(_when(block, _section(block, style)))
    texts = [_when(block, _in_words(block)) for block in document["blocks"]]
    return WrittenOut("\n".join([*lines, "</mj-body></mjml>"]), "\n\n".join(filter(None, texts)), paths)


def retold(fault: Invalid, made: WrittenOut) -> Invalid:
    """A fault of the MJML we wrote, as one of the block its author knows."""
    said = re.match(r"(?:Source|Text source), line (\d+): (.*)", fault.message, re.DOTALL)
    if not said or ("source" not in fault.faults and "text_source" not in fault.faults):
        return fault
    path = made.paths.get(int(said[1]), "blocks") if fault.message.startswith("Source") else "blocks"
    message = f"{path}: {said[2]}"
    return Invalid(message, {"source": message})


def _document(source: str) -> dict[str, Any]:
    try:
        found = json.loads(source)
    except ValueError as fault:
        line = getattr(fault, "lineno", 1)
        raise Invalid(f"Line {line}: this is no JSON.", {"source": f"Line {line}: this is no JSON."}) from None
    except RecursionError:
        _wrong("blocks", "this is nested too deep")
    if not isinstance(found, dict) or not isinstance(found.get("blocks"), list):
        _wrong("blocks", 'write {"blocks": [ … ]}')
    if unknown := set(found) - {"blocks", "style"}:
        _wrong(sorted(unknown)[0][:40], "is not known; there are blocks and style")
    _check_style(found.get("style", {}))
    blocks: list[Any] = found["blocks"]
    if len(blocks) > MAX_BLOCKS:
        _wrong("blocks", f"{MAX_BLOCKS} blocks at most")
    for number, block in enumerate(blocks):
        _check(block, f"blocks[{number}]", tuple(KINDS))
    footers = [number for number, block in enumerate(blocks) if block["type"] == "footer"]
    if footers != [len(blocks) - 1]:
        _wrong(f"blocks[{footers[0]}]" if footers else "blocks", "one footer stands at the end; everybody gets it")
    if "when" in blocks[-1]:
        _wrong(f"blocks[{len(blocks) - 1}].when", "the footer is for everybody")
    return found


def _check_style(style: Any) -> None:
    if not isinstance(style, dict):
        _wrong("style", 'write {"accent": "#0b5c7a"}')
    for name, value in style.items():
        if name not in _STYLE:
            _wrong(f"style.{name[:40]}", f"is not known; there are {', '.join(_STYLE)}")
        if not isinstance(value, str) or not _COLOUR.fullmatch(value):
            _wrong(f"style.{name}", "write a colour like #0b5c7a")


def _check(block: Any, path: str, kinds: tuple[str, ...]) -> None:
    if not isinstance(block, dict) or block.get("type") not in kinds:
        _wrong(f"{path}.type" if isinstance(block, dict) else path, f"choose one of {', '.join(kinds)}")
    fields = KINDS[block["type"]]
    for name in sorted(set(block) - {"type", "when", *fields}):
        _wrong(f"{path}.{name[:40]}", f"is not known; a {block['type']} has {', '.join(fields) or 'no fields'}")
    if "when" in block and not (isinstance(block["when"], str) and 0 < len(block["when"].strip()) <= 300):
        _wrong(f"{path}.when", 'write a condition like city == "Kraków"')
    if "when" in block and re.search(r"[{}%\n]", block["when"]):
        _wrong(f"{path}.when", "write the condition alone, without braces")
    for name, field in fields.items():
        if name not in block:
            if field.needed:
                _wrong(f"{path}.{name}", "is missing")
            continue
        _check_value(block[name], field, f"{path}.{name}")


def _check_value(value: Any, field: Field, path: str) -> None:
    if field.kind == "blocks":
        if not isinstance(value, list) or not 1 <= len(value) <= 20:
            _wrong(path, "write a list of 1 to 20 blocks")
        for number, block in enumerate(value):
            _check(block, f"{path}[{number}]", _IN_COLUMNS)
    elif field.kind == "choice":
        if value not in field.choices or isinstance(value, bool):
            _wrong(path, f"choose one of {', '.join(map(str, field.choices))}")
    elif field.kind == "number":
        if isinstance(value, bool) or not isinstance(value, int) or not field.low <= value <= field.high:
            _wrong(path, f"write a whole number from {field.low} to {field.high}")
    else:
        longest = {"line": _LINE, "markdown": _TEXT, "link": _LINK}[field.kind]
        if not isinstance(value, str) or len(value) > longest or (field.needed and not value.strip()):
            _wrong(path, f"write a text of {longest} characters at most")
        if field.kind != "markdown" and "\n" in value:
            _wrong(path, "write it on one line")


def _head(style: Mapping[str, str]) -> str:
    font = "-apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif"
    return (
        f'<mjml><mj-head><mj-attributes><mj-all font-family="{font}" /><mj-section background-color="{style["paper"]}" '
        f'padding="0 12px" /><mj-text font-size="16px" line-height="1.55" color="{style["ink"]}" padding="8px 20px" />'
        f"</mj-attributes><mj-style>a {{ color: {style['accent']}; }}</mj-style></mj-head>"
        f'<mj-body background-color="{style["background"]}">'
    )


def _section(block: Block, style: Mapping[str, str]) -> str:
    """A block of the first level, as one line of MJML."""
    match block["type"]:
        case "columns":
            sides = (block["left"], block["right"])
            inner = "".join(
                f"<mj-column>{''.join(_when(one, _element(one, style)) for one in side)}</mj-column>" for side in sides
            )
        case "product":
            inner = _product(block, style)
        case "footer":
            own = f"<mj-text>{_html(block['text'])}</mj-text>" if block.get("text") else ""
            inner = f'<mj-column>{own}<mj-text font-size="13px">{{{{ footer }}}}</mj-text></mj-column>'
        case _:
            inner = f"<mj-column>{_element(block, style)}</mj-column>"
    return f"<mj-section>{inner}</mj-section>"


def _element(block: Block, style: Mapping[str, str]) -> str:
    return _ELEMENTS[block["type"]](block, style)


def _heading(block: Block, style: Mapping[str, str]) -> str:
    level = block.get("level", 1)
    size = {1: 26, 2: 20, 3: 17}[level]
    return (
        f'<mj-text align="{block.get("align", "left")}" font-size="{size}px" line-height="1.3" padding="16px 20px 8px">'
        f'<h{level} style="margin:0;font-size:{size}px;line-height:1.3">{_plain(block["text"])}</h{level}></mj-text>'
    )


def _image(block: Block, style: Mapping[str, str]) -> str:
    href = f' href="{_plain(block["href"])}"' if block.get("href") else ""
    width = f' width="{block["width"]}px"' if "width" in block else ""
    return f'<mj-image src="{_plain(block["src"])}" alt="{_plain(block.get("alt", ""))}"{href}{width} padding="8px 20px" />'


def _button(block: Block, style: Mapping[str, str]) -> str:
    return (
        f'<mj-button href="{_plain(block["href"])}" align="{block.get("align", "left")}" background-color="{style["accent"]}" '
        f'color="{_readable_on(style["accent"])}" border-radius="6px" font-size="16px" padding="8px 20px">'
        f"{_plain(block['text'])}</mj-button>"
    )


_ELEMENTS: dict[str, Callable[[Block, Mapping[str, str]], str]] = {
    "heading": _heading,
    "text": lambda block, style: f'<mj-text align="{block.get("align", "left")}">{_html(block["text"])}</mj-text>',
    "image": _image,
    "button": _button,
    "divider": lambda block, style: '<mj-divider border-width="1px" border-color="#d9dfdc" padding="12px 20px" />',
    "spacer": lambda block, style: f'<mj-spacer height="{block["height"]}px" />',
}


def _product(block: Block, style: Mapping[str, str]) -> str:
    picture = {"src": block.get("src", ""), "alt": block.get("alt", ""), "href": block["href"]}
    left = f'<mj-column width="35%">{_image(picture, style)}</mj-column>' if block.get("src") else ""
    name = f'<a href="{_plain(block["href"])}" style="color:{style["accent"]}"><b>{_plain(block["name"])}</b></a>'
    price = f"<br /><b>{_plain(block['price'])}</b>" if block.get("price") else ""
    words = f"<mj-text>{_html(block['text'])}</mj-text>" if block.get("text") else ""
    press = _button({"text": block["button"], "href": block["href"]}, style) if block.get("button") else ""
    width = "65%" if left else "100%"
    return f'{left}<mj-column width="{width}"><mj-text>{name}{price}</mj-text>{words}{press}</mj-column>'


def _in_words(block: Block) -> str:
    """A block in the text part. Markdown is made to be read as it is."""
    match block["type"]:
        case "heading":
            return f"{'#' * int(block.get('level', 1))} {block['text']}"
        case "text":
            return str(block["text"]).strip()
        case "image":
            return (
                f"{block.get('alt', '')} ({block['href']})".strip() if block.get("href") else str(block.get("alt", ""))
            )
        case "button":
            return f"{block['text']}: {block['href']}"
        case "columns":
            both = [_when(one, _in_words(one)) for one in (*block["left"], *block["right"])]
            return "\n\n".join(filter(None, both))
        case "product":
            first = " · ".join(filter(None, [block["name"], block.get("price", "")]))
            return "\n".join(filter(None, [first, block.get("text", "").strip(), block["href"]]))
        case "divider":
            return "---"
        case "footer":
            return "\n\n".join(filter(None, [block.get("text", "").strip(), "{{ footer }}"]))
    return ""


def _when(block: Block, made: str) -> str:
    return f"{{% if {block['when']} %}}{made}{{% endif %}}" if "when" in block and made else made


def _plain(text: str) -> str:
    """Words for an element or attribute of MJML; merge fields stay as they are."""
    return "".join(part if is_tag else escape(part) for part, is_tag in _parts(text))


def _html(markdown: str) -> str:
    """Markdown as HTML on one line, with merge fields put back as they were."""
    secret = secrets.token_hex(5)
    tags: list[str] = []
    protected = ""
    for part, is_tag in _parts(markdown):
        protected += f"pc{secret}t{len(tags)}z" if is_tag else part
        tags += [part] * is_tag
    reader = MarkdownIt("commonmark", {"html": False, "maxNesting": 20, "xhtmlOut": True}).enable("strikethrough")
    reader.validateLink = lambda url: True  # type: ignore[method-assign] # refused later, with the path, not dropped
    html = str(reader.render(protected)).strip().replace("\n", " ")
    html = re.sub(r"<p>", '<p style="margin:0 0 12px">', html)
    return re.sub(rf"pc{secret}t(\d+)z", lambda found: tags[int(found[1])], html)


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    position = 0
    for found in _TAG.finditer(text):
        yield text[position : found.start()], False
        yield found[0], True
        position = found.end()
    yield text[position:], False


def _readable_on(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#ffffff" if 0.299 * red + 0.587 * green + 0.114 * blue < 150 else "#14181a"


def _wrong(path: str, what: str) -> NoReturn:
    raise Invalid(f"{path}: {what}.", {"source": f"{path}: {what}."})
