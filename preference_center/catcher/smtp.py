"""A small SMTP server that keeps what it gets: PIPELINING, 8BITMIME, SMTPUTF8, SIZE (RFC 5321, 2920, 6152, 6531, 1870).

Our own, because a demo should show how fast the sender is: it reads commands straight from the buffer and answers a mail when
it is stored, all mails of one turn of the loop in one transaction.
"""

import asyncio
import re
from typing import cast

from preference_center.catcher.store import Caught, Inbox

SIZE = 25 * 1024 * 1024
_RECIPIENTS = 100
_LONGEST_LINE = 2048
_IDLE = 300.0  # RFC 5321 4.5.3.2.7
_PATH = re.compile(rb"(FROM|TO):\s*<([^>]*)>((?:\s+\S+)*)\s*$", re.IGNORECASE)


class Post:
    """Collects the mails of one turn and stores them together; then their senders are told."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self._waiting: list[tuple[Conversation, Caught]] = []

    def hand_in(self, conversation: "Conversation", mail: Caught) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._store)
        self._waiting.append((conversation, mail))

    def _store(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            self.inbox.keep(mail for _, mail in waiting)
        except Exception:
            for conversation, _ in waiting:
                conversation.stored(b"451 4.3.0 the mail could not be stored\r\n")
            raise
        for conversation, _ in waiting:
            conversation.stored(b"250 2.0.0 kept, and delivered to nobody\r\n")


class Conversation(asyncio.Protocol):
    def __init__(self, post: Post) -> None:
        self.post = post
        self._buffer = bytearray()
        self._seen = 0  # how far the end of a body has been looked for
        self._in_data = self._storing = self._greeted = self._heard = False
        self._replies: list[bytes] = []
        self._sender: str | None = None
        self._recipients: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._watch_for_silence()
        self._transport.write(b"220 localhost ESMTP mail catcher\r\n")

    def data_received(self, data: bytes) -> None:
        self._heard = True
        self._buffer += data
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._idle.cancel()

    def stored(self, reply: bytes) -> None:
        self._storing = False
        if not self._transport.is_closing():
            self._say(reply)
            self._go_on()

    def _go_on(self) -> None:
        """Whatever the buffer holds, in order; replies to pipelined commands leave together."""
        self._read_on()
        if self._replies and not self._transport.is_closing():
            self._transport.write(b"".join(self._replies))
            self._replies.clear()

    def _read_on(self) -> None:
        while not self._storing and not self._transport.is_closing():
            if self._in_data:
                if not self._take_body():
                    return
                continue
            end = self._buffer.find(b"\n")
            if end < 0 or end > _LONGEST_LINE:
                if len(self._buffer) > _LONGEST_LINE:
                    self._end(b"500 5.5.6 this line is too long\r\n")
                return
            line = bytes(self._buffer[:end]).rstrip(b"\r")
            del self._buffer[: end + 1]
            self._obey(line)

    def _obey(self, line: bytes) -> None:
        verb, _, rest = line.partition(b" ")
        match verb.upper():
            case b"EHLO":
                self._greeted = True
                self._reset()
                self._say(b"250-localhost\r\n250-PIPELINING\r\n250-SIZE %d\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n" % SIZE)
                self._say(b"250 ENHANCEDSTATUSCODES\r\n")
            case b"HELO":
                self._greeted = True
                self._reset()
                self._say(b"250 localhost\r\n")
            case b"MAIL":
                self._mail(rest)
            case b"RCPT":
                self._rcpt(rest)
            case b"DATA":
                self._data()
            case b"RSET":
                self._reset()
                self._say(b"250 2.0.0 forgotten\r\n")
            case b"NOOP":
                self._say(b"250 2.0.0 still here\r\n")
            case b"VRFY":
                self._say(b"252 2.5.0 send it and see\r\n")
            case b"QUIT":
                self._end(b"221 2.0.0 goodbye\r\n")
            case _:
                self._say(b"500 5.5.1 this command is not known here\r\n")

    def _mail(self, rest: bytes) -> None:
        found = _PATH.match(rest)
        if not self._greeted or self._sender is not None:
            return self._say(b"503 5.5.1 not now\r\n")
        if not found or found[1].upper() != b"FROM":
            return self._say(b"501 5.5.4 write MAIL FROM:<address>\r\n")
        size = re.search(rb"\bSIZE=(\d+)", found[3], re.IGNORECASE)
        if size and int(size[1]) > SIZE:
            return self._say(b"552 5.3.4 too large\r\n")
        self._sender = found[2].decode("utf-8", "replace")
        return self._say(b"250 2.1.0 ok\r\n")

    def _rcpt(self, rest: bytes) -> None:
        found = _PATH.match(rest)
        if self._sender is None:
            return self._say(b"503 5.5.1 first MAIL\r\n")
        if not found or found[1].upper() != b"TO" or b"@" not in found[2]:
            return self._say(b"501 5.1.3 write RCPT TO:<address>\r\n")
        if len(self._recipients) >= _RECIPIENTS:
            return self._say(b"452 4.5.3 too many recipients\r\n")
        self._recipients.append(found[2].decode("utf-8", "replace"))
        return self._say(b"250 2.1.5 ok\r\n")

    def _data(self) -> None:
        if not self._recipients:
            return self._say(b"503 5.5.1 first RCPT\r\n")
        self._in_data, self._seen = True, 0
        return self._say(b"354 go on, end with a dot\r\n")

    def _take_body(self) -> bool:
        """The body up to its final dot, if all of it is here."""
        if self._buffer.startswith(b".\r\n"):
            end, after = 0, 3
        else:
            found = self._buffer.find(b"\r\n.\r\n", max(0, self._seen - 4))
            if found < 0:
                self._seen = len(self._buffer)
                if self._seen > SIZE:
                    self._end(b"552 5.3.4 too large\r\n")
                return False
            end, after = found + 2, found + 5
        raw = bytes(self._buffer[:end])
        del self._buffer[:after]
        self._in_data = False
        if raw.startswith(b"."):
            raw = raw[1:]
        mail = Caught(self._sender or "", tuple(self._recipients), raw.replace(b"\r\n..", b"\r\n."))
        self._reset()
        self._storing = True
        self.post.hand_in(self, mail)
        return True

    def _reset(self) -> None:
        self._sender, self._recipients = None, []

    def _say(self, reply: bytes) -> None:
        self._replies.append(reply)

    def _end(self, reply: bytes) -> None:
        self._transport.write(b"".join([*self._replies, reply]))
        self._transport.close()

    def _watch_for_silence(self) -> None:
        self._heard = False
        self._idle = asyncio.get_running_loop().call_later(_IDLE, self._look_for_silence)

    def _look_for_silence(self) -> None:
        if self._heard or self._storing:
            self._watch_for_silence()
        else:
            self._end(b"421 4.4.2 nothing was said for too long\r\n")


async def serve(inbox: Inbox, host: str, port: int, *, stop: asyncio.Event | None = None) -> None:
    """Catch mail until told to stop."""
    post = Post(inbox)
    server = await asyncio.get_running_loop().create_server(lambda: Conversation(post), host, port)
    async with server:
        await (stop or asyncio.Event()).wait()
