"""The text part of a mail, made from its HTML when the author wrote none: readable, with the address of every link."""

import re
from collections.abc import Callable
from html.parser import HTMLParser

from preference_center.campaigns.authoring.scanning import VOID, is_hidden

_BLOCKS = frozenset(
    [
        "p",
        "div",
        "table",
        "tr",
        "ul",
        "ol",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "blockquote",
        "pre",
        "section",
        "article",
        "header",
        "footer",
        "main",
        "figure",
        "dl",
        "dd",
        "dt",
        "hr",
    ]
)
_APART = frozenset(["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "blockquote", "pre", "table"])


def of(html: str, is_mark: Callable[[str], bool]) -> str:
    """The text of a cleaned HTML body. Comments that are marks of ours are kept."""
    reader = _Reader(is_mark)
    reader.feed(html)
    reader.close()
    text = "".join(reader.out)
    text = re.sub(r"[ \t\u00a0]*\n[ \t\u00a0]*", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


class _Reader(HTMLParser):
    def __init__(self, is_mark: Callable[[str], bool]) -> None:
        super().__init__(convert_charrefs=True)
        self.is_mark = is_mark
        self.out: list[str] = []
        self._open: list[tuple[str, bool]] = []
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        hidden = is_hidden(given.get("style") or "") and tag not in VOID
        if tag not in VOID:
            self._open.append((tag, hidden))
        if self._hidden:
            return
        if tag == "br":
            self.out.append("\n")
        elif tag == "img":
            self.out.append(given.get("alt") or "")
        elif tag == "li":
            self.out.append("\n- ")
        elif tag in ("td", "th"):
            self.out.append(" ")
        elif tag == "a":
            self._links.append((given.get("href") or "", len(self.out)))
        elif tag in _BLOCKS:
            self.out.append("\n\n" if tag in _APART else "\n")
            if tag == "hr":
                self.out.append("---\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._links and not self._hidden:
            self._name(*self._links.pop())
        elif tag in _BLOCKS and not self._hidden:
            self.out.append("\n\n" if tag in _APART else "\n")
        if any(name == tag for name, _ in self._open):
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            keep = any(name == "pre" for name, _ in self._open)
            self.out.append(data if keep else re.sub(r"[ \t\r\n]+", " ", data))

    def handle_comment(self, data: str) -> None:
        if self.is_mark(f"<!--{data}-->"):
            self.out.append(f"<!--{data}-->")

    def _name(self, href: str, start: int) -> None:
        words = "".join(self.out[start:]).strip()
        target = href.removeprefix("mailto:").removeprefix("tel:")
        if href and not href.startswith("#") and words not in (href, target):
            self.out.append(f" ({target})" if words else target)

    @property
    def _hidden(self) -> bool:
        return any(hidden for _, hidden in self._open)
