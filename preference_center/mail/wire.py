"""One non-blocking connection to a relay: bytes out, complete replies in, TLS from the start or later.

It knows nothing of the order of commands; session.py does.
"""

import errno
import os
import re
import selectors
import socket
import ssl
from functools import lru_cache

from preference_center.mail.outcomes import Reply

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

_CHUNK = 4096
_RECORD = 16384  # octets in one record of TLS (RFC 8446 5.1)
# RFC 5321 4.5.3.1.5 allows 512 octets a line; real relays exceed it, runaway ones have no end.
_LINE_LIMIT = 8192
_REPLY_LIMIT = 128
_ONE_LINE = re.compile(rb"[2-5][0-9][0-9](?: |\r?\Z)")


class Gone(Exception):
    """The connection ended. `last_words` are replies that came before."""

    def __init__(self, text: str, last_words: list[Reply] | None = None) -> None:
        super().__init__(text)
        self.last_words = last_words or []


class Gibberish(Gone):
    """What came is not SMTP; nothing further on this connection can be trusted."""


class Wire:
    """A connecting or connected socket. Register `fd` with a selector for `wanted` and call on readiness."""

    def __init__(self, family: int, address: tuple[object, ...]) -> None:
        self.sock: socket.socket = socket.socket(family, socket.SOCK_STREAM)
        self._tls: ssl.SSLSocket | None = None
        self._out: list[bytes | memoryview] = []
        self._offered = 0  # octets of a record that TLS has begun and not finished
        self.written = self.sent = 0  # octets since the beginning: given to it, and gone from this process
        self._in = b""
        self._lines: list[str] = []
        self.wanted = WRITE
        try:
            self.sock.setblocking(False)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            error_now = self.sock.connect_ex(address)
            if error_now not in (0, errno.EINPROGRESS):
                raise OSError(error_now, "")
        except OSError as error:
            self.close()
            raise Gone(_words(error)) from None

    @property
    def fd(self) -> int:
        """The file descriptor, the same for the whole life of the connection."""
        return self.sock.fileno()

    def check_connected(self) -> None:
        """After the socket became writable: Gone when the connection failed."""
        error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise Gone(_words(OSError(error, "")))
        self.wanted = READ

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Wrap the socket; then call shake_hands() on each readiness until it says True."""
        if self._in or self._lines:
            # Bytes sent in clear after the go-ahead would be read as if they had come through TLS.
            raise Gibberish("the relay sent data before the TLS handshake")
        # Wrapping keeps the file descriptor, so a selector need not be told.
        self._tls = context.wrap_socket(self.sock, server_hostname=host, do_handshake_on_connect=False)
        self.sock = self._tls

    def shake_hands(self) -> bool:
        """Whether the handshake is done. ssl.SSLError or OSError when it failed."""
        assert self._tls is not None  # noqa: S101 - the caller has just called start_tls()
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self.wanted = READ
            return False
        except ssl.SSLWantWriteError:
            self.wanted = WRITE
            return False
        self.wanted = READ
        return True

    @property
    def flushed(self) -> bool:
        """Whether all that was written has left this process."""
        return not self._out

    def write(self, *parts: bytes) -> None:
        """Send, and keep what does not fit now. Gone when the connection is broken."""
        self.written += sum(map(len, parts))
        self._out.extend(parts)
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as it goes."""
        try:
            while self._out:
                sent = self.sock.sendmsg(self._out) if self._tls is None else self._send_record(self._tls)
                self.sent += sent
                if self.sent == self.written:
                    self._out.clear()
                else:
                    self._drop(sent)
            self.wanted = READ
        except (BlockingIOError, ssl.SSLWantWriteError):
            self.wanted = READ | WRITE
        except ssl.SSLWantReadError:
            self.wanted = READ
        except OSError as error:
            raise Gone(_words(error), self._last_words()) from None

    def _send_record(self, tls: ssl.SSLSocket) -> int:
        # One at a time: of a longer piece parts would leave without a word until all of it has, ends of messages among them.
        # One that has begun must be offered again as it was, as long as before: with more behind it, it would leave without a word too.
        if len(self._out) > 1:
            self._out = [b"".join(self._out)]
        record = memoryview(self._out[0])[: self._offered or _RECORD]
        self._offered = len(record)
        sent = tls.send(record)
        self._offered = 0
        return sent

    def _drop(self, octets: int) -> None:
        """So many have left, and not all."""
        gone = 0
        while octets >= len(self._out[gone]):
            octets -= len(self._out[gone])
            gone += 1
        self._out[:gone] = []
        self._out[0] = memoryview(self._out[0])[octets:]

    def read(self) -> list[Reply]:
        """All replies that are complete by now. Gone at the end of the connection, with what came before it."""
        replies: list[Reply] = []
        try:
            while True:
                data = self.sock.recv(_CHUNK)
                if not data:
                    raise Gone("the relay closed the connection", replies)
                self._in += data
                self._complete(replies)
                # TLS may hold more than the selector can see.
                if self._tls is None or not self._tls.pending():
                    return replies
        except (BlockingIOError, ssl.SSLWantReadError):
            return replies
        except ssl.SSLWantWriteError:
            self.wanted = READ | WRITE
            return replies
        except Gibberish as gone:
            gone.last_words = replies
            raise
        except OSError as error:
            raise Gone(_words(error), replies) from None

    def is_quiet(self) -> bool:
        """Whether an idle connection is still open and has nothing to say (a goodbye, or the end, is no quiet)."""
        try:
            return not self.read() and not self._in and not self._lines
        except Gone:
            return False

    def close(self) -> None:
        """Let go of the socket at once; nothing is sent."""
        self.sock.close()

    def _last_words(self) -> list[Reply]:
        """All that had come before the connection broke: of what is overlooked here, an accepted mail would be in doubt."""
        words: list[Reply] = []
        try:
            while more := self.read():
                words += more
        except Gone as gone:
            words += gone.last_words
        return words

    def _complete(self, replies: list[Reply]) -> None:
        """Move what is whole by now to the replies."""
        *lines, rest = self._in.split(b"\n")
        if len(rest) > _LINE_LIMIT:
            raise Gibberish("the relay sent a line without end")
        self._in = rest
        for line in lines:
            if not self._lines and (known := _usual(line)) is not None:
                replies.append(known)
                continue
            code, mark = line[:3], line[3:4]
            if not code.isdigit() or not b"200" <= code <= b"599" or mark not in (b" ", b"-", b"\r", b""):
                raise Gibberish("the relay sent something that is no SMTP reply")
            self._lines.append(line[4:].rstrip(b"\r").decode("utf-8", "replace"))
            if len(self._lines) > _REPLY_LIMIT:
                raise Gibberish("the relay sent a reply without end")
            if mark != b"-":
                replies.append(Reply(int(code), tuple(self._lines)))
                self._lines.clear()


@lru_cache(maxsize=256)
def _usual(line: bytes) -> Reply | None:
    """A reply of one line, as nearly all are; most say the same each time. None: look closer."""
    if not _ONE_LINE.match(line):
        return None
    return Reply(int(line[:3]), (line[4:].rstrip(b"\r").decode("utf-8", "replace"),))


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate was not accepted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (os.strerror(error.errno) if error.errno and not isinstance(error, ssl.SSLError) else str(error)) or "broken"
