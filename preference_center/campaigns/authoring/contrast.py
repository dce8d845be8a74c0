"""How well a text can be read: the contrast of each piece with its ground, on the styles as they finally stand (WCAG 1.4.3)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

from preference_center.campaigns.authoring.scanning import VOID, is_hidden

Colour = tuple[int, int, int]
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_NAMES: dict[str, Colour] = {
    "black": _BLACK, "white": _WHITE, "red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0),
    "gray": (128, 128, 128), "grey": (128, 128, 128), "silver": (192, 192, 192), "lightgray": (211, 211, 211),
    "lightgrey": (211, 211, 211), "darkgray": (169, 169, 169), "darkgrey": (169, 169, 169), "navy": (0, 0, 128),
    "maroon": (128, 0, 0), "purple": (128, 0, 128), "orange": (255, 165, 0), "teal": (0, 128, 128), "olive": (128, 128, 0),
    "lime": (0, 255, 0), "aqua": (0, 255, 255), "fuchsia": (255, 0, 255), "pink": (255, 192, 203), "brown": (165, 42, 42),
    "gold": (255, 215, 0), "crimson": (220, 20, 60), "tomato": (255, 99, 71), "whitesmoke": (245, 245, 245),
}  # fmt: skip
_LINK = (0, 0, 238)  # what a mailbox gives a link that has no colour of its own


@dataclass(frozen=True)
class Faint:
    """A text that is hard to read: its first words, the ratio it has and the one it needs."""

    words: str
    ratio: float
    needed: float
    ink: str
    ground: str


@dataclass(frozen=True)
class _Look:
    ink: Colour
    ground: Colour | None  # None: a picture, or a colour we cannot name
    size: float
    bold: bool
    hidden: bool


def faint(html: str) -> list[Faint]:
    """Each pair of colours that is too close, once, with the first words written in it."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    found: dict[tuple[str, str, float], Faint] = {}
    for one in reader.faint:
        found.setdefault((one.ink, one.ground, one.needed), one)
    return list(found.values())


def ratio(one: Colour, other: Colour) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def colour(text: str) -> Colour | None:
    """A colour of CSS or HTML; None for one that is transparent, or not among those we know."""
    text = text.strip().lower()
    if found := re.fullmatch(r"#([0-9a-f]{3}|[0-9a-f]{6})", text):
        digits = found[1] if len(found[1]) == 6 else "".join(sign * 2 for sign in found[1])
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    if found := re.fullmatch(
        r"rgba?\(\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})\s*(?:[,/]\s*(?:1|1\.0|100%)\s*)?\)", text
    ):
        red, green, blue = (min(int(part), 255) for part in found.groups())
        return red, green, blue
    return _NAMES.get(text)


def _luminance(of: Colour) -> float:
    def linear(part: int) -> float:
        share = part / 255
        return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)

    return 0.2126 * linear(of[0]) + 0.7152 * linear(of[1]) + 0.0722 * linear(of[2])


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faint: list[Faint] = []
        self._open: list[tuple[str, _Look]] = [("", _Look(_BLACK, _WHITE, 16, False, False))]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._open.append((tag, _looks(tag, {name: value or "" for name, value in attrs}, self._open[-1][1])))

    def handle_endtag(self, tag: str) -> None:
        if any(name == tag for name, _ in self._open[1:]):
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        look = self._open[-1][1]
        words = " ".join(data.split())
        if look.hidden or look.ground is None or not re.search(r"\w", words):
            return
        needed = 3.0 if look.size >= 24 or (look.bold and look.size >= 18.66) else 4.5
        found = ratio(look.ink, look.ground)
        if found < needed:
            self.faint.append(Faint(words[:60], round(found, 1), needed, _hex(look.ink), _hex(look.ground)))


def _looks(tag: str, given: dict[str, str], around: _Look) -> _Look:
    style = dict(_declared(given.get("style", "")))
    ink, ground, size = around.ink, around.ground, around.size
    if tag == "a" and "href" in given:
        ink = _LINK
    if tag == "font" and (own := colour(given.get("color", ""))):
        ink = own
    if "color" in style:
        ink = colour(style["color"]) or ink
    for value in (given.get("bgcolor", ""), style.get("background-color", ""), style.get("background", "")):
        ground = _ground(value, ground)
    if given.get("background") or "url(" in style.get("background-image", ""):
        ground = None
    if found := re.fullmatch(r"([\d.]+)(px|pt|em|rem|%)", style.get("font-size", "")):
        size = float(found[1]) * {"px": 1, "pt": 4 / 3, "em": size, "rem": 16, "%": size / 100}[found[2]]
    bold = tag in ("b", "strong", "th") or bool(re.match(r"h[1-6]$", tag)) or around.bold
    if "font-weight" in style:
        bold = style["font-weight"] in ("bold", "bolder", "600", "700", "800", "900")
    hidden = around.hidden or tag in ("style", "title", "script", "head") or is_hidden(given.get("style", ""))
    return _Look(ink, ground, size, bold, hidden)


def _ground(value: str, before: Colour | None) -> Colour | None:
    value = value.strip().lower()
    if not value or value in ("transparent", "none", "inherit", "initial"):
        return before
    return (
        None
        if "url(" in value or "gradient(" in value
        else colour(value.partition(" ")[0] if "(" not in value else value)
    )


def _declared(style: str) -> Iterator[tuple[str, str]]:
    for part in style.split(";"):
        name, colon, value = part.partition(":")
        if colon:
            yield name.strip().lower(), value.replace("!important", "").strip().lower()


def _hex(of: Colour) -> str:
    return "#" + "".join(f"{part:02x}" for part in of)
