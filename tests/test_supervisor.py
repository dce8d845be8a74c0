"""The supervisor with real processes: what crashes starts again, what stops leaves nothing, whoever kills it."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from preference_center import config, supervisor
from preference_center.errors import Unavailable
from preference_center.supervisor import Child, Stopped, Supervisor

pytestmark = pytest.mark.processes

SLEEPER = ["-c", "import time; time.sleep(600)"]
STUBBORN = [
    "-c",
    "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]
PARENT = [
    "-c",
    "import subprocess,sys,time; subprocess.Popen([sys.executable,'-c','import time; time.sleep(600)']); time.sleep(600)",
]


def silent(_words: str) -> None:
    pass


def house(folder: Path, say: Callable[[str], None] = silent) -> Supervisor:
    return Supervisor(folder, config.environment(), say)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(pids: list[int], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_a_crashed_child_starts_again_and_says_so_in_a_line(tmp_path: Path) -> None:
    said: list[str] = []
    with house(tmp_path, said.append) as running:
        child = running.start(Child("worker", supervisor.python(*SLEEPER)))
        assert child.process
        first = child.process.pid
        os.kill(first, signal.SIGKILL)
        assert running.wait(
            lambda: child.alive and child.process is not None and child.process.pid != first, seconds=10
        )
    assert said == ["worker ended (killed by SIGKILL); starting it again in 0.5 s."]


def test_a_child_that_always_crashes_is_tried_for_ever_with_growing_pauses(tmp_path: Path) -> None:
    with house(tmp_path) as running:
        child = running.start(Child("worker", supervisor.python("-c", "raise SystemExit(3)")))
        pauses = []
        for _ in range(3):
            assert running.wait(lambda: child.process is None, seconds=10)
            pauses.append(child.pause)
            assert running.wait(lambda: child.process is not None, seconds=10)
        assert pauses == [0.5, 1.0, 2.0]
        child.pause = 600.0  # an outage of minutes later
        assert running.wait(lambda: child.process is None, seconds=10)
        assert child.pause == 15.0


def test_children_stop_latest_stage_first(tmp_path: Path) -> None:
    order: list[str] = []
    with house(tmp_path) as running:
        for stage, name in enumerate(("queue", "worker", "web")):
            running.start(Child(name, supervisor.python(*SLEEPER), stage, tidy=lambda name=name: order.append(name)))
    assert order == ["web", "worker", "queue"]


def test_stopping_leaves_no_process_and_no_lock(tmp_path: Path) -> None:
    with house(tmp_path) as running:
        children = [running.start(Child(f"w{n}", supervisor.python(*PARENT))) for n in range(2)]
        time.sleep(0.6)
        pids = [
            p.pid
            for c in children
            if c.process
            for p in (psutil.Process(c.process.pid), *psutil.Process(c.process.pid).children())
        ]
        assert len(pids) == 4
    assert gone(pids)
    assert not supervisor.lock_path(tmp_path).exists()


def test_a_child_that_does_not_listen_is_killed_when_its_patience_ends(tmp_path: Path) -> None:
    with house(tmp_path) as running:
        child = running.start(Child("worker", supervisor.python(*STUBBORN), patience=0.5))
        assert child.process
        pid = child.process.pid
        time.sleep(0.4)
        begun = time.monotonic()
    assert gone([pid]) and time.monotonic() - begun < 3


def test_asked_to_stop_it_raises_from_the_next_tick_and_ends_the_block(tmp_path: Path) -> None:
    with house(tmp_path) as running:
        running.start(Child("worker", supervisor.python(*SLEEPER)))
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped):
            running.tick()
        raise Stopped  # what a command does with it


def test_a_second_supervisor_in_the_same_data_dir_is_refused_at_once(tmp_path: Path) -> None:
    with house(tmp_path):
        begun = time.monotonic()
        with pytest.raises(Unavailable, match=rf"already \(process {os.getpid()}\)"), house(tmp_path):
            pass
        assert time.monotonic() - begun < 2
    with house(tmp_path):
        pass


def test_a_supervisor_killed_at_once_leaves_nothing_and_the_next_one_starts(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from preference_center import config, supervisor
        with supervisor.Supervisor(Path({str(tmp_path)!r}), config.environment(), print) as running:
            for n in range(3):
                running.start(supervisor.Child(f"w{{n}}", supervisor.python(*{SLEEPER!r})))
            print("pids", *[child.process.pid for child in running.children], flush=True)
            running.wait(lambda: False)
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout
        pids = [int(pid) for pid in killed.stdout.readline().split()[1:]]
        assert len(pids) == 3 and all(alive(pid) for pid in pids)
        killed.kill()
        killed.wait()
        assert gone(pids)
    with house(tmp_path) as running:  # the lock file of the killed one does not stand in the way
        assert running.start(Child("worker", supervisor.python(*SLEEPER))).alive


def test_the_next_supervisor_waits_for_a_leftover_of_a_killed_one(tmp_path: Path) -> None:
    """Whatever still runs holds the lock, so two queue servers never share one folder."""
    held = supervisor.hold(tmp_path)
    os.truncate(supervisor.lock_path(tmp_path), 0)
    with supervisor.lock_path(tmp_path).open("w") as file:
        file.write("999999999\n")  # its supervisor is gone
    leftover = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1)"], pass_fds=[held])
    os.close(held)
    begun = time.monotonic()
    with house(tmp_path):
        assert leftover.poll() is not None
    assert 0.3 < time.monotonic() - begun < 8


def test_a_data_dir_that_cannot_be_written_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(Unavailable, match=r"^DATA_DIR .* cannot be written: Not a directory\."),
        house(tmp_path / "file" / "data"),
    ):
        pass


def test_a_taken_port_is_found_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            Unavailable, match=rf"^Port {port} on 127\.0\.0\.1 cannot be used: address already in use\."
        ):
            supervisor.check_port("127.0.0.1", port)
        assert supervisor.free_port("127.0.0.1", port) != port
    supervisor.check_port("127.0.0.1", port)


def test_children_log_to_files_that_only_the_owner_reads(tmp_path: Path) -> None:
    with Supervisor(tmp_path, config.environment(), silent, logs=tmp_path / "logs") as running:
        child = running.start(Child("worker", supervisor.python("-c", "print('hello')")))
        assert running.wait(lambda: child.process is None, seconds=10)
    log = tmp_path / "logs" / "worker.log"
    assert "hello" in log.read_text() and log.stat().st_mode & 0o077 == 0
