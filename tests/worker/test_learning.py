"""What a worker reads before its first job, so that none of its horses has to."""

import gc
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from preference_center import i18n
from preference_center.db import db
from preference_center.delivery import chunks
from preference_center.mail import dkim, signing
from worker import __main__ as door
from worker import context


class Idle:
    """A worker that goes home at once."""

    def __init__(self, *_given: object, **_named: object) -> None:
        """Nothing is connected."""

    def work(self, **_named: object) -> None:
        """There is none."""


def test_languages_statements_and_keys_are_known_before_the_first_job(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(dkim.generate_key("ed25519"))
    settings = replace(app.extensions["settings"], dkim_selector="s", dkim_key_file=str(file))
    monkeypatch.setitem(app.extensions, "settings", settings)
    monkeypatch.setattr(context, "_app", app)
    i18n._catalogue.cache_clear()
    signing._signers.cache_clear()
    monkeypatch.setattr(door, "_connection", lambda: None)
    monkeypatch.setattr(door, "Queue", lambda *_given, **_named: None)
    monkeypatch.setattr(door, "Horseman", Idle)
    try:
        door.serve(["webhooks"])
        assert signing._signers.cache_info().currsize == 0, "who signs nothing holds no key"
        door.serve([])
        assert gc.get_freeze_count() > 10_000, "each horse looks for garbage among what is never garbage"
    finally:
        gc.unfreeze()
    assert i18n._catalogue.cache_info().currsize == len(i18n.LANGUAGES)
    assert signing._signers.cache_info().currsize == 1
    with app.app_context():
        assert db.engine.dialect.name in chunks._TAKE._spelled


def test_a_key_that_cannot_be_read_keeps_no_worker_from_starting(
    app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = replace(app.extensions["settings"], dkim_selector="s", dkim_key_file=str(tmp_path / "gone"))
    monkeypatch.setitem(app.extensions, "settings", gone)
    monkeypatch.setattr(context, "_app", app)
    door._learn_by_heart(["delivery"])
    assert i18n._catalogue.cache_info().currsize == len(i18n.LANGUAGES)
