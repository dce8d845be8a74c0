"""The words for how a hand-over ends: phases, outcomes, replies, and what is wrong with the relay itself."""

import re
from enum import StrEnum
from typing import NamedTuple, Protocol

from preference_center.mail.header_lines import header_text

TEXT_LIMIT = 300
NO_ADDRESS = "5.1.3"  # RFC 3463: what stands for the recipient is no address
NOT_SENT = 421  # stands in the journal for the answer to an end that was noted and never left

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)")
# Anything that looks like an address goes: the recipient, and our return path, which carries a token.
_ADDRESS = re.compile(r"<?[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+>?")
_TOO_MUCH = re.compile(
    r"too (many|much|fast)|rate.?limit|rate.?control|throttl|slow down|unusual rate|limit exceeded", re.I
)


class Phase(StrEnum):
    """How far the conversation had come (reliability of each: see Outcome). Only `dot` can be uncertain."""

    not_started = "not_started"
    connect = "connect"
    hello = "hello"
    starttls = "starttls"
    login = "login"
    mail = "mail"
    rcpt = "rcpt"
    data = "data"
    body = "body"
    dot = "dot"


class Outcome(StrEnum):
    """How one hand-over ended.

    accepted: the relay said 2xx after the final dot. temporary / permanent: it said 4xx / 5xx somewhere, nothing was
    accepted. not_sent: it broke before the final dot or never began; it may be tried again freely. uncertain: the
    final dot was written and no reply came; it may have been accepted, so it must not simply be sent again.
    """

    accepted = "accepted"
    temporary = "temporary"
    permanent = "permanent"
    not_sent = "not_sent"
    uncertain = "uncertain"


class Envelope(NamedTuple):
    """One message for one recipient. `key` is the caller's own; `data` is finished: CRLF, ending in CRLF, signed.

    `dotless` promises that no line of `data` begins with a dot and all endings are CRLF, as mime.message() writes it;
    without the promise each message is searched for such lines and repaired. An empty `sender` is the null path.
    """

    key: int
    sender: str
    recipient: str
    data: bytes
    dotless: bool = False


class Result(NamedTuple):
    """How one envelope ended. `code` and `enhanced` (RFC 3463) come from the relay, except 5.6.7 (needs SMTPUTF8),
    5.1.3 and 5.1.7 (broken recipient or sender address), which are ours and have no code.
    `text` is one line without addresses, fit for a log. What was accepted has its code alone.
    """

    key: int
    outcome: Outcome
    phase: Phase
    code: int | None
    enhanced: str | None
    text: str

    @property
    def is_about_domain(self) -> bool:
        """The recipient's side asks us to slow down, through the relay or as the relay: nobody else need wait."""
        return _is_about_domain(self.phase, self.enhanced, self.text)


class Journal(Protocol):
    """Where final dots are written down just before they are sent, and each reply to one before its result counts."""

    def dot(self, *keys: int) -> None:
        """Write at once, with the replies noted so far."""

    def reply(self, key: int, code: int) -> None:
        """Note; it is written with the next dots or by write()."""

    def write(self) -> None:
        """Write the replies noted so far."""


class TroubleKind(StrEnum):
    """What is wrong with the relay, or with us in its eyes; the graver kinds come later."""

    closing = "closing"
    unreachable = "unreachable"
    slow_down = "slow_down"
    tls = "tls"
    login_refused = "login_refused"


_GRAVITY = list(TroubleKind)


class RelayTrouble(Exception):
    """Not about one message but about the relay as a whole: pause (login_refused, tls), slow down, or try later."""

    def __init__(self, kind: TroubleKind, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.code = code

    def graver_than(self, other: "RelayTrouble | None") -> bool:
        """Whether this one is what the operator should hear of first."""
        return other is None or _GRAVITY.index(self.kind) > _GRAVITY.index(other.kind)


class Reply(NamedTuple):
    """One complete reply: its code and its lines without the code (RFC 5321 4.2)."""

    code: int
    lines: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the command was accepted."""
        return 200 <= self.code < 300

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code (RFC 3463), when it agrees with the code."""
        match = _ENHANCED.match(self.lines[0])
        return match.group() if match and match.group(1) == str(self.code)[0] else None

    @property
    def text(self) -> str:
        """The words, on one line, without the enhanced code and without anything like an address."""
        enhanced = self.enhanced
        lines = [line.removeprefix(enhanced).lstrip() if enhanced else line for line in self.lines]
        return clean(" ".join(lines))

    @property
    def asks_to_slow_down(self) -> bool:
        """421, 4.7.28, or words to that effect; not when it is about one mailbox (4.2.x)."""
        if self.code == 421:
            return True
        enhanced = self.enhanced or ""
        if not 400 <= self.code < 500 or enhanced.startswith("4.2."):
            return False
        return enhanced == "4.7.28" or bool(_TOO_MUCH.search(" ".join(self.lines)))

    @property
    def wants_login(self) -> bool:
        """The relay no longer believes who we are (RFC 4954 6): about us, never about the recipient."""
        return self.code in (530, 534, 535, 538)


def clean(text: str) -> str:
    """One line for a log: no control characters, no address, not too long."""
    return header_text(_ADDRESS.sub("[address]", text) if "@" in text else text, TEXT_LIMIT)


def of_reply(key: int, phase: Phase, reply: Reply) -> Result:
    """What a 4xx or 5xx means for a message; a lost login is not the message's fault."""
    if reply.wants_login and phase is not Phase.dot:
        outcome = Outcome.not_sent
    else:
        outcome = Outcome.temporary if reply.code < 500 else Outcome.permanent
    return Result(key, outcome, phase, reply.code, reply.enhanced, reply.text)


def _is_about_domain(phase: Phase, enhanced: str | None, text: str) -> bool:
    """Only once the recipient is known; other codes of 4.7 are as often the relay's own."""
    if phase not in (Phase.rcpt, Phase.data, Phase.body, Phase.dot):
        return False
    return enhanced == "4.7.28" or "unusual rate" in text


def trouble_in(phase: Phase, reply: Reply) -> RelayTrouble | None:
    """What a refusal tells of the relay as a whole, if anything."""
    if reply.wants_login and phase is not Phase.dot:
        text = f"the relay wants a new login: {reply.code} {reply.text}"
        return RelayTrouble(TroubleKind.login_refused, text, reply.code)
    if _is_about_domain(phase, reply.enhanced, reply.text):
        return None
    if reply.asks_to_slow_down:
        text = f"the relay asks us to slow down: {reply.code} {reply.text}"
        return RelayTrouble(TroubleKind.slow_down, text, reply.code)
    return None
