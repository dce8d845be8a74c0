"""Runs commands as an operator does: in this process with the streams caught, or as real processes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from preference_center import cli, config
from preference_center.supervisor import free_port


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str


Run = Callable[..., Ended]
ROWS = "E-mail,Name,Consent date\nanna@example.org,=Anna,2024-05-31\nbert@example.org,Bert,\nnobody,X,2024-01-01\n"


def settings_in(folder: Path, **more: str) -> dict[str, str]:
    port = free_port()
    return {
        "DATA_DIR": str(folder),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "RELAY_URL": "smtp://127.0.0.1:1",
        "MAIL_FROM": "Example Shop <news@example.com>",
        "ORGANISATION": "Example Shop Ltd",
        "POSTAL_ADDRESS": "1 Long Street, 00-001 Warsaw, Poland",
        "PREFERENCE_CENTER_PORT": str(port),
        **more,
    }


@pytest.fixture
def folder(tmp_path: Path, sqlite_template: Path) -> Path:
    """A DATA_DIR with an empty database, all tables made."""
    made = tmp_path / "data"
    made.mkdir(mode=0o700)
    shutil.copy(sqlite_template, made / "preference-center.db")
    return made


@pytest.fixture
def environ(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings of that folder, in this process's environment and nothing of the outer one."""
    clean = config.environment(settings_in(folder))
    for name in set(os.environ) - set(clean):
        monkeypatch.delenv(name, raising=False)
    for name, value in clean.items():
        monkeypatch.setenv(name, value)
    return clean


@pytest.fixture
def pc(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """`pc("topics", "list")` runs the command with everything but the interpreter's start, and catches what it says."""
    before = os.umask(0o022)

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["preference-center", *(str(argument) for argument in arguments)])
        capsys.readouterr()
        status = cli._run()
        said = capsys.readouterr()
        return Ended(status, said.out, said.err)

    yield run
    os.umask(before)
    structlog.reset_defaults()


def process(environ: dict[str, str], *arguments: str, **options: Any) -> "subprocess.Popen[str]":
    """The command as a process of its own, as a user starts it."""
    command = [sys.executable, "-P", "-m", "preference_center", *arguments]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, env=environ, text=True, **options)


def ended(environ: dict[str, str], *arguments: str, seconds: float = 60) -> Ended:
    with process(environ, *arguments) as running:
        out, err = running.communicate(timeout=seconds)
    return Ended(running.returncode, out, err)


@pytest.fixture
def people(pc: Run, tmp_path: Path) -> Run:
    """A topic and two people: anna agreed, bert did not."""
    file = tmp_path / "people.csv"
    file.write_text(ROWS)
    assert pc("topics", "add", "news", "--name", "Product news").status == 0
    done = pc(
        "contacts", "import", file, "--map", "email=E-mail,first_name=Name", "--source", "shop", "--basis", "consent",
        "--topic", "news", "--wording", "I want news.",
    )  # fmt: skip
    assert done.status == 0, done.err
    return pc


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "mail.md"
    file.write_text(text)
    return file


def draft(pc: Run, tmp_path: Path, *more: str) -> str:
    file = write(tmp_path, "# Hi\n\nHello {{ first_name }}")
    made = pc("campaigns", "create", "--name", "One", "--topic", "news", "--subject", "Hi", "--markdown", file, *more)
    assert made.status == 0, made.err
    return made.out.strip()
