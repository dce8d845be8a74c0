"""HTML that is rendered once and filled in for each person: the template runs with blanks where the person's own values belong.

A stencil is kept under a key that holds every value the template looked at, so it can never show what is no longer so.
"""

import re
import secrets
from collections.abc import Callable, Hashable, Mapping

from flask import current_app, has_request_context
from markupsafe import escape

_MARK = secrets.token_hex(8)  # nobody who writes a topic's text can guess how a blank is spelled
_BLANK = re.compile(f"b{_MARK}_([a-z0-9-]+)_")
_MOST = 500  # stencils a process keeps; then it begins anew


class NotDrawn(Exception):
    """There is no such stencil yet, and no request of Flask's, whose addresses a template needs."""


def blank(name: str) -> str:
    """Stands in a template for a value that is filled in later; it passes through escaping and addresses unchanged."""
    return f"b{_MARK}_{name}_"


def kept(key: Hashable, render: Callable[[], str]) -> list[str]:
    """The stencil of this key. `render` runs if there is none yet; before Flask it is NotDrawn."""
    known: dict[Hashable, list[str]] = current_app.extensions.setdefault("stencils", {})
    stencil = known.get(key)
    if stencil is None:
        if not has_request_context():
            raise NotDrawn
        if len(known) >= _MOST:
            known.clear()
        stencil = known[key] = cut(render())
    return stencil


def cut(html: str) -> list[str]:
    """Text and names of blanks in turn."""
    return _BLANK.split(html)


def put_together(frame: list[str], parts: Mapping[str, list[str]]) -> list[str]:
    """One stencil of several: those of `parts` in the blanks that are named after them."""
    whole = [frame[0]]
    for name, text in zip(frame[1::2], frame[2::2], strict=True):
        if name in parts:
            whole[-1] += parts[name][0]
            whole += parts[name][1:]
            whole[-1] += text
        else:
            whole += name, text
    return whole


def put_in(stencil: list[str], values: Mapping[str, str]) -> str:
    """The HTML with these values, which are texts."""
    safe = {name: escape(value) for name, value in values.items()}
    parts = stencil.copy()
    parts[1::2] = [safe[name] for name in stencil[1::2]]
    return "".join(parts)
