"""A connection to the relay that opens itself: address after address, TLS, greeting, login. Then the session speaks on its wire."""

import math
import selectors
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from preference_center.mail.opening import Features, Opening, Steps
from preference_center.mail.outcomes import RelayTrouble, Reply, TroubleKind, clean
from preference_center.mail.relay import Relay
from preference_center.mail.wire import READ, Gibberish, Gone, Wire

Address = tuple[int, tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds; `message` bounds one message from MAIL to the end of its body however lively the relay drips."""

    connect: float = 15
    command: float = 60
    message: float = 300
    final_dot: float = 600
    messages_per_connection: int = 1000


class Link:
    """One connection from its first SYN to the first MAIL. `owner` is what the selector hands back with each event.

    Methods raise Gone when the connection broke, RelayTrouble when the relay or TLS refused us.
    """

    def __init__(
        self,
        relay: Relay,
        addresses: Sequence[Address],
        limits: Limits,
        selector: selectors.BaseSelector,
        owner: object,
    ) -> None:
        self._relay, self._limits, self._selector, self._owner = relay, limits, selector, owner
        self._addresses = deque(addresses)
        self._opening = Opening(relay)
        self._steps: Steps | None = self._opening.steps()
        self._wire: Wire | None = None
        self._connecting = False
        self._shaking = False
        self._registered = 0
        self._all_steps_until = time.monotonic() + limits.message
        self.features = Features()
        self.deadline = math.inf

    @property
    def opening(self) -> bool:
        """Whether it is still connecting, greeting or signing in."""
        return self._steps is not None

    def connect(self, words: str = "it has no address") -> None:
        """Try the next address. RelayTrouble when none is left; `words` say why the last one failed."""
        while self._addresses:
            family, address = self._addresses.popleft()
            try:
                self._wire = Wire(family, address)
            except Gone as gone:
                words = str(gone)
                continue
            self._connecting = True
            self.deadline = time.monotonic() + self._limits.connect
            self.register()
            return
        raise RelayTrouble(TroubleKind.unreachable, f"the relay cannot be reached: {words}")

    def on_ready(self, mask: int) -> None:
        """The selector's news, while opening."""
        wire = self.wire()
        if self._connecting:
            wire.check_connected()
            self._connected(wire)
        elif self._shaking:
            self._shake(wire)
        else:
            if not wire.flushed:
                wire.flush()
            if mask & READ:
                self._read(wire)

    def failed(self, gone: Gone) -> RelayTrouble | None:
        """The connection broke while opening: go on to the next address, or say what the trouble is."""
        try:
            if self._connecting:
                self.close()
                self.connect(str(gone))
                return None
            for reply in gone.last_words:
                self._introduce(reply)
        except RelayTrouble as trouble:
            return trouble
        except Gone:
            pass
        text = f"the relay cannot be reached: {gone} (at: {self._opening.phase})"
        return RelayTrouble(TroubleKind.unreachable, text)

    def wire(self) -> Wire:
        """What carries the octets."""
        if self._wire is None:
            raise Gone("the connection is closed")
        return self._wire

    def register(self) -> None:
        """Tell the selector what is wanted now."""
        wire = self._wire
        if wire is None or wire.wanted == self._registered:
            return
        if self._registered:
            self._selector.modify(wire.fd, wire.wanted, self._owner)
        else:
            self._selector.register(wire.fd, wire.wanted, self._owner)
        self._registered = wire.wanted

    def close(self) -> None:
        """Let go of the socket at once."""
        if self._wire is not None:
            if self._registered:
                self._selector.unregister(self._wire.fd)
                self._registered = 0
            self._wire.close()
            self._wire = None

    def _connected(self, wire: Wire) -> None:
        self._connecting = False
        self._restart_clock()
        if self._relay.tls == "implicit":
            self._start_tls(wire)
        else:
            self._introduce(None)

    def _read(self, wire: Wire) -> None:
        replies = wire.read()
        if len(replies) > 1:
            # We say one thing at a time here, so a second reply was put there by somebody else (or before TLS began).
            raise Gibberish("the relay answered before it was asked")
        for reply in replies:
            self._restart_clock()
            self._introduce(reply)

    def _introduce(self, reply: Reply | None) -> None:
        """One step of the opening: hand over the reply, send what comes next."""
        if self._steps is None:
            return
        try:
            words = next(self._steps) if reply is None else self._steps.send(reply)
        except StopIteration as done:
            self._steps = None
            self.features = done.value
            self.deadline = math.inf
            return
        if words is None:
            self._start_tls(self.wire())
        elif words:
            self.wire().write(words)

    def _start_tls(self, wire: Wire) -> None:
        wire.start_tls(self._relay.tls_context(), self._relay.host)
        self._shaking = True
        self._shake(wire)

    def _shake(self, wire: Wire) -> None:
        try:
            done = wire.shake_hands()
        except OSError as error:
            why = getattr(error, "verify_message", "") or getattr(error, "reason", "") or error.strerror or "broken off"
            text = clean(f"no secure connection to the relay: {why}")
            raise RelayTrouble(TroubleKind.tls, text) from None
        if not done:
            return
        self._shaking = False
        self._restart_clock()
        # With TLS from the start the greeting comes now; after STARTTLS the steps go on as if they had been answered.
        self._introduce(None if self._relay.tls == "implicit" else Reply(220, ("",)))
        # The relay's first words may have come with the end of the handshake, where no selector sees them.
        self._read(wire)

    def _restart_clock(self) -> None:
        self.deadline = min(time.monotonic() + self._limits.command, self._all_steps_until)
