"""The second wall: checked templates run in Jinja's immutable sandbox with a few filters of our own and nothing else.

The site's own environment and its globals are not here, and every value is a plain text.
"""

import math
import re
from datetime import date
from functools import cache, lru_cache
from typing import Any
from urllib.parse import quote

from babel.dates import format_date
from babel.numbers import format_decimal
from jinja2 import Template, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import escape

from preference_center import i18n
from preference_center.mail.mime import quoted_printable


def load(source: str, *, autoescape: bool) -> Template:
    """A template out of checked text. It is looked over once more: ValueError when it holds anything we do not write."""
    return _environment(autoescape).from_string(checked(source, autoescape=autoescape))


def checked(source: str, *, autoescape: bool) -> nodes.Template:
    """The syntax tree of a checked text, for load() and for slots.py. ValueError as there."""
    tree = _environment(autoescape).parse(source)
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _WRITTEN) or (isinstance(node, nodes.Const) and not _is_plain(node.value)):
            raise ValueError(f"a compiled template holds {type(node).__name__}")
    return tree


def filters(autoescape: bool) -> dict[str, Any]:
    """The filters of checked texts, by name."""
    return _environment(autoescape).filters


def encoded(text: str) -> bytes:
    """A piece of a body as quoted-printable. It ends at the beginning of a line, so pieces fit together in any order."""
    if len(text) <= 75 and _PLAIN.match(text):
        return text.encode("ascii") + SOFT_BREAK
    if (flat := encoded_flat(text)) is not None:
        return flat
    piece = quoted_printable(text)
    return piece if piece.endswith(b"\r\n") else piece + SOFT_BREAK


def encoded_flat(text: str) -> bytes | None:
    """The same of a text as links are, which may be cut anywhere as long as no line begins with a dot; None for any other."""
    if len(text) > 1000 or not text.isascii() or ".." in f".{text}":
        return None
    signs = text.encode("ascii")
    if signs.translate(None, _OF_LINKS):
        return None
    lines, start, last = [], 0, len(signs) - 75
    while start < last:
        end = start + (74 if signs[start + 75] == _DOT else 75)
        lines.append(signs[start:end])
        start = end
    lines += signs[start:], b""
    return SOFT_BREAK.join(lines)


SOFT_BREAK = b"=\r\n"  # the last one of a body is cut off


# Most values of contacts are short and plain, and stand as they are: no sign that means something, within one line.
_PLAIN = re.compile(r"(?!\.|From )[!-<>-~](?:[ -<>-~]{0,70}[!-<>-~])?\Z")


_WRITTEN = (
    nodes.Output,
    nodes.TemplateData,
    nodes.Const,
    nodes.Name,
    nodes.Filter,
    nodes.If,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Compare,
    nodes.Operand,
)


_OF_LINKS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:/?&#,;_%+~.-"
_DOT = ord(".")


def _is_plain(value: object) -> bool:
    return isinstance(value, str | bool | int | float)


@cache
def _environment(autoescape: bool) -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(autoescape=autoescape, trim_blocks=not autoescape, keep_trailing_newline=True)
    made.globals.clear()
    made.tests.clear()
    made.filters.clear()
    made.filters.update(_filters())
    if not autoescape:
        made.filters["escape"] = _text
    return made


def _filters() -> dict[str, Any]:
    return {
        "default": lambda value, other: _text(value) or other,
        "upper": lambda value: _text(value).upper(),
        "lower": lambda value: _text(value).lower(),
        "title": lambda value: " ".join(word[:1].upper() + word[1:] for word in _text(value).split(" ")),
        "capitalize": lambda value: _text(value)[:1].upper() + _text(value)[1:],
        "trim": lambda value: _text(value).strip(),
        "truncate": _truncate,
        "escape": escape,
        "date": _date,
        "number": _number,
        # for conditions and addresses; an author cannot write these
        "has_value": lambda value: bool(_text(value)),
        "as_text": lambda value: _text(value).casefold(),
        "as_number": _as_number,
        "in_address": lambda value: _in_address(_text(value)),
    }


def _text(value: Any) -> str:
    return str(value)  # an unknown field is Jinja's Undefined, which is an empty text


def _truncate(value: Any, length: int) -> str:
    text = _text(value)
    return text if len(text) <= length else text[: max(length - 1, 1)].rstrip() + "…"


@pass_context
def _date(context: Context, value: Any, style: str = "medium") -> str:
    return _spoken_date(_text(value), style, _text(context.get("language", "en")))


@pass_context
def _number(context: Context, value: Any, decimals: int | None = None) -> str:
    return _spoken_number(_text(value), decimals, _text(context.get("language", "en")))


@lru_cache(maxsize=4096)
def _spoken_date(text: str, style: str, language: str) -> str:
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        return text
    return format_date(day, style, locale=i18n.best(language).replace("-", "_"))


@lru_cache(maxsize=4096)
def _spoken_number(text: str, decimals: int | None, language: str) -> str:
    value = _as_number(text)
    if math.isnan(value):
        return text
    pattern = None if decimals is None else "#,##0" + ("." + "0" * decimals if decimals else "")
    return format_decimal(value, format=pattern, locale=i18n.best(language).replace("-", "_"))


def _as_number(value: Any) -> float:
    """Not a number: every comparison with it is a no, except `!=`."""
    try:
        number = float(_text(value)[:40])
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


@lru_cache(maxsize=4096)
def _in_address(text: str) -> str:
    """A value inside a link: it can be a part of the path or query and nothing more."""
    return quote(text, safe="")
