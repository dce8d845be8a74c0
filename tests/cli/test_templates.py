"""The commands about templates: kept, changed, listed, shown with their versions, used for a campaign, put away."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def made(pc: Run, tmp_path: Path) -> str:
    (tmp_path / "one.md").write_text("Hello {{ email }}")
    (tmp_path / "two.html").write_text("<p>Good day</p>")
    done = pc("templates", "add", "--name", "Monthly", "--subject", "News", "--markdown", tmp_path / "one.md")
    assert done.status == 0, done.err
    return done.out.strip()


def test_a_template_from_its_making_to_a_campaign(pc: Run, made: str, tmp_path: Path) -> None:
    changed = pc(
        "templates", "change", made, "--subject", "More news", "--html", tmp_path / "two.html", "--version", "1"
    )
    assert changed.out == f"Template {made} is saved as version 2.\n"
    [listed] = json.loads(pc("templates", "list", "--json").out)
    assert (listed["id"], listed["name"], listed["version"], listed["away"]) == (made, "Monthly", 2, False)
    shown = json.loads(pc("templates", "show", made, "--json").out)
    assert (shown["format"], shown["source"], shown["subject"]) == ("html", "<p>Good day</p>", "More news")
    assert "Hello {{ email }}" in pc("templates", "show", made, "--version", "1").out
    versions = json.loads(pc("templates", "versions", made, "--json").out)
    assert [(one["version"], one["subject"], one["by"]) for one in versions] == [
        (2, "More news", "cli"),
        (1, "News", "cli"),
    ]
    assert "More news" in pc("templates", "versions", made).out

    assert pc("topics", "add", "news", "--name", "Product news").status == 0
    older = pc(
        "templates", "use", made, "--name", "March", "--topic", "news", "--version", "1", "--segment", "language = en"
    )
    assert older.status == 0, older.err
    about = pc("campaigns", "show", older.out.strip()).out
    assert "subject: News" in about and 'for: language = "en"' in about
    newer = pc("templates", "use", made, "--name", "April", "--topic", "news", "--subject", "April")
    assert "subject: April" in pc("campaigns", "show", newer.out.strip()).out


def test_the_content_of_a_campaign_is_kept(pc: Run, made: str) -> None:
    assert pc("topics", "add", "news", "--name", "Product news").status == 0
    campaign = pc("templates", "use", made, "--name", "March", "--topic", "news", "--subject", "March").out.strip()
    kept = pc("templates", "keep", campaign, "--name", "As in March").out.strip()
    shown = json.loads(pc("templates", "show", kept, "--json").out)
    assert (shown["name"], shown["subject"], shown["source"]) == ("As in March", "March", "Hello {{ email }}")


def test_one_that_was_put_away_comes_back(pc: Run, made: str) -> None:
    assert pc("topics", "add", "news", "--name", "Product news").status == 0
    assert pc("templates", "retire", made).out == f"Template {made} is put away.\n"
    assert json.loads(pc("templates", "list", "--json").out) == []
    assert [one["id"] for one in json.loads(pc("templates", "list", "--away", "--json").out)] == [made]
    refused = pc("templates", "use", made, "--name", "March", "--topic", "news")
    assert refused.status == 1 and "put away" in refused.err
    assert pc("templates", "retire", made, "--undo").status == 0
    assert made in pc("templates", "list").out


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["change", "ID"], 2, "Say what is to change."),
        (["change", "ID", "--markdown", "one.md", "--html", "two.html"], 2, "Name the content once"),
        (["add", "--name", "A", "--subject", "B"], 2, "Name the content once"),
        (["add", "--name", "A", "--subject", "B", "--markdown", "bad.md"], 1, "Source, line 2"),
        (["change", "ID", "--subject", "Two", "--version", "7"], 1, "Somebody else saved this template meanwhile."),
        (["show", "aaaaaaaaaaaaaaaa"], 1, "There is no such template."),
        (["show", "ID", "--version", "7"], 1, "This template has no version 7."),
        (["use", "ID", "--name", "A", "--topic", "gossip"], 1, "There is no topic gossip."),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_plain_words(
    pc: Run, made: str, tmp_path: Path, arguments: list[str], status: int, says: str
) -> None:
    (tmp_path / "bad.md").write_text("Hello\n{{ nobody }}")
    given = [
        made if one == "ID" else str(tmp_path / one) if one.endswith((".md", ".html")) else one for one in arguments
    ]
    done = pc("templates", *given)
    assert done.status == status and says in done.err, done.err
    assert "Traceback" not in done.err and [
        one["version"] for one in json.loads(pc("templates", "list", "--json").out)
    ] == [1]
