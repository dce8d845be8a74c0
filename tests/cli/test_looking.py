"""A campaign looked at from the command line before it goes: its faults, its audience, its mail, its versions."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

SOURCE = "[DRAFT] Hello {{ first_name }}\n\nThe new coats are [here](http://shop.example.com), come and see.\n"


@pytest.fixture
def made(people: Run, tmp_path: Path) -> str:
    (tmp_path / "mail.md").write_text(SOURCE)
    done = people(
        "campaigns", "create", "--name", "One", "--topic", "news", "--subject", "Hi", "--markdown", tmp_path / "mail.md"
    )
    assert done.status == 0, done.err
    return done.out.strip()


def test_a_check_names_faults_with_their_lines_and_who_gets_it(pc: Run, made: str) -> None:
    found = json.loads(pc("campaigns", "check", made, "--json").out)
    assert [one["weight"] for one in found["checks"]] == ["fix", "know", "know"]
    lines = {one["key"].partition("-")[0]: one["line"] for one in found["checks"]}
    assert lines == {"draft": 1, "odd_link": 3, "no_preheader": None}
    assert (found["matched"], found["allowed"], found["refused"]) == (2, 1, {"no_consent": 1})
    told = pc("campaigns", "check", made).out
    assert "to fix: A mark of a draft is still in the subject or the text. (line 1)" in told
    assert "no_consent" in told and "may be mailed" in told


def test_a_bare_field_is_told_also_where_nobody_gets_it_yet(pc: Run, made: str) -> None:
    assert pc("topics", "add", "offers", "--name", "Offers").status == 0
    assert pc("campaigns", "edit", made, "--topic", "offers").status == 0
    found = json.loads(pc("campaigns", "check", made, "--json").out)
    assert found["allowed"] == 0
    assert "no_default" in {one["key"].partition("-")[0] for one in found["checks"]}


def test_a_mail_is_seen_as_somebody_gets_it(pc: Run, made: str, tmp_path: Path) -> None:
    seen = pc("campaigns", "preview", made, "--as", "bert@example.org", "--html", tmp_path / "mail.html")
    assert seen.out.startswith("Hi\n\n") and "Hello Bert" in seen.out
    html = (tmp_path / "mail.html").read_text()
    assert "Hello Bert" in html and 'href="#preview"' in html and "shop.example.com" not in html
    assert "Hello Anna" in json.loads(pc("campaigns", "preview", made, "--json").out)["html"]
    none = pc("campaigns", "preview", made, "--content", "B")
    assert (none.status, none.err) == (1, "There is no content 'B'. There are: A.\n")
    stranger = pc("campaigns", "preview", made, "--as", "nobody@example.org")
    assert stranger.status == 1 and stranger.err.count("\n") == 1


def test_every_version_can_be_looked_at_and_worked_on(pc: Run, made: str, tmp_path: Path) -> None:
    assert pc("campaigns", "content", made).out == SOURCE
    (tmp_path / "two.md").write_text("Good day to all of you, dear readers")
    assert pc("campaigns", "edit", made, "--subject", "Two", "--markdown", tmp_path / "two.md").status == 0
    listed = json.loads(pc("campaigns", "versions", made, "--json").out)
    assert [(one["version"], one["subject"], one["approved"]) for one in listed] == [
        (2, "Two", False),
        (1, "Hi", False),
    ]
    assert pc("campaigns", "content", made, "--version", "1").out == SOURCE
    assert pc("campaigns", "content", made, "--text").out == "\n"
    assert pc("campaigns", "schedule", made, "--at", "2027-03-10T09:00+00:00").status == 0
    assert "2 approved" in pc("campaigns", "versions", made).out
    missing = pc("campaigns", "content", made, "--version", "7")
    assert (missing.status, missing.err) == (1, "This campaign has no version 7.\n")


def test_what_is_tried_first_can_be_changed_and_dropped(pc: Run, made: str, tmp_path: Path) -> None:
    plan = tmp_path / "try.json"
    plan.write_text(
        json.dumps(
            {"share": 20, "metric": "clicked", "wait_minutes": 60, "variants": [{"subject": "B"}, {"subject": "C"}]}
        )
    )
    assert pc("campaigns", "edit", made, "--try", plan).status == 0
    assert [one["letter"] for one in json.loads(pc("campaigns", "pick", made, "--json").out)["scores"]] == [
        "A",
        "B",
        "C",
    ]
    assert pc("campaigns", "edit", made, "--subject", "Other").status == 0
    assert len(json.loads(pc("campaigns", "pick", made, "--json").out)["scores"]) == 3, "what is not named stays"
    both = pc("campaigns", "edit", made, "--try", plan, "--try-none")
    assert both.status == 2 and "not both" in both.err
    assert pc("campaigns", "edit", made, "--try-none").status == 0
    assert "tries no other contents" in pc("campaigns", "pick", made).err
    plan.write_text("[1]")
    assert "no JSON object" in pc("campaigns", "edit", made, "--try", plan).err
