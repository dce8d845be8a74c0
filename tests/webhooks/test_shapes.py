"""What a body must be like: how deep it may go, and that looking costs little beside reading it."""

import json
import time
from collections.abc import Callable

import pytest

from preference_center.providers.base import Post
from preference_center.webhooks import shapes
from preference_center.webhooks.shapes import DEEPEST, Misshapen

FORM = "application/x-www-form-urlencoded"


def _post(body: str, kind: str = "application/json") -> Post:
    return Post("POST", "https://x", {"content-type": kind}, body.encode())


def _nested(levels: int) -> str:
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


def _mixed(levels: int) -> str:
    return '[{"a": 1}, {"b": ' + "[" * (levels - 2) + "]" * (levels - 2) + "}]"


@pytest.mark.parametrize("nested", [_nested, _mixed])
@pytest.mark.parametrize("kind", ["application/json", FORM])
def test_as_deep_as_allowed_and_no_deeper(nested: Callable[[int], str], kind: str) -> None:  # W5
    start = "events=" if kind == FORM else ""
    shapes.check(_post(start + nested(DEEPEST), kind))
    for levels in (DEEPEST + 1, 900, 100_000):
        with pytest.raises(Misshapen, match="too deeply"):
            shapes.check(_post(start + nested(levels), kind))


def test_brackets_in_texts_are_no_levels() -> None:
    shapes.check(_post(json.dumps({"a": '[{"' * 1000, "b": "\\" * 9})))
    shapes.check(_post("a=" + "[" * 500 + " is how it began", FORM))


def test_a_large_post_is_looked_through_for_little_more_than_reading_it_costs() -> None:
    """Providers send hundreds of events at once, and each post waits for the one before it."""
    event = {"msys": {"message_event": {f"field {number}": "text" for number in range(20)}}}
    post = _post(json.dumps([event] * 500))

    def cost(work: Callable[[], object]) -> float:
        spent = []
        for _ in range(5):
            begun = time.thread_time()
            work()
            spent.append(time.thread_time() - begun)
        return min(spent)

    assert cost(lambda: shapes.check(post)) < 4 * cost(lambda: json.loads(post.body))
