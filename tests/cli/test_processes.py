"""`up` and `demo` as real processes: they come up, do what they promise, and leave nothing however they end."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from preference_center import config, embedded, supervisor
from preference_center.commands.installing import demo
from preference_center.errors import Unavailable
from preference_center.supervisor import answers, free_port
from tests.cli.conftest import ended, process, settings_in

pytestmark = pytest.mark.processes

Up = Callable[[], "subprocess.Popen[str]"]


def family(root: int) -> list[psutil.Process]:
    return [psutil.Process(root), *psutil.Process(root).children(recursive=True)]


def leftovers(processes: list[psutil.Process], seconds: float = 30) -> list[str]:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return [" ".join(one.cmdline()) for one in alive if one.status() != psutil.STATUS_ZOMBIE]


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return config.environment(settings_in(tmp_path / "data"))


@pytest.fixture
def up(environ: dict[str, str]) -> Iterator[Up]:
    started: list[subprocess.Popen[str]] = []

    def begin() -> "subprocess.Popen[str]":
        running = process(environ, "up", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        started.append(running)
        until(lambda: running.poll() is not None or answers(f"{environ['PUBLIC_URL']}/readyz"))
        assert running.poll() is None, running.stderr and running.stderr.read()
        return running

    yield begin
    for running in started:
        if running.poll() is None:
            running.kill()
        running.wait()
        if running.stderr:
            running.stderr.close()


def test_up_starts_from_nothing_prints_the_first_owners_link_and_ctrl_c_leaves_nothing(
    up: Up, environ: dict[str, str], tmp_path: Path
) -> None:
    running = up()
    settings = config.read(environ)
    assert running.stderr
    said = ""
    while "users create" not in said:
        said += running.stderr.readline()
    [link] = [line.strip() for line in said.splitlines() if "/admin/" in line]
    with urlopen(link, timeout=10) as page:
        assert page.status == 200
    processes = family(running.pid)
    assert len(processes) >= 6  # itself, queue, worker, clock, web and its worker process
    second = ended(environ | {"PREFERENCE_CENTER_PORT": str(free_port())}, "up")
    assert second.status == 1 and f"already (process {running.pid})" in second.err
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=60) == 0
    assert leftovers(processes) == []
    assert not embedded.socket_path(settings).exists() and not supervisor.lock_path(settings.data_dir).exists()
    assert "Traceback" not in running.stderr.read()


def test_up_killed_at_once_leaves_nothing_and_starts_again(up: Up, environ: dict[str, str]) -> None:
    running = up()
    processes = family(running.pid)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert leftovers(processes) == []
    assert not answers(f"{environ['PUBLIC_URL']}/healthz")
    again = up()
    again.terminate()
    assert again.wait(timeout=60) == 0


def test_a_killed_worker_web_server_and_clock_come_back(up: Up, environ: dict[str, str]) -> None:
    running = up()
    children = {" ".join(p.cmdline()[-2:]): p for p in psutil.Process(running.pid).children()}
    victims = [children["-m worker"], children["worker clock"], children["preference_center web"]]
    for victim in victims:
        victim.kill()
    gone = {victim.pid for victim in victims}
    until(lambda: len([p for p in psutil.Process(running.pid).children() if p.pid not in gone]) == 4)
    until(lambda: answers(f"{environ['PUBLIC_URL']}/readyz"))
    running.terminate()
    assert running.wait(timeout=60) == 0


def test_the_demo_sends_once_its_sums_close_and_a_second_time_nobody_is_mailed(tmp_path: Path) -> None:
    """The end-to-end promise: sample people, true reasons, one mail each, figures that add up."""
    folder = tmp_path / "demo"
    done = ended(config.environment({}), "demo", "--once", "--json", "--data", str(folder), seconds=300)
    assert done.status == 0, done.err
    sums = json.loads(done.out)
    assert list(sums) == ["audience", "sent", "skipped", "failed", "uncertain", "seconds", "mails_per_second"]
    assert sums["audience"] == sums["sent"] + sum(sums["skipped"].values()) + sums["failed"] + sums["uncertain"]
    assert sums["sent"] > 800 and sums["failed"] == sums["uncertain"] == 0
    assert {"no_consent", "not_confirmed", "withdrawn", "invalid_address"} <= set(sums["skipped"])
    assert any(reason.startswith("suppressed") for reason in sums["skipped"])
    assert caught(folder) == sums["sent"]
    again = ended(config.environment({}), "demo", "--once", "--json", "--data", str(folder), seconds=300)
    assert (again.status, json.loads(again.out)) == (0, sums)
    assert caught(folder) == sums["sent"]
    own = config.environment({"PREFERENCE_CENTER_ENV": str(folder / "settings.env")})
    assert "sent   The winter letter" in ended(own, "campaigns", "list").out


def test_a_demo_without_a_folder_leaves_none(tmp_path: Path) -> None:
    environ = config.environment({}) | {"TMPDIR": str(tmp_path)}
    done = ended(environ, "demo", "--once", "--json", "--contacts", "40", seconds=300)
    assert done.status == 0 and 30 < json.loads(done.out)["audience"] <= 40, done.err
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_cannot_start_keeps_the_log_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(folder: Path, *_: object) -> None:
        (folder / "logs").mkdir()
        (folder / "logs" / "web.log").write_text("what went wrong")
        raise Unavailable(f"See {folder / 'logs' / 'web.log'}.")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(demo, "_run", fails)
    assert demo.demo.callback is not None
    with pytest.raises(Unavailable) as refused:
        demo.demo.callback(data=None, port=None, contacts=None, once=True, as_json=False)
    assert Path(str(refused.value).removeprefix("See ").rstrip(".")).read_text() == "what went wrong"


def test_a_demo_that_is_stopped_in_the_middle_of_its_campaign_goes_on_and_mails_nobody_twice(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    begin = ("demo", "--once", "--json", "--contacts", "4000", "--data", str(folder))
    with process(config.environment({}), *begin) as running:
        until(lambda: running.poll() is not None or caught(folder) > 300, 120)
        processes = family(running.pid)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    assert leftovers(processes) == []
    done = ended(config.environment({}), *begin, seconds=300)
    assert done.status == 0, done.err
    sums = json.loads(done.out)
    assert sums["audience"] == sums["sent"] + sum(sums["skipped"].values()) + sums["failed"] + sums["uncertain"]
    assert sums["sent"] <= caught(folder) <= sums["sent"] + sums["uncertain"]
    assert recipients(folder) == caught(folder), "somebody got it twice"


def caught(folder: Path) -> int:
    return counted(folder, "SELECT count(*) FROM mails")


def recipients(folder: Path) -> int:
    return counted(folder, "SELECT count(DISTINCT recipient) FROM mails")


def counted(folder: Path, question: str) -> int:
    import sqlite3

    file = folder / "inbox" / "inbox.db"
    if not file.exists():
        return 0
    line = sqlite3.connect(file, timeout=10)
    try:
        return int(line.execute(question).fetchone()[0])
    except sqlite3.OperationalError:  # not made yet
        return 0
    finally:
        line.close()
