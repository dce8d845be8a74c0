"""The commands about segments: kept, listed, shown, checked, used and removed."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import ROWS, Run


@pytest.fixture
def people(pc: Run, tmp_path: Path) -> Run:
    file = tmp_path / "people.csv"
    file.write_text(ROWS)
    assert pc("topics", "add", "news", "--name", "Product news").status == 0
    terms = ("--source", "shop", "--basis", "consent", "--topic", "news", "--wording", "I want news.")
    assert pc("contacts", "import", file, "--map", "email=E-mail,first_name=Name", *terms).status == 0
    return pc


def test_a_segment_from_its_making_to_its_end(people: Run, tmp_path: Path) -> None:
    pc = people
    assert pc("segments", "list").out.startswith("There are no segments yet")
    assert pc("segments", "add", "Berts", "first_name = bert").out == "The segment Berts was added.\n"
    assert pc("segments", "add", "berts", "everyone").status == 1
    [listed] = json.loads(pc("segments", "list", "--json").out)
    assert (listed["name"], listed["text"]) == ("Berts", 'first_name = "bert"')
    found = json.loads(pc("contacts", "list", "--segment", "BERTS", "--json").out)
    assert [one["email"] for one in found] == ["bert@example.org"]

    mail = tmp_path / "mail.md"
    mail.write_text("Hello")
    more = ("--segment", "Berts", "--segment", "language = en", "--exclude", "first_name contains nn")
    made = pc("campaigns", "create", "--name", "One", "--topic", "news", "--subject", "Hi", "--markdown", mail, *more)
    assert made.status == 0, made.err
    shown = json.loads(pc("segments", "show", "Berts", "--topic", "news", "--json").out)
    assert shown["people"] == shown["matched"] == 1
    assert (shown["allowed"], shown["refused"]) == (0, {"no_consent": 1})
    assert shown["used_in_campaigns"] == [made.out.strip()]
    refused = pc("segments", "remove", "Berts")
    assert refused.status == 1 and "One" in refused.err

    assert pc("segments", "add", "Free", "-", "--from-json").status == 1
    assert pc("segments", "add", "Free", '{"field": "first_name", "op": "is unknown"}', "--from-json").status == 0
    assert "used nowhere" in pc("segments", "show", "free").out
    assert pc("segments", "remove", "free").out == "The segment Free was removed.\n"
    assert pc("segments", "show", "free").status == 1


def test_check_reads_a_rule_and_keeps_nothing(people: Run) -> None:
    checked = people("segments", "check", "language is en and not follows news", "--topic", "news")
    assert checked.err == ""
    told = checked.out
    assert told.startswith('language = "en" and not follows "news"\npeople: 1\n')
    assert "no_consent" in told
    found = json.loads(people("segments", "check", "everyone", "--json").out)
    assert found == {
        "text": "everyone",
        "rule": {"everyone": True},
        "people": 2,
        "exact": True,
        "give_or_take": 0,
        "cut": False,
    }
    assert people("segments", "list", "--json").out == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("segments", "check", "language = pl and\n citty = x"), "Line 2, column 2: There is no field `citty`."),
        (("segments", "check", '{"all": [{"got": "x"}]}', "--from-json"), "At $.all[0].got: There is no campaign `x`."),
        (("segments", "add", "A", 'segment "B"'), "Line 1, column 9: There is no segment `B`."),
        (("contacts", "list", "--segment", "citty = x"), "Line 1, column 1: There is no field `citty`."),
        (("segments", "check", "everyone", "--topic", "gossip"), "There is no topic gossip."),
    ],
)
def test_a_fault_is_one_line_with_its_place(people: Run, arguments: tuple[str, ...], says: str) -> None:
    refused = people(*arguments)
    assert refused.status == 1
    assert refused.out == ""
    assert refused.err.startswith(says) and refused.err.count("\n") == 1


def test_a_segment_gets_another_rule_and_name(pc: Run) -> None:
    assert pc("segments", "add", "Near", "language = pl").status == 0
    assert pc("segments", "change", "near", "language = es").out == "The segment Near is saved as version 2.\n"
    assert pc("segments", "change", "Near", "language = es", "--name", "Far", "--version", "2").status == 0
    [listed] = json.loads(pc("segments", "list", "--json").out)
    assert (listed["name"], listed["text"], listed["version"]) == ("Far", 'language = "es"', 3)
    for arguments, said in [
        (["Near", "language = es"], "There is no segment Near."),
        (["Far", "langage = es"], "Did you mean `language`?"),
        (["Far", 'segment "Far"'], "would be part of itself"),
        (["Far", "language = es", "--version", "1"], "Somebody else saved this segment meanwhile."),
    ]:
        done = pc("segments", "change", *arguments)
        assert done.status == 1 and said in done.err, done.err
