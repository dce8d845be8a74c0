"""`campaigns`: by whose clock, until when, which version, once more, corrected, copied, tested on colleagues."""

import json
import sqlite3
from pathlib import Path

import pytest

from preference_center.delivery import sweeping
from tests.cli.conftest import Run, draft


@pytest.fixture
def made(people: Run, tmp_path: Path) -> str:
    return draft(people, tmp_path)


def test_a_time_can_be_meant_by_the_clocks_of_a_zone(pc: Run, made: str) -> None:
    done = pc("campaigns", "schedule", made, "--at", "2027-03-28T02:30", "--zone", "Europe/Warsaw")
    assert done.status == 0 and "is scheduled for" in done.out
    assert "Europe/Warsaw: the clocks jump over that time" in done.err  # T2


def test_a_time_can_be_meant_by_each_persons_own_clock(pc: Run, made: str) -> None:
    assert pc("campaigns", "schedule", made, "--at", "2027-03-10T09:00", "--zone", "theirs").status == 0
    shown = json.loads(pc("campaigns", "show", made, "--json").out)
    assert shown["state"] == "scheduled"


def test_campaigns_are_listed_with_the_ids_that_commands_take(pc: Run, made: str) -> None:
    copy = pc("campaigns", "duplicate", made).out.strip()
    assert [row["id"] for row in json.loads(pc("campaigns", "list", "--json").out)] == [copy, made]
    newest = pc("campaigns", "list", "--limit", "1").out.splitlines()
    assert len(newest) == 2 and newest[1].startswith(f"{copy}  draft")


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        (["--zone", "Europe/Warsaw"], 2, "give both"),
        (["--at", "2027-03-10T09:00+01:00", "--zone", "Europe/Warsaw"], 2, "no other zone"),
        (["--at", "2027-03-10T09:00", "--zone", "Warsaw"], 1, "no time zone"),
        (["--at", "2027-03-10T09:00", "--not-after", "2027-03-10T08:00"], 1, "after the start"),
        (["--version", "7"], 1, "version 1 was saved meanwhile"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    pc: Run, made: str, more: list[str], status: int, said: str
) -> None:
    done = pc("campaigns", "schedule", made, *more)
    assert done.status == status and said in done.err
    assert json.loads(pc("campaigns", "show", made, "--json").out)["state"] == "draft"


def test_copies_once_more_and_corrections_print_their_id(pc: Run, made: str) -> None:
    copy = pc("campaigns", "duplicate", made, "--name", "Two")
    assert copy.status == 0 and len(copy.out.strip()) == 16
    for verb in (["resend", made], ["resend", made, "--reason", "too_late"], ["correct", made]):
        refused = pc("campaigns", *verb)
        assert refused.status == 1 and "draft" in refused.err
    assert pc("campaigns", "schedule", made).status == 0
    assert pc("campaigns", "cancel", made).status == 0
    assert json.loads(pc("campaigns", "resend", made, "--json").out) == {}
    assert len(pc("campaigns", "correct", made).out.strip()) == 16


def test_a_test_goes_to_colleagues_alone(pc: Run, made: str) -> None:
    done = pc("campaigns", "test", made, "--to", "anna@example.org")
    assert done.status == 1 and "no users of the console" in done.err
    assert "anna@" not in done.err


def test_approving_from_the_command_line_is_written_down(pc: Run, made: str, environ: dict[str, str]) -> None:  # P7
    assert pc("campaigns", "schedule", made, "--version", "1", "--at", "2027-03-10T09:00+00:00").status == 0
    with sqlite3.connect(f"{environ['DATA_DIR']}/preference-center.db") as database:
        assert database.execute("SELECT version, by FROM campaign_approvals").fetchall() == [(1, "cli")]


