"""Turns what an author wrote (Markdown, MJML or HTML) into one safe HTML document with its styles inside.

The author's merge fields travel through as marks, plain words no parser changes, and are put back at the end.
"""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import NoReturn

import css_inline
import mrml
import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from preference_center.campaigns.authoring import layout, links, scanning, styles
from preference_center.campaigns.models import ContentFormat
from preference_center.campaigns.rendering import templating
from preference_center.campaigns.rendering.templating import Piece

MAX_OUTPUT = 1_000_000
MAX_SIGNS = 5_000  # beyond, a reader of Markdown needs seconds
MAX_MARKS = 50_000  # of signs that it looks at one by one
MAX_WORK = 20_000_000  # rules of a style sheet times elements, about a second of the inliner
TOO_LARGE = "The finished mail would be larger than 1 MB."
WHERE = "source"
LINK_FIELDS = frozenset({"unsubscribe_url", "preferences_url", "browser_url"})

_ADDRESS = re.compile(r"""(?<=\s)((?:href|src|background)=")([^"]*)(?=")""")
_STYLE = re.compile(r"""(?<=\s)style="([^"]*)\"""")
_SEEN = (
    "<!--footer-->"  # in each place of the footer, which has the elements of its template, and what its links withstand
)
_KEPT = ("display:inline", "margin:0", "letter-spacing:normal", "visibility:visible", "opacity:1")
_LINK = f'<a style="{" !important;".join([*_KEPT, ""])}">{_SEEN}</a>'
_FOOTER = (
    f'{_SEEN}<table width="100%"><tbody><tr><td align="center" bgcolor="#f3f4f2"><p>{_SEEN}</p>'
    f"<p>{_SEEN}{_LINK}{_LINK}</p><p>{_SEEN}<strong>{_SEEN}</strong></p></td></tr></tbody></table>"
)


@dataclass
class Document:
    """What came out: the pieces of the HTML, the same as HTML with marks (for the text part), and what was left out."""

    html: list[Piece]
    marked: str
    marks: "Marks"
    left_out: list[tuple[int, str]]


@dataclass
class Marks:
    """Stand-ins for an author's tags."""

    pieces: list[Piece]
    secret: str = field(default_factory=lambda: secrets.token_hex(5))

    def __post_init__(self) -> None:
        self.any = re.compile(rf"<!--pc{self.secret}b(\d+)z-->|pc{self.secret}([bfu])(\d+)z")

    def protected(self, *, comments: bool) -> str:
        """The author's text with a mark for each tag. Blocks become comments where markup has a place for these."""
        return "".join(
            piece.code if piece.kind == "text" else self._mark(number, comments)
            for number, piece in enumerate(self.pieces)
        )

    def _mark(self, number: int, comments: bool) -> str:
        mark = f"pc{self.secret}{'b' if self.is_block(number) else 'f'}{number}z"
        return f"<!--{mark}-->" if comments and self.is_block(number) else mark

    def is_block(self, number: int) -> bool:
        return self.pieces[number].kind != "field" or self.pieces[number].name == "footer"

    def found(self, text: str) -> list[int]:
        return [int(found[1] or found[3]) for found in self.any.finditer(text)]

    def in_addresses(self, html: str) -> str:
        """Marks inside addresses become those of values that are escaped for one. Links of ours are addresses already."""

        def escaped(found: re.Match[str]) -> str:
            return found[1] + self.any.sub(lambda mark: mark[0].replace(f"{self.secret}f", f"{self.secret}u"), found[2])

        return _ADDRESS.sub(escaped, html)

    def restored(self, text: str) -> list[Piece]:
        """The pieces of a text that holds marks."""
        pieces, position = [], 0
        for found in self.any.finditer(text):
            pieces.append(Piece("text", text[position : found.start()]))
            piece = self.pieces[int(found[1] or found[3])]
            escape = found[2] == "u" and piece.name not in LINK_FIELDS
            pieces.append(Piece("field", f"{piece.code}|in_address", piece.line, piece.name) if escape else piece)
            position = found.end()
        return [*pieces, Piece("text", text[position:])]


