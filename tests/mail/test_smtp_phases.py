"""Every row of the phase table of the send protocol, over real sockets: what each break and each refusal means.

The names M1 to M6 and M14 are rows of the fault matrix (relay and network).
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from preference_center.mail import session, smtp
from preference_center.mail.smtp import Envelope, Outcome, Phase, Relay, TroubleKind
from preference_center.mail.wire import Gone, Wire
from tests.mail.handing import Notes, hand, quick, send, to
from tests.support.relay import FakeRelay

BIG = "x" * 70 + "\n"
# more than fits between two sockets, so that the body is certainly not yet gone when the relay hangs up
HUGE = BIG * 150_000

PIPELINING = pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "step by step"])


@PIPELINING
@pytest.mark.parametrize(
    ("script", "outcome", "phase", "code"),
    [
        ("450", Outcome.temporary, Phase.rcpt, 450),  # M1
        ("450data", Outcome.temporary, Phase.data, 450),
        ("452dot", Outcome.temporary, Phase.dot, 452),
        ("550rcpt", Outcome.permanent, Phase.rcpt, 550),  # M2
        ("554data", Outcome.permanent, Phase.data, 554),
        ("554dot", Outcome.permanent, Phase.dot, 554),
    ],
)
def test_a_refusal_is_judged_by_its_code_and_harms_no_neighbour(
    script: str, outcome: Outcome, phase: Phase, code: int, pipelining: bool
) -> None:
    with FakeRelay(offer_pipelining=pipelining) as relay:
        results, courier = send(Relay.from_url(relay.url), "anna", f"ben+{script}", "cora", f"dan+{script}", "eve")
        assert [result.outcome for result in results] == [
            *(Outcome.accepted, outcome, Outcome.accepted, outcome, Outcome.accepted)
        ]
        assert (results[1].phase, results[1].code, results[1].enhanced) == (phase, code, f"{code // 100}.7.1")
        assert results[1].text == "scripted"
        assert relay.copies() == {"anna@c.example": 1, "cora@c.example": 1, "eve@c.example": 1}
        assert len(relay.events("connected")) == 1
        assert courier.trouble is None


@PIPELINING
@pytest.mark.parametrize(("code", "outcome"), [(451, Outcome.temporary), (553, Outcome.permanent)])
def test_a_refused_sender_is_judged_by_its_code(code: int, outcome: Outcome, pipelining: bool) -> None:  # M1, M2
    with (
        FakeRelay(offer_pipelining=pipelining) as relay,
        quick(Relay.from_url(relay.url)) as courier,
    ):
        anna, ben = to("anna", "ben")
        refused = Envelope(7, f"bounce+{code}mail@sender.example", "cora@c.example", anna.data)
        results = hand(courier, [anna, refused, ben])
        assert (results[7].outcome, results[7].phase, results[7].code) == (outcome, Phase.mail, code)
        assert relay.copies() == {"anna@c.example": 1, "ben@c.example": 1}


@PIPELINING
@pytest.mark.parametrize(
    ("script", "phase"), [("droprcpt", Phase.rcpt), ("dropdata", Phase.data)], ids=["at RCPT", "at DATA"]
)
def test_a_break_before_the_body_means_not_sent(script: str, phase: Phase, pipelining: bool) -> None:  # M3
    with FakeRelay(offer_pipelining=pipelining) as relay:
        results, courier = send(Relay.from_url(relay.url), "anna", f"ben+{script}", "cora")
        assert [result.outcome for result in results] == [Outcome.accepted, Outcome.not_sent, Outcome.accepted]
        assert (results[1].phase, results[1].code) == (phase, None)
        assert relay.copies() == {"anna@c.example": 1, "cora@c.example": 1}
        assert courier.trouble is not None and courier.trouble.kind is TroubleKind.closing


def test_a_break_at_mail_means_not_sent_after_one_quiet_second_try(relay: FakeRelay) -> None:  # M3
    results, _ = send(Relay.from_url(relay.url), "anna", "ben+dropmail", "cora")
    assert [result.outcome for result in results] == [Outcome.accepted, Outcome.not_sent, Outcome.accepted]
    assert results[1].phase is Phase.mail


@PIPELINING
def test_a_break_inside_the_body_means_not_sent(pipelining: bool) -> None:  # M3
    notes = Notes()
    with (
        FakeRelay(offer_pipelining=pipelining) as relay,
        quick(Relay.from_url(relay.url), journal=notes) as courier,
    ):
        results = hand(courier, to("anna+dropbeforedot", text=HUGE))
        assert (results[0].outcome, results[0].phase) == (Outcome.not_sent, Phase.body)
        assert notes.lines == []
        assert not relay.messages


@PIPELINING
@pytest.mark.parametrize(("script", "copies"), [("dropafterdot", 1), ("lostafterdot", 0)])
def test_a_break_after_the_dot_is_uncertain_whether_it_was_taken_or_not(
    script: str, copies: int, pipelining: bool
) -> None:  # M3
    notes = Notes()
    with (
        FakeRelay(offer_pipelining=pipelining) as relay,
        quick(Relay.from_url(relay.url), journal=notes) as courier,
    ):
        results = hand(courier, to("anna", f"ben+{script}", "cora"))
        assert (results[1].outcome, results[1].phase, results[1].code) == (Outcome.uncertain, Phase.dot, None)
        assert [results[0].outcome, results[2].outcome] == [Outcome.accepted] * 2
        assert relay.copies()[f"ben+{script}@c.example"] == copies
        assert notes.lines == [("dot", 0), ("reply", 0, 250), ("dot", 1), ("dot", 2), ("reply", 2, 250)]


@PIPELINING
@pytest.mark.parametrize(
    ("script", "phase"),
    [("421", Phase.rcpt), ("421data", Phase.data), ("421dot", Phase.dot)],
)
def test_421_ends_the_connection_and_the_message_may_be_tried_again(
    script: str, phase: Phase, pipelining: bool
) -> None:  # M4
    with FakeRelay(offer_pipelining=pipelining) as relay:
        results, courier = send(Relay.from_url(relay.url), "anna", f"ben+{script}", "cora", "dan")
        assert [result.outcome for result in results] == [
            *(Outcome.accepted, Outcome.temporary, Outcome.not_sent, Outcome.not_sent)
        ]
        assert (results[1].phase, results[1].code) == (phase, 421)
        assert results[2].phase is Phase.not_started
        assert courier.trouble is not None and courier.trouble.kind is TroubleKind.slow_down
        assert relay.copies() == {"anna@c.example": 1}


def test_421_at_mail_is_the_relays_and_not_the_messages_fault(relay: FakeRelay) -> None:  # M4
    results, courier = send(Relay.from_url(relay.url), "anna+421mail", "ben")
    assert [result.outcome for result in results] == [Outcome.temporary, Outcome.not_sent]
    assert courier.trouble is not None and (courier.trouble.kind, courier.trouble.code) == (TroubleKind.slow_down, 421)


@pytest.mark.parametrize("verb", ["GREETING", "EHLO"])
def test_421_before_any_message_leaves_all_of_them_unsent(verb: str) -> None:  # M4
    with FakeRelay(replies={verb: "421 4.3.2 too busy"}) as relay:
        results, courier = send(Relay.from_url(relay.url), "anna", "ben", connections=2)
        assert {(result.outcome, result.phase) for result in results} == {(Outcome.not_sent, Phase.not_started)}
        assert courier.trouble is not None and courier.trouble.kind is TroubleKind.slow_down
        assert "too busy" in results[0].text


def test_a_slow_reply_to_the_dot_is_waited_for(relay: FakeRelay) -> None:  # M5
    results, _ = send(Relay.from_url(relay.url), "anna+slow0.6", "ben", command_timeout=0.3, final_dot_timeout=5)
    assert [result.outcome for result in results] == [Outcome.accepted] * 2


def test_no_reply_to_the_dot_in_time_is_uncertain_and_the_next_message_goes_on(relay: FakeRelay) -> None:  # M5
    started = time.monotonic()
    results, _ = send(Relay.from_url(relay.url), "anna+slow4", "ben", final_dot_timeout=0.4)
    assert (results[0].outcome, results[0].text) == (Outcome.uncertain, "no answer in time")
    assert results[1].outcome is Outcome.accepted
    assert time.monotonic() - started < 3
    assert relay.copies() == {"anna+slow4@c.example": 1, "ben@c.example": 1}


@pytest.mark.parametrize("verb", ["GREETING", "EHLO"])
def test_a_relay_that_drips_its_greeting_is_left_alone_after_the_time_for_one_answer(verb: str) -> None:  # M6
    started = time.monotonic()
    with FakeRelay(drip_at=frozenset({verb}), drip_interval=0.15) as relay:
        results, courier = send(Relay.from_url(relay.url), "anna", command_timeout=0.5)
        assert results[0].outcome is Outcome.not_sent
        assert courier.trouble is not None and courier.trouble.kind is TroubleKind.unreachable
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("script", "outcome", "phase"),
    [("driprcpt", Outcome.not_sent, Phase.rcpt), ("dripdot", Outcome.uncertain, Phase.dot)],
)
def test_a_reply_that_drips_ends_at_its_deadline(script: str, outcome: Outcome, phase: Phase) -> None:  # M6
    with FakeRelay(drip_interval=0.15) as relay:
        results, _ = send(
            Relay.from_url(relay.url), f"anna+{script}", "ben", command_timeout=0.5, final_dot_timeout=0.5
        )
        assert (results[0].outcome, results[0].phase) == (outcome, phase)
        assert results[1].outcome is Outcome.accepted


def test_many_quick_drips_end_at_the_deadline_of_the_whole_message() -> None:  # M6
    with FakeRelay(reply_delay=0.25, offer_pipelining=False) as relay:
        results, _ = send(Relay.from_url(relay.url), "anna", command_timeout=5, message_deadline=0.6)
        assert (results[0].outcome, results[0].text) == (Outcome.not_sent, "no answer in time")
        assert not relay.messages


@pytest.mark.parametrize(
    "answer",
    ["450 4.7.1 too many messages from you", "452 4.3.2 Rate limit reached", "421 4.7.28 unusual rate", "451 4.7.28 x"],
)
def test_a_relay_at_its_limit_slows_us_down_and_fails_nobody(answer: str) -> None:  # M14
    with FakeRelay(replies={"MAIL": answer}) as relay:
        results, courier = send(Relay.from_url(relay.url), *["anna"] * 6, connections=2)
        assert {result.outcome for result in results} <= {Outcome.temporary, Outcome.not_sent}
        assert sum(result.outcome is Outcome.temporary for result in results) <= 4
        assert courier.trouble is not None and courier.trouble.kind is TroubleKind.slow_down


def test_a_full_mailbox_is_not_taken_for_a_full_relay() -> None:
    with FakeRelay(replies={"RCPT": "452 4.2.2 mailbox full, too many messages"}, reply_times={"RCPT": 1}) as relay:
        results, courier = send(Relay.from_url(relay.url), "anna", "ben")
        assert [result.outcome for result in results] == [Outcome.temporary, Outcome.accepted]
        assert courier.trouble is None


def test_a_relay_that_says_354_for_nobody_gets_an_empty_message_and_delivers_nothing() -> None:
    with FakeRelay(answer_354_without_recipients=True) as relay:
        results, _ = send(Relay.from_url(relay.url), "anna+550", "ben", "cora+450")
        assert [result.outcome for result in results] == [Outcome.permanent, Outcome.accepted, Outcome.temporary]
        assert relay.copies() == {"ben@c.example": 1}
        assert relay.events("dot")[0]["size"] == 0
        assert len(relay.events("connected")) == 1


def test_a_refusal_inside_the_body_counts_as_what_it_says(relay: FakeRelay) -> None:
    with quick(Relay.from_url(relay.url)) as courier:
        results = hand(courier, to("anna+552body", text=HUGE))
    assert (results[0].outcome, results[0].phase, results[0].code) == (Outcome.permanent, Phase.body, 552)


@contextmanager
def talking(conversation: Callable[[socket.socket], None]) -> Iterator[Relay]:
    """A relay that says, byte for byte, what the test wants."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            try:
                sock, _ = listener.accept()
                with sock:
                    conversation(sock)
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield Relay("127.0.0.1", listener.getsockname()[1], tls="none")
    listener.close()
    thread.join(5)


