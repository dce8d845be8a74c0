"""CSS that may stand in a mail: properties of a list, no code, no imports, and addresses only of the web."""

import re
from collections.abc import Iterator

from preference_center.campaigns.authoring import links

PROPERTIES = frozenset(
    [
        "background",
        "background-color",
        "background-image",
        "background-position",
        "background-repeat",
        "background-size",
        "border",
        "border-bottom",
        "border-bottom-color",
        "border-bottom-left-radius",
        "border-bottom-right-radius",
        "border-bottom-style",
        "border-bottom-width",
        "border-collapse",
        "border-color",
        "border-left",
        "border-left-color",
        "border-left-style",
        "border-left-width",
        "border-radius",
        "border-right",
        "border-right-color",
        "border-right-style",
        "border-right-width",
        "border-spacing",
        "border-style",
        "border-top",
        "border-top-color",
        "border-top-left-radius",
        "border-top-right-radius",
        "border-top-style",
        "border-top-width",
        "border-width",
        "box-shadow",
        "box-sizing",
        "caption-side",
        "clear",
        "color",
        "color-scheme",
        "cursor",
        "direction",
        "display",
        "empty-cells",
        "float",
        "font",
        "font-family",
        "font-size",
        "font-style",
        "font-variant",
        "font-weight",
        "height",
        "hyphens",
        "letter-spacing",
        "line-height",
        "list-style",
        "list-style-position",
        "list-style-type",
        "margin",
        "margin-bottom",
        "margin-left",
        "margin-right",
        "margin-top",
        "max-height",
        "max-width",
        "min-height",
        "min-width",
        "opacity",
        "outline",
        "overflow",
        "overflow-wrap",
        "padding",
        "padding-bottom",
        "padding-left",
        "padding-right",
        "padding-top",
        "table-layout",
        "text-align",
        "text-decoration",
        "text-decoration-color",
        "text-indent",
        "text-overflow",
        "text-transform",
        "unicode-bidi",
        "vertical-align",
        "visibility",
        "white-space",
        "width",
        "word-break",
        "word-spacing",
        "word-wrap",
        "-webkit-text-size-adjust",
        "-ms-text-size-adjust",
        "-ms-interpolation-mode",
        "-webkit-font-smoothing",
    ]
)
_CODE = re.compile(r"[<>\\{}@]|expression|javascript|behaviou?r|-moz-binding|image-set|/\*", re.IGNORECASE)
# what is taken is never given back (`*+`), and a comment that nothing closes goes to the end: each sign is looked at once
_URL = re.compile(r"url\(\s*+(?:'([^']*+)'|\"([^\"]*+)\"|([^)'\"\s]*+))\s*+\)", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)|<!--|-->", re.DOTALL)
# one pair of brackets inside another at most: with more, what is never closed would be looked through again and again
_PARTS = re.compile(r"(?:[^;\"'(]|\"[^\"]*\"|'[^']*'|\((?:[^()]|\([^()]*\))*\))+")
_PLAIN_RULE = re.compile(r"(?<![^{}])([^{}]++)\{([^{}]*+)\}")
_NUMBER = re.compile(r"(-?(?:\d+\.?\d*|\.\d+))(%|[a-z]*)")
_UNITS = {"em": 16, "rem": 16, "%": 6, "vw": 6, "vh": 6, "in": 96, "cm": 38, "mm": 4, "pc": 16}  # pixels, about
_FAINT, _NARROW, _FAR_LEFT, _FAR_RIGHT, _WIDE = 0.5, 20, -40, 600, 2000
_COLOUR = re.compile(r"#\w+|(?:rgb|hsl)a?\([^()]*\)")
_MOST = re.compile(r"calc\((?:[5-9]\d|100)% [+-] \d{1,2}px\)")  # what other functions come to is not worked out
_ONE_OF = re.compile(r"(?:min|max|clamp)\(([\w\s.,%]*)\)")
_FREE = ("auto", "none", "inherit", "initial", "unset")
# what not every client and not our inliner knows, or what stands differently in the finished mail: taken as if it always held
_NAMED = r"\[(?:(?:class|id)[~^$*|]?=[\"']?[\w\s-]*[\"']?|(?:width|height)=(?:\"\d{1,4}\"|'\d{1,4}'))\]"
_PERHAPS = re.compile(rf"(?:::?[\w-]+(?:\((?:[^()]|\([^()]*\))*\))?|\[(?!{_NAMED[2:]})[^\[\]]*\])+")
_SIMPLE = re.compile(rf"(?:[\w\s.#*>+~-]|{_NAMED})+")
_NEVER = re.compile(  # an attribute that no mail has, and what is no element
    r"[\w\s.#*>+~-]*(?:\[hidden(?:=[\"']?\w*[\"']?)?\][\w\s.#*>+~-]*"
    r"|(?i:::?(?:before|after)|::(?:placeholder|selection|marker))\s*)"
)
_SELECTOR = re.compile(r"[\w\s.#*,:>+~()\[\]=\"'|^$!-]+\Z")
_MEDIA = re.compile(r"@media[\w\s():,.<>=/-]+\Z", re.IGNORECASE)


