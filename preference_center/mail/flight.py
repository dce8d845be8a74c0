"""One message on its way, and where a session gets its messages and leaves their results."""

import math
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple, Protocol

from preference_center.mail.opening import Features
from preference_center.mail.outcomes import Envelope, Phase, Result


class Step(Enum):
    """What was said and awaits its answer, in the order of the conversation."""

    reset = auto()
    mail = auto()
    rcpt = auto()
    data = auto()
    body = auto()
    dot = auto()
    empty_dot = auto()
    chunk = auto()  # a whole message in one BDAT, its end included


PHASES = {
    Step.reset: Phase.mail,
    Step.mail: Phase.mail,
    Step.rcpt: Phase.rcpt,
    Step.data: Phase.data,
    Step.body: Phase.body,
    Step.dot: Phase.dot,
    Step.empty_dot: Phase.mail,
    Step.chunk: Phase.dot,
}
_ASKED = (Step.mail, Step.rcpt, Step.data)
_WHOLE = (Step.mail, Step.rcpt, Step.chunk)


@dataclass(slots=True, eq=False)
class Flight:
    """One envelope on its way, with addresses and data in the form the relay gets. Times are of time.monotonic()."""

    envelope: Envelope
    utf8: bool = False
    deadline: float = math.inf
    refusal: Result | None = None
    dot_at: float = math.inf  # where its end stands among all octets of its connection
    given_back: bool = False

    def commands(self, features: Features, *, chunked: bool = False) -> "tuple[Words, ...]":
        """MAIL, RCPT and DATA for this message (RFC 5321; RFC 6531 for addresses beyond ASCII), or BDAT with all of it (RFC 3030)."""
        _, sender, recipient, data, _ = self.envelope
        options = ""
        if self.utf8:
            options = " BODY=8BITMIME SMTPUTF8" if features.eight_bit else " SMTPUTF8"
        if chunked:
            head = f"MAIL FROM:<{sender}>{options}\r\nRCPT TO:<{recipient}>\r\nBDAT {len(data)} LAST\r\n"
            return (Words(_WHOLE, self, (head.encode(), data)),)
        if features.pipelining:
            named = f"MAIL FROM:<{sender}>{options}\r\nRCPT TO:<{recipient}>\r\nDATA\r\n"
            return (Words(_ASKED, self, (named.encode(),)),)
        return (
            Words((Step.mail,), self, (f"MAIL FROM:<{sender}>{options}\r\n".encode(),)),
            Words((Step.rcpt,), self, (f"RCPT TO:<{recipient}>\r\n".encode(),)),
            Words((Step.data,), self, (b"DATA\r\n",)),
        )


class Words(NamedTuple):
    """What is said in one go, and the steps whose answers are awaited then."""

    steps: tuple[Step, ...]
    flight: Flight | None
    parts: tuple[bytes, ...]


class Desk(Protocol):
    """Where a session gets its messages and leaves their results: one hand-over's side of it."""

    def take(self, features: Features) -> Flight | None: ...
    def still_wanted(self, flight: Flight) -> bool: ...
    def report(self, result: Result) -> None: ...
    def give_back(self, flight: Flight) -> None: ...
