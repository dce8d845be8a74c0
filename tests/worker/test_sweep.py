"""The sweep: what goes wrong at one of its tasks keeps it from none of the others."""

import pytest
from flask import Flask

from preference_center import jobs
from tests.faults import inside
from tests.support.bell import WrittenBell
from worker import context
from worker.jobs import delivery


@pytest.mark.parametrize("place", ["seen.json", "kept/newest", "5-0bad.journal"])
def test_what_cannot_be_read_beside_the_journals_does_not_stop_the_sweep(
    app: Flask, bell: WrittenBell, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(context, "_app", app)
    campaign_id = inside.begun(["anna@example.org"])
    (app.extensions["settings"].journals / place).mkdir(parents=True)  # to read it is an OSError, for any user
    bell.rung.clear()
    delivery.sweep()
    assert bell.rung == [(jobs.DELIVER.path, (campaign_id,))]
