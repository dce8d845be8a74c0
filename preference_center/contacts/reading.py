"""Reads a CSV of any size row by row. What is wrong with a row is said of that row, with its line, and the next one is read.

The file is never whole in memory: a line, a record and a field each have a longest length, and a quote that is never closed
costs only the line it stands on.
"""

import csv
import io
import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from preference_center.contacts import sniffing, spreadsheets
from preference_center.errors import Invalid

MAX_ROWS = 500_000
MAX_COLUMNS = 50
MAX_FIELD = 1_000
_LONGEST_LINE = 120_000  # characters; 50 columns of 1,000 and their quotes
_LINES_A_RECORD = 100  # bounds what one stray quote can swallow


@dataclass(frozen=True, slots=True)
class Shape:
    """How a file is written, and the names of its columns: each name once."""

    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    repeated: tuple[str, ...] = ()  # names the file gave to more than one column


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    cells: list[str]
    fault: str = ""
    offset: int = 0  # bytes of the file read so far, for a progress bar


def shape_of(file: Path, encoding: str | None = None) -> Shape:
    """How this file is written. Invalid, in one line, when it is no CSV with column names and rows."""
    with file.open("rb") as raw:
        sniffing.refuse_other_kinds(raw.read(sniffing.SAMPLE))
    codec = sniffing.encoding_named(encoding) if encoding else sniffing.encoding_of(file)
    with _open(file, codec) as text:
        first = list(_first_lines(text))
    delimiter = sniffing.delimiter_of(first)
    with _open(file, codec) as text:
        records = _records(text, delimiter)
        head = next((row for row in records if not _names_delimiter(row)), None)
        body = next(records, None)
    if head is None or head.fault:
        raise Invalid(f"The first line cannot be read as column names: {head.fault if head else 'it is empty'}.")
    _check_header(head.cells)
    if body is None:
        raise Invalid("The file has column names and no rows.")
    return Shape(codec, delimiter, *_named_once(head.cells))


def rows(file: Path, shape: Shape) -> Iterator[Row]:
    """All rows below the column names, empty lines left out. A row that cannot be used has `fault` set and no cells."""
    width = len(shape.columns)
    with _open(file, shape.encoding) as text:
        source = _Source(text)
        reader = _reader(source, shape.delimiter)
        heading = True
        while True:
            row = _next(source, reader, 0 if heading else width)
            if row is None:
                return
            if heading:
                heading = _names_delimiter(row)
                continue
            yield row


def count(file: Path, shape: Shape, most: int) -> int:
    """The number of rows, counted no further than one above `most`."""
    found = 0
    for _ in rows(file, shape):
        found += 1
        if found > most:
            break
    return found


class _Text(io.TextIOWrapper):
    def position(self) -> int:
        """Bytes taken from the file, a little ahead of the line being read."""
        return self.buffer.tell()  # type: ignore[attr-defined, no-any-return]


class _Fault(Exception):
    """What is wrong with the record being read."""


class _Source:
    """Physical lines for the csv module. It remembers those of the current record, to hand them out again when that fails."""

    def __init__(self, text: _Text) -> None:
        self.text = text
        self._waiting: deque[str] = deque()
        self.record: list[str] = []
        self._taken = 0
        self.first = 1

    def begin(self) -> None:
        self.record = []
        self.first = self._taken + 1

    def __iter__(self) -> "_Source":
        return self

    def __next__(self) -> str:
        if len(self.record) >= _LINES_A_RECORD:
            raise _Fault("a quote is opened and not closed")
        line = self._waiting.popleft() if self._waiting else self.text.readline(_LONGEST_LINE)
        if not line:
            raise StopIteration
        self._taken += 1
        self.record.append(line)
        if len(line) >= _LONGEST_LINE:
            self._skip_rest()
            raise _Fault(f"a field is longer than {MAX_FIELD:,} characters")
        if "\0" in line:
            raise _Fault("it holds a NUL character")
        return line

    def give_back(self) -> None:
        """All lines of the record but the first are read again, as records of their own."""
        back = self.record[1:]
        self._waiting.extendleft(reversed(back))
        self._taken -= len(back)

    def _skip_rest(self) -> None:
        rest = self.record[-1]
        while rest and rest[-1] not in "\r\n":
            rest = self.text.readline(_LONGEST_LINE)
        if self.record[-1][-1] not in "\r\n":
            self.record[-1] += "\n"  # so that, read again, it is still too long and has no rest


def _records(text: _Text, delimiter: str) -> Iterator[Row]:
    source = _Source(text)
    reader = _reader(source, delimiter)
    while (row := _next(source, reader, 0)) is not None:
        yield row


def _reader(source: _Source, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(source, delimiter=delimiter, skipinitialspace=True, strict=True)


def _next(source: _Source, reader: Iterator[list[str]], width: int) -> Row | None:
    """The next record that is not empty. A width of nothing: as many columns as it has."""
    while True:
        source.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return None
        except _Fault as fault:
            reason = str(fault)
        except csv.Error as fault:
            reason = "a field is too long" if "limit" in str(fault) else "its quotes do not match"
        else:
            if not any(cells):
                continue
            cells = [spreadsheets.meant(cell) if "'" in cell else cell for cell in cells]
            reason = _wrong(cells, width)
            if not reason:
                return Row(source.first, cells, offset=source.text.position())
        source.give_back()
        return Row(source.first, [], reason)


def _wrong(cells: list[str], width: int) -> str:
    if width and len(cells) > width:
        while len(cells) > width and not cells[-1].strip():
            cells.pop()
    if width and len(cells) != width:
        return f"it has {len(cells)} columns and the first line has {width}"
    if max(map(len, cells)) > MAX_FIELD:
        return f"a field is longer than {MAX_FIELD:,} characters"
    return ""


def _open(file: Path, codec: str) -> _Text:
    errors = "replace" if codec.startswith("utf-16") else "surrogateescape"
    return _Text(file.open("rb"), encoding=codec, errors=errors, newline="")


def _first_lines(text: _Text) -> Iterator[str]:
    for _ in range(60):
        line = text.readline(_LONGEST_LINE)
        if not line:
            return
        if "\0" not in line and len(line) < _LONGEST_LINE:
            yield line


def _names_delimiter(row: Row) -> bool:
    """Excel's own first line, `sep=;`."""
    return (
        row.line == 1
        and bool(row.cells)
        and row.cells[0].strip().lower() in ("sep=", "sep=,", "sep=;", "sep=|", "sep=\t")
    )


def _check_header(cells: list[str]) -> None:
    if len(cells) > MAX_COLUMNS:
        raise Invalid(
            f"The file has {len(cells)} columns; {MAX_COLUMNS} at most are read. Leave out what is not needed."
        )
    if any(re.search(r"\w@\w", cell) for cell in cells):
        raise Invalid("The first line must name the columns, such as email, first name. It holds an address instead.")


def _named_once(cells: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names = [re.sub(r"[\s\x00-\x1f\ud800-\udfff]+", " ", cell).strip()[:80] for cell in cells]
    times = Counter(name.casefold() for name in names if name)
    columns = tuple(
        f"{name} (column {number})".strip() if not name or times[name.casefold()] > 1 else name
        for number, name in enumerate(names, 1)
    )
    return columns, tuple(dict.fromkeys(name for name in names if name and times[name.casefold()] > 1))
