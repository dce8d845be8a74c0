"""D3, D10: a restored house by its handbook (section 8): `web` alone, `campaigns reconcile`, again with --release, then workers."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, draft


@pytest.fixture
def sending(people: Run, tmp_path: Path, folder: Path) -> str:
    """A campaign that was under way in the backup, and a letter that was due."""
    made = draft(people, tmp_path)
    with sqlite3.connect(folder / "preference-center.db") as line:
        line.execute("UPDATE campaigns SET state = 'sending'")
        line.execute(
            "INSERT INTO notices (public_id, kind, payload, state, attempts, asked, next_try_at, created_at) "
            "VALUES ('x', 'new_link', '{}', 'queued', 0, 1, 1767225600000000, 1767225600000000)"
        )
    (folder / "journals").mkdir(exist_ok=True)
    (folder / "journals" / "seen.json").write_text('{"runs": 7, "seals": 0}')
    return made


def test_reconciling_holds_what_no_worker_has_looked_at_yet(pc: Run, sending: str, folder: Path) -> None:
    first = _told(pc("campaigns", "reconcile", "--json"))
    assert "older than what" in first["held"]
    shown = _told(pc("campaigns", "show", sending, "--json"))
    assert shown["state"] == "paused"
    released = _told(pc("campaigns", "reconcile", "--release", "--json"))
    assert (released["settled"], released["held"], released["paused"]) == ({"notice": 1}, None, [sending])
    with sqlite3.connect(folder / "preference-center.db") as line:
        assert line.execute("SELECT state FROM notices").fetchall() == [("dropped",)]


def test_reconciling_on_the_last_machine_alone_holds_too(pc: Run, sending: str) -> None:
    released = _told(pc("campaigns", "reconcile", "--release", "--json"))
    assert (released["settled"], released["paused"]) == ({"notice": 1}, [sending])
    assert _told(pc("campaigns", "show", sending, "--json"))["state"] == "paused"


def test_where_nothing_is_held_what_was_seen_stays(pc: Run, sending: str, folder: Path) -> None:
    seen = folder / "journals" / "seen.json"
    seen.write_text('{"runs": 0, "seals": 0}')
    assert _told(pc("campaigns", "reconcile", "--json"))["held"] is None
    assert seen.read_text() == '{"runs": 0, "seals": 0}'
    assert _told(pc("campaigns", "show", sending, "--json"))["state"] == "sending"


def _told(done: Any) -> Any:
    assert done.status == 0, done.err
    return json.loads(done.out)
