"""Rows as a file for a spreadsheet, line by line."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any


def as_csv(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    for row in rows:
        line = io.StringIO()
        csv.writer(line).writerow(row)
        yield line.getvalue()


def harmless(text: str) -> str:
    """No cell is a formula in anybody's spreadsheet (ASVS V1.2.10)."""
    return f"'{text}" if text[:1] in "=+-@\t\r\0＝＋－＠" and text else text