def declarations(style: str) -> str:
    """The allowed declarations of a `style` attribute, in its order."""
    return ";".join(f"{name}:{value}" for name, value in _declarations(style))


def _declarations(style: str) -> Iterator[tuple[str, str]]:
    for part in _PARTS.findall(style):
        name, colon, value = part.partition(":")
        name, value = name.strip().lower(), value.strip()
        if colon and value and (name in PROPERTIES or name.startswith("mso-")) and is_fine(value):
            yield name, value


def hides(style: str) -> bool:
    """Whether this could keep what stands in an element from being seen: taken away, seen through, squeezed, cut off, or pushed
    off the page."""
    found = list(_declarations(style))
    return any(_hides(*one) for one in found) or (
        any(_cuts(*one) for one in found) and any(_ends(*one) for one in found)
    )


def hiding(sheet: str) -> str:
    """Of a style sheet in our form all that could help to hide, on whatever screen, as rules for all screens and all it may mean."""
    rules = []
    for selectors, style in _PLAIN_RULE.findall(sheet):
        could = [one for one in _declarations(style) if _hides(*one) or _cuts(*one) or _ends(*one)]
        if kept := ";".join(f"{name}:{value}" for name, value in could):
            rules += [f"{selector} {{ {kept} }}" for selector in _widest(selectors)]
    return "\n".join(rules)


def _widest(selectors: str) -> list[str]:
    selectors = ",".join(one for one in selectors.split(",") if not _NEVER.fullmatch(one))

    def anything(found: re.Match[str]) -> str:
        alone = found.start() == 0 or selectors[found.start() - 1] in " \n\r\t\f,>+~"
        return "*" if alone else ""

    wide = _PERHAPS.sub(anything, selectors).split(",")
    return [selector if _SIMPLE.fullmatch(selector) else "*" for selector in wide] if selectors else []


def _hides(name: str, value: str) -> bool:
    value = value.lower().partition("!")[0]
    match name:
        case "display":
            return re.search(r"none|column|ruby|\(", value) is not None
        case "visibility":
            return re.search(r"hidden|collapse|\(", value) is not None
        case "opacity":
            return "(" in value or any(number / (100 if unit else 1) < _FAINT for number, unit in _numbers(value))
        case "mso-hide":
            return True
        case "height" | "width" | "max-height" | "max-width" | "min-width":
            value = _ONE_OF.sub(r"\1", _MOST.sub("", value))
            sizes = [number * _UNITS.get(unit, 1) for number, unit in _numbers(value) if unit != "%" or number < 1]
            too_much = name in ("width", "min-width") and any(size > _WIDE for size in sizes)
            return "(" in value or too_much or (name != "min-width" and any(size < _NARROW for size in sizes))
    if name.startswith(_MOVING) and not name.endswith("radius"):
        value = _COLOUR.sub("", value)
        moved = [number * _UNITS.get(unit, 1) for number, unit in _numbers(value)]
        return "(" in value or any(not _FAR_LEFT < by < _FAR_RIGHT for by in moved)
    return False


_MOVING = ("margin", "padding", "border", "text-indent", "letter-spacing", "word-spacing", "vertical-align")


def _cuts(name: str, value: str) -> bool:
    return name == "overflow" and not value.lower().startswith("visible")


def _ends(name: str, value: str) -> bool:
    return name in ("height", "max-height") and not value.lower().startswith(_FREE)


def _numbers(value: str) -> list[tuple[float, str]]:
    return [(float(number), unit) for number, unit in _NUMBER.findall(value)]


def is_fine(value: str) -> bool:
    if _CODE.search(value) or value.count("(") != value.count(")"):
        return False
    addresses = ["".join(found) for found in _URL.findall(value)]
    if len(addresses) != len(re.findall(r"url\s*\(", value, re.IGNORECASE)):
        return False
    return all(links.fault(address, image=True) is None for address in addresses)


def stylesheet(text: str) -> str:
    """The allowed rules of a style sheet: plain rules and `@media` blocks of plain rules."""
    return "\n".join(_rules(_COMMENT.sub(" ", text), media=True))


def _rules(text: str, *, media: bool) -> Iterator[str]:
    position = 0
    while (opening := text.find("{", position)) >= 0:
        # what ends with a semicolon before the rule (@import, @charset) is left out
        prelude = text[position:opening].rpartition(";")[2].strip()
        closing = _closing(text, opening)
        block = text[opening + 1 : closing]
        position = closing + 1
        if media and _MEDIA.match(prelude):
            inner = " ".join(_rules(block, media=False))
            if inner:
                yield f"{prelude} {{ {inner} }}"
        elif _SELECTOR.match(prelude) and (kept := declarations(block)):
            yield f"{prelude} {{ {kept} }}"


def _closing(text: str, opening: int) -> int:
    depth = 0
    for found in re.compile(r"[{}]").finditer(text, opening):
        depth += 1 if found.group() == "{" else -1
        if depth == 0:
            return found.start()
    return len(text)
