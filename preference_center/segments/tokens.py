"""Cuts the text of a rule into words, texts, numbers, dates and signs, each with its place."""

import re
from itertools import pairwise
from typing import NamedTuple

from preference_center.segments.words import NotUnderstood, folded

_TOKENS = re.compile(
    r"""(?P<space>\s+)
      | (?P<id>[a-z2-7]{16}(?![\w/+.-]))
      | (?P<date>\d{4}-\d{2}-\d{2}(?![\w-]))
      | (?P<number>-?\d{1,15}(?:\.\d{1,6})?(?![\w.]))
      | (?P<text>"(?:[^"\\\n]|\\.)*")
      | (?P<word>[^\W\d](?:[\w/+-]*\w)?)
      | (?P<sign><=|>=|!=|=|<|>|\(|\)|,)""",
    re.VERBOSE,
)


class Token(NamedTuple):
    kind: str  # word, text, number, date, sign, end
    text: str
    position: int

    @property
    def word(self) -> str:
        """The word in small letters, for keywords; empty for anything else."""
        return self.text.lower() if self.kind == "word" else ""

    def __str__(self) -> str:
        return f"`{self.text[:40]}`" if self.kind != "end" else "the end of the text"


class NoToken(NotUnderstood):
    """Signs that mean nothing, with their place."""

    def __init__(self, what: str, token: Token) -> None:
        super().__init__(what)
        self.token = token


def cut(text: str) -> list[Token]:
    """The tokens, and a few ends behind them so that looking ahead needs no care."""
    tokens, position = [], 0
    while position < len(text):
        found = _TOKENS.match(text, position)
        if found is None:
            raise NoToken(_remedy(text[position]), Token("sign", text[position], position))
        kind = str(found.lastgroup)
        if kind != "space":
            tokens.append(Token("word" if kind == "id" else kind, found.group(), position))
        position = found.end()
    return [*tokens, *[Token("end", "", len(text.rstrip()))] * 4]


def unquoted(token: Token) -> str:
    """What a text in quotes says."""
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], token.text[1:-1])


def names(text: str, segment: str) -> bool:
    """Whether a rule names this segment, in whatever capitals; `text` as it is kept. One that cannot be read any more may do so, too."""
    wanted = folded(segment)
    return any(
        word.word == "segment" and name.kind == "text" and folded(unquoted(name)) == wanted
        for word, name in pairwise(cut(text))
    )


def place(text: str, position: int) -> tuple[int, int]:
    """Line and column, from 1."""
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def _remedy(char: str) -> str:
    if char == '"':
        return "This text does not end: close it with a double quote."
    if char in "'“”„‘’«»":
        return 'Write texts in straight double quotes: "Kraków".'
    if char.isdigit() or char == "-":
        return "This number or date is not understood; write 500, 12.50 or 2026-01-31."
    if char == "&" or char == "|":
        return "Write `and` and `or` in letters."
    return f"`{char if char.isprintable() else repr(char)}` means nothing here. Texts with such characters go in double quotes."