def greet(sock: socket.socket) -> None:
    """As far as the answer to EHLO."""
    sock.sendall(b"220 x\r\n")
    sock.recv(100)
    sock.sendall(b"250-x\r\n250 PIPELINING\r\n")


def test_gibberish_before_the_dot_is_not_sent_and_after_it_uncertain() -> None:
    def before(sock: socket.socket) -> None:
        sock.sendall(b"220 x\r\n")
        sock.recv(100)
        sock.sendall(b"250 x\r\n")
        sock.recv(100)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        sock.recv(100)

    with talking(before) as relay:
        results, courier = send(relay, "anna")
        assert (results[0].outcome, results[0].phase) == (Outcome.not_sent, Phase.mail)

    def after(sock: socket.socket) -> None:
        sock.sendall(b"220 x\r\n")
        sock.recv(100)
        for answer in (b"250-x\r\n250 PIPELINING\r\n", b"250 ok\r\n250 ok\r\n354 go\r\n"):
            sock.sendall(answer)
            data = sock.recv(1000)
        while not data.endswith(b"\r\n.\r\n"):
            data += sock.recv(10000)
        sock.sendall(b"334 what?\r\n")
        sock.recv(100)

    with talking(after) as relay:
        results, courier = send(relay, "anna")
        assert (results[0].outcome, results[0].phase) == (Outcome.uncertain, Phase.dot)
        assert courier.trouble is not None and courier.trouble.kind is TroubleKind.closing


