"""Uploaded files that hold the address of somebody who is forgotten: read after the commit, so that nobody waits for the one writer."""

import io
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g

from preference_center.config import Settings
from preference_center.contacts import imports
from preference_center.db import db, transaction

FIVE = [f"person{number}@example.org" for number in range(5)]


def _upload(*addresses: str) -> Path:
    with transaction():
        made = imports.receive(io.BytesIO("\n".join(["email", *addresses]).encode()), "people.csv", "user:1")
        return imports.path(made)


@pytest.mark.both_databases
def test_a_file_is_read_once_for_all_and_not_while_anybody_waits(
    app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, other = _upload(*FIVE), _upload("somebody@example.org")
    read, holds = list[str](), imports._holds

    def looks(file: Path, *spellings: Any) -> bool:
        assert "work" not in g, "a transaction is open"
        read.append(file.name)
        return holds(file, *spellings)

    monkeypatch.setattr(imports, "_holds", looks)
    with transaction():
        for email in FIVE:
            imports.forget(email)
    assert sorted(read) == sorted([theirs.name, other.name])
    assert (theirs.exists(), other.exists()) == (False, True)
    kept = {import_.stored_as for import_ in imports.recent()}
    assert kept == {None, other.name}


def test_who_was_not_forgotten_after_all_stays_in_the_file(app: Flask) -> None:
    first, second = _upload(FIVE[0]), _upload(FIVE[1])
    with pytest.raises(KeyError), transaction():
        imports.forget(FIVE[0])
        raise KeyError
    with transaction():
        imports.forget(FIVE[1])
    assert (first.exists(), second.exists()) == (True, False)
    with transaction():
        imports.forget(FIVE[1])
        db.session.rollback()
        imports.forget(FIVE[0])
    assert not first.exists()
