"""HTML that is rendered once and filled in for each person: the template runs with blanks where the person's own values belong.

A stencil is kept under a key that holds every value the template looked at, so it can never show what is no longer so.
"""

import re
import secrets
from collections.abc import Callable, Hashable, Mapping

from flask import current_app
from markupsafe import escape

_MARK = secrets.token_hex(8)  # nobody who writes a topic's text can guess how a blank is spelled
_BLANK = re.compile(f"b{_MARK}_([a-z0-9-]+)_")
_MOST = 500  # stencils a process keeps; then it begins anew


def blank(name: str) -> str:
    """Stands in a template for a value that is filled in later; it passes through escaping and addresses unchanged."""
    return f"b{_MARK}_{name}_"


def fill(key: Hashable, render: Callable[[], str], values: Mapping[str, str]) -> str:
    """The HTML with these values, which are texts or (as `Markup`) HTML. `render` runs if there is no stencil of this key yet."""
    kept: dict[Hashable, list[str]] = current_app.extensions.setdefault("stencils", {})
    stencil = kept.get(key)
    if stencil is None:
        if len(kept) >= _MOST:
            kept.clear()
        stencil = kept[key] = cut(render())
    return put_in(stencil, values)


def cut(html: str) -> list[str]:
    """Text and names of blanks in turn."""
    return _BLANK.split(html)


def put_in(stencil: list[str], values: Mapping[str, str]) -> str:
    parts = stencil.copy()
    parts[1::2] = [escape(values[name]) for name in stencil[1::2]]
    return "".join(parts)
