"""Several messages in flight on one connection by BDAT (RFC 3030): what arrives, what is refused, what is in doubt."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import pytest

from preference_center.mail.relay import Relay
from preference_center.mail.smtp import Envelope, Outcome, Phase
from preference_center.mail.wire import Wire
from tests.mail.conftest import Authority
from tests.mail.handing import Notes, hand, quick, to
from tests.support.relay import FakeRelay

HELLO = b"250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n"


class Server:
    """Speaks just enough SMTP, and does with each whole message what `judge` says: a reply, or None to hang up."""

    def __init__(
        self,
        judge: Callable[[str, int], bytes | None],
        offers: bytes = HELLO,
        tls: ssl.SSLContext | None = None,
        rest: float = 0,
        room: int = 0,
    ) -> None:
        self.judge, self.offers, self.tls = judge, offers, tls
        self.rest = rest  # after the first message
        self.forgets_us = False  # wants a login before the message numbered 1
        self.taken: list[tuple[str, str, bytes]] = []
        self.most_waiting = self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        if room:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.url = f"smtp://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
            with sock, sock.makefile("rb") as lines, suppress(OSError):
                self._talk(sock, lines)

    def _talk(self, sock: socket.socket, lines: BinaryIO) -> None:
        sock.sendall(b"220 x\r\n")
        sender = recipient = ""
        for line in lines:
            word = line[:4].upper()
            reply: bytes | None = b"250 ok\r\n"
            if word == b"EHLO":
                reply = self.offers
            elif word == b"MAIL":
                reply = b"503 nested MAIL\r\n" if sender else reply
                reply = b"530 5.7.0 log in again\r\n" if b"<bounce-1@" in line and self.forgets_us else reply
                sender = sender or line.decode().strip()
            elif word == b"RCPT":
                refused = b"nobody" in line
                reply = b"550 5.1.1 no such user\r\n" if refused else reply
                recipient = "" if refused else line.decode().strip()
            elif word == b"RSET":
                sender = recipient = ""
            elif word == b"BDAT":
                data = lines.read(int(line.split()[1]))
                if not recipient:
                    reply = b"554 no valid recipients\r\n"  # the transaction stays open, as in Postfix
                else:
                    reply = self.judge(recipient, len(self.taken))
                    if reply is None:
                        return
                    if reply.startswith(b"2"):
                        self.taken.append((sender, recipient, data))
                        sender = recipient = ""
            sock.sendall(reply)
            if word == b"BDAT" and len(self.taken) == 1:
                time.sleep(self.rest)

    def close(self) -> None:
        self._listener.close()


@contextmanager
def server(judge: Callable[[str, int], bytes | None] = lambda _to, _n: b"250 ok\r\n", **more: Any) -> Iterator[Server]:
    made = Server(judge, **more)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("in_flight", [2, 8])
def test_many_messages_on_one_connection_arrive_whole_and_once_each_under_its_own_sender(in_flight: int) -> None:
    envelopes = to(*(f"u{number}" for number in range(60)), text=".dot\n\n.\nFrom here\n")
    with server() as relay, quick(Relay.from_url(f"{relay.url}?in_flight={in_flight}")) as courier:
        results = hand(courier, envelopes)
        assert {result.outcome for result in results.values()} == {Outcome.accepted}
        assert [(sender, recipient, data) for sender, recipient, data in relay.taken] == [
            (f"MAIL FROM:<{one.sender}>", f"RCPT TO:<{one.recipient}>", one.data) for one in envelopes
        ]
        assert relay.connections == 1


def test_a_refused_recipient_between_others_harms_nobody_and_lends_nobody_its_sender() -> None:
    envelopes = to("anna", "nobody1", "ben", "nobody2", "cora")
    with server() as relay, quick(Relay.from_url(f"{relay.url}?in_flight=4")) as courier:
        results = hand(courier, envelopes)
        assert [results[n].outcome for n in range(5)] == [
            Outcome.accepted, Outcome.permanent, Outcome.accepted, Outcome.permanent, Outcome.accepted,
        ]  # fmt: skip
        assert (results[1].phase, results[1].enhanced) == (Phase.rcpt, "5.1.1")
        assert [sender for sender, _, _ in relay.taken] == [f"MAIL FROM:<{envelopes[n].sender}>" for n in (0, 2, 4)]


def test_a_message_refused_after_its_last_octet_is_refused_and_the_next_ones_go_on() -> None:
    judge = lambda recipient, _n: b"452 full\r\n" if "ben" in recipient else b"250 ok\r\n"  # noqa: E731
    with server(judge) as relay, quick(Relay.from_url(f"{relay.url}?in_flight=3")) as courier:
        results = hand(courier, to("anna", "ben", "cora", "dora"))
        assert [results[n].outcome for n in range(4)] == [
            Outcome.accepted, Outcome.temporary, Outcome.accepted, Outcome.accepted,
        ]  # fmt: skip


def test_when_the_connection_breaks_no_more_than_those_in_flight_are_in_doubt_and_all_are_accounted_for() -> None:
    notes = Notes()
    once = iter([None])
    judge = lambda _to, number: next(once, b"250 ok\r\n") if number == 10 else b"250 ok\r\n"  # noqa: E731
    with server(judge) as relay, quick(Relay.from_url(f"{relay.url}?in_flight=4"), journal=notes) as courier:
        results = hand(courier, to(*(f"u{number}" for number in range(40))))
        assert len(results) == 40
        doubtful = [key for key, result in results.items() if result.outcome is Outcome.uncertain]
        accepted = {key for key, result in results.items() if result.outcome is Outcome.accepted}
        assert 1 <= len(doubtful) <= 4
        assert {int(recipient.split("<u")[1].split("@")[0]) for _, recipient, _ in relay.taken} == accepted
    dots = [key for what, key, *_ in notes.lines if what == "dot"]
    replied = {key for what, key, *_ in notes.lines if what == "reply"}
    assert set(doubtful) <= set(dots) - replied, "what is in doubt, a dead worker's journal shows too"


def test_a_lost_login_is_no_refusal_of_the_message_in_the_journal_either() -> None:
    notes = Notes()
    with server() as relay, quick(Relay.from_url(f"{relay.url}?in_flight=2"), journal=notes) as courier:
        relay.forgets_us = True
        results = hand(courier, to("anna", "ben"))
    assert (results[1].outcome, results[1].code) == (Outcome.not_sent, 530)
    assert [line for line in notes.lines if line[1] == 1] == [("dot", 1), ("reply", 1, 421)]


@pytest.mark.parametrize("secure", [False, True], ids=["in clear", "TLS"])
def test_large_messages_that_leave_by_parts_arrive_whole_and_a_break_loses_and_repeats_none(
    secure: bool, authority: Authority
) -> None:
    tls, scheme = None, "smtp"
    if secure:
        tls, scheme = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "smtps"
        tls.load_cert_chain(*authority.issue())
    large = (b"x" * 70 + b"\r\n") * 60_000
    small = to(*(f"u{number}" for number in range(12)))
    envelopes = [one._replace(data=b"Subject: %d\r\n\r\n" % one.key + large) for one in small]
    once = iter([None])
    judge = lambda _to, number: next(once, b"250 ok\r\n") if number == 5 else b"250 ok\r\n"  # noqa: E731
    with server(judge, tls=tls) as relay:
        port = relay.url.rpartition(":")[2]
        url = f"{scheme}://localhost:{port}?in_flight=4&ca_file={authority.file}"
        with quick(Relay.from_url(url)) as courier:
            results = hand(courier, envelopes)
        doubtful = {key for key, result in results.items() if result.outcome is Outcome.uncertain}
        assert 5 in doubtful and len(doubtful) <= 4
        assert {results[key].outcome for key in results.keys() - doubtful} == {Outcome.accepted}
        arrived = {recipient: data for _, recipient, data in relay.taken}
        assert arrived == {f"RCPT TO:<{one.recipient}>": one.data for one in envelopes if one.key not in doubtful}
        assert len(results) == 12 and len(relay.taken) == len(arrived)


@pytest.mark.parametrize("breaks", [False, True], ids=["answered", "broken off"])
@pytest.mark.parametrize("tail", [6000, 8000, 9000, 10_000])
def test_the_end_of_a_message_never_leaves_uncounted_with_the_next_one_behind_it(
    tail: int, breaks: bool, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record of TLS that waits for room, offered again with more, would be finished and not reported: sent, and sent again."""
    start_tls = Wire.start_tls

    def with_little_room(wire: Wire, context: ssl.SSLContext, host: str) -> None:
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        start_tls(wire, context, host)

    monkeypatch.setattr(Wire, "start_tls", with_little_room)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.issue())
    commands = len(b"MAIL FROM:<b@x.example>\r\nRCPT TO:<u0@c.example>\r\nBDAT 12345 LAST\r\n")
    first = 15_000
    second = 16_384 + tail - first - 2 * commands - len(b"RSET\r\n")  # one whole record, and one of `tail` octets
    lengths = (first, second, 40_000, 300)
    envelopes = [
        Envelope(key, "b@x.example", f"u{key}@c.example", b"y" * size, dotless=True) for key, size in enumerate(lengths)
    ]
    whole: list[str] = []

    def judge(recipient: str, _number: int) -> bytes | None:
        whole.append(recipient[9:11])
        return None if breaks and recipient[9:11] == "u1" else b"250 ok\r\n"

    with server(judge, tls=tls, rest=0.3, room=1) as relay:
        url = f"smtps://localhost:{relay.url.rpartition(':')[2]}?in_flight=2&ca_file={authority.file}"
        with quick(Relay.from_url(url)) as courier:
            results = hand(courier, envelopes)
    assert sorted(whole) == ["u0", "u1", "u2", "u3"]
    assert results.pop(1).outcome is (Outcome.uncertain if breaks else Outcome.accepted)
    assert {result.outcome for result in results.values()} == {Outcome.accepted}


def test_without_chunking_on_offer_one_message_a_connection_is_on_its_way_as_ever() -> None:
    notes = Notes()

    with FakeRelay() as relay, quick(Relay.from_url(f"{relay.url}?in_flight=8"), journal=notes) as courier:
        results = hand(courier, to(*(f"u{number}" for number in range(20))))
    assert {result.outcome for result in results.values()} == {Outcome.accepted}
    assert [line[0] for line in notes.lines] == ["dot", "reply"] * 20


@pytest.mark.parametrize("value", ["0", "65", "many", ""])
def test_a_number_in_flight_that_makes_no_sense_is_refused_in_words(value: str) -> None:
    with pytest.raises(ValueError, match="in_flight="):
        Relay.from_url(f"smtp://relay.example.org?in_flight={value}")
