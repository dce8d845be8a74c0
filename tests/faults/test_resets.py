"""P1, D3: the relay resets a connection when the end of a message is in the journal and nothing of it has left yet."""

import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from preference_center import failpoints
from preference_center.config import Settings
from preference_center.db import db
from preference_center.delivery import sending
from preference_center.delivery.models import Message
from preference_center.delivery.restoring import holding
from tests.conftest import make_settings
from tests.faults import inside
from tests.support.relay import FakeRelay

pytestmark = pytest.mark.both_databases
PEOPLE = {"anna@example.org", "ben@example.org"}


class Resetting:
    """A relay with one connection: after the answer to this command it waits for `heard`, and resets it."""

    def __init__(self, last: bytes, offers: bytes, options: str) -> None:
        self.options = options  # of its address
        self.last, self.offers = last, offers
        self.asked, self.heard, self.over = threading.Event(), threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        answers = {b"EHLO": self.offers, b"DATA": b"354 go on\r\n"}
        sock, _ = self._listener.accept()
        self._listener.close()
        with sock, sock.makefile("rb") as lines:
            sock.sendall(b"220 x\r\n")
            for line in lines:
                if line[:4] == self.last:
                    self.asked.set()
                sock.sendall(answers.get(line[:4], b"250 ok\r\n"))
                if line[:4] == self.last:
                    break
            self.heard.wait(20)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.over.set()

    def when_heard(self) -> bool:
        """Asked just before the end of a message is noted and written: the connection is gone by then."""
        if self.asked.is_set():
            self.heard.set()
            assert self.over.wait(20)
        return False

    def close(self) -> None:
        self.heard.set()
        self._listener.close()


BREAKS = {
    "after 354": (b"DATA", b"250-x\r\n250 PIPELINING\r\n", ""),
    "in BDAT": (b"EHLO", b"250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n", "?in_flight=2"),
}


@pytest.fixture(params=BREAKS)
def resetting(request: pytest.FixtureRequest) -> Iterator[Resetting]:
    made = Resetting(*BREAKS[request.param])
    yield made
    made.close()


@pytest.fixture
def settings(tmp_path: Any, database: str, resetting: Resetting) -> Settings:
    url = f"smtp://127.0.0.1:{resetting.port}{resetting.options}"
    return make_settings(tmp_path, database, relay_url=url, relay_connections=1)


def test_what_never_left_holds_no_mail_and_leaves_later(app: Flask, settings: Settings, resetting: Resetting) -> None:
    with time_machine.travel(datetime(2026, 11, 2, 9, tzinfo=UTC), tick=True) as travel:
        campaign_id = inside.begun(PEOPLE)
        failpoints.arm("end.before:raise")
        with pytest.raises(failpoints.Crash):
            sending.run(campaign_id, seconds=20, stop=resetting.when_heard)
        db.session.rollback()
        [journal] = settings.journals.glob("*.journal")
        noted = [line.split() for line in journal.read_text().splitlines()]
        dots = {int(line[1]) for line in noted if line[0] == "dot"}
        assert dots, "the end of none was in the journal"
        assert [line[3] for line in noted if line[0] == "reply"] == ["421"] * len(dots)
        rows = {one.id: (str(one.state), one.attempt) for one in db.session.scalars(select(Message))}
        assert rows == {number: ("queued", int(number in dots)) for number in rows}
        assert not holding.is_older()
        inside.sweep()
        assert holding.held() is None
        assert {state for state, _ in inside.states(campaign_id).values()} == {"queued"}
        with FakeRelay(port=resetting.port) as mended:
            inside.let_it_end(campaign_id, travel)
            assert mended.copies() == Counter(PEOPLE)