def test_an_answer_to_the_message_before_it_has_left_accepts_nothing() -> None:
    taken = []

    def hasty(sock: socket.socket) -> None:
        greet(sock)
        sock.recv(1000)
        sock.sendall(b"250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n")
        taken.append(sock.recv(10_000))

    notes = Notes()
    with talking(hasty) as relay, quick(relay, journal=notes) as courier:
        results = hand(courier, to("anna"))
    assert results[0].outcome is Outcome.not_sent
    assert (taken, notes.lines) == ([b""], [])


def test_a_goodbye_beside_the_go_ahead_slows_us_down() -> None:
    def overrun(sock: socket.socket) -> None:
        greet(sock)
        sock.recv(1000)
        sock.sendall(b"250 ok\r\n250 ok\r\n354 go\r\n421 4.3.2 too many connections, slow down\r\n")
        sock.recv(10_000)

    with talking(overrun) as relay:
        results, courier = send(relay, "anna")
    assert results[0].outcome is Outcome.not_sent
    assert courier.trouble is not None and courier.trouble.kind is TroubleKind.slow_down


def test_what_comes_after_gibberish_answers_nobody() -> None:
    """Else a relay that refuses RSET, and takes all mail, would have refused two of them for good."""

    def stubborn(sock: socket.socket) -> None:
        sock.sendall(b"220 x\r\n")
        said, answers, taken = sock.makefile("rb"), b"", 0
        for line in said:
            verb = line.split()[0].upper()
            if verb == b"EHLO":
                sock.sendall(b"250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n")
                continue
            if verb == b"BDAT":
                said.read(int(line.split()[1]))
                taken += 1
            answers += b"502 5.5.1 not here\r\n" if verb == b"RSET" else b"250 ok\r\n"
            if taken == 4:
                sock.sendall(answers)
                return

    with talking(stubborn) as relay, quick(replace(relay, in_flight=4)) as courier:
        results = hand(courier, to("anna", "ben", "cora", "dan"))
    assert [results[key].outcome for key in range(4)] == [Outcome.accepted, *[Outcome.uncertain] * 3]


