"""What a body must be like before anybody looks for events in it: of a known type, JSON or a form, and not nested without end.

All is bounded by the size of the body, and one that fails is answered at once and not stored.
"""

import contextlib
import json
import re
from typing import Any
from urllib.parse import parse_qsl

from preference_center.providers.base import Post

DEEPEST = 64
_JSON = re.compile(r"application/(?:json|[\w.+-]+\+json|x-json)|text/(?:plain|json)")  # SNS sends JSON as text/plain
_FORM = "application/x-www-form-urlencoded"


class Misshapen(Exception):
    """Nothing a provider sends. `status` says in which way."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


def check(post: Post) -> None:
    kind = post.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not post.body.strip():
        raise Misshapen(400, "the body is empty")
    if kind == _FORM:
        _check_form(post.body)
    elif not kind or _JSON.fullmatch(kind):
        _check_json(post.body)
    else:
        raise Misshapen(415, "the body is neither JSON nor a form")


def _check_form(body: bytes) -> None:
    try:
        fields = parse_qsl(body.decode("utf-8"), strict_parsing=True, max_num_fields=100)
    except ValueError:
        raise Misshapen(400, "the body is no form") from None
    for _, value in fields:
        if value[:1] in "[{":
            with contextlib.suppress(ValueError):  # a text that only looks like JSON
                _check_depth(_parsed(value))


def _check_json(body: bytes) -> None:
    try:
        found = _parsed(body)
    except ValueError:
        raise Misshapen(400, "the body is no JSON") from None
    if isinstance(found, list):
        if not all(isinstance(part, dict) for part in found):
            raise Misshapen(400, "the body is a list of something else than objects")
    elif not isinstance(found, dict):
        raise Misshapen(400, "the body is neither an object nor a list of objects")
    _check_depth(found)


def _parsed(text: bytes | str) -> object:
    try:
        return json.loads(text)
    except RecursionError:  # the parser gives up far below what it could not bear
        raise _too_deep() from None


def _check_depth(found: object) -> None:
    """Level by level: a statement for each level, not for each of the thousands of parts of a large body."""
    level: list[Any] = [found]
    for _ in range(DEEPEST):
        inside = (whole.values() if isinstance(whole, dict) else whole for whole in level)
        level = [part for parts in inside for part in parts if isinstance(part, (dict, list))]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> Misshapen:
    return Misshapen(400, "the body is nested too deeply")
