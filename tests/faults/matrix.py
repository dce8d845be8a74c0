"""The rows of the fault matrix and the tests that name them. For `make faults`, `python -m tests.faults.matrix` prints those elsewhere."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HOME = Path(__file__).parents[2]
HERE = "tests/faults/"
NUMBERS = {"K": 17, "R": 5, "D": 10, "M": 14, "T": 6, "C": 10}
ROWS = [f"{kind}{number}" for kind, most in NUMBERS.items() for number in range(1, most + 1)]
# what only processes of their own can show: killed, stopped, cut off, told to go
REAL = {row for row in ROWS if row[0] in "KR"} | {"D1", "D2", "D3", "T1", "C6"}
# what `make faults` alone proves so: the suite has no time for it
AT_LENGTH = {"K14", "D3"}
_NAMED = re.compile(r'(?:#|id="|""")[^"\n]*')  # a comment, the id of a case, the first line of a docstring
_ROW = re.compile(r"\b([KRDMTC]\d{1,2})\b")


@cache
def proofs() -> dict[str, set[str]]:
    """By row the tests that name it: on their own lines, from the first decorator to the end of their docstring."""
    found: dict[str, set[str]] = {}
    for file in sorted((HOME / "tests").rglob("*.py")):
        if file.name.startswith(("test_", "long_")) and file.name != "test_matrix.py":
            for name, text in _tests(file):
                for row in _ROW.findall(" ".join(_NAMED.findall(text))):
                    found.setdefault(row, set()).add(f"{file.relative_to(HOME).as_posix()}::{name}")
    return found


def has_processes(test: str) -> bool:
    """Whether this test, by a mark of its own or of its whole file, starts real processes."""
    file, _, name = test.partition("::")
    marks = _marks(ast.parse((HOME / file).read_text(encoding="utf-8")), name)
    parts = (part for mark in marks for part in ast.walk(mark) if isinstance(part, ast.Attribute))
    return any(ast.unparse(part) == "pytest.mark.processes" for part in parts)


def is_long(test: str) -> bool:
    """Whether only `make faults` runs this test."""
    return Path(test.partition("::")[0]).name.startswith("long_")


def _marks(file: ast.Module, name: str) -> Iterator[ast.expr]:
    for node in file.body:
        match node:
            case ast.FunctionDef(name=own, decorator_list=marks) if own == name:
                yield from marks
            case ast.Assign(targets=[ast.Name("pytestmark")], value=marks_of_all):
                yield marks_of_all


def _tests(file: Path) -> Iterator[tuple[str, str]]:
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            has_docstring = ast.get_docstring(node) is not None
            last = node.body[0].end_lineno if has_docstring else node.body[0].lineno - 1
            yield node.name, "\n".join(lines[first - 1 : last])


if __name__ == "__main__":
    print(*sorted({test for row in ROWS for test in proofs().get(row, ()) if not test.startswith(HERE)}))