def test_what_is_approved_leaves_before_a_pulse_that_may_have_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "PULSE", 0.0)  # each time
    here = threading.Event()
    asked: list[Envelope] = []
    seen: list[bool] = []

    def calm(sock: socket.socket) -> None:
        greet(sock)
        sock.recv(1000)
        sock.sendall(b"250 ok\r\n250 ok\r\n354 go\r\n")
        while not sock.recv(10_000).endswith(b"\r\n.\r\n"):
            pass
        here.set()
        sock.sendall(b"250 taken\r\n")
        sock.recv(100)

    def pulse() -> None:
        if len(asked) == 2 and not seen:  # before MAIL, and before the body
            seen.append(here.wait(3))

    with talking(calm) as relay, quick(relay, pulse=pulse) as courier:
        results = hand(courier, to("anna"), lambda envelope: not asked.append(envelope))  # type: ignore[func-returns-value]
    assert (results[0].outcome, seen) == (Outcome.accepted, [True])


def test_all_that_came_before_a_connection_broke_is_heard() -> None:
    many = 500

    def hang_up_hard(sock: socket.socket) -> None:
        sock.sendall(b"250 2.0.0 taken\r\n" * many)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        over.set()

    over = threading.Event()
    with talking(hang_up_hard) as relay:
        wire = Wire(socket.AF_INET, (relay.host, relay.port))
        assert over.wait(5)
        with pytest.raises(Gone) as broken:
            for _ in range(100):  # until the end of the connection has come here too
                wire.write(b"NOOP\r\n")
                time.sleep(0.01)
        wire.close()
    assert len(broken.value.last_words) == many


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each dot in a write of its own, as behind a large body."""
    monkeypatch.setattr(session, "TOGETHER", 0)


@pytest.mark.usefixtures("apart")
def test_a_dot_that_could_not_leave_is_not_in_doubt() -> None:
    """The relay resets the connection between body and dot; the next envelope is pulled just then and makes time for it."""
    reset = threading.Event()

    def hang_up_hard(sock: socket.socket) -> None:
        greet(sock)
        sock.recv(1000)
        sock.sendall(b"250 ok\r\n250 ok\r\n354 go\r\n")
        data = b""
        while b"--=_b--\r\n" not in data:
            data += sock.recv(10000)
        assert not data.endswith(b"\r\n.\r\n")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        reset.set()

    def supply() -> Iterator[Envelope]:
        anna, ben = to("anna", "ben")
        yield anna
        assert reset.wait(5)
        time.sleep(0.05)
        yield ben

    notes = Notes()
    with talking(hang_up_hard) as relay, quick(relay, journal=notes) as courier:
        results = hand(courier, supply())
    assert (results[0].outcome, results[0].phase) == (Outcome.not_sent, Phase.dot)
    assert results[1].outcome is Outcome.not_sent
    assert notes.lines == [("dot", 0), ("reply", 0, 421)], "a dead worker's journal shows that too"


@pytest.mark.usefixtures("apart")
def test_a_dot_that_left_is_in_doubt_even_when_the_connection_breaks_at_once(relay: FakeRelay) -> None:
    def supply() -> Iterator[Envelope]:
        anna, ben = to("anna+dropbeforedot", "ben")
        yield anna
        relay.wait_for_event("hung_up")
        yield ben

    with quick(Relay.from_url(relay.url)) as courier:
        results = hand(courier, supply())
    assert results[0].outcome is Outcome.uncertain
    assert results[1].outcome is Outcome.accepted


@pytest.mark.parametrize("endless", [b"250-more\r\n" * 1000, b"220 " + b"x" * 20000], ids=["lines", "one line"])
def test_an_answer_without_end_is_not_listened_to(endless: bytes) -> None:
    def flood(sock: socket.socket) -> None:
        sock.sendall(endless)
        sock.recv(100)

    with talking(flood) as relay:
        results, courier = send(relay, "anna")
        assert results[0].outcome is Outcome.not_sent
        assert courier.trouble is not None and "without end" in courier.trouble.text


def test_no_two_messages_of_a_connection_are_in_doubt_at_once(relay: FakeRelay) -> None:
    notes = Notes()
    with quick(Relay.from_url(relay.url), journal=notes) as courier:
        hand(courier, to(*(f"u{number}" for number in range(50))))
    assert [line[0] for line in notes.lines] == ["dot", "reply"] * 50


def test_an_address_in_a_reply_does_not_reach_the_result() -> None:
    answer = "550 5.1.1 <anna@c.example>: user anna@c.example unknown\x1b[31m\u202e, see <a href=mailto:x@y.example>"
    with FakeRelay(replies={"RCPT": answer}) as relay:
        results, _ = send(Relay.from_url(relay.url), "anna")
        assert "@" not in results[0].text and "unknown" in results[0].text
        assert results[0].text.isprintable()
        assert results[0].enhanced == "5.1.1"
