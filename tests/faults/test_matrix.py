"""The fault matrix is whole: each of its rows is named by a test that proves it, and each failpoint is passed and used."""

from functools import cache

import pytest

from preference_center.failpoints import POINTS
from tests.faults.matrix import HOME, REAL, ROWS, has_processes, proofs


@cache
def _read(*folders: str) -> str:
    files = [file for folder in folders for file in (HOME / folder).rglob("*.py") if file.name != "test_matrix.py"]
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(files))


@pytest.mark.parametrize("row", ROWS)
def test_each_row_is_named_by_a_test_that_proves_it(row: str) -> None:
    found = proofs().get(row, set())
    print(row, *sorted(found), sep="\n  ")
    assert found
    assert row not in REAL or any(map(has_processes, found)), "one of them must have real processes"


@pytest.mark.parametrize("point", POINTS)
def test_each_failpoint_is_passed_once_and_used_by_a_test(point: str) -> None:
    assert _read("preference_center", "worker").count(f'failpoints.hit("{point}")') == 1
    assert f'"{point}:' in _read("tests/faults")
