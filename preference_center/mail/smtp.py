"""Hands messages to a relay over a few kept connections with PIPELINING, in one process, without threads.

The caller gives envelopes and gets one Result for each; `Courier.trouble` tells what is wrong with the relay itself.
"""

import re
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self

from preference_center import failpoints
from preference_center.mail import mime
from preference_center.mail.flight import Flight
from preference_center.mail.link import Address, Limits
from preference_center.mail.opening import Features
from preference_center.mail.outcomes import (
    NO_ADDRESS,
    Envelope,
    Journal,
    Outcome,
    Phase,
    RelayTrouble,
    Result,
    TroubleKind,
    clean,
)
from preference_center.mail.relay import Relay
from preference_center.mail.session import Session

__all__ = [
    "Courier",
    "Envelope",
    "Journal",
    "Outcome",
    "Phase",
    "Relay",
    "RelayTrouble",
    "Result",
    "TroubleKind",
    "send_one",
]

# Relays hang up on idle connections after some minutes (RFC 5321 allows five); long before that we do it ourselves.
IDLE_LIMIT = 60.0
# So many connections in a row that break without one accepted message make us give up one of ours.
STRIKES = 3
PULSE = 1.0
# So long at most what one connection has to say waits for what others have: writing and signing the next mail takes its time.
GATHERED = 0.001

_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")


