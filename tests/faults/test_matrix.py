"""The fault matrix is whole: each of its rows is named by a test that proves it, and each failpoint is passed and used."""

from functools import cache
from pathlib import Path

import pytest

from preference_center.failpoints import POINTS
from tests.faults.matrix import AT_LENGTH, HOME, REAL, ROWS, has_processes, is_long, proofs


@cache
def _read(*folders: str) -> str:
    files = [file for folder in folders for file in (HOME / folder).rglob("*.py") if file.name != "test_matrix.py"]
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(files))


@pytest.mark.parametrize("row", ROWS)
def test_each_row_is_named_by_a_test_that_proves_it(row: str) -> None:
    found = proofs().get(row, set())
    print(row, *sorted(found), sep="\n  ")
    assert found
    proving = set(filter(has_processes, found)) if row in REAL else found
    assert proving, "one of them must have real processes"
    assert all(map(is_long, proving)) == (row in AT_LENGTH), "AT_LENGTH names the rows that the suite does not prove"


def test_a_mark_counts_for_the_tests_that_bear_it(tmp_path: Path) -> None:
    one, other = tmp_path / "test_one.py", tmp_path / "long_other.py"
    one.write_text(
        '"""Not pytest.mark.processes."""\n@pytest.mark.processes\ndef test_real():\n    pass\n\n\n'
        "def test_unmarked():\n    pytest.mark.processes\n"
    )
    other.write_text("pytestmark = [pytest.mark.only_postgresql, pytest.mark.processes]\ndef test_all():\n    pass\n")
    assert has_processes(f"{one}::test_real") and not has_processes(f"{one}::test_unmarked")
    assert has_processes(f"{other}::test_all")
    assert is_long(f"{other}::test_all") and not is_long(f"{one}::test_real")


@pytest.mark.parametrize("point", POINTS)
def test_each_failpoint_is_passed_once_and_used_by_a_test(point: str) -> None:
    assert _read("preference_center", "worker").count(f'failpoints.hit("{point}")') == 1
    assert f'"{point}:' in _read("tests/faults")
