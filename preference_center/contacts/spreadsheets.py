"""Rows as lines of a CSV file in which no spreadsheet sees a formula (ASVS V1.2.10), and its cells as they were meant.

Excel cuts a line where the country of its user does: in Poland, Spain and Germany at semicolons, also inside a quoted cell. So a
formula may begin in the midst of a cell too, and gets an apostrophe there; the import takes exactly these away again.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from preference_center.contacts import cells

# A cell begins at the start of the text, or wherever some spreadsheet cuts it; quotes and spaces before a formula do not stop it.
_BEGINS = r"(?:^|(?<=[;,\t\r\n]))"
_FORMULA = r"""(?=['"\s]*[=+\-@\t\r\0＝＋－＠])"""
_UNMARKED = re.compile(_BEGINS + _FORMULA)
_MARKED = re.compile(f"{_BEGINS}'{_FORMULA}")
_CUT = re.compile(r'[;,\t\r\n"]')
_NUMBER = re.compile(r"-\d+(?:[.,]\d+)?", re.ASCII)


def as_csv(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    for row in rows:
        yield ",".join([_quoted(harmless(cells.written(cell))) for cell in row]) + "\r\n"


def harmless(text: str) -> str:
    """With an apostrophe before whatever may be taken for a formula. A plain number stays one."""
    return text if _NUMBER.fullmatch(text) else _UNMARKED.sub("'", text)


def meant(cell: str) -> str:
    """The text that harmless() was given."""
    return _MARKED.sub("", cell)


def _quoted(text: str) -> str:
    """In quotes wherever any spreadsheet might cut it, which csv.writer does for one delimiter alone."""
    return '"' + text.replace('"', '""') + '"' if _CUT.search(text) else text
