"""The listener against those who talk slowly, without end, in crowds, or nonsense: real sockets, and limits made small."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from flask import Flask
from sqlalchemy import func, select

from preference_center.db import db
from preference_center.delivery.marks import Place
from preference_center.webhooks import inbox, mailbox
from preference_center.webhooks.listening import Limits
from preference_center.webhooks.models import InboundPost
from preference_center.webhooks.reports.parts import SIZE_LIMIT
from tests.delivery.events.conftest import Sent, sent  # noqa: F401 - a fixture
from tests.support.bounces import mails
from tests.webhooks.test_mailbox_listening import ANNA, CRLF, listener

SMALL = Limits(idle=1.0, lasting=60, at_once=5, commands=50, size=200_000, lines=5_000)


@pytest.fixture
def path(sent: Callable[..., Sent]) -> str:  # noqa: F811
    return f"bounce+{sent(ANNA).mark(ANNA, Place.return_path)}@news.example.com"


@pytest.fixture
def port(app: Flask) -> Iterator[int]:
    with listener(app, SMALL) as number:
        yield number


class Line:
    """A conversation by hand."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.answers = self.socket.makefile("rb")

    def say(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def hear(self) -> bytes:
        """The next answer, to its last line; nothing when they hung up."""
        try:
            heard = self.answers.readline()
            while heard[3:4] == b"-":
                heard = self.answers.readline()
        except ConnectionError:
            return b""
        return heard

    def ask(self, command: bytes) -> bytes:
        self.say(command + b"\r\n")
        return self.hear()

    def begin(self, path: str) -> None:
        assert self.ask(b"LHLO test")[:3] == b"250"
        assert self.ask(b"MAIL FROM:<>")[:3] == b"250"
        assert self.ask(b"RCPT TO:<" + path.encode() + b">")[:3] == b"250"
        assert self.ask(b"DATA")[:3] == b"354"

    def hung_up_after(self) -> float:
        started = time.monotonic()
        while self.hear():
            pass
        return time.monotonic() - started


@contextmanager
def talking(port: int) -> Iterator[Line]:
    line = Line(port)
    try:
        assert line.hear()[:3] == b"220"
        yield line
    finally:
        line.answers.close()
        line.socket.close()


def stored() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(InboundPost)) or 0


def body() -> bytes:
    """The one mail that was kept."""
    db.session.rollback()
    return mailbox.raw_of(db.session.scalars(select(InboundPost)).one().public_id)


def drip(line: Line, octets: bytes, pause: float = 0.1) -> bool:
    """Sends them one by one; whether the other side bore it to the end."""
    try:
        for octet in octets:
            line.say(bytes([octet]))
            time.sleep(pause)
    except ConnectionError:
        return False
    return line.hear() != b""


def test_a_command_that_comes_in_drips_is_hung_up_on(port: int) -> None:
    with talking(port) as slow:
        assert not drip(slow, b"MAIL FROM:<somebody@example.com>" * 2)


def test_a_mail_that_comes_in_drips_is_hung_up_on_and_not_kept(port: int, path: str) -> None:
    """The time is for the whole mail: a byte now and then does not prolong it."""
    with talking(port) as slow:
        slow.begin(path)
        assert not drip(slow, b"From: x\r\n\r\n" * 5 + b"\r\n.\r\n")
    assert stored() == 0


def test_slow_ones_keep_nobody_waiting(port: int, path: str) -> None:
    with ExitStack() as all_:
        slow = [all_.enter_context(talking(port)) for _ in range(SMALL.at_once - 1)]
        for line in slow:
            line.say(b"MAIL FR")
        with talking(port) as quick:
            quick.begin(path)
            assert quick.ask(CRLF + b"\r\n.")[:3] == b"250"
    assert stored() == 1


def test_one_too_many_is_told_so_and_room_is_made_when_somebody_leaves(port: int) -> None:
    with ExitStack() as all_:
        lines = [all_.enter_context(talking(port)) for _ in range(SMALL.at_once)]
        sixth = Line(port)
        assert sixth.hear()[:3] == b"421"
        assert sixth.hear() == b""
        sixth.socket.close()
        assert lines[0].ask(b"QUIT")[:3] == b"221"
        assert _in_a_moment(port)


def test_who_says_nothing_makes_room_again(port: int) -> None:
    with ExitStack() as all_:
        for _ in range(SMALL.at_once):
            all_.enter_context(talking(port))
        assert _in_a_moment(port)


def test_who_never_reads_our_answers_is_hung_up_on(app: Flask) -> None:
    """A close() would wait for them for ever, and the place with it."""
    with listener(app, Limits(idle=1.0, at_once=1, commands=10_000_000)) as port:
        deaf = Line(port)
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the least there is: full after a few answers
        deaf.socket.settimeout(5)
        with pytest.raises((ConnectionError, TimeoutError)):
            while True:
                deaf.say(b"NOOP\r\n" * 10_000)
        assert _in_a_moment(port)
        deaf.socket.close()


def _in_a_moment(port: int) -> bool:
    for _ in range(50):
        line = Line(port)
        heard = line.hear()
        line.socket.close()
        if heard[:3] == b"220":
            return True
        time.sleep(0.1)
    return False


def test_a_conversation_ends_though_it_is_kept_alive(app: Flask) -> None:
    with listener(app, Limits(lasting=1.0)) as port, talking(port) as line:
        line.say(b"EHLO x\r\n")
        started = time.monotonic()
        while line.hear():
            line.say(b"NOOP\r\n")
            time.sleep(0.05)
        assert 0.5 < time.monotonic() - started < 8


