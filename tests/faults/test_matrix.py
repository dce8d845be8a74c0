"""The fault matrix is whole: each of its rows is named where it is proven, and each failpoint is passed and used."""

import re
from functools import cache
from pathlib import Path

import pytest

from preference_center.failpoints import POINTS

HOME = Path(__file__).parents[2]
ROWS = {"K": 17, "R": 5, "D": 9, "M": 14, "T": 6, "C": 10}
NOT_THERE = {
    "K12": "nothing is sent when a campaign closes",
}


@cache
def _read(*folders: str) -> str:
    files = [file for folder in folders for file in (HOME / folder).rglob("*.py") if file != Path(__file__)]
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(files))


@pytest.mark.parametrize("row", [f"{kind}{number}" for kind, most in ROWS.items() for number in range(1, most + 1)])
def test_each_row_is_named_by_its_proof(row: str) -> None:
    """Behind a #, in an id, or first in a docstring."""
    named = re.search(rf'(#.*|id="[^"]*|""")\b{row}\b', _read("tests"))
    assert bool(named) is (row not in NOT_THERE)


@pytest.mark.parametrize("point", POINTS)
def test_each_failpoint_is_passed_once_and_used_by_a_test(point: str) -> None:
    assert _read("preference_center", "worker").count(f'failpoints.hit("{point}")') == 1
    assert f'"{point}:' in _read("tests/faults")
