"""S120: what some three hundred refusals of fifty kinds of server mean, as they are written in tests/support/bounces/said.txt."""

import pytest

from preference_center.mail import refusals
from preference_center.mail.refusals import Verdict
from tests.support.sources import ROOT

SAID = [
    (Verdict(meant), status or None, words)
    for line in (ROOT / "tests/support/bounces/said.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
    for meant, status, words in [line.split(" | ", 2)]
]


def test_there_are_enough_of_each_to_say_anything() -> None:
    kinds = [meant for meant, _, _ in SAID]
    assert min(kinds.count(kind) for kind in (Verdict.hard, Verdict.soft, Verdict.block)) >= 80


@pytest.mark.parametrize(("meant", "status", "words"), SAID, ids=[words[:60] for _, _, words in SAID])
def test_the_dead_are_told_from_the_living(meant: Verdict, status: str | None, words: str) -> None:
    judged = refusals.judge(status, words)
    assert (judged.verdict is Verdict.hard) == (meant is Verdict.hard), judged


def test_of_the_living_hardly_any_is_blamed_for_what_is_ours_nor_we_for_theirs() -> None:
    living = [(meant, refusals.classify(status, words)) for meant, status, words in SAID if meant is not Verdict.hard]
    assert sum(meant is got for meant, got in living) / len(living) >= 0.97
