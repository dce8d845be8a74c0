"""C1 at length: ten thousand withdrawals race the claims of their messages."""

import pytest
from flask import Flask

from tests.delivery import test_withdrawal_race as race


@pytest.mark.only_postgresql
def test_ten_thousand_races_and_no_late_mail(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:  # C1, P3, S39
    monkeypatch.setattr(race, "ROUNDS", 10_000)
    race.test_a_withdrawal_that_commits_before_the_claim_is_obeyed(app)
