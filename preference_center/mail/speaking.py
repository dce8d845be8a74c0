"""What one connection has said and still has to say, and how long an answer may take (RFC 5321, 2920, 3030). session.py hears.

In one flight travel body and final dot of one message and MAIL, RCPT and DATA of the next; the next body waits for its own
354, which comes after the dot's reply. So exactly one message on a connection can be in doubt at any moment.
Where the operator asked for more in flight and the relay offers CHUNKING, whole messages follow each other in BDAT;
then so many may be in doubt. RSET stands between them, since nobody knows yet how the one before has ended.
"""

import math
import selectors
import time
from collections import deque
from collections.abc import Sequence

from preference_center import failpoints
from preference_center.mail.flight import Desk, Flight, Step, Words
from preference_center.mail.link import Address, Limits, Link
from preference_center.mail.opening import Features
from preference_center.mail.outcomes import Journal, RelayTrouble, Reply
from preference_center.mail.relay import Relay
from preference_center.mail.wire import Wire

TOGETHER = 65_536  # octets of a body that goes in one write with its dot
ENDS = (Step.dot, Step.chunk)  # with these a message may have been accepted
DOT = b".\r\n"


class Speaker:
    """The speaking half of a session."""

    def __init__(
        self,
        relay: Relay,
        addresses: Sequence[Address],
        limits: Limits,
        journal: Journal,
        selector: selectors.BaseSelector,
        desk: Desk,
    ) -> None:
        self.desk = desk
        self.opening = True  # connecting, greeting or signing in
        self.retiring = self.ended = False
        self.trouble: RelayTrouble | None = None
        self.deadline = math.inf  # when on_time() will have something to do, by time.monotonic()
        self.kept_since = 0.0
        self.features = Features()  # what the relay offers, once open
        self._limits, self._journal = limits, journal
        # Said and not answered yet; and what is still to be said. A body on its way stands in front as Step.body.
        self._expected: deque[tuple[Step, Flight | None]] = deque()
        self._unsaid: deque[Words] = deque()
        self._replies: deque[Reply] = deque()
        self._carried = 0
        self._kept = self._dying = self._needs_reset = self._writing = False
        self._in_flight = relay.in_flight
        self._chunked = False  # whole messages by BDAT, several in flight
        self._chunks = 0  # of them, without an answer yet
        self._link = Link(relay, addresses, limits, selector, self)
        self._wire: Wire  # of the link, once open

    @property
    def busy(self) -> bool:
        """Whether a message is on its way here."""
        return bool(self._expected or self._unsaid)

    @property
    def ready(self) -> bool:
        """Whether it can begin a message now."""
        if self.opening or self.ended or self.retiring:
            return False
        if not self._expected and not self._unsaid:
            return True
        return self._chunks < self._in_flight and self._chunked and self._carried < self._limits.messages_per_connection

    def _opened(self) -> None:
        """From now on messages may be handed over."""
        self.opening = False
        self.features = self._link.features
        self._wire = self._link.wire()
        self._chunked = self._in_flight > 1 and self.features.chunking and self.features.pipelining

    def _line_up(self, flight: Flight) -> None:
        """Note down what is to be said for one message."""
        if self._needs_reset or (self._chunked and self.busy):
            self._needs_reset = False
            self._unsaid.append(Words((Step.reset,), None, (b"RSET\r\n",)))
        self._unsaid.extend(flight.commands(self.features, chunked=self._chunked))
        flight.deadline = math.inf
        self._carried += 1
        self._chunks += self._chunked

    def _say(self) -> None:
        """Write what may be written now: everything with PIPELINING, one command at a time without.

        The moment of doubt begins here: each end is in the journal before any of it leaves.
        """
        if self._dying:
            return
        wire, pipelining = self._wire, self.features.pipelining
        parts: list[bytes] = []
        ending: list[int] = []
        at = wire.written
        while self._unsaid and (pipelining or not self._expected):
            steps, flight, words = self._unsaid.popleft()
            for step in steps:
                self._expected.append((step, flight))
            for part in words:
                at += len(part)
            parts += words
            if steps[-1] in ENDS and flight is not None:
                flight.dot_at = at - (1 if self._chunked else len(DOT))
                ending.append(flight.envelope.key)
        if ending:
            self._journal.dot(*ending)
        if parts:
            wire.write(*parts)
        if ending:
            self._writing = not wire.flushed

    def _go_on_writing(self) -> None:
        """When a body has left this process entirely, its dot may follow."""
        if not self._expected or self._dying:
            return
        step, flight = self._expected[0]
        if step is Step.body:
            if flight is not None and self._wire.flushed:
                self._expected.popleft()
                self._dot(flight)
            self._restart_clock()
        elif step in ENDS and self._writing:
            self._writing = not self._wire.flushed
            self._restart_clock()

    def _dot(self, flight: Flight, body: bytes = b"") -> None:
        """The end of a message, with the next message's commands behind it.

        A small body goes in the same write: it fits the system's buffer, so nothing can come between it and its dot for long.
        """
        more = not self.retiring and self._carried < self._limits.messages_per_connection
        follower = self.desk.take(self.features) if more and self.features.pipelining else None
        self._unsaid.append(Words((Step.dot,), flight, (body, DOT)))
        if follower is not None:
            self._line_up(follower)
        self._say()
        failpoints.hit("smtp.dot")

    def _has_left(self, flight: Flight) -> bool:
        """Whether the end of this message has left this process: from then on it may have been accepted."""
        return self._wire.sent > flight.dot_at

    def _restart_clock(self) -> None:
        """Each awaited answer has its time, and the message at the head of the queue has one over all of them."""
        if not self._expected:
            self.deadline = math.inf
            return
        now = time.monotonic()
        step, flight = self._expected[0]
        if step in ENDS and flight is not None and self._has_left(flight):
            self.deadline = now + self._limits.final_dot
            return
        if flight is not None and flight.deadline == math.inf:
            flight.deadline = now + self._limits.message
        self.deadline = min(now + self._limits.command, math.inf if flight is None else flight.deadline)
