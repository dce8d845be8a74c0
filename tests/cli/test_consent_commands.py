"""`tracking`, `ledger guardian`, `ledger verify --evidence` and the length of a consent, from the command line."""

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_privacy import ask, people  # noqa: F401 - a fixture


def test_the_switch_to_be_seen_is_offered_and_taken_away(pc: Run, folder: Path) -> None:  # S63
    assert pc("tracking", "on").status == 0 and pc("tracking", "on").status == 0
    assert "tracking" in pc("topics", "list").out
    texts = ask(folder, "SELECT count(DISTINCT language) FROM wordings")
    assert texts == [(4,)]
    assert pc("tracking", "off").status == 0
    assert ask(folder, "SELECT count(*) FROM topics WHERE key = 'tracking' AND retired_at IS NOT NULL") == [(1,)]


@pytest.mark.usefixtures("people")
def test_a_topic_limits_how_long_a_consent_lasts(pc: Run, folder: Path, tmp_path: Path) -> None:  # S74
    assert pc("topics", "edit", "news", "--valid-months", 24).status == 0
    (tmp_path / "more.csv").write_text("email\ncleo@example.org\n")
    terms = ("--source", "shop", "--basis", "consent", "--topic", "news", "--consented-on", "2026-01-02")
    assert pc("contacts", "import", tmp_path / "more.csv", *terms).status == 0
    (until,) = [value for (value,) in ask(folder, "SELECT until FROM subscriptions") if value]
    assert datetime.fromtimestamp(int(str(until)) / 1e6, UTC).date().isoformat() == "2028-01-02"


@pytest.mark.usefixtures("people")
def test_what_decided_tells_the_rules_that_were_applied(pc: Run) -> None:  # S78
    told = json.loads(pc("explain", "anna@example.org", "--topic", "news", "--json").out)
    country, known, version = told["record"]["rules"].split("/")
    assert (country, known) == ("--", "assumed") and len(version) == 10


@pytest.mark.usefixtures("people")
def test_a_guardian_agrees_for_a_child_and_is_on_record(pc: Run, folder: Path) -> None:  # S79
    assert (
        pc("ledger", "guardian", "anna@example.org", "--topic", "news", "--by", "a parent").out
        == "The topic is on already.\n"
    )
    assert pc("topics", "add", "toys", "--name", "Toys").status == 0
    assert pc("ledger", "guardian", "anna@example.org", "--topic", "toys", "--by", "a parent").out == "Written down.\n"
    assert ask(folder, "SELECT actor, action FROM consent_records ORDER BY id DESC LIMIT 1") == [("guardian", "given")]


@pytest.mark.usefixtures("people")
def test_verifying_opens_the_evidence_when_asked_to(pc: Run, folder: Path) -> None:  # S70
    told = pc("ledger", "verify", "--evidence")
    assert told.status == 0 and "2 locked details were opened" in told.out, told.err
    connection = sqlite3.connect(folder / "preference-center.db")
    connection.execute(
        "UPDATE consent_evidence SET detail = (SELECT detail FROM consent_evidence ORDER BY record_id DESC LIMIT 1)"
    )
    connection.commit()
    connection.close()
    assert pc("ledger", "verify").status == 0, "the chain holds digests alone"
    told = pc("ledger", "verify", "--evidence")
    assert told.status == 1 and "was changed or moved" in told.err


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("value", ["'nonsense'", "x'00'", "CAST(x'E2' AS TEXT)"])
@pytest.mark.parametrize("column", ["action", "purpose_key", "public_id"])
def test_a_record_that_holds_nonsense_is_named_in_a_line(pc: Run, folder: Path, column: str, value: str) -> None:  # S70
    from preference_center.commands import desk
    from preference_center.consent.chain import seal
    from preference_center.db import transaction

    with desk.app(), transaction():
        seal.seal_all()
    connection = sqlite3.connect(folder / "preference-center.db")
    connection.execute(f"UPDATE consent_records SET {column} = {value} WHERE id = 1")
    connection.commit()
    connection.close()
    told = pc("ledger", "verify")
    *_progress, first, second = told.err.splitlines()
    assert told.status == 1 and "(number 1) is not what was sealed" in first and "nobody's state was compared" in second
    assert json.loads(pc("ledger", "verify", "--json").out)["differences"] is None


@pytest.mark.usefixtures("people")
def test_the_doctor_warns_of_requests_that_must_be_answered(pc: Run, folder: Path) -> None:  # S101
    from preference_center import config
    from preference_center.commands.installing import checks

    def told() -> tuple[str, str]:
        return checks._requests(config.read())

    assert told()[0] == checks.OK
    connection = sqlite3.connect(folder / "preference-center.db")
    connection.execute(
        "INSERT INTO data_requests (public_id, contact_id, kind, state, asked_by, asked_through, detail, asked_at, due_at)"
        " VALUES ('x', 1, 'access', 'open', 'person', 'link', '', 0, 1)"
    )
    connection.commit()
    connection.close()
    state, words = told()
    assert state == checks.WARNING and words.startswith("1 must be answered within seven days")
