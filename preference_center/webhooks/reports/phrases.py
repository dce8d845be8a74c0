"""The phrases of phrases.toml, compiled once, and how they are looked for."""

import re
import tomllib
from functools import cache
from importlib.resources import files

from preference_center.mail import refusals


def said(kind: str, text: str) -> bool:
    """Whether one of these phrases stands in the text, which is flattened here."""
    flat = refusals.flat(text)
    return any(phrase.search(flat) for phrase in _book()[kind])


def begins(kind: str, text: str) -> bool:
    """Whether the text begins with one of these phrases, be it in brackets."""
    flat = refusals.flat(text).lstrip("[(*\"' ")
    return any(phrase.match(flat) for phrase in _book()[kind])


@cache
def _book() -> dict[str, tuple[re.Pattern[str], ...]]:
    text = files("preference_center.webhooks.reports").joinpath("phrases.toml").read_text(encoding="utf-8")
    return {
        kind: tuple(re.compile(refusals.without_accents(phrase)) for phrase in phrases)
        for kind, phrases in tomllib.loads(text).items()
    }