class Courier:
    """Carries messages to one relay. Times in seconds. Connections stay open between hand-overs, until close().

    `connections` may be changed at any time; it counts from the next hand-over. `trouble` is what the last hand-over
    learned about the relay, the gravest of it, or None. `pulse`, if given, is called about once a second while waiting.
    """

    def __init__(
        self,
        relay: Relay,
        *,
        connections: int = 4,
        journal: Journal,
        final_dot_timeout: float = 600,
        command_timeout: float = 60,
        connect_timeout: float = 15,
        message_deadline: float = 300,
        messages_per_connection: int = 1000,
        pulse: Callable[[], None] | None = None,
    ) -> None:
        self.connections = connections
        self.trouble: RelayTrouble | None = None
        self._relay = relay
        self._journal = journal
        self._limits = Limits(
            connect_timeout, command_timeout, message_deadline, final_dot_timeout, messages_per_connection
        )
        self._pulse = pulse
        self._next_pulse = self._speaks_at = 0.0
        self._selector = selectors.DefaultSelector()
        self._sessions: list[Session] = []
        self._allowed = connections
        self._strikes = 0
        self._handing_over = False

    def hand_over(self, envelopes: Iterable[Envelope], may_start: Callable[[Envelope], bool]) -> Iterator[Result]:
        """Hand over all envelopes, pulled one at a time as connections become free; one Result for each, as they come.

        `may_start` is asked just before a message's MAIL leaves and once more just before its body, since MAIL travels with
        the dot before it and may have waited; when it says no, the message is not_sent. When the relay cannot be used any
        more, what is left is reported not_sent too, and `trouble` says why. Leaving the iteration early closes the
        connections that were at work; messages without a Result are then in the journal or were never sent.
        """
        if self._handing_over:
            raise RuntimeError("one hand-over at a time: finish the first, or use a second Courier")
        self._handing_over = True
        desk = _Desk(envelopes, may_start)
        try:
            self._prepare(desk)
            while True:
                self._put_to_work(desk)
                if desk.results:
                    self._journal.write()  # whatever becomes of them now, a dead worker's journal knows it too
                    while desk.results:
                        yield desk.results.popleft()
                if not self._goes_on(desk):
                    break
                self._wait()
            self._journal.write()  # of these too: a dot may be noted of one that was given back
            why = self.trouble.text if self.trouble else "no connection to the relay is left"
            yield from desk.refuse_rest(why)
        finally:
            self._handing_over = False
            for session in self._sessions:
                if session.busy or session.opening:
                    session.drop()
                else:
                    session.rest()
            self._bury(desk)
            self._journal.write()

    def close(self) -> None:
        """Say goodbye on every connection and close it."""
        for session in self._sessions:
            session.quit()
        self._sessions.clear()
        self._selector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _prepare(self, desk: "_Desk") -> None:
        """A new start: all connections are allowed again, and those that died while resting are let go."""
        self.trouble = None
        self._allowed = max(1, self.connections)
        self._strikes = 0
        now = time.monotonic()
        for number, session in enumerate(self._sessions):
            session.desk = desk
            if number >= self._allowed or now - session.kept_since > IDLE_LIMIT or not session.is_quiet():
                session.quit()
        self._bury(desk)

    def _put_to_work(self, desk: "_Desk") -> None:
        for session in self._sessions:
            if session.ready:
                session.begin()
                self._speak_in_time()
        self._speak()
        self._bury(desk)
        if len(self._sessions) < self._allowed:
            self._open_more(desk)
            self._bury(desk)

    def _speak(self) -> None:
        """Let all say what is to be said. Each end of a message is in the journal before any of it leaves: one note for all."""
        speaking = [session for session in self._sessions if session.has_words]
        ends = [key for session in speaking for key in session.prepare()]
        if ends:
            self._journal.dot(*ends)
        for session in speaking:
            session.say()
        if ends:
            failpoints.hit("smtp.dot")

    def _speak_in_time(self) -> None:
        if time.monotonic() >= self._speaks_at:
            self._speak()

    def _open_more(self, desk: "_Desk") -> None:
        """Connections for the messages that none is free for."""
        opening = sum(session.opening for session in self._sessions)
        idle = any(session.ready for session in self._sessions)
        while not idle and len(self._sessions) < self._allowed and desk.has_more_than(opening):
            try:
                addresses = self._addresses()
            except RelayTrouble as trouble:
                self._note(trouble)
                self._allowed = 0
                break
            self._sessions.append(Session(self._relay, addresses, self._limits, self._journal, self._selector, desk))
            opening += 1

    def _goes_on(self, desk: "_Desk") -> bool:
        if any(session.busy for session in self._sessions):
            return True
        if not desk.has_more_than(0):
            return False
        return bool(self._sessions) or self._allowed > 0

    def _wait(self) -> None:
        """Until something can be read or written, or a time is over. What has already come outruns its deadline."""
        if not self._sessions:
            return
        first = min(session.deadline for session in self._sessions)
        ready = self._selector.select(min(PULSE, max(0.0, first - time.monotonic())))
        self._speaks_at = time.monotonic() + GATHERED
        for key, mask in ready:
            session: Session = key.data
            session.on_ready(mask)
            self._speak_in_time()
        now = time.monotonic()
        if first <= now:
            for session in self._sessions:
                session.on_time(now)
        if self._pulse is not None and now >= self._next_pulse:
            self._next_pulse = now + PULSE
            self._speak()  # the pulse may have to wait, and what is approved must not grow old meanwhile
            self._pulse()

    def _bury(self, desk: "_Desk") -> None:
        """Take ended sessions out, and learn from how they ended."""
        ended = [session for session in self._sessions if session.ended]
        if not ended:
            return
        self._sessions = [session for session in self._sessions if not session.ended]
        if desk.accepted:
            self._strikes, desk.accepted = 0, False
        for session in ended:
            if session.trouble is not None:
                self._note(session.trouble)
                self._give_up_connections(session.trouble.kind)

    def _note(self, trouble: RelayTrouble) -> None:
        if trouble.graver_than(self.trouble):
            self.trouble = trouble

    def _give_up_connections(self, kind: TroubleKind) -> None:
        if kind in (TroubleKind.tls, TroubleKind.login_refused):
            # The same answer waits for every connection; asking again and again may get us locked out.
            self._allowed = 0
            for session in self._sessions:
                session.retiring = True
                if not session.busy:
                    session.quit()
            self._sessions = [session for session in self._sessions if not session.ended]
        elif kind is TroubleKind.closing:
            self._strikes += 1
            if self._strikes >= STRIKES:
                self._strikes = 0
                self._allowed -= 1
        else:
            self._allowed -= 1

    def _addresses(self) -> list[Address]:
        try:
            found = socket.getaddrinfo(self._relay.host, self._relay.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            text = f"the relay's name cannot be resolved: {getattr(error, 'strerror', None) or 'not a host name'}"
            raise RelayTrouble(TroubleKind.unreachable, text) from None
        return [(family, address) for family, _, _, _, address in found]


def send_one(relay: Relay, envelope: Envelope, *, journal: Journal | None = None, timeout: float = 60) -> Result:
    """Hand over one message on a connection of its own, as for a notice. `timeout` (seconds) holds for each answer.

    A relay in trouble makes it not_sent (or what it answered), with the reason as text.
    """
    with Courier(
        relay,
        connections=1,
        journal=journal or _NoJournal(),
        command_timeout=timeout,
        connect_timeout=min(timeout, 15),
        final_dot_timeout=timeout,
        message_deadline=4 * timeout,
    ) as courier:
        return next(iter(courier.hand_over([envelope], lambda _: True)))


class _NoJournal:
    """The caller's own row is the record."""

    def dot(self, *keys: int) -> None:
        """Nothing is noted."""

    def reply(self, key: int, code: int) -> None:
        """Nothing is noted."""

    def write(self) -> None:
        """Nothing is written."""


class _Desk:
    """One hand-over: envelopes wait here, and results until the caller takes them."""

    def __init__(self, envelopes: Iterable[Envelope], may_start: Callable[[Envelope], bool]) -> None:
        self.results: deque[Result] = deque()
        self.accepted = False
        self._coming = self._pulled(envelopes)
        self._may_start = may_start
        self._waiting: deque[Flight] = deque()

    def take(self, features: Features) -> Flight | None:
        """The next message that may start now on a connection with these features."""
        while (flight := self._waiting.popleft() if self._waiting else next(self._coming, None)) is not None:
            if flight.utf8 and not features.smtputf8:
                text = "the address needs SMTPUTF8, which the relay does not offer"
                self.results.append(_broken(flight.envelope, "5.6.7", text))
            elif self._may_start(flight.envelope):
                return flight
            else:
                text = "stopped before it began"
                key = flight.envelope.key
                self.results.append(Result(key, Outcome.not_sent, Phase.not_started, None, None, text))
        return None

    def has_more_than(self, number: int) -> bool:
        """Whether more than `number` messages wait; pulls no further than needed to know."""
        while len(self._waiting) <= number:
            flight = next(self._coming, None)
            if flight is None:
                return False
            self._waiting.append(flight)
        return True

    def _pulled(self, envelopes: Iterable[Envelope]) -> Iterator[Flight]:
        """The caller's messages that can go over a wire at all."""
        for envelope in envelopes:
            flight = _flight(envelope)
            if isinstance(flight, Result):
                self.results.append(flight)
            else:
                yield flight

    def still_wanted(self, flight: Flight) -> bool:
        """Ask again, for a message whose commands the relay has kept waiting."""
        return self._may_start(flight.envelope)

    def report(self, result: Result) -> None:
        """How one message ended."""
        if result.outcome is Outcome.accepted:
            self.accepted = True
        self.results.append(result)

    def give_back(self, flight: Flight) -> None:
        """A message that was not the one that failed: it goes first on the next free connection."""
        self._waiting.appendleft(flight)

    def refuse_rest(self, why: str) -> Iterator[Result]:
        """Everything that has not begun, as not_sent."""
        while self.has_more_than(0):
            yield from self._drain()
            flight = self._waiting.popleft()
            yield Result(flight.envelope.key, Outcome.not_sent, Phase.not_started, None, None, clean(why))
        yield from self._drain()

    def _drain(self) -> Iterator[Result]:
        while self.results:
            yield self.results.popleft()


def _flight(envelope: Envelope) -> Flight | Result:
    """The envelope as it goes over the wire, or the Result that says why it cannot."""
    if envelope.dotless and mime.is_usual(envelope.sender) and mime.is_usual(envelope.recipient):
        return Flight(envelope)
    try:
        sender, sender_utf8 = _address(envelope.sender) if envelope.sender else ("", False)
    except ValueError as error:
        return _broken(envelope, "5.1.7", f"sender: {error}")
    try:
        recipient, recipient_utf8 = _address(envelope.recipient)
    except ValueError as error:
        return _broken(envelope, NO_ADDRESS, f"recipient: {error}")
    data = envelope.data if envelope.dotless else _made_dotless(envelope.data)
    return Flight(Envelope(envelope.key, sender, recipient, data, dotless=True), utf8=sender_utf8 or recipient_utf8)


def _address(address: str) -> tuple[str, bool]:
    try:
        return mime.envelope_address(address), False
    except mime.NeedsSMTPUTF8:
        return mime.utf8_address(address), True


def _broken(envelope: Envelope, enhanced: str, text: str) -> Result:
    return Result(envelope.key, Outcome.permanent, Phase.not_started, None, enhanced, text)


def _made_dotless(data: bytes) -> bytes:
    """Repair what would end a message early or smuggle a second one in: bare line endings, leading dots, a missing end."""
    if _BARE.search(data):
        data = _BARE.sub(b"\r\n", data)
    if data.startswith(b".") or b"\n." in data:
        data = (b"\r\n" + data).replace(b"\r\n.", b"\r\n..")[2:]
    return data if data.endswith(b"\r\n") else data + b"\r\n"
