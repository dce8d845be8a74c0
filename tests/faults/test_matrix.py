"""The fault matrix is whole: each of its rows is named by a test that proves it, and each failpoint is passed and used."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from preference_center.failpoints import POINTS

HOME = Path(__file__).parents[2]
ROWS = {"K": 17, "R": 5, "D": 10, "M": 14, "T": 6, "C": 10}
_NAMED = re.compile(r'(?:#|id="|""")[^"\n]*')  # a comment, the id of a case, the first line of a docstring
_ROW = re.compile(r"\b([KRDMTC]\d{1,2})\b")


@cache
def _proofs() -> dict[str, set[str]]:
    """By row the tests that name it: on their own lines, from the first decorator to the end of their docstring."""
    found: dict[str, set[str]] = {}
    for file in sorted((HOME / "tests").rglob("*.py")):
        if file.name.startswith(("test_", "long_")) and file != Path(__file__):
            for name, text in _tests(file):
                for row in _ROW.findall(" ".join(_NAMED.findall(text))):
                    found.setdefault(row, set()).add(f"{file.relative_to(HOME)}::{name}")
    return found


def _tests(file: Path) -> Iterator[tuple[str, str]]:
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            has_docstring = ast.get_docstring(node) is not None
            last = node.body[0].end_lineno if has_docstring else node.body[0].lineno - 1
            yield node.name, "\n".join(lines[first - 1 : last])


@cache
def _read(*folders: str) -> str:
    files = [file for folder in folders for file in (HOME / folder).rglob("*.py") if file != Path(__file__)]
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(files))


@pytest.mark.parametrize("row", [f"{kind}{number}" for kind, most in ROWS.items() for number in range(1, most + 1)])
def test_each_row_is_named_by_a_test_that_proves_it(row: str) -> None:
    proofs = _proofs().get(row, set())
    print(row, *sorted(proofs), sep="\n  ")
    assert proofs


@pytest.mark.parametrize("point", POINTS)
def test_each_failpoint_is_passed_once_and_used_by_a_test(point: str) -> None:
    assert _read("preference_center", "worker").count(f'failpoints.hit("{point}")') == 1
    assert f'"{point}:' in _read("tests/faults")