def test_blocks_and_an_experiment_are_written_from_files(people: Run, pc: Run, tmp_path: Path) -> None:
    blocks, plan = tmp_path / "mail.json", tmp_path / "try.json"
    blocks.write_text('{"blocks": [{"type": "heading", "text": "Hello"}, {"type": "footer"}]}')
    plan.write_text('{"share": 50, "metric": "person", "wait_minutes": 60, "variants": [{"subject": "B"}]}')
    given = ["campaigns", "create", "--name", "X", "--topic", "news", "--subject", "A", "--blocks", blocks]
    made = pc(*given, "--try", plan)
    assert made.status == 0, made.err
    refused = pc("campaigns", "pick", made.out.strip(), "B")
    assert refused.status == 1 and "no winner to choose" in refused.err
    assert pc("campaigns", "archive", made.out.strip()).status == 0
    plan.write_text("{")
    assert "is no JSON" in pc(*given, "--try", plan).err
    blocks.write_text('{"blocks": [{"type": "footer"}, {"type": "divider"}]}')
    assert "blocks[0]: one footer" in pc(*given).err


def test_the_doctor_names_what_was_given_up_because_workers_died(pc: Run, made: str, folder: Path) -> None:  # K16
    with sqlite3.connect(folder / "preference-center.db") as line:
        line.execute("UPDATE campaigns SET state = 'paused', pause_reason = ?", [sweeping.STUCK])
    (found,) = [one for one in json.loads(pc("doctor", "--json").out) if one["check"] == "sending"]
    assert found["state"] == "warning" and f"campaign {made}: 5 workers in a row died" in found["words"]


def test_after_a_restore_the_doctor_says_what_to_do_and_reconcile_does_it(  # D3
    pc: Run, made: str, folder: Path
) -> None:
    nothing = pc("campaigns", "reconcile")
    assert (nothing.status, nothing.out) == (0, "The journals here know of nothing that the database does not.\n")
    (folder / "journals").mkdir(exist_ok=True)
    (folder / "journals" / "seen.json").write_text('{"runs": 7, "seals": 0}')
    doctor = pc("doctor", "--json")
    (found,) = [one for one in json.loads(doctor.out) if one["check"] == "sending"]
    assert found["state"] == "fault" and "campaigns reconcile" in found["words"]
    with sqlite3.connect(folder / "preference-center.db") as line:
        (contact,) = line.execute("SELECT public_id FROM contacts ORDER BY id LIMIT 1").fetchone()
    journal = folder / "journals" / "7-0badcafe.journal"
    journal.write_text(
        f"boot x\ncampaign {made}\nto 1 1 {contact}\nto 2 1 nobodyhasthisone\ndot 1 1\nreply 1 1 250\ndot 2 1\nreply 2 1 250\n"
    )
    done = pc("campaigns", "reconcile", "--release")
    assert done.status == 0, done.err
    assert "1 had left, and leave no second time" in done.out and "1 had left to people who are no contacts" in done.out
    assert json.loads(pc("campaigns", "show", made, "--json").out)["sent"] == 1
    assert "nothing keeps mail from leaving" in pc("doctor", "--json").out
    again = pc("campaigns", "reconcile", "--release", "--json")
    assert json.loads(again.out) == {"settled": {"unknown": 1}, "held": None, "other_machines": [], "paused": []}


