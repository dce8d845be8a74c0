"""The documents keep up with the code: every setting, command, dependency, reason and link is there."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

from preference_center import cli, config
from preference_center.consent.eligibility import Reason
from preference_center.topics.purposes import PURPOSES
from tests.support.sources import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_setting_has_its_row_in_the_readme() -> None:
    table = README.replace("`…_", "`PREFERENCE_CENTER_")
    named = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", table))
    internal = {"EMBEDDED_DATABASE", "TESTING"}
    settings = {field.name.upper() for field in fields(config.Settings)} - internal
    assert {name for name in settings if not {name, f"PREFERENCE_CENTER_{name}"} & named} == set()
    known = settings | {f"PREFERENCE_CENTER_{name}" for name in settings} | {"PREFERENCE_CENTER_ENV"}
    assert named - known == set(), "the README names settings that do not exist"


def test_every_dependency_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    told = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    names = [re.split(r"[\[<>=~ ]", requirement)[0] for requirement in wanted]
    spoken = {"psycopg": "psycopg 3", "redis": "redis-py", "rq": "| rq,"}
    assert [name for name in names if spoken.get(name, name) not in told] == []


def test_every_reason_and_purpose_is_explained() -> None:
    told = (ROOT / "docs" / "consent.md").read_text(encoding="utf-8")
    assert [word for word in [*Reason, *PURPOSES] if f"`{word}`" not in told] == []


def test_every_command_a_document_names_exists() -> None:
    known = set(cli.cli.list_commands(None))  # type: ignore[arg-type]
    for document in DOCUMENTS:
        named = re.findall(r"preference-center ([a-z]{2,})\b(?!\.)", document.read_text(encoding="utf-8"))
        assert set(named) - known == set(), document.name


def test_every_link_between_documents_leads_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            if not target.startswith("https://"):
                assert (document.parent / target).exists(), f"{document.name}: {Path(target)}"
