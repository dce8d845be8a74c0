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
from preference_center.mail.flight import Desk, Flight, Step
from preference_center.mail.link import Address, Limits, Link
from preference_center.mail.opening import Features
from preference_center.mail.outcomes import Journal, RelayTrouble, Reply
from preference_center.mail.relay import Relay

TOGETHER = 65_536  # octets of a body that goes in one write with its dot
ENDS = (Step.dot, Step.chunk)  # with these a message may have been accepted


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
        self.retiring = self.ended = False
        self.trouble: RelayTrouble | None = None
        self.kept_since = 0.0
        self._limits, self._journal = limits, journal
        # Said and not answered yet; and what is still to be said. A body on its way stands in front as Step.body.
        self._expected: deque[tuple[Step, Flight | None]] = deque()
        self._unsaid: deque[tuple[Step, Flight | None, bytes]] = deque()
        self._replies: deque[Reply] = deque()
        self._deadline = math.inf
        self._carried = 0
        self._kept = self._dying = self._needs_reset = self._writing = False
        self._in_flight = relay.in_flight
        self._link = Link(relay, addresses, limits, selector, self)

    @property
    def opening(self) -> bool:
        """Whether it is still connecting, greeting or signing in."""
        return self._link.opening and not self.ended

    @property
    def busy(self) -> bool:
        """Whether a message is on its way here."""
        return bool(self._expected or self._unsaid)

    @property
    def ready(self) -> bool:
        """Whether it can begin a message now."""
        if self.ended or self.retiring or self._link.opening:
            return False
        if not self._expected and not self._unsaid:
            return True
        more = self._carried < self._limits.messages_per_connection and self._chunked
        return more and sum(step is Step.chunk for step, _ in self._expected) < self._in_flight

    @property
    def _chunked(self) -> bool:
        offered = self._link.features
        return self._in_flight > 1 and offered.chunking and offered.pipelining

    @property
    def features(self) -> Features:
        """What the relay offers, once open."""
        return self._link.features

    @property
    def deadline(self) -> float:
        """When on_time() will have something to do, by time.monotonic()."""
        return self._link.deadline if self._link.opening else self._deadline

    def _line_up(self, flight: Flight) -> None:
        """Note down what is to be said for one message."""
        chunked = self._chunked
        if self._needs_reset or (chunked and self._expected):
            self._needs_reset = False
            self._unsaid.append((Step.reset, None, b"RSET\r\n"))
        lines = flight.commands(self._link.features, chunked=chunked)
        self._unsaid.extend((step, flight, line) for step, line in lines)
        flight.deadline = math.inf
        self._carried += 1
        if chunked:
            self._journal.dot(flight.envelope.key)
            flight.dot_at = self._link.written + sum(len(line) for _, _, line in self._unsaid) - 1

    def _say(self, *first: bytes) -> None:
        """Write what may be written now: everything with PIPELINING, one command at a time without."""
        if self._dying:
            return
        lines = [*first]
        while self._unsaid and (self._link.features.pipelining or not self._expected):
            step, flight, line = self._unsaid.popleft()
            self._expected.append((step, flight))
            lines.append(line)
        if lines:
            self._link.write(b"".join(lines))

    def _go_on_writing(self) -> None:
        """When a body has left this process entirely, its dot may follow."""
        if not self._expected or self._dying:
            return
        step, flight = self._expected[0]
        if step is Step.body:
            if flight is not None and self._link.flushed:
                self._dot(flight)
            self._restart_clock()
        elif step in ENDS and self._writing:
            self._writing = not self._link.flushed
            self._restart_clock()

    def _dot(self, flight: Flight, body: bytes = b"") -> None:
        """The moment of doubt begins here: journal first, then the dot, with the next message's commands behind it.

        A small body goes in the same write: it fits the system's buffer, so nothing can come between it and its dot for long.
        """
        more = not self.retiring and self._carried < self._limits.messages_per_connection
        follower = self.desk.take(self._link.features) if more and self._link.features.pipelining else None
        if follower is not None:
            self._line_up(follower)
        self._journal.dot(flight.envelope.key)
        if body:
            self._expected.appendleft((Step.dot, flight))
        else:
            self._expected[0] = (Step.dot, flight)
        flight.dot_at = self._link.written + len(body)
        self._say(body, b".\r\n")
        self._writing = not self._link.flushed
        failpoints.hit("smtp.dot")

    def _has_left(self, flight: Flight) -> bool:
        """Whether the end of this message has left this process: from then on it may have been accepted."""
        return self._link.sent > flight.dot_at

    def _restart_clock(self) -> None:
        """Each awaited answer has its time, and the message at the head of the queue has one over all of them."""
        now = time.monotonic()
        if not self._expected:
            self._deadline = math.inf
            return
        step, flight = self._expected[0]
        if step in ENDS and flight is not None and self._has_left(flight):
            self._deadline = now + self._limits.final_dot
            return
        if flight is not None and flight.deadline == math.inf:
            flight.deadline = now + self._limits.message
        self._deadline = min(now + self._limits.command, math.inf if flight is None else flight.deadline)
