"""Reads HTML and MJML without changing it: where addresses stand, what will be left out, what a document is made of."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser

from preference_center.campaigns.authoring import links, styles
from preference_center.campaigns.rendering import templating

MAX_NESTING = 100
MAX_DEPTH = 400  # with the rows and cells that a table always has; far beyond, the inliner has no room to come back
MAX_ELEMENTS = 8_000
MAX_TAG = 5_000  # characters of one tag with all its attributes

VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
)
_CLOSED_BY_THEMSELVES = frozenset(
    ["p", "li", "td", "th", "tr", "tbody", "thead", "tfoot", "dd", "dt", "option", "html", "head", "body", "colgroup"]
)
_ADDRESSES = frozenset(
    {"href", "src", "background", "background-url", "action", "formaction", "poster", "data", "xlink:href"}
)
_IMAGES = frozenset({"img", "mj-image", "mj-social-element", "mj-carousel-image"})
_UNWANTED = frozenset(
    [
        "script",
        "form",
        "object",
        "embed",
        "iframe",
        "frame",
        "base",
        "input",
        "button",
        "select",
        "textarea",
        "svg",
        "math",
        "video",
        "audio",
        "applet",
    ]
)
SHAPES = frozenset(
    [
        "v:rect",
        "v:roundrect",
        "v:fill",
        "v:textbox",
        "v:image",
        "v:shape",
        "v:oval",
        "v:stroke",
        "v:imagedata",
        "v:background",
        "w:anchorlock",
        "o:p",
    ]
)
_OUTLOOK_TAGS = SHAPES | frozenset(
    [
        "table",
        "tbody",
        "tr",
        "td",
        "th",
        "div",
        "p",
        "span",
        "br",
        "center",
        "i",
        "b",
        "a",
        "img",
    ]
)
COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
OUTLOOK = re.compile(r"\[if ([\w\s|!()&.-]{1,40})\]>(.*)<!\[endif\]\Z", re.DOTALL)
KEPT_FROM_OUTLOOK = frozenset({"[if !mso]><!", "[if !mso | IE]><!"})
KEPT_TO_HERE = "<![endif]"
REVEALED = KEPT_FROM_OUTLOOK | {KEPT_TO_HERE}
_WITH_BLANKS = re.compile(r"(\[if !mso(?: \| IE)?\]>)\s*<!(?:--\s*)?|\s*<!\[endif\]\s*")
_EVERY_OUTLOOK = re.compile(r"\(?(?:mso|gte mso (?:9|1[0-2]))\)?(?: ?\| ?\(?(?:[lg]te? )?(?i:IE)(?: \d{1,2})?\)?)?")
_BALANCED = re.compile(r"(?:[^<]++|<br ?/?>|<(div|span)(?: [\w-]+=\"[^\"<>]*\")*>[^<]*</\1>)*")  # in itself
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?![.\d]*[1-9])|max-(?:height|width)\s*:\s*0|mso-hide",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Address:
    text: str
    line: int
    image: bool


class Scan(HTMLParser):
    """One reading of an author's source. Invalid when it is nested too deep to be a mail."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.addresses: list[Address] = []
        self.left_out: list[tuple[int, str]] = []
        self._open: list[str] = []

    def read(self, source: str) -> None:
        _check_tags(source)
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look_at(tag, attrs)
        if tag not in VOID and tag not in _CLOSED_BY_THEMSELVES:
            self._open.append(tag)
            if len(self._open) > MAX_NESTING:
                templating.wrong(
                    "source", self.getpos()[0], f"Elements are nested more than {MAX_NESTING} levels deep."
                )

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look_at(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def _look_at(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line = self.getpos()[0]
        if tag in _UNWANTED:
            self.left_out.append((line, f"<{tag}>"))
            return
        if tag in ("link", "mj-font", "meta", "html"):
            return  # never part of the finished mail
        for name, value in attrs:
            if name in _ADDRESSES:
                image = name in ("background", "background-url") or (name == "src" and tag in _IMAGES)
                self.addresses.append(Address((value or "").strip(" \t\r\n"), line, image or name == "src"))
            elif name.startswith("on"):
                self.left_out.append((line, name))


def _check_tags(source: str) -> None:
    """Cheap bounds before a parser sees anything: Python's own needs minutes for tags that are never closed."""
    begun = [found.start() for found in re.finditer(r"<[A-Za-z/!?]", source)]
    if source.count("<") > 2 * MAX_ELEMENTS:
        templating.wrong("source", 1, f"A mail holds {MAX_ELEMENTS:,} elements at most.")
    for position in begun:
        if source.startswith("<!--", position):
            closed = source.find("-->", position) >= 0
        else:
            closed = source.find(">", position, position + MAX_TAG) >= 0
        if not closed:
            line = source.count("\n", 0, position) + 1
            templating.wrong("source", line, "This tag or comment is never closed, or is too long.")


@dataclass
class Parts:
    """A document taken apart: its body, the body's own style, and all its style sheets."""

    body: str
    body_style: str
    css: str


class _Splitter(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.css: list[str] = []
        self.style = ""
        self.begin: tuple[int, int] | None = None
        self.begin_length = 0
        self.end: tuple[int, int] | None = None
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "style":
            self._in_style = True
        elif tag == "body" and self.begin is None:
            self.begin, self.begin_length = self.getpos(), len(self.get_starttag_text() or "")
            given = dict(attrs)
            self.style = given.get("style") or (f"background-color:{given['bgcolor']}" if given.get("bgcolor") else "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "style":
            self._in_style = False
        elif tag == "body":
            self.end = self.getpos()

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.css.append(data)


def split(html: str) -> Parts:
    """The parts of a document, or of a piece of HTML without head and body."""
    splitter = _Splitter()
    splitter.feed(html)
    splitter.close()
    offsets = [0]
    for line in html.split("\n"):
        offsets.append(offsets[-1] + len(line) + 1)
    begin, end = 0, len(html)
    if splitter.begin:
        begin = offsets[splitter.begin[0] - 1] + splitter.begin[1] + splitter.begin_length
    if splitter.end:
        end = offsets[splitter.end[0] - 1] + splitter.end[1]
    if not splitter.begin and (head := re.search(r"</head\s*>", html, re.IGNORECASE)):
        begin = head.end()
    return Parts(html[begin:end] if end > begin else html[begin:], splitter.style, "\n".join(splitter.css))


def is_outlook_table(inner: str) -> bool:
    """Whether a comment for Outlook holds tables and shapes only."""
    if "<!" in inner or "<?" in inner or "{" in inner:
        return False
    looker = _OutlookLooker()
    looker.feed(inner)
    looker.close()
    return looker.fine


class _OutlookLooker(HTMLParser):
    fine = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fine &= tag in _OUTLOOK_TAGS
        for name, value in attrs:
            if name in _ADDRESSES:
                self.fine &= links.fault(value or "") is None
            elif name == "hidden" or name.startswith("on") or "javascript" in (value or "").lower():
                self.fine = False


class _Branches:
    """Which branch of the author's conditions what is read stands in: what ends in another than it began in may never end."""

    def __init__(self) -> None:
        self._open, self._count = [0], 0

    @property
    def now(self) -> int:
        return self._open[-1]

    def pass_by(self, comment: str) -> bool:
        """Whether this comment stands for a condition: a branch ends with it, begins with it, or both."""
        if comment in ("elif", "else", "endif") and self._open[1:]:  # a parser may have moved it
            self._open.pop()
        if comment in ("if", "elif", "else"):
            self._count += 1
            self._open.append(self._count)
        return comment in ("if", "elif", "else", "endif")


class _SightLooker(HTMLParser):
    def __init__(self, wanted: str) -> None:
        super().__init__(convert_charrefs=True)
        self.seen, self._wanted = 0, wanted
        self._branches, self._for_some = _Branches(), False
        self._open: list[tuple[str, bool, int]] = []  # tag, whether it hides, and in which branch it began

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._open.append((tag, styles.hides(dict(attrs).get("style") or ""), self._branches.now))

    def handle_endtag(self, tag: str) -> None:
        name = "" if any(one[0] == tag for one in self._open) else tag
        while name != tag:
            name, hides, begun = self._open.pop()
            self._for_some |= hides and begun != self._branches.now

    def handle_comment(self, data: str) -> None:
        self._branches.pass_by(data)
        self.seen += data == self._wanted and not (self._for_some or any(hides for _, hides, _ in self._open))


class _Depth(HTMLParser):
    now = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.now += tag not in VOID
        if self.now > MAX_DEPTH:
            templating.wrong("source", 1, f"Elements are nested more than {MAX_NESTING} levels deep.")

    def handle_endtag(self, tag: str) -> None:
        self.now -= tag not in VOID


def check_depth(html: str) -> None:
    """Of HTML that a parser wrote, in which all that is opened is closed."""
    looker = _Depth()
    looker.feed(html)
    looker.close()


def is_hidden(style: str) -> bool:
    return bool(_HIDDEN.search(style))


def in_sight(html: str, comment: str) -> int:
    """How often this comment stands where nothing around it is hidden."""
    looker = _SightLooker(comment)
    looker.feed(html)
    looker.close()
    return looker.seen


def for_outlook(body: str) -> str:
    """As classic Outlook reads it: with what comments hold for it, and without what is kept from it."""
    read: list[str] = []
    branches, position = _Branches(), 0
    kept_from_it: list[int] = []  # since which branches
    for found in COMMENT.finditer(body):
        read.append("" if kept_from_it else body[position : found.start()])
        position = found.end()
        if branches.pass_by(found[1]):
            read.append(found[0])
        elif found[1] in KEPT_FROM_OUTLOOK:
            kept_from_it.append(branches.now)
        elif found[1] == KEPT_TO_HERE:
            kept_from_it = kept_from_it[:-1] if kept_from_it[-1:] == [branches.now] else kept_from_it
        elif not kept_from_it:
            read.append(_opened(found))
    return "".join(read) + ("" if kept_from_it else body[position:])


def without_blanks(comment: str) -> str:
    """What a comment holds; when it reveals what is not for Outlook, or ends that, in the one form that is looked for."""
    found = _WITH_BLANKS.fullmatch(comment)
    if not found:
        return comment
    return f"{found[1]}<!" if found[1] else KEPT_TO_HERE


def _opened(comment: re.Match[str]) -> str:
    found = OUTLOOK.match(comment[1])
    if not found:
        return comment[0]
    inner = re.sub(r"<\w+:[^<>]*/>", "", found[2])  # a shape that holds nothing
    # that each reads what is for some only, and none reads where it ends, is the worst that can be
    whole = _EVERY_OUTLOOK.fullmatch(found[1]) or _BALANCED.fullmatch(inner)
    return inner if whole else re.sub(r"</[^<>]*>", "", inner)