def document(kind: ContentFormat, pieces: list[Piece]) -> Document:
    """The finished HTML of a content, without preheader and footer. Invalid, with the line, when it cannot be made."""
    marks = Marks(pieces)
    source = marks.protected(comments=kind is not ContentFormat.markdown)
    if kind is ContentFormat.markdown:
        scan, html = scanning.Scan(), layout.around(_markdown(source, marks))
    else:
        scan = scanning.Scan()
        scan.read(source)
        _check_addresses(scan.addresses, marks)
        html = _mjml(source) if kind is ContentFormat.mjml else source
    found = scanning.split(html)
    body = marks.in_addresses(_body(found.body, marks))
    _check_places(body, found.css, marks)
    css = styles.stylesheet(found.css)
    _check_work(css, body)
    _check_footer(css, styles.declarations(found.body_style), body, marks)
    document = layout.document(css, styles.declarations(found.body_style), body)
    # the inliner puts its <style> first; the charset must come within the first kilobyte
    inlined = _inliner().inline(document).replace("<head>", '<head><meta charset="utf-8">', 1)
    if len(inlined) > MAX_OUTPUT:
        _wrong(1, TOO_LARGE)
    return Document(marks.restored(inlined), body, marks, scan.left_out)


def _markdown(source: str, marks: Marks) -> str:
    if sum(source.count(sign) for sign in "[*_|~`\n") > MAX_SIGNS:
        _wrong(1, f"This text is too long for Markdown: {MAX_SIGNS:,} lines and signs such as * and [ at most.")
    if sum(map(source.count, "!#$%&+-:<=>@\\]^{}")) > MAX_MARKS:
        _wrong(1, f"This text is too long for Markdown: {MAX_MARKS:,} signs such as & and < at most.")
    addresses: list[scanning.Address] = []
    reader = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable(["table", "strikethrough"])
    reader.validateLink = lambda url: True  # type: ignore[method-assign] # refused below, with the line, not dropped
    tokens = reader.parse(source)
    for token in tokens:
        line = (token.map or [0])[0] + 1
        for child in token.children or ():
            addresses.extend(_addresses_of(child, line))
    _check_addresses(addresses, marks)
    html = str(reader.renderer.render(tokens, reader.options, {}))
    alone = re.compile(rf"<p>((?:\s*pc{marks.secret}b\d+z)+)\s*</p>")
    html = alone.sub(r"\1", html)
    return re.sub(rf"pc{marks.secret}b\d+z", r"<!--\g<0>-->", html)


def _addresses_of(token: Token, line: int) -> Iterable[scanning.Address]:
    for name in ("href", "src"):
        if (value := token.attrGet(name)) is not None:
            yield scanning.Address(str(value), line, name == "src")


def _mjml(source: str) -> str:
    try:
        html = str(mrml.to_html(source).content)  # its include loader knows nothing: no file, no network
    except OSError as fault:
        position = re.search(r"position (\d+)", str(fault))
        line = source.count("\n", 0, int(position[1])) + 1 if position else max(source.count("\n") + 1, 1)
        said = str(fault).replace(" in root template", "")
        _wrong(line, f"This is not whole MJML: {said}. It begins with <mjml><mj-body> and every element is closed.")
    if len(html) > MAX_OUTPUT:
        _wrong(1, TOO_LARGE)
    return html


def _body(html: str, marks: Marks) -> str:
    plain = scanning.COMMENT.sub(lambda found: f"<!--{scanning.without_blanks(found[1])}-->", _cleaned(html))
    return scanning.COMMENT.sub(lambda found: found[0] if _may_stay(found, marks) else "", plain)


def _cleaned(html: str, *more: str) -> str:
    cleaned = _cleaner(*more).clean(html)
    if len(cleaned) > MAX_OUTPUT:
        _wrong(1, TOO_LARGE)
    scanning.check_depth(cleaned)
    return cleaned


def _may_stay(comment: re.Match[str], marks: Marks) -> bool:
    """Our own marks, and what MJML writes for Outlook: tables and shapes, nothing that runs or loads."""
    if marks.any.fullmatch(comment[0]) or comment[1] in scanning.REVEALED:
        return True
    found = scanning.OUTLOOK.match(comment[1])
    return found is not None and scanning.is_outlook_table(found[2])


