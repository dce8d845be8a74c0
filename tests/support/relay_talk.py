"""What the fake relay says on one connection: the SMTP commands, and the scripts in addresses (see relay.py)."""

from __future__ import annotations

import base64
import re
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.relay import FakeRelay

_SCRIPT = re.compile(
    r"(?:(?P<code>[245]\d\d)(?P<at>mail|rcpt|data|body|dot)?"
    r"|(?P<deed>dropmail|droprcpt|dropdata|dropbeforedot|dropafterdot|lostafterdot|dripmail|driprcpt|dripdata|dripdot)"
    r"|slow(?P<slow>\d+(?:\.\d+)?))"
    r"(?:x(?P<times>\d+))?\Z"
)
_ADDRESS = re.compile(rb"(?i)(?:MAIL FROM|RCPT TO):\s*<([^>]*)>(.*)")
_MESSAGE_ID = re.compile(rb"(?im)^message-id:\s*(\S+)")


@dataclass(frozen=True)
class Accepted:
    """One message the relay took, as the envelope said it and as the bytes came (dots unstuffed, CRLF kept)."""

    sender: str
    recipient: str
    data: bytes
    message_id: str
    time: float
    connection: int
    secure: bool = False
    user: str | None = None
    options: str = ""


@dataclass
class Options:
    """How the relay behaves towards everybody. Times in seconds."""

    offer_pipelining: bool = True
    offer_smtputf8: bool = False
    offer_8bitmime: bool = True
    offer_starttls: bool = False
    implicit_tls: bool = False
    certificate: tuple[str, str] | None = None  # files: chain, key
    reset_handshake: bool = False
    inject_after_starttls: bytes = b""
    require_auth: tuple[str, str] | None = None
    auth_mechanisms: str = "PLAIN LOGIN"
    refuse_auth: bool = False
    revoke_auth_after: int | None = None  # messages, then 535 at MAIL and at AUTH
    reply_delay: float = 0
    hold: tuple[int, float] | None = None  # one message in N: its reply to the dot is held so long
    replies: dict[str, str] = field(default_factory=dict)  # "MAIL": "450 4.7.1 too many" for every such command
    reply_times: dict[str, int] = field(default_factory=dict)  # ... only for the first so many
    drop_at: frozenset[str] = frozenset()  # GREETING, EHLO, MAIL, RCPT, DATA, BODY, DOT
    drip_at: frozenset[str] = frozenset()
    drip_interval: float = 0.1
    max_messages_per_connection: int | None = None  # then 421 at MAIL
    max_connections: int | None = None  # then 421 instead of a greeting
    idle_timeout: float | None = None  # then 421 and the end
    answer_354_without_recipients: bool = False
    rewrite_message_id: bool = False  # in the text of the 250, as some relays do
    keep_data: bool = True


class HangUp(Exception):
    """The relay ends this connection now, without another word."""


