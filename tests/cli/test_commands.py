"""Each command on a real database: what it prints for people and for programs, and what it changes."""

import csv
import json
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from preference_center import cli, clock
from tests.cli.conftest import ROWS, Run, draft, ended


def test_every_command_has_help_with_an_example(pc: Run) -> None:
    def leaves(command: object, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        names = getattr(command, "list_commands", None)
        if names is None:
            return [path]
        return [path, *(leaf for n in names(None) for leaf in leaves(command.get_command(None, n), (*path, n)))]  # type: ignore[attr-defined]

    found = leaves(cli.cli, ())
    assert len(found) > 25
    for path in found:
        shown = pc(*path, "--help")
        assert shown.status == 0 and "Example:" in shown.out, path


def test_the_list_of_commands_says_what_each_command_says_of_itself(pc: Run) -> None:
    listed = pc("--help").out
    for name in cli._COMMANDS:
        assert f"\n  {name} " in listed


def test_help_is_quick(environ: dict[str, str]) -> None:
    """It loads neither Flask nor SQLAlchemy; the margin is for a busy machine."""
    ended(environ, "--help")
    begun = time.process_time(), os.times().children_user
    assert ended(environ, "--help").status == 0
    assert os.times().children_user - begun[1] < 0.5


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["topics", "add"], ["campaigns", "schedule", "x", "--at", "soon"], ["worker", "nowhere"], ["demo", "--port", "0"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_status_2(pc: Run, arguments: list[str]) -> None:
    done = pc(*arguments)
    assert done.status == 2 and done.err.startswith("Usage:") and "Traceback" not in done.err


def test_topics_are_added_and_listed(pc: Run) -> None:
    assert pc("topics", "list").out == "There are no topics yet: topics add makes one.\n"
    assert pc("topics", "add", "news", "--name", "Product news").out == "Topic news was added.\n"
    assert json.loads(pc("topics", "list", "--json").out) == [
        {"key": "news", "name": "Product news", "purpose": "email_marketing"}
    ]
    again = pc("topics", "add", "news", "--name", "Product news")
    assert (again.status, again.err) == (1, "There is a topic news already.\n")


def test_an_import_tells_its_figures_and_faults_by_line(pc: Run, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(ROWS)
    pc("topics", "add", "news", "--name", "Product news")
    terms = (
        "--map",
        "email=E-mail",
        "--map",
        "first_name=Name",
        "--source",
        "shop",
        "--basis",
        "consent",
        "--topic",
        "news",
    )
    dry = pc("contacts", "import", file, *terms, "--dry-run")
    assert "2 would be new" in dry.out and "Nothing was stored" in dry.out
    assert pc("contacts", "list", "--json").out == "[]\n"
    done = pc("contacts", "import", file, *terms)
    assert "3 rows: 2 new" in done.out and "1 given, 1 no date" in done.out and "line 4: email:" in done.out
    again = json.loads(pc("contacts", "import", file, *terms, "--json").out)
    assert (again["new"], again["unchanged"], again["refused"]) == (0, 2, 1)
    assert again["faults"][0]["line"] == 4 and "nobody" not in json.dumps(again["faults"])


def test_contacts_are_listed_by_segment_and_shown(people: Run) -> None:
    rows = json.loads(people("contacts", "list", "--json").out)
    assert [row["email"] for row in rows] == ["anna@example.org", "bert@example.org"]
    assert set(rows[0]) == {"id", "email", "language"}
    assert len(json.loads(people("contacts", "list", "--limit", "1", "--json").out)) == 1
    found = json.loads(people("contacts", "list", "--segment", 'first_name = "Bert"', "--json").out)
    assert [row["email"] for row in found] == ["bert@example.org"]
    shown = json.loads(people("contacts", "show", "anna@example.org", "--json").out)
    assert shown["topics"] == [{"key": "news", "allowed": True, "reason": None}]
    assert shown["records"][0]["wording"] == "I want news."
    assert "no_consent" in people("contacts", "show", "bert@example.org").out


def test_an_export_is_private_whole_and_harmless_in_a_spreadsheet(people: Run, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    assert people("contacts", "export", file).out == f"2 contacts were written to {file}.\n"
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["email"], row["first_name"], row["news"]) for row in rows] == [
        ("anna@example.org", "'=Anna", "given"), ("bert@example.org", "Bert", ""),
    ]  # fmt: skip
    assert file.stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.glob(".out*")] == []


def test_a_campaign_goes_through_its_states(people: Run, tmp_path: Path) -> None:
    number = draft(people, tmp_path, "--segment", "language = en")
    shown = json.loads(people("campaigns", "show", number, "--json").out)
    assert list(shown) == [
        "state", "audience", "queued", "sending", "sent", "delivered", "bounced", "complained", "failed", "uncertain", "skipped",
    ]  # fmt: skip
    assert (shown["state"], shown["skipped"]) == ("draft", {})
    assert people("campaigns", "pause", number).status == 1
    assert people("campaigns", "schedule", number, "--at", (clock.now() + timedelta(days=3)).isoformat()).status == 0
    assert json.loads(people("campaigns", "show", number, "--json").out)["state"] == "scheduled"
    assert people("campaigns", "cancel", number).status == 0
    refused = people("campaigns", "resume", number)
    assert refused.status == 1 and refused.err.count("\n") == 1


def test_explain_names_the_record_and_the_wording(people: Run) -> None:
    yes = json.loads(people("explain", "anna@example.org", "--topic", "news", "--json").out)
    assert (yes["allowed"], yes["reason"]) == (True, None)
    assert yes["record"]["action"] == "given" and yes["record"]["wording"]["text"] == "I want news."
    no = json.loads(people("explain", "bert@example.org", "--topic", "news", "--json").out)
    assert no == {"allowed": False, "reason": "no_consent", "record": None}
    assert people("explain", "anna@example.org", "--topic", "news").out.startswith("Yes: may be mailed.")


def test_explain_looks_back_and_leaves_the_present_alone(people: Run) -> None:
    then = json.loads(people("explain", "anna@example.org", "--topic", "news", "--at", "2025-01-01", "--json").out)
    assert then == {"allowed": False, "reason": "no_consent", "record": None}, "it was not recorded yet"
    assert json.loads(people("explain", "anna@example.org", "--topic", "news", "--json").out)["allowed"]
    assert people("ledger", "verify").status == 0
    ahead = people("explain", "anna@example.org", "--topic", "news", "--at", "2099-01-01")
    assert ahead.status == 1 and "has passed" in ahead.err


def test_links_are_the_persons_own_and_each_look_is_audited(people: Run, environ: dict[str, str]) -> None:
    from preference_center import config, signed_links
    from preference_center.accounts.audit import AuditEntry
    from preference_center.commands import desk
    from preference_center.db import db

    found = json.loads(people("links", "anna@example.org", "--topic", "news", "--json").out)
    everything = json.loads(people("links", "anna@example.org", "--json").out)
    ring = signed_links.KeyRing(config.read(environ).link_keys)
    person, topic, _ = ring.read(signed_links.Power.unsub, found["unsubscribe"].rpartition("/u/")[2])
    assert topic == "news" and ring.read(signed_links.Power.manage, found["manage"].rpartition("/p/")[2]) == [person, 0]
    assert ring.read(signed_links.Power.unsub, everything["unsubscribe"].rpartition("/")[2])[1] == "*"
    with desk.app():
        noted = db.session.scalars(db.select(AuditEntry).where(AuditEntry.action == "contact.links_shown")).all()
        assert [entry.object_id for entry in noted] == [person, person]


def test_a_new_link_key_signs_and_old_links_go_on(people: Run, environ: dict[str, str]) -> None:
    from preference_center import config, signed_links

    old = json.loads(people("links", "anna@example.org", "--json").out)["unsubscribe"].rpartition("/")[2]
    assert people("keys", "add").status == 0
    assert json.loads(people("keys", "list", "--json").out) == [{"id": "1", "signs": False}, {"id": "2", "signs": True}]
    ring = signed_links.KeyRing(config.read(environ).link_keys)
    assert ring.read(signed_links.Power.unsub, old)[1] == "*"
    assert (
        json.loads(people("links", "anna@example.org", "--json").out)["unsubscribe"].rpartition("/")[2].startswith("2.")
    )


def test_where_the_keys_are_given_the_new_value_is_printed(pc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINK_KEYS", "a:" + "k" * 32)
    done = pc("keys", "add")
    assert done.status == 0 and done.out.startswith(f"LINK_KEYS=a:{'k' * 32},1:")
    assert json.loads(pc("keys", "list", "--json").out) == [{"id": "a", "signs": True}]


def test_a_user_gets_a_link_and_never_a_password(pc: Run) -> None:
    done = pc("users", "create", "boss@example.com", "--role", "owner")
    assert done.status == 0 and "/admin/" in done.out and done.out.count("\n") == 1
    assert json.loads(pc("users", "create", "boss@example.com", "--role", "viewer", "--json").out)["role"] == "viewer"


def test_who_lost_the_phone_gets_a_link_and_keeps_the_role(pc: Run) -> None:
    pc("users", "create", "boss@example.com", "--role", "marketer")
    done = pc("users", "reset-second-factor", "boss@example.com")
    assert done.status == 0 and "/admin/invitation/" in done.out and done.out.count("\n") == 1
    assert json.loads(pc("users", "reset-second-factor", "boss@example.com", "--json").out)["role"] == "marketer"


def test_a_ledger_that_disagrees_is_status_1_and_names_the_contact(people: Run) -> None:
    from preference_center.commands import desk
    from preference_center.consent.models import State, Subscription
    from preference_center.db import db, transaction

    sound = people("ledger", "verify")
    assert (sound.status, "every contact's state is what they say" in sound.out) == (0, True)
    assert "1 records wait for their seal" in sound.out and "No checkpoint was compared" in sound.out
    with desk.app(), transaction():
        db.session.execute(db.update(Subscription).values(state=State.withdrawn))
    wrong = people("ledger", "verify", "--json")
    assert wrong.status == 1 and json.loads(wrong.out)["differences"] == 1 and "1 contacts stand otherwise" in wrong.err
