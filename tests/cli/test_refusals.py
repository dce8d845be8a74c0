"""What goes wrong is one clear line on standard error and status 1, never a traceback, and nothing is half-written."""

import os
import socket
from pathlib import Path

import pytest

from preference_center import cli, config
from preference_center.commands import faults
from tests.cli.conftest import Ended, Run, ended, settings_in


def one_line(done: Ended, *words: str) -> None:
    assert done.status == 1 and done.out == "" and done.err.count("\n") == 1, done
    assert all(word in done.err for word in words), done.err


@pytest.mark.parametrize(
    "command", ["up", "web", "worker", "clock", "doctor", "db upgrade", "topics list", "keys list"]
)
def test_bad_settings_stop_every_command_with_all_faults_at_once(tmp_path: Path, command: str) -> None:
    wrong = config.environment(
        settings_in(tmp_path / "data", PUBLIC_URL="nowhere", RELAY_URL="", PREFERENCE_CENTER_PORT="x")
    )
    done = ended(wrong, *command.split())
    said = done.out + done.err
    assert done.status == 1 and "Traceback" not in said
    assert all(name in said for name in ("PUBLIC_URL", "RELAY_URL", "PREFERENCE_CENTER_PORT"))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["up", "web"])
def test_a_taken_port_is_one_line_before_anything_starts(environ: dict[str, str], folder: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", int(environ["PREFERENCE_CENTER_PORT"]))):
        one_line(ended(environ, command), f"Port {environ['PREFERENCE_CENTER_PORT']}", "choose another port")
    assert {file.name for file in folder.iterdir()} <= {"preference-center.db", "secrets.json"}


def test_a_taken_port_stops_the_demo_before_its_folder_is_made(environ: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        one_line(ended(environ, "demo", "--once", "--data", str(tmp_path / "d"), "--port", str(port)), f"Port {port}")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("command", ["up", "demo --once --data {}", "topics list"])
def test_a_data_dir_that_cannot_be_written_is_one_line(tmp_path: Path, command: str) -> None:
    """Root may write everywhere, so the folder lies under a file."""
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "data"
    one_line(
        ended(config.environment(settings_in(folder)), *command.format(folder).split()), "DATA_DIR", "cannot be written"
    )


def test_a_database_without_tables_names_the_command_to_run(pc: Run, folder: Path) -> None:
    (folder / "preference-center.db").unlink()
    one_line(pc("topics", "list"), "Run `preference-center db upgrade`.")


def test_a_database_that_does_not_answer_is_one_line(pc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://me:hunter2@127.0.0.1:1/pc")
    for name, value in (("SECRET_KEY", "s" * 32), ("LINK_KEYS", "k" * 32), ("PREFERENCE_CENTER_ADDRESS_KEY", "a" * 32)):
        monkeypatch.setenv(name, value)
    done = pc("topics", "list")
    one_line(done, "The database does not answer", "DATABASE_URL")
    assert "hunter2" not in done.err


def test_a_pdf_named_csv_is_refused_and_nothing_is_kept(pc: Run, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n" + os.urandom(2000))
    pc("topics", "add", "news", "--name", "News")
    done = pc("contacts", "import", file, "--source", "shop", "--basis", "consent", "--topic", "news")
    one_line(done)
    assert "PDF" in done.err or "CSV" in done.err
    assert list((folder / "uploads").glob("*")) == []


def test_a_template_with_an_unknown_field_is_refused_and_makes_no_campaign(pc: Run, tmp_path: Path) -> None:
    file = tmp_path / "mail.md"
    file.write_text("# Hi\n\nDear {{ frist_name }},\n")
    pc("topics", "add", "news", "--name", "News")
    one_line(
        pc("campaigns", "create", "--name", "X", "--topic", "news", "--subject", "Hi", "--markdown", file),
        "frist_name",
        "3",
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["contacts", "show", "nobody@example.org"], "There is no contact with this address."),
        (["contacts", "show", "nobody"], "An email address must have an @-sign."),
        (["campaigns", "show", "nothing"], "There is no such campaign."),
        (["explain", "a@example.org", "--topic", "news"], "There is no contact with this address."),
        (["links", "a@example.org"], "There is no contact with this address."),
        (["users", "create", "boss", "--role", "owner"], "@-sign"),
        (["users", "reset-second-factor", "boss@example.com"], "There is no user with this address"),
        (["contacts", "list", "--segment", "colour = red"], "colour"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_there_is_one_line(pc: Run, arguments: list[str], words: str) -> None:
    one_line(pc(*arguments), words)


@pytest.mark.parametrize(
    "arguments",
    [["contacts", "export", ""], ["privacy", "export", "a@example.org", ""], ["ledger", "proof", "a@example.org", ""]],
    ids=" ".join,
)
def test_a_file_without_a_name_is_wrong_usage(pc: Run, folder: Path, arguments: list[str]) -> None:
    done = pc(*arguments, *(["--topic", "news"] if "proof" in arguments else []))
    assert done.status == 2 and "Name a file." in done.err
    assert not (folder / "logs").exists()


def test_an_argument_in_another_encoding_is_wrong_usage(pc: Run, folder: Path) -> None:
    for arguments in (["contacts", "show", "\udcb3ukasz@example.org"], ["contacts", "export", "\udcff.csv"]):
        done = pc(*arguments)
        assert done.status == 2 and "Argument 3 is not text in UTF-8." in done.err
    assert not (folder / "logs").exists()


def test_a_fault_of_ours_is_kept_under_a_reference_without_addresses(
    pc: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down() -> None:
        raise RuntimeError("anna@example.org broke it")

    monkeypatch.setattr(cli.cli, "main", lambda **_: break_down())
    done = pc("topics", "list")
    one_line(done, "our fault (reference ")
    [kept] = (folder / "logs").iterdir()
    story = kept.read_text()
    assert kept.stem.removeprefix("fault-") in done.err
    assert "RuntimeError" in story and "break_down" in story and "anna" not in story
    assert kept.stat().st_mode & 0o077 == 0


def test_addresses_are_taken_out_of_what_is_kept() -> None:
    assert faults.without_addresses("Key (email)=(a.b+c@x.example) of <d@e.pl>, 'ł@ż.pl'") == (
        "Key (email)=(<address>) of <<address>>, '<address>'"
    )


def test_a_pipe_that_closes_early_is_no_story(environ: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        from tests.cli.conftest import process

        with process(environ, "topics", "list", stdout=pipe) as running:
            _, err = running.communicate(timeout=60)
    assert err == ""
