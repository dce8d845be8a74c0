"""`events mail` as operators and mail servers call it, and the listener as a process."""

import json
import os
import smtplib
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from preference_center.supervisor import free_port
from tests.cli.conftest import Run, process, settings_in
from tests.support.bounces import mails
from tests.support.imap import Mailbox, serving


def write(folder: Path, raw: bytes) -> Path:
    file = folder / "mail.eml"
    file.write_bytes(raw)
    return file


def stored(folder: Path) -> int:
    engine = create_engine(f"sqlite:///{folder / 'preference-center.db'}")
    with engine.connect() as connection:
        found = connection.execute(text("SELECT count(*) FROM inbound_posts")).scalar_one()
    engine.dispose()
    return int(found)


def test_a_dry_run_tells_what_a_mail_means_and_stores_nothing(pc: Run, folder: Path, tmp_path: Path) -> None:
    said = pc("events", "mail", write(tmp_path, mails.dsn()), "--dry-run", "--json")
    assert said.status == 0
    (found,) = json.loads(said.out)
    assert (found["class"], found["recipient"], found["status"], found["action"]) == (
        "hard",
        mails.ANNA,
        "5.1.1",
        "failed",
    )
    assert found["tied"] is False
    assert stored(folder) == 0


def test_a_mail_is_stored_and_told_in_plain_words(pc: Run, folder: Path, tmp_path: Path) -> None:
    said = pc("events", "mail", write(tmp_path, mails.dsn()))
    assert (said.status, said.out.splitlines()) == (
        0, [f"hard 5.1.1 {mails.ANNA}", "not tied to any message of ours: nothing changes"],
    )  # fmt: skip
    assert stored(folder) == 1


def test_a_mail_that_a_fault_of_ours_cannot_read_is_kept_for_a_person(
    pc: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from preference_center.webhooks.reports import reading

    def broken(raw: bytes) -> None:
        raise IndexError

    monkeypatch.setattr(reading, "read", broken)
    said = pc("events", "mail", write(tmp_path, mails.dsn()))
    assert (said.status, said.out) == (0, "")
    assert "Kept, but a fault of this program" in said.err
    assert stored(folder) == 1


@pytest.mark.processes
def test_a_pipe_of_a_mail_server_is_asked_to_try_again_while_the_database_is_away(
    environ: dict[str, str], folder: Path
) -> None:
    (folder / "preference-center.db").unlink()
    (folder / "preference-center.db").mkdir()
    with process(environ, "events", "mail", "-", stdin=-1) as running:
        _, err = running.communicate(mails.dsn().decode(), timeout=60)
    assert running.returncode == os.EX_TEMPFAIL
    assert mails.ANNA not in err and "Traceback" not in err


def test_wrong_settings_lose_no_mail_of_a_pipe(pc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFERENCE_CENTER_MAILBOX_LISTEN", "nowhere")
    with pytest.raises(SystemExit) as ended:
        pc("events", "mail", write(tmp_path, mails.dsn()))
    assert ended.value.code == os.EX_TEMPFAIL


def read_by(folder: Path) -> list[str]:
    """Which letters the audit log says were read."""
    engine = create_engine(f"sqlite:///{folder / 'preference-center.db'}")
    with engine.connect() as connection:
        found = connection.execute(text("SELECT object_id FROM audit_entries WHERE action = 'post.read'"))
        read = list(found.scalars())
    engine.dispose()
    return read


def test_letters_wait_for_a_person_who_can_read_them(pc: Run, folder: Path, tmp_path: Path) -> None:
    from preference_center.commands import desk
    from preference_center.webhooks import processing

    pc("events", "mail", write(tmp_path, mails.reply("Do you have it in blue?")))
    with desk.app():
        processing.drain()
    (found,) = json.loads(pc("events", "letters", "--json").out)
    assert found["why"] == "without a mark of ours: unknown"
    assert "in blue?" in pc("events", "letter", found["id"]).out
    assert read_by(folder) == [found["id"]]
    assert pc("events", "letter", "nobody").status == 1


@pytest.mark.processes
def test_the_listener_runs_as_a_process_and_stops_when_asked(folder: Path) -> None:
    from preference_center import config

    port = free_port()
    environ = config.environment(settings_in(folder, PREFERENCE_CENTER_MAILBOX_LISTEN=f"127.0.0.1:{port}"))
    with process(environ, "mailbox") as running:
        for _ in range(300):
            try:
                with smtplib.LMTP("127.0.0.1", port) as line:
                    assert line.ehlo()[0] == 250
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise AssertionError("it never listened")
        running.terminate()
        _, err = running.communicate(timeout=20)
    assert (running.returncode, "Traceback" in err) == (0, False)


def test_the_listener_says_what_it_needs(pc: Run) -> None:
    said = pc("mailbox")
    assert said.status == 1
    assert "PREFERENCE_CENTER_MAILBOX_LISTEN is missing" in said.err


@pytest.mark.parametrize(
    "url", ["imap://a:secret-word@mail.example.com/INBOX", "imaps://mail.example.com", "pop3://a:secret-word@x"]
)
def test_a_mailbox_that_cannot_be_is_refused_without_its_password(
    pc: Run, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("PREFERENCE_CENTER_MAILBOX_URL", url)
    said = pc("topics", "list")
    assert said.status == 1
    assert "PREFERENCE_CENTER_MAILBOX_URL" in said.err and "secret-word" not in said.err


def test_the_doctor_says_whether_anything_reads_what_comes_back(pc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from preference_center import config
    from preference_center.commands.installing import mailbox_check
    from preference_center.webhooks import imap

    assert mailbox_check.look(config.read())[0] is False
    with serving(Mailbox()) as box:
        monkeypatch.setenv("PREFERENCE_CENTER_MAILBOX_URL", f"imap://a:right@127.0.0.1:{box.port}/INBOX")
        assert mailbox_check.look(config.read()) == (
            True, "bounces and unsubscribe mails are fetched by IMAP (now 0 mails there).",
        )  # fmt: skip
        with monkeypatch.context() as tried:
            tried.setattr(imap, "look", lambda *_: imap.There(3, 2))
            reads, words = mailbox_check.look(config.read())
            assert not reads and words.startswith("2 mails in the mailbox are tried again and again")
        monkeypatch.setenv("PREFERENCE_CENTER_MAILBOX_URL", f"imap://a:wrong@127.0.0.1:{box.port}/INBOX")
        assert "refused the login" in mailbox_check.look(config.read())[1]
