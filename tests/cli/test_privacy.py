"""`privacy`: export to a file of one's own, erase after a question, what is kept no longer."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Run

PEOPLE = "email,first name\nanna@example.org,Anna\nbo@example.org,Bo\n"


@pytest.fixture
def people(pc: Run, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(PEOPLE)
    assert pc("topics", "add", "news", "--name", "Product news").status == 0
    terms = ("--source", "shop", "--basis", "consent", "--topic", "news", "--consented-on", "2026-01-02")
    done = pc("contacts", "import", tmp_path / "people.csv", *terms, "--wording", "I agree to get news.")
    assert done.status == 0, done.err


def ask(folder: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(folder / "preference-center.db")
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def test_an_export_is_for_its_owner_alone(pc: Run, people: None, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "anna.json"
    done = pc("privacy", "export", "anna@example.org", file)
    assert (done.status, done.err) == (0, "")
    assert json.loads(file.read_text())["held"]["contacts"][0]["email"] == "anna@example.org"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "bo@example.org" not in file.read_text()
    assert ask(folder, "SELECT actor, action FROM audit_entries WHERE action LIKE 'privacy%'") == [
        ("cli", "privacy.access")
    ]


def test_an_export_to_html_is_readable(pc: Run, people: None, tmp_path: Path) -> None:
    assert pc("privacy", "export", "anna@example.org", tmp_path / "anna.html").status == 0
    text = (tmp_path / "anna.html").read_text()
    assert text.lstrip().startswith("<!doctype html>") and "anna@example.org" in text and "About you" in text


def test_erasing_asks_first(pc: Run, people: None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["n", "y"])
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _words: next(answers))
    assert pc("privacy", "erase", "anna@example.org").status == 1
    assert len(ask(folder, "SELECT 1 FROM contacts WHERE email IS NOT NULL")) == 2
    done = pc("privacy", "erase", "anna@example.org")
    assert done.status == 0 and "Reference of the request" in done.out
    assert ask(folder, "SELECT email FROM contacts WHERE email IS NOT NULL") == [("bo@example.org",)]


def test_erasing_for_programs_says_the_reference(pc: Run, people: None, folder: Path) -> None:
    done = pc("privacy", "erase", "anna@example.org", "--yes", "--json")
    assert set(json.loads(done.out)) == {"request", "contact"}
    assert ask(folder, "SELECT kind, asked_by, asked_through FROM data_requests") == [("erasure", "cli", "cli")]
    assert ("cli", "privacy.erasure") in ask(folder, "SELECT actor, action FROM audit_entries")
    assert b"anna@example.org" not in (folder / "preference-center.db").read_bytes()


@pytest.mark.parametrize(
    "command", [("export", "nobody@example.org", "x.json"), ("erase", "nobody@example.org", "--yes")]
)
def test_somebody_we_do_not_know_is_refused_in_one_line(
    pc: Run, people: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = pc("privacy", *command)
    assert (done.status, done.out) == (1, "")
    assert done.err.count("\n") == 1 and "nobody@" not in done.err
    assert not (tmp_path / "x.json").exists()


def test_retention_counts_and_deletes(pc: Run, people: None) -> None:
    found = json.loads(pc("privacy", "retention", "--dry-run", "--json").out)
    assert found["dry_run"] is True and set(found["counts"].values()) == {0}
    assert "unconfirmed sign ups" in pc("privacy", "retention").out
