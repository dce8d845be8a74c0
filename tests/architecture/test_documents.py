"""The documents keep up with the code: every setting, command, dependency, reason and link is there."""

import ast
import re
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

from flask import Flask

from preference_center import cli, config
from preference_center.consent.eligibility import Reason
from preference_center.topics.purposes import PURPOSES
from tests.support.sources import MODULES, ROOT, read

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_setting_has_its_row_in_the_readme() -> None:
    table = README.replace("`…_", "`PREFERENCE_CENTER_")
    named = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", table))
    internal = {"EMBEDDED_DATABASE", "TESTING", "HOOKS"}
    settings = {field.name.upper() for field in fields(config.Settings)} - internal
    assert {name for name in settings if not {name, f"PREFERENCE_CENTER_{name}"} & named} == set()
    known = settings | {f"PREFERENCE_CENTER_{name}" for name in settings} | {"PREFERENCE_CENTER_ENV"}
    assert named - known == set(), "the README names settings that do not exist"


def requirements() -> dict[str, list[str]]:
    """The names of the libraries that the project asks for, to run and to test."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {"dependencies": project["dependencies"], "test": project["optional-dependencies"]["test"]}
    return {kind: [re.split(r"[\[<>=~ ]", one)[0] for one in some] for kind, some in asked.items()}


def test_every_dependency_has_its_line() -> None:
    told = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    names = [name for kind in requirements().values() for name in kind]
    spoken = {"psycopg": "psycopg 3", "redis": "redis-py", "rq": "| rq,"}
    assert [name for name in names if spoken.get(name, name) not in told] == []


# what a library brings along and lets its users import
COMES_WITH = {
    "alembic": "flask-migrate",
    "babel": "flask-babel",
    "dns": "email-validator",
    "idna": "email-validator",
    "markupsafe": "jinja2",
    "passlib": "flask-security-too",
    "werkzeug": "flask",
    "wtforms": "flask-wtf",
    "flask_login": "flask-security-too",
    "flask_security": "flask-security-too",
}
NEVER_IMPORTED = {"psycopg", "argon2-cffi"}  # SQLAlchemy's driver; Flask-Security's hash


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    imported = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(read(module))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            imported |= {name.split(".")[0] for name in names}
    ours = {"preference_center", "worker"} | set(sys.stdlib_module_names)
    spelled = {"markdown_it": "markdown-it-py"}
    needed = {COMES_WITH.get(name, spelled.get(name, name.replace("_", "-"))) for name in imported - ours}
    declared = set(requirements()["dependencies"])
    assert needed - declared == set()
    assert declared - needed == NEVER_IMPORTED


def test_every_reason_and_purpose_is_explained() -> None:
    told = (ROOT / "docs" / "consent-reference.md").read_text(encoding="utf-8")
    assert [word for word in [*Reason, *PURPOSES] if f"`{word}`" not in told] == []


def test_the_pages_for_a_data_protection_officer_are_two() -> None:
    """Issue 3. Printed on A4 at 10.5 points with 18 mm of margin, a thousand words with their two tables fill two pages."""
    told = (ROOT / "docs" / "consent.md").read_text(encoding="utf-8")
    assert len(told.split()) <= 1050
    assert "What is proven, and what is not" in told and "**no**" in told


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


def test_the_sample_proxies_log_no_token(app: Flask) -> None:
    """Neither as the address that was asked for nor, as Caddy would, in the headers of the answer that leads there."""
    sample = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    ((caddy, instead),) = re.findall(r'request>uri regexp "(.+)" "(.+)"', sample)
    ((nginx, kept),) = re.findall(r'"~(\S+)"\s+(\S+);', sample)
    paths = [
        rule.rule.replace("<token>", "S3cr3t.t0ken") for rule in app.url_map.iter_rules() if "<token>" in rule.rule
    ]
    assert len(paths) > 10
    for path in paths:
        assert "S3cr3t" not in re.sub(caddy, re.sub(r"\$(\d)", r"\\\1", instead), f"{path}?lang=pl"), f"Caddy: {path}"
        assert re.match(nginx.replace("(?<", "(?P<"), path) and kept == "$power/-", f"nginx: {path}"
    assert "request>headers delete" in sample and "resp_headers delete" in sample


def test_every_test_that_proves_a_promise_exists() -> None:
    named = re.findall(r"`(\w[\w/]*/test_\w+\.py)`", (ROOT / "docs" / "sending.md").read_text(encoding="utf-8"))
    assert len(named) >= 6
    assert [name for name in named if not (ROOT / "tests" / name).exists()] == []
