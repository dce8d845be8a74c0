"""A relay of another make, aiosmtpd, sees the same messages as our own fake one: no mistake shared by both sides."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from preference_center.mail import dkim, mime
from preference_center.mail.smtp import Envelope, Outcome, Relay
from tests.mail.handing import hand, quick, to


class Sink:
    """Keeps what it is given; refuses who asks for it."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.envelopes.append(envelope)
        return "250 2.0.0 taken"


@pytest.fixture
def sink() -> Iterator[tuple[Sink, Relay]]:
    handler = Sink()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]  # it insists on a number, so a free one is found first
    controller = Controller(handler, hostname="127.0.0.1", port=port, enable_SMTPUTF8=True)
    controller.start()
    try:
        yield handler, Relay("127.0.0.1", port, tls="none")
    finally:
        controller.stop()


def test_another_relay_takes_the_same_bytes(sink: tuple[Sink, Relay]) -> None:
    handler, relay = sink
    envelopes = to(*(f"u{number}" for number in range(40)), text="Zażółć\n.\n..\nFrom here\n")
    with quick(relay, connections=3) as courier:
        results = hand(courier, envelopes)
    assert {result.outcome for result in results.values()} == {Outcome.accepted}
    arrived = {envelope.rcpt_tos[0]: envelope for envelope in handler.envelopes}
    assert len(handler.envelopes) == len(arrived) == 40
    for envelope in envelopes:
        assert arrived[envelope.recipient].content == envelope.data
        assert arrived[envelope.recipient].mail_from == envelope.sender


def test_another_relay_refuses_and_goes_on(sink: tuple[Sink, Relay]) -> None:
    handler, relay = sink
    with quick(relay) as courier:
        results = hand(courier, to("anna", "nobody", "ben", "nobody", "zoë"))
    assert [results[key].outcome for key in range(5)] == [
        *(Outcome.accepted, Outcome.permanent, Outcome.accepted, Outcome.permanent, Outcome.accepted)
    ]
    assert [envelope.rcpt_tos for envelope in handler.envelopes] == [
        ["anna@c.example"],
        ["ben@c.example"],
        ["zoë@c.example"],
    ]


def test_a_signed_message_arrives_as_it_was_signed(sink: tuple[Sink, Relay]) -> None:
    handler, relay = sink
    headers = [("From", mime.mailbox("Żółw", "a@s.example")), ("To", "anna@c.example"), ("Subject", "…and dots")]
    signed = dkim.Signer("s.example", "s1", dkim.generate_key()).sign(
        mime.message(headers, ".\n" * 50, "<p>.\n.</p>", boundary="=_b")
    )
    with quick(relay) as courier:
        results = hand(courier, [Envelope(1, "b@s.example", "anna@c.example", signed, dotless=True)])
    assert results[1].outcome is Outcome.accepted
    assert handler.envelopes[0].content == signed
