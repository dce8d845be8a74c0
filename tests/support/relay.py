"""A scriptable mail relay for tests: real sockets, real TLS, and a script in each recipient's address.

In a test: `with FakeRelay() as relay: …`, then look at `relay.messages` and `relay.history`. As a process of its own:
`python -m tests.support.relay --port 0 --log FILE` prints its port; each accepted message is in the log before its 250.

What follows a `+` in a recipient's (or the sender's) local part is what happens to that message:

    +450x2        450 at RCPT, twice, then fine         +550rcpt +450mail +554data +452dot   a code at a command
    +421dot       421, then the connection is closed    +dropmail +droprcpt +dropdata         hang up at a command
    +dropbeforedot  hang up inside the body             +lostafterdot  hang up after the dot, message thrown away
    +dropafterdot   accept, hang up without a reply     +slow7 +slow0.2  hold the reply to the dot so many seconds
    +dripdot +driprcpt  one byte at a time              +552body  refuse inside the body and hang up

A body that shall certainly be incomplete when the relay hangs up must be larger than what fits between two sockets
(8 MB will do): smaller ones have left the client, dot and all, before it can notice.

`x2` after any of them: only the first two times for that address. A script at MAIL is known only from the sender's
address, or when RCPT has come in the same packet (PIPELINING); otherwise it happens at RCPT.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Self

from tests.support.relay_talk import Accepted, Connection, HangUp, Options

__all__ = ["Accepted", "FakeRelay", "Options"]


class FakeRelay:
    """The relay in this process, one thread a connection. Any Options field may be given by name.

    `history` holds one dict a phase: seq, time, connection, event and what belongs to it.
    """

    def __init__(self, port: int = 0, host: str = "127.0.0.1", log: str | Path | None = None, **options: Any) -> None:
        self.options = Options(**options)
        self.messages: list[Accepted] = []
        self.history: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._seen: Counter[tuple[str, str]] = Counter()
        self._connections: dict[int, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._count = self._dots = 0
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if log else None
        self._closing = False
        self.tls = self._context()
        self._listener = socket.create_server((host, port), backlog=128)
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="relay", daemon=True)

    @property
    def url(self) -> str:
        """For RELAY_URL; TLS and login are the test's business."""
        return f"smtp://{self.host}:{self.port}"

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def start(self) -> Self:
        """The same as entering the context."""
        return self.__enter__()

    def close(self) -> None:
        """Hang up on everybody and stop listening."""
        self._closing = True
        with contextlib.suppress(OSError):
            # Wakes the accepting thread, which closing alone does not.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        self._acceptor.join(5)
        for thread in self._threads:
            thread.join(5)
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def hang_up(self) -> int:
        """Close every open connection at once, as a restarted relay would. Returns how many there were."""
        with self._changed:
            open_now = list(self._connections.values())
        for sock in open_now:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        return len(open_now)

    def wait_for(self, count: int, timeout: float = 10) -> list[Accepted]:
        """The accepted messages, once there are `count`. TimeoutError names what came instead."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.messages) >= count, timeout):
                raise TimeoutError(f"{len(self.messages)} messages came, not {count}")
            return list(self.messages)

    def wait_for_event(self, event: str, count: int = 1, timeout: float = 10) -> None:
        """Until `event` stands in the history `count` times."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.events(event)) >= count, timeout):
                raise TimeoutError(f"{len(self.events(event))} times {event}, not {count}")

    def events(self, event: str) -> list[dict[str, Any]]:
        """The history's entries of one kind, in order."""
        return [entry for entry in self.history if entry["event"] == event]

    def copies(self) -> Counter[str]:
        """How many messages each recipient got."""
        return Counter(message.recipient for message in self.messages)

    @property
    def connected(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    # What the connections use.

    def note(self, connection: int, event: str, **facts: Any) -> None:
        """One line of history, in memory and in the log, in one order."""
        with self._changed:
            entry = {"seq": len(self.history) + 1, "time": time.time(), "connection": connection, "event": event}
            entry.update(facts)
            self.history.append(entry)
            if self._log is not None:
                os.write(self._log, json.dumps(entry).encode() + b"\n")
            self._changed.notify_all()

    def accept(self, message: Accepted) -> int:
        """Take a message: counted, noted and flushed before anybody hears of it. Returns its number."""
        with self._changed:
            self.messages.append(message)
            self.note(
                message.connection,
                "accepted",
                sender=message.sender,
                recipient=message.recipient,
                message_id=message.message_id,
                size=len(message.data),
                **(
                    {"data": message.data.decode("latin-1")} if self._log is not None and self.options.keep_data else {}
                ),
            )
            return len(self.messages)

    def due(self, address: str, script: str, times: int | None) -> bool:
        """Whether a script still applies to this address; counts how often it did."""
        with self._changed:
            if times is not None and self._seen[address, script] >= times:
                return False
            self._seen[address, script] += 1
            return True

    def held(self) -> float:
        """How long to hold the reply to this dot: one in N."""
        with self._changed:
            self._dots += 1
            if self.options.hold and self._dots % self.options.hold[0] == 0:
                return self.options.hold[1]
            return 0

    def sleep(self, seconds: float) -> None:
        """Wait, but not beyond the relay's own end."""
        end = time.monotonic() + seconds
        while not self._closing and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))

    def _context(self) -> ssl.SSLContext | None:
        if self.options.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.options.certificate)
        return context

    def _accept(self) -> None:
        while not self._closing:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self._count += 1
                number = self._count
                self._connections[number] = sock
            thread = threading.Thread(target=self._serve, args=(number, sock), name=f"relay-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, number: int, sock: socket.socket) -> None:
        connection = Connection(self, number, sock)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.run()
        except HangUp:
            self.note(number, "hung_up")
        except (OSError, EOFError) as error:
            self.note(number, "lost", error=type(error).__name__)
        finally:
            with self._changed:
                self._connections.pop(number, None)
            connection.sock.close()


def main() -> None:
    """The relay as a process: prints its port, serves until it is told to stop."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--log", type=Path)
    parser.add_argument("--no-data", action="store_true", help="leave the messages' text out of the log")
    parser.add_argument("--no-pipelining", action="store_true")
    parser.add_argument("--smtputf8", action="store_true")
    parser.add_argument("--starttls", action="store_true")
    parser.add_argument("--implicit-tls", action="store_true")
    parser.add_argument("--certificate", nargs=2, metavar=("CHAIN", "KEY"))
    parser.add_argument("--auth", metavar="USER:PASSWORD")
    parser.add_argument("--reply-delay", type=float, default=0)
    parser.add_argument("--hold", metavar="N:SECONDS", help="hold the reply to the dot of one message in N")
    wish = parser.parse_args()
    user, _, password = (wish.auth or "").partition(":")
    one_in, _, seconds = (wish.hold or "").partition(":")
    relay = FakeRelay(
        wish.port,
        wish.host,
        wish.log,
        offer_pipelining=not wish.no_pipelining,
        offer_smtputf8=wish.smtputf8,
        offer_starttls=wish.starttls,
        implicit_tls=wish.implicit_tls,
        certificate=tuple(wish.certificate) if wish.certificate else None,
        require_auth=(user, password) if wish.auth else None,
        reply_delay=wish.reply_delay,
        hold=(int(one_in), float(seconds)) if wish.hold else None,
        keep_data=not wish.no_data,
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with relay:
        print(relay.port, flush=True)
        stop.wait()
    sys.exit(0)


if __name__ == "__main__":
    main()
