"""How a conversation with a relay begins: greeting, EHLO, STARTTLS, AUTH (RFC 5321, 3207, 4954).

Written as a generator: it yields what to say, or None for "shake hands now", and is sent each reply. RelayTrouble ends it.
"""

import base64
from collections.abc import Generator
from dataclasses import dataclass, field

from preference_center.mail.outcomes import Phase, RelayTrouble, Reply, TroubleKind
from preference_center.mail.relay import Relay


@dataclass(frozen=True, slots=True)
class Features:
    """What the relay offers (its last EHLO answer)."""

    pipelining: bool = False
    starttls: bool = False
    smtputf8: bool = False
    eight_bit: bool = False
    chunking: bool = False
    logins: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, reply: Reply) -> "Features":
        """Read the EHLO answer; its first line is only a greeting."""
        offers: dict[str, list[str]] = {}
        for line in reply.lines[1:]:
            # Some old relays write "AUTH=PLAIN".
            word, *rest = line.upper().replace("=", " ").split() or [""]
            offers.setdefault(word, []).extend(rest)
        return cls(
            pipelining="PIPELINING" in offers,
            starttls="STARTTLS" in offers,
            smtputf8="SMTPUTF8" in offers,
            eight_bit="8BITMIME" in offers,
            chunking="CHUNKING" in offers,
            logins=frozenset(offers.get("AUTH", ())),
        )


Steps = Generator[bytes | None, Reply, Features]


class Opening:
    """The steps for one relay. `phase` tells where they stand."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self.phase = Phase.connect

    def steps(self) -> Steps:
        """From the greeting to the first MAIL; returns what the relay offers."""
        greeting = yield b""
        if not greeting.ok:
            raise _refused(greeting, "the relay does not take our connection")
        features = yield from self._hello()
        if self._relay.tls == "starttls":
            yield from self._secure(features)
            # What was said in clear does not count (RFC 3207 4.2).
            features = yield from self._hello()
        if self._relay.user is not None and self._relay.password is not None:
            yield from self._login(features, self._relay.user, self._relay.password)
        return features

    def _hello(self) -> Steps:
        self.phase = Phase.hello
        reply = yield f"EHLO {self._relay.hello}\r\n".encode()
        if reply.code in (500, 502):
            reply = yield f"HELO {self._relay.hello}\r\n".encode()
            reply = Reply(reply.code, reply.lines[:1])
        if not reply.ok:
            raise _refused(reply, "the relay does not accept our greeting")
        return Features.of(reply)

    def _secure(self, features: Features) -> Generator[bytes | None, Reply, None]:
        self.phase = Phase.starttls
        if not features.starttls:
            raise RelayTrouble(TroubleKind.tls, "the relay does not offer STARTTLS, and nothing is sent in clear")
        reply = yield b"STARTTLS\r\n"
        if reply.code == 421:
            raise _refused(reply, "the relay does not start TLS")
        if not reply.ok:
            raise RelayTrouble(TroubleKind.tls, f"the relay refused STARTTLS: {reply.code} {reply.text}", reply.code)
        yield None

    def _login(self, features: Features, user: str, password: str) -> Generator[bytes | None, Reply, None]:
        self.phase = Phase.login
        if "PLAIN" in features.logins:
            reply = yield b"AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()) + b"\r\n"
        elif "LOGIN" in features.logins:
            reply = yield b"AUTH LOGIN\r\n"
            if reply.code == 334:
                reply = yield base64.b64encode(user.encode()) + b"\r\n"
            if reply.code == 334:
                reply = yield base64.b64encode(password.encode()) + b"\r\n"
        else:
            text = "the relay offers no way to sign in that we know (AUTH PLAIN or LOGIN)"
            raise RelayTrouble(TroubleKind.login_refused, text)
        if reply.ok:
            return
        if reply.code < 500:
            raise _refused(reply, "the relay cannot check our login now")
        text = f"the relay refused our login: {reply.code} {reply.text}"
        raise RelayTrouble(TroubleKind.login_refused, text, reply.code)


def _refused(reply: Reply, words: str) -> RelayTrouble:
    kind = TroubleKind.unreachable
    if reply.asks_to_slow_down:
        kind = TroubleKind.slow_down
    elif reply.wants_login:
        kind = TroubleKind.login_refused
    return RelayTrouble(kind, f"{words}: {reply.code} {reply.text}", reply.code)