def test_what_is_wrong_is_told_once(pc: Run, made: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty.md"
    empty.write_text("")
    said = [
        pc("campaigns", "schedule", made, "--at", "2027-03-10T09:00", "--zone", "Warsaw").err,
        pc("campaigns", "schedule", made, "--at", "2020-03-10T09:00").err,
        pc("campaigns", "create", "--name", "x", "--topic", "news", "--subject", "s", "--markdown", str(empty)).err,
        pc("campaigns", "create", "--name", "x", "--topic", "news", "--subject", "", "--markdown", str(empty)).err,
    ]
    assert said == [
        "There is no time zone 'Warsaw'; write one like Europe/Warsaw.\n",
        "Choose a moment from now on, within two years.\n",
        "Write the content of the mail.\n",
        "Give the mail a subject.\n",
    ]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00+12:00", "9999-12-31T23:59-12:00", "tomorrow"])
def test_a_moment_that_no_calendar_has_is_told(pc: Run, made: str, moment: str) -> None:
    for option in ("--at", "--not-after"):
        done = pc("campaigns", "schedule", made, "--at", "now", option, moment)
        assert done.status == 2 and "is no time. Write it as" in done.err


def test_a_scheduled_campaign_shows_when_it_starts_and_what_it_is(pc: Run, made: str) -> None:
    shown = pc("campaigns", "show", made).out
    assert "draft, version 1" in shown and "topic: news" in shown and "for: everyone who follows the topic" in shown
    more = ("--zone", "Europe/Warsaw", "--not-after", "2027-03-29T09:00+00:00")
    assert pc("campaigns", "schedule", made, "--at", "2027-03-28T09:30", *more).status == 0
    shown = pc("campaigns", "show", made).out
    assert "starts: 2027-03-28 07:30 UTC" in shown
    assert "planned for 2027-03-28 09:30 in Europe/Warsaw" in shown
    assert "not after: 2027-03-29 09:00 UTC" in shown
    assert "audience" not in shown, "who gets it is settled when it starts"
    assert json.loads(pc("campaigns", "show", made, "--json").out)["audience"] == 0


def test_a_scheduled_campaign_can_be_made_a_draft_again(pc: Run, made: str) -> None:
    assert pc("campaigns", "unschedule", made).status == 1
    assert pc("campaigns", "schedule", made, "--at", "2027-03-28T09:30").status == 0
    done = pc("campaigns", "unschedule", made)
    assert (done.status, done.out) == (0, f"Campaign {made} is a draft again.\n")
    assert json.loads(pc("campaigns", "show", made, "--json").out)["state"] == "draft"


def test_a_campaign_that_tries_nothing_has_no_winner(pc: Run, made: str) -> None:
    done = pc("campaigns", "pick", made)
    assert (done.status, done.err) == (1, "This campaign tries no other contents.\n")


def test_a_row_for_each_person_says_what_was_decided_and_on_what(pc: Run, made: str, folder: Path) -> None:
    assert pc("campaigns", "people", made).out == "Nobody.\n"
    assert pc("campaigns", "people", made, "--state", "gone").status == 2
    with sqlite3.connect(folder / "preference-center.db") as database:
        (campaign,) = database.execute("SELECT id FROM campaigns").fetchone()
        contacts = database.execute("SELECT id, public_id FROM contacts ORDER BY id").fetchall()
        number, record = database.execute("SELECT id, public_id FROM consent_records ORDER BY id").fetchone()
        add = (
            "INSERT INTO messages (campaign_id, contact_id, state, reason, record_id, attempt, reply_code, reply, changed_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1796029200000000)"
        )
        database.execute(add, (campaign, contacts[0][0], "sent", None, number, 2, 251, "forwarded"))
        database.execute(add, (campaign, contacts[1][0], "skipped", "no_consent", None, 0, None, None))
    shown = pc("campaigns", "people", made, "--json")
    assert shown.status == 0, shown.err
    first, second = json.loads(shown.out)
    assert first["contact"] == contacts[0][1]
    assert (first["state"], first["record"], first["tries"], first["reply"]) == ("sent", record, 2, "251 forwarded")
    assert (second["state"], second["reason"], second["record"], second["reply"]) == (
        "skipped",
        "no_consent",
        None,
        None,
    )
    assert [
        row["contact"] for row in json.loads(pc("campaigns", "people", made, "--reason", "no_consent", "--json").out)
    ] == [contacts[1][1]]
    with sqlite3.connect(folder / "preference-center.db") as database:  # the first one's second try is under way
        database.execute("UPDATE messages SET state = 'sending', reply_code = 450, reply = 'later' WHERE attempt = 2")
        database.execute(
            "INSERT INTO message_attempts (message_id, contact_id, number, reply_code, reply, at)"
            " SELECT id, contact_id, 1, 450, 'later', 1796029100000000 FROM messages WHERE attempt = 2"
        )
    [first] = json.loads(pc("campaigns", "people", made, "--state", "sending", "--json").out)
    assert (first["reply"], [(one["number"], one["reply"]) for one in first["attempts"]]) == (
        "450 later",
        [(1, "450 later")],
    )


def test_an_ended_campaign_is_compared_and_tells_who_left(pc: Run, made: str, folder: Path) -> None:
    refused = pc("campaigns", "compare", made)
    assert (refused.status, refused.err) == (1, "This campaign is draft; only one that has ended can be compared.\n")
    with sqlite3.connect(folder / "preference-center.db") as database:
        database.execute("UPDATE campaigns SET state = 'sent', started_at = 1, finished_at = 2")
    found = json.loads(pc("campaigns", "compare", made, "--json").out)
    assert [(one["id"], one["handed_over"], one["left"]) for one in found] == [(made, 0, 0)]
    assert "Of those who got it, 0 left the topic since." in pc("campaigns", "show", made).out


def test_a_draft_is_changed_into_its_next_version(pc: Run, made: str, tmp_path: Path) -> None:
    file = tmp_path / "next.md"
    file.write_text("Another content.")
    assert pc("segments", "add", "Polish", "language = pl").status == 0
    done = pc("campaigns", "edit", made, "--subject", "Two", "--markdown", str(file), "--segment", "Polish")
    assert (done.status, done.out) == (0, f"Campaign {made} is saved as version 2.\n")
    shown = pc("campaigns", "show", made).out
    assert "version 2" in shown and "subject: Two" in shown and 'for: segment "Polish"' in shown
    assert pc("campaigns", "edit", made, "--everyone").status == 0
    shown = pc("campaigns", "show", made).out
    assert "subject: Two" in shown and "for: everyone" in shown, "what was not said stays"


def test_leaving_somebody_out_keeps_the_rule_that_was_there(pc: Run, made: str) -> None:
    for name, rule in {"Polish": "language = pl", "VIP": "language = es", "Staff": "language = en"}.items():
        assert pc("segments", "add", name, rule).status == 0

    def meant(*more: str) -> str:
        done = pc("campaigns", "edit", made, *more)
        assert done.status == 0, done.err
        (line,) = (line for line in pc("campaigns", "show", made).out.splitlines() if "for: " in line)
        return line.partition("for: ")[2]

    assert meant("--exclude", "VIP") == 'not segment "VIP"'
    assert meant("--segment", "Polish") == 'segment "Polish"'
    assert meant("--exclude", "VIP") == 'segment "Polish" and not segment "VIP"'
    assert meant("--exclude", "Staff") == 'segment "Polish" and not segment "VIP" and not segment "Staff"'
    assert meant("--segment", "Polish", "--segment", "Staff") == 'segment "Polish" or segment "Staff"'
    assert meant("--exclude", "VIP") == '(segment "Polish" or segment "Staff") and not segment "VIP"'
    assert meant("--everyone", "--exclude", "VIP") == 'not segment "VIP"'


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ([], 2, "Say what is to change."),
        (["--everyone", "--segment", "language = pl"], 2, "not both"),
        (["--subject", "{{ nonsense }}"], 1, "There is no field `nonsense`."),
        (["--segment", "langage = pl"], 1, "Did you mean `language`?"),
        (["--topic", "nothing"], 1, "There is no topic nothing."),
        (["--subject", "x", "--version", "7"], 1, "Somebody else saved this campaign meanwhile."),  # P13
    ],
)
def test_what_cannot_be_changed_is_refused(pc: Run, made: str, more: list[str], status: int, said: str) -> None:
    done = pc("campaigns", "edit", made, *more)
    assert done.status == status and said in done.err
    assert "version 1" in pc("campaigns", "show", made).out