def _check_addresses(addresses: Iterable[scanning.Address], marks: Marks) -> None:
    for address in addresses:
        if not address.text and address.image:
            continue
        numbers = marks.found(address.text)
        plain = marks.any.sub("x", address.text)
        if len(numbers) == 1 and plain == "x":
            if marks.pieces[numbers[0]].code not in LINK_FIELDS:
                _wrong(
                    address.line,
                    "An address cannot be a merge field alone; write its beginning, such as https://example.com/.",
                )
            continue
        if fault := links.fault(plain, image=address.image):
            _wrong(address.line, fault)
        begin = re.match(r"https?://[^/?#]+[/?#]|mailto:|tel:|#", address.text, re.IGNORECASE)
        if numbers and (begin is None or marks.any.search(begin[0])):
            _wrong(address.line, "A merge field cannot choose the host of an address; only what comes after it.")


def _check_work(css: str, body: str) -> None:
    """Each element is held against each selector; one with ~ looks through all that stand before it as well."""
    elements, selectors = body.count("<"), css.count("{") + css.count(",")
    if elements * (selectors + css.count("~") * elements // 40) > MAX_WORK:
        words = f"The style sheet is too much for {elements:,} tags: use fewer of its {selectors:,} selectors, or none with ~."
        _wrong(1, words)


def _check_places(body: str, css: str, marks: Marks) -> None:
    for text in [css, *_STYLE.findall(body)]:
        for number in marks.found(text):
            _wrong(marks.pieces[number].line, "A merge field cannot stand in a style.")
    without_comments = scanning.COMMENT.sub("", body)
    for number in marks.found(without_comments):
        if marks.is_block(number):
            _wrong(marks.pieces[number].line, "A condition cannot stand inside a tag; put it around the whole element.")
    seen = marks.found(body)
    blocks = [number for number in seen if marks.is_block(number)]
    if len(blocks) != len(set(blocks)):
        _wrong(marks.pieces[blocks[0]].line, "A condition stands where the mail would hold it twice.")
    for number, piece in enumerate(marks.pieces):
        if piece.kind != "text" and number not in seen:
            _wrong(piece.line, f"{piece.shown} stands where a mail shows nothing.")
    if blocks != sorted(blocks):
        line = marks.pieces[blocks[0]].line
        _wrong(line, "A condition stands where only rows of a table can be; put it into a cell or around the table.")


def _check_footer(css: str, body_style: str, body: str, marks: Marks) -> None:
    """Everybody must see it (S19): also what hides on some screens only is held against it, and against all that stands around it."""
    footers = {number: piece.line for number, piece in enumerate(marks.pieces) if piece.name == "footer"}

    def put(found: re.Match[str]) -> str:
        number = int(found[1] or found[3])
        if number in footers:
            return _FOOTER
        return f"<!--{marks.pieces[number].kind}-->" if marks.is_block(number) else found[0]

    shown = marks.any.sub(put, body) + ("" if footers else _FOOTER)
    views = {shown: "here or on some screens, by a style"}
    views.setdefault(
        _cleaned(scanning.for_outlook(shown), *scanning.SHAPES), "in Outlook, by a comment such as [if !mso] or a style"
    )
    for view, why in views.items():
        filled = re.search(rf'(?:width|height)="\d*pc{marks.secret}', view)  # a size that is any for somebody
        sheet = re.sub(r"\[(?:width|height)=", "[title=", css) if filled else css
        html = _inliner().inline(layout.document(styles.hiding(sheet), body_style, view))
        if scanning.in_sight(html, "footer") < _FOOTER.count(_SEEN):
            _wrong(min(footers.values(), default=1), f"The footer would be hidden, {why}; everybody must see it.")


@cache
def _cleaner(*more: str) -> nh3.Cleaner:
    return nh3.Cleaner(
        tags={*layout.TAGS, *more},
        clean_content_tags={"script", "style", "title", "template", "noscript", "textarea", "select", "svg", "math"},
        attributes={tag: set(names) for tag, names in layout.ATTRIBUTES.items()},
        attribute_filter=_attribute,
        generic_attribute_prefixes={"aria-"},
        strip_comments=False,
        link_rel=None,
        url_schemes={"http", "https", "mailto", "tel"},
    )


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "style":
        return styles.declarations(value) or None
    return value


@cache
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


def _wrong(line: int, what: str) -> NoReturn:
    templating.wrong(WHERE, line, what)
