"""What a body must be like before anybody looks for events in it: of a known type, JSON or a form, and not nested without end.

All is bounded by the size of the body, and one that fails is answered at once and not stored.
"""

import json
import re
from urllib.parse import parse_qsl

from preference_center.providers.base import Post

DEEPEST = 64
_JSON = re.compile(r"application/(?:json|[\w.+-]+\+json|x-json)|text/(?:plain|json)")  # SNS sends JSON as text/plain
_FORM = "application/x-www-form-urlencoded"
# a text that does not end is taken to the end at once (*+, "?), or each quote in it would be walked from anew
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


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
            _check_depth(value.encode())


def _check_json(body: bytes) -> None:
    _check_depth(body)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Misshapen(400, "the body is no JSON") from None
    if isinstance(found, list):
        if not all(isinstance(part, dict) for part in found):
            raise Misshapen(400, "the body is a list of something else than objects")
    elif not isinstance(found, dict):
        raise Misshapen(400, "the body is neither an object nor a list of objects")


def _check_depth(body: bytes) -> None:
    depth = 0
    for found in _BRACKETS.finditer(body):
        mark = found[0]
        if mark in (b"[", b"{"):
            depth += 1
            if depth > DEEPEST:
                raise Misshapen(400, "the body is nested too deeply")
        elif mark in (b"]", b"}"):
            depth -= 1