def test_so_does_one_of_too_many_commands(port: int) -> None:
    with talking(port) as line:
        answers = [line.ask(b"NOOP") for _ in range(SMALL.commands + 1)]
        assert answers[-1].startswith(b"421")
        assert line.hear() == b""


def test_a_command_without_end_is_refused_and_the_next_one_heard(port: int) -> None:
    with talking(port) as line:
        line.say(b"EHLO " + b"x" * 1_000_000 + b"\r\n")
        assert line.hear()[:3] == b"500"
        assert line.ask(b"NOOP")[:3] == b"250"


@pytest.mark.parametrize(
    "octets",
    [
        b"\0\0\0\0",
        b"\xff\xfe",
        b"GET / HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"",
        b"DATA",
        b"RCPT TO:<x@y>",
        b".",
    ],
    ids=repr,
)
def test_nonsense_is_refused_and_the_next_command_heard(port: int, octets: bytes) -> None:
    with talking(port) as line:
        assert line.ask(octets)[:1] == b"5"
        assert line.ask(b"NOOP")[:3] == b"250"


def test_a_mail_in_chunks_that_nobody_offered_is_refused(port: int, path: str) -> None:
    """BDAT (RFC 3030): what follows it is taken for commands, of which soon there are too many that are none."""
    with talking(port) as line:
        assert line.ask(b"EHLO test")[:3] == b"250"
        assert line.ask(b"MAIL FROM:<>")[:3] == b"250"
        assert line.ask(b"RCPT TO:<" + path.encode() + b">")[:3] == b"250"
        line.say(b"BDAT %d LAST\r\n" % len(CRLF) + CRLF)
        heard = line.hear()
        assert heard[:3] == b"500"
        while heard:
            assert heard[:1] == b"5"
            heard = line.hear()
    assert stored() == 0


def test_a_whole_conversation_in_one_packet_is_answered_in_order(port: int, path: str) -> None:
    commands = [b"EHLO test", b"MAIL FROM:<>", b"RCPT TO:<" + path.encode() + b">", b"DATA", CRLF + b"\r\n.", b"QUIT"]
    with talking(port) as line:
        line.say(b"\r\n".join([*commands, b""]))
        assert [line.hear()[:3] for _ in commands] == [b"250", b"250", b"250", b"354", b"250", b"221"]
    assert stored() == 1


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r"], ids=repr)
def test_no_mail_hides_within_another(port: int, path: str, end: bytes) -> None:
    """Only CR LF . CR LF ends a mail, so no two servers disagree on where one ends."""
    hidden = b"MAIL FROM:<>\r\nRCPT TO:<" + path.encode() + b">\r\nDATA\r\nhidden"
    with talking(port) as line:
        line.begin(path)
        assert line.ask(CRLF + end + hidden + b"\r\n.")[:3] == b"250"
        assert line.ask(b"NOOP")[:3] == b"250"
    assert body().endswith(b"hidden\r\n")


def test_dots_that_begin_a_line_come_out_as_they_were_written(port: int, path: str) -> None:
    long = b"y" * 40_000
    with talking(port) as line:
        line.begin(path)
        assert line.ask(CRLF + b"\r\n..\r\n...x\r\n" + long + b".\r\n.." + long + b"\r\n.")[:3] == b"250"
    assert body() == CRLF + b"\r\n.\r\n..x\r\n" + long + b".\r\n." + long + b"\r\n"


def test_an_empty_mail_is_a_mail(port: int, path: str) -> None:
    with talking(port) as line:
        line.begin(path)
        assert line.ask(b".")[:3] == b"250"
    assert body() == b""


def test_a_long_line_is_kept_and_a_long_mail_in_part(app: Flask, path: str) -> None:
    with listener(app) as port, talking(port) as line:
        line.begin(path)
        assert line.ask(CRLF + b"x" * 3_000_000 + b"\r\n.")[:3] == b"250"
    assert len(body()) == SIZE_LIMIT
    assert body().startswith(CRLF)


def test_a_mail_over_the_limit_is_read_to_its_end_and_refused(port: int, path: str) -> None:
    with talking(port) as line:
        line.begin(path)
        assert line.ask((b"x" * 998 + b"\r\n") * 300 + b".")[:3] == b"552"
        assert line.ask(b"NOOP")[:3] == b"250"
    assert stored() == 0


@pytest.mark.parametrize("octets", [b"x" * 65_536, b"\r\n" * 4_000], ids=["a line without end", "empty lines"])
def test_a_mail_without_end_is_hung_up_on_before_it_fills_the_memory(app: Flask, path: str, octets: bytes) -> None:
    limits = Limits(idle=30, size=SMALL.size, lines=SMALL.lines)
    with listener(app, limits) as port, talking(port) as line:
        line.begin(path)
        taken = 0
        with pytest.raises(ConnectionError):
            while taken < 100_000_000:
                line.say(octets)
                taken += len(octets)
        assert taken < 20_000_000  # what two sockets hold on top of the limit
    assert stored() == 0


def test_a_fault_of_ours_asks_for_the_mail_again(port: int, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would say 500, and the report would be gone."""

    def broken(*_: object, **__: object) -> None:
        raise KeyError

    monkeypatch.setattr(inbox, "keep", broken)
    monkeypatch.setattr(mailbox.mailbox_cap, "keep", broken)
    with talking(port) as line:
        line.begin(path)
        assert line.ask(mails.dsn().replace(b"\n", b"\r\n") + b"\r\n.")[:3] == b"451"