class Connection:
    """One client's conversation."""

    def __init__(self, relay: FakeRelay, number: int, sock: socket.socket) -> None:
        self.relay, self.number, self.sock = relay, number, sock
        self.options = relay.options
        self._buffer = b""
        self._secure = False
        self._user: str | None = None
        self._carried = 0
        self._sender: str | None = None
        self._mail_options = ""
        self._recipients: list[str] = []

    def run(self) -> None:
        """From greeting to QUIT."""
        self.relay.note(self.number, "connected")
        if self.options.implicit_tls:
            self._shake_hands()
        limit = self.options.max_connections
        if limit is not None and self.relay.connected > limit:
            self._reply("421 4.7.0 too many connections", "GREETING")
            raise HangUp
        if not self._scripted("GREETING"):
            self._reply("220 fake.relay.example ESMTP", "GREETING")
        commands: dict[str, Callable[[bytes], None]] = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "STARTTLS": self._starttls,
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": lambda line: self._reply("250 2.0.0 ok", "NOOP"),
        }
        while True:
            line = self._line()
            verb = line[:8].split(b" ")[0].strip().upper().decode("latin-1")
            if verb == "QUIT":
                self.relay.note(self.number, "quit")
                self._reply("221 2.0.0 bye", "QUIT")
                return
            if verb not in commands:
                self._reply("502 5.5.2 not understood", verb)
                continue
            if not self._scripted(verb):
                commands[verb](line)

    # Commands.

    def _helo(self, line: bytes) -> None:
        self._reset()
        self._reply("250 fake.relay.example", "EHLO")

    def _ehlo(self, line: bytes) -> None:
        self._reset()
        self.relay.note(self.number, "ehlo", name=line[5:].strip().decode("latin-1"), secure=self._secure)
        offers = ["fake.relay.example", "SIZE 33554432", "ENHANCEDSTATUSCODES"]
        if self.options.offer_pipelining:
            offers.append("PIPELINING")
        if self.options.offer_8bitmime:
            offers.append("8BITMIME")
        if self.options.offer_smtputf8:
            offers.append("SMTPUTF8")
        if self.options.offer_starttls and not self._secure:
            offers.append("STARTTLS")
        if self.options.require_auth or self.options.refuse_auth:
            offers.append(f"AUTH {self.options.auth_mechanisms}")
        lines = [f"250-{offer}" for offer in offers[:-1]] + [f"250 {offers[-1]}"]
        self._reply("\r\n".join(lines), "EHLO")

    def _starttls(self, line: bytes) -> None:
        if not self.options.offer_starttls or self._secure:
            self._reply("503 5.5.1 no", "STARTTLS")
            return
        self._send(b"220 2.0.0 go ahead\r\n" + self.options.inject_after_starttls)
        self._shake_hands()

    def _shake_hands(self) -> None:
        if self.options.reset_handshake:
            raise HangUp
        assert self.relay.tls is not None, "give certificate=(chain, key) for TLS"
        try:
            self.sock = self.relay.tls.wrap_socket(self.sock, server_side=True)
        except (ssl.SSLError, OSError) as error:
            self.relay.note(self.number, "handshake_failed", error=str(error))
            raise HangUp from None
        self._secure, self._buffer = True, b""
        self.relay.note(self.number, "secured")

    def _auth(self, line: bytes) -> None:
        def decoded(text: bytes) -> str:
            return base64.b64decode(text).decode()

        words = line.split()
        if words[1].upper() == b"PLAIN":
            if len(words) < 3:
                self._reply("334 ", "AUTH")
                words.append(self._line())
            _, user, password = decoded(words[2]).split("\0")
        else:
            self._reply("334 VXNlcm5hbWU6", "AUTH")
            user = decoded(self._line())
            self._reply("334 UGFzc3dvcmQ6", "AUTH")
            password = decoded(self._line())
        good = (user, password) == self.options.require_auth and not self.options.refuse_auth and not self._revoked()
        self.relay.note(self.number, "auth", user=user, good=good, secure=self._secure)
        if good:
            self._user = user
            self._reply("235 2.7.0 welcome", "AUTH")
        else:
            self._reply("535 5.7.8 authentication credentials invalid", "AUTH")

    def _revoked(self) -> bool:
        after = self.options.revoke_auth_after
        return after is not None and len(self.relay.messages) >= after

    def _mail(self, line: bytes) -> None:
        address = _ADDRESS.match(line)
        limit = self.options.max_messages_per_connection
        if limit is not None and self._carried >= limit:
            self._reply("421 4.7.0 too many messages on this connection", "MAIL")
            raise HangUp
        if self.options.require_auth and (self._user is None or self._revoked()):
            self._reply("530 5.7.0 authentication required", "MAIL")
        elif self._sender is not None:
            self._reply("503 5.5.1 nested MAIL", "MAIL")
        elif address is None:
            self._reply("501 5.1.7 syntax", "MAIL")
        else:
            sender = address[1].decode("utf-8")
            self.relay.note(self.number, "mail", sender=sender)
            if self._play("mail", sender, *self._peek_recipient()):
                return
            self._sender, self._mail_options = sender, address[2].decode("latin-1").strip()
            self._reply("250 2.1.0 ok", "MAIL")

    def _rcpt(self, line: bytes) -> None:
        address = _ADDRESS.match(line)
        if self._sender is None:
            self._reply("503 5.5.1 need MAIL first", "RCPT")
        elif address is None:
            self._reply("501 5.1.3 syntax", "RCPT")
        else:
            recipient = address[1].decode("utf-8")
            self.relay.note(self.number, "rcpt", recipient=recipient)
            if self._play("rcpt", recipient) or (not self.options.offer_pipelining and self._play("mail", recipient)):
                return
            self._recipients.append(recipient)
            self._reply("250 2.1.5 ok", "RCPT")

    def _data(self, line: bytes) -> None:
        if self._sender is None or (not self._recipients and not self.options.answer_354_without_recipients):
            self._reply("554 5.5.1 no valid recipients" if self._sender is not None else "503 5.5.1 no", "DATA")
            return
        self.relay.note(self.number, "data")
        if self._recipients and self._play("data", self._recipients[0]):
            return
        self._reply("354 go ahead", "DATA")
        data = self._body()
        sender, recipients = self._sender, self._recipients
        options = self._mail_options
        self._reset()
        self.relay.note(self.number, "dot", recipients=recipients, size=len(data))
        if "DOT" in self.options.drop_at:
            raise HangUp
        if not recipients:
            self._reply("250 2.0.0 thrown away: nobody wanted it", "DOT")
            return
        self._carried += 1
        self._take(sender, recipients, data, options)

    def _take(self, sender: str, recipients: list[str], data: bytes, options: str) -> None:
        for recipient in recipients:
            if self._has("lostafterdot", recipient):
                raise HangUp
            if self._play("dot", recipient) or self._scripted("DOT"):
                return
        found = _MESSAGE_ID.search(data)
        message_id = found[1].decode("latin-1") if found else ""
        number = 0
        for recipient in recipients:
            number = self.relay.accept(
                Accepted(
                    sender, recipient, data, message_id, time.time(), self.number, self._secure, self._user, options
                )
            )
        seconds = max([self.relay.held(), *(self._slow(recipient) for recipient in recipients)])
        if seconds:
            self.relay.note(self.number, "holding", seconds=seconds, recipients=recipients)
            self.relay.sleep(seconds)
        if any(self._has("dropafterdot", recipient) for recipient in recipients):
            raise HangUp
        text = f"250 2.0.0 queued as {number}"
        if self.options.rewrite_message_id:
            text = f"250 2.0.0 ok <{number}@rewritten.relay.example>"
        self._reply(text, "DOT", drip=any(self._has("dripdot", recipient) for recipient in recipients))
        self.relay.note(self.number, "replied", recipients=recipients)

    def _rset(self, line: bytes) -> None:
        self.relay.note(self.number, "rset")
        self._reset()
        self._reply("250 2.0.0 ok", "RSET")

    def _reset(self) -> None:
        self._sender, self._mail_options, self._recipients = None, "", []

    # Scripts.

    def _scripts(self, address: str) -> Iterator[tuple[str, re.Match[str]]]:
        for script in address.rpartition("@")[0].split("+")[1:]:
            match = _SCRIPT.match(script)
            if match:
                yield script, match

    def _has(self, deed: str, address: str) -> bool:
        for script, match in self._scripts(address):
            if match["deed"] == deed:
                return self.relay.due(address, script, int(match["times"]) if match["times"] else None)
        return False

    def _slow(self, address: str) -> float:
        for script, match in self._scripts(address):
            if match["slow"] and self.relay.due(address, script, int(match["times"]) if match["times"] else None):
                return float(match["slow"])
        return 0

    def _play(self, at: str, *addresses: str) -> bool:
        """Do what an address asks for at this command. Whether that was the answer."""
        for address in addresses:
            if self._has(f"drop{at}", address):
                raise HangUp
            for script, match in self._scripts(address):
                if not match["code"] or (match["at"] or "rcpt") != at:
                    continue
                if self.relay.due(address, script, int(match["times"]) if match["times"] else None):
                    self._answer_code(match["code"], at.upper())
                    return True
            if at != "dot" and self._has(f"drip{at}", address):
                self._reply("250 2.0.0 ok, at last", at.upper(), drip=True)
                return True
        return False

    def _answer_code(self, code: str, verb: str) -> None:
        self._reply(f"{code} {code[0]}.7.1 scripted", verb)
        if code == "421":
            raise HangUp

    def _scripted(self, verb: str) -> bool:
        """The options' own answer to a command, if they have one."""
        if verb in self.options.drop_at:
            raise HangUp
        answer = self.options.replies.get(verb)
        if answer is None or not self.relay.due("*", verb, self.options.reply_times.get(verb)):
            return False
        self._reply(answer, verb)
        if answer.startswith("421") or verb == "GREETING":
            raise HangUp
        return True

    def _peek_recipient(self) -> list[str]:
        match = _ADDRESS.match(self._buffer.partition(b"\r\n")[0])
        return [match[1].decode("utf-8")] if match else []

    # Bytes.

    def _body(self) -> bytes:
        recipient = self._recipients[0] if self._recipients else ""
        for script, match in self._scripts(recipient):
            times = int(match["times"]) if match["times"] else None
            if (match["code"] and match["at"] == "body") and self.relay.due(recipient, script, times):
                self._fill()
                self._answer_code(match["code"], "BODY")
                raise HangUp
        if "BODY" in self.options.drop_at or self._has("dropbeforedot", recipient):
            self._fill()
            raise HangUp
        start = 0
        # The end may be the very first thing: an empty message is a dot on a line of its own.
        while not self._buffer.startswith(b".\r\n"):
            end = self._buffer.find(b"\r\n.\r\n", start)
            if end >= 0:
                data, self._buffer = self._buffer[: end + 2], self._buffer[end + 5 :]
                return data.removeprefix(b".").replace(b"\r\n.", b"\r\n") if b"\r\n." in b"\r\n" + data else data
            start = max(0, len(self._buffer) - 5)
            self._fill()
        self._buffer = self._buffer[3:]
        return b""

    def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            if self.options.idle_timeout is not None and not self._secure:
                readable, _, _ = select.select([self.sock], [], [], self.options.idle_timeout)
                if not readable:
                    self._reply("421 4.4.2 timeout exceeded", "IDLE")
                    raise HangUp
            self._fill()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def _fill(self) -> None:
        data = self.sock.recv(262144)
        if not data:
            raise EOFError
        self._buffer += data

    def _reply(self, text: str, verb: str, *, drip: bool = False) -> None:
        if self.options.reply_delay:
            self.relay.sleep(self.options.reply_delay)
        data = text.encode() + b"\r\n"
        if text[:1] in "45":
            self.relay.note(self.number, "refused", verb=verb, code=int(text[:3]))
        if not drip and verb not in self.options.drip_at:
            self._send(data)
            return
        for position in range(len(data)):
            self._send(data[position : position + 1])
            self.relay.sleep(self.options.drip_interval)

    def _send(self, data: bytes) -> None:
        self.sock.sendall(data)
