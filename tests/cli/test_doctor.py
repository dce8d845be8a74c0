"""The doctor against real parts, well and ill: each finding with its remedy, and nothing changed by looking."""

import asyncio
import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from preference_center import config, embedded, kept_secrets
from preference_center.catcher import smtp
from preference_center.catcher.store import Inbox
from preference_center.commands.installing import checks
from preference_center.supervisor import free_port
from tests.cli.conftest import Run
from tests.conftest import make_settings
from tests.support.name_server import name_server


@pytest.fixture(autouse=True)
def no_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The edge: a name server that does not answer, on a port where nobody listens."""
    import dns.resolver

    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], free_port()
    monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
    monkeypatch.setattr(checks, "_SECONDS", 0.5)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[int]:
    port, loop, stop = free_port(), asyncio.new_event_loop(), asyncio.Event()
    up = threading.Event()

    async def catch() -> None:
        loop.call_later(0.05, up.set)
        await smtp.serve(Inbox(tmp_path / "relay"), "127.0.0.1", port, stop=stop)

    thread = threading.Thread(target=lambda: loop.run_until_complete(catch()))
    thread.start()
    up.wait()
    yield port
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def findings(pc: Run) -> dict[str, tuple[str, str]]:
    return {one["check"]: (one["state"], one["words"]) for one in json.loads(pc("doctor", "--json").out)}


def test_ill_parts_are_named_with_their_remedy(pc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_FROM", "Kiosk <news@kiosk.shop>")
    found = findings(pc)
    assert found["settings"][0] == found["data folder"][0] == found["database"][0] == "ok"
    assert found["migrations"] == ("fault", found["migrations"][1]) and "db upgrade" in found["migrations"][1]
    assert found["queue"][0] == "warning" and "preference-center up" in found["queue"][1]
    assert found["relay"][0] == "fault" and "Check RELAY_URL" in found["relay"][1]
    assert found["sending domain"][0] == "warning" and "no resolver answered" in found["sending domain"][1]
    assert found["public address"][0] == "warning"
    done = pc("doctor")
    assert done.status == 1 and "2 faults" in done.err
    assert all(line.split()[0] in ("ok", "warning", "fault") for line in done.out.splitlines())


def test_a_well_installation_has_no_fault_and_looking_changes_nothing(
    pc: Run, environ: dict[str, str], relay: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "preference-center.db").unlink()
    monkeypatch.setenv("RELAY_URL", f"smtp://127.0.0.1:{relay}")
    assert pc("db", "upgrade").status == 0
    with embedded.running(config.read()):
        before = sorted(file.name for file in folder.iterdir())
        done = pc("doctor")
        assert sorted(file.name for file in folder.iterdir()) == before
    assert done.status == 0, done.out
    assert "fault" not in done.out and "never throws work away" in done.out and f"127.0.0.1:{relay} answers" in done.out


def test_looking_makes_no_database_and_one_that_is_still_to_be_made_is_no_fault(pc: Run, folder: Path) -> None:
    (folder / "preference-center.db").unlink()
    told = findings(pc)
    assert (told["database"][0], told["migrations"][0]) == ("warning", "warning")
    assert "`preference-center up` makes it" in told["database"][1]
    assert not (folder / "preference-center.db").exists()


def test_the_records_of_the_sending_domain_are_told_with_their_remedies(  # S90
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dns.resolver

    settings = make_settings(tmp_path, "sqlite://", mail_from="news@kiosk.shop")
    zone = {"kiosk.shop TXT": ['"v=spf1 a -all"'], "kiosk.shop A": ["192.0.2.1"], "kiosk.shop MX": ["10 kiosk.shop."]}
    with name_server(zone) as (resolver, _):
        monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
        state, words = checks._domain(settings)
    assert state == "warning" and "DMARC: no record here or above. Remedy: TXT at _dmarc.kiosk.shop" in words, words
    assert "SPF" not in words and "DKIM" not in words, "neither what is well nor what is not known"
    with name_server(zone | {"_dmarc.kiosk.shop TXT": ['"v=DMARC1; p=none"']}) as (resolver, _):
        monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
        state, words = checks._domain(settings)
    assert state == "ok" and "1 of 10 look-ups" in words and "Not known: DKIM: the relay signs" in words, words


def test_a_name_for_examples_is_not_asked_for() -> None:
    state, words = checks._domain(make_settings(Path("/nonexistent"), "sqlite://"))
    assert state == "warning" and "Set MAIL_FROM to your own domain" in words


def test_a_queue_that_forgets_is_a_fault(tmp_path: Path) -> None:
    import redis

    settings = make_settings(tmp_path, "sqlite://", redis_url=None)
    with embedded.running(settings):
        with redis.Redis.from_url(embedded.redis_url(settings)) as queue:
            queue.config_set("maxmemory-policy", "allkeys-lru")
        state, words = checks._queue(settings)
    assert state == "fault" and "noeviction (it is allkeys-lru)" in words


def test_files_that_others_can_read_are_named(pc: Run, folder: Path) -> None:
    config.read()
    kept_secrets.file_of(folder).chmod(0o644)
    folder.chmod(0o755)
    found = findings(pc)
    assert found["link keys"][0] == "fault" and "chmod 600" in found["link keys"][1]
    assert found["data folder"][0] == "warning" and "chmod 700" in found["data folder"][1]


def test_journals_that_are_a_file_are_a_fault_with_its_remedy(pc: Run, folder: Path) -> None:
    (folder / "journals").write_text("")
    found = findings(pc)
    state, words = found["journals"]
    assert state == "fault" and words.startswith(f"{folder}/journals is a file where a folder should be. Move it away")
    assert found["sending"][0] == "fault" and "Not a directory" in found["sending"][1]


def test_journals_of_another_user_are_a_fault_with_its_remedy(sqlite_template: Path) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        folder = Path(made)
        shutil.copy(sqlite_template, folder / "test.db")
        settings = make_settings(folder, f"sqlite:///{folder / 'test.db'}")
        (folder / "journals").mkdir(mode=0o700)
        with somebody_else(folder, folder / "test.db", but_not=folder / "journals"):
            found = {
                name: checks._looked(check, settings)
                for name, check in (("journals", checks._journals), ("sending", checks._sending))
            }
    assert found["journals"] == ("fault", f"{folder}/journals cannot be read and written. Give it to this user.")
    assert found["sending"][0] == "fault" and "journals" in found["sending"][1]
    assert "Permission denied. Give it to this user." in found["sending"][1]


@contextmanager
def somebody_else(*given: Path, but_not: Path) -> Iterator[None]:
    """Who owns the given alone. Root may do everything, so it becomes another user for a while; others shut themselves out."""
    us = os.getresuid()
    if us[1]:
        but_not.chmod(0o000)
    else:
        for path in given:
            os.chown(path, 65534, -1)
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(*us)
        but_not.chmod(0o700)


def test_wrong_settings_are_all_a_doctor_can_tell(pc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_URL", "nowhere")
    monkeypatch.setenv("PUBLIC_URL", "nowhere")
    done = pc("doctor")
    assert done.status == 1 and [line.split()[:2] for line in done.out.splitlines()] == [["fault", "settings:"]] * 2


@pytest.mark.parametrize(
    ("talk", "url", "words"),
    [
        (b"220 hi\r\n|250-hi\r\n250 SIZE 1\r\n", "smtp://me:pw@127.0.0.1:{}?tls=starttls", "does not offer STARTTLS"),
        (
            b"220 hi\r\n|250-hi\r\n250 AUTH PLAIN\r\n|535 5.7.8 no\r\n",
            "smtp://me:pw@127.0.0.1:{}?tls=none",
            "refuses the login (535)",
        ),
        (b"220 hi\r\n", "smtps://me:pw@127.0.0.1:{}", "does not speak TLS as RELAY_URL says"),
        (b"554 go away\r\n", "smtp://127.0.0.1:{}", "refuses us (554)"),
        (b"", "smtp://127.0.0.1:{}", "timed out). Check RELAY_URL"),
    ],
    ids=["no starttls", "wrong password", "no tls", "not wanted", "silent"],
)
def test_a_relay_that_will_not_have_us_is_told_in_words(
    relay_that_says: Callable[[bytes], int], tmp_path: Path, talk: bytes, url: str, words: str
) -> None:
    settings = make_settings(tmp_path, "sqlite://", relay_url=url.format(relay_that_says(talk)))
    state, said = checks._relay(settings)
    assert state == "fault" and words in said and "pw" not in said, said


@pytest.fixture
def relay_that_says() -> Iterator[Callable[[bytes], int]]:
    """A listener that says its lines one after the other, each after something was heard."""
    listeners, threads = [], []

    def begin(talk: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            line, _ = listener.accept()
            with line:
                first, *rest = talk.split(b"|")
                line.sendall(first)
                for words in rest:
                    if not line.recv(1000):
                        return
                    line.sendall(words)
                while line.recv(1000):
                    pass

        threads.append(threading.Thread(target=lambda: _quietly(serve)))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield begin
    for thread in threads:
        thread.join()
    for listener in listeners:
        listener.close()


def _quietly(serve: Callable[[], None]) -> None:
    try:
        serve()
    except OSError:  # the other side went away in the middle, as it should
        return
