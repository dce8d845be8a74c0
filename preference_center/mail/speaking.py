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
from itertools import repeat

from preference_center.mail.flight import Desk, Flight, Step, Words
from preference_center.mail.link import Address, Limits, Link
from preference_center.mail.opening import Features
from preference_center.mail.outcomes import Journal, RelayTrouble, Reply
from preference_center.mail.relay import Relay
from preference_center.mail.wire import Wire

TOGETHER = 65_536  # octets of a body that goes in one write with its dot
ENDS = (Step.dot, Step.chunk)  # with these a message may have been accepted
DOT = b".\r\n"
_RESET = Words((Step.reset,), None, (b"RSET\r\n",))


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
        self._parts: list[bytes] = []  # put together, to be said at once
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
            self._unsaid.append(_RESET)
        self._unsaid.extend(flight.commands(self.features, chunked=self._chunked))
        flight.deadline = math.inf
        self._carried += 1
        self._chunks += self._chunked

    @property
    def has_words(self) -> bool:
        """Whether something may be said now: everything with PIPELINING, one command at a time without."""
        return bool(self._unsaid) and (self.features.pipelining or not self._expected)

    def prepare(self) -> list[int]:
        """Put together what may be said now; the keys of the messages that end in it.

        The moment of doubt begins here: they are in the journal before say() is called.
        """
        at = self._wire.written
        ending: list[int] = []
        while self._unsaid and (self.features.pipelining or not self._expected):
            steps, flight, parts = self._unsaid.popleft()
            self._expected.extend(zip(steps, repeat(flight), strict=False))
            self._parts += parts
            at += sum(map(len, parts))
            if flight is not None and steps[-1] in ENDS:
                flight.dot_at = at - (1 if self._chunked else len(DOT))
                ending.append(flight.envelope.key)
        return ending

    def _go_on_writing(self) -> None:
        """Each part that leaves gives the rest new time. When a body has left this process entirely, its dot may follow."""
        self._writing = not self._wire.flushed
        step, flight = self._expected[0] if self._expected else (None, None)
        if step is Step.body and flight is not None and not self._writing:
            self._expected.popleft()
            self._dot(flight)
        if step is Step.body or step in ENDS:
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
