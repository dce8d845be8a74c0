"""A mail sink for measurements: takes everything, keeps nothing, may hold each reply back as a far-away relay would.

python bench/sink.py [--chunking] [--delay-ms 20]    prints its port; ends when it is told to.
"""

import argparse
import heapq
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress
from itertools import count
from types import FrameType

_ENDS = {b"M": b"250 2.1.0 Ok\r\n", b"R": b"250 2.1.5 Ok\r\n", b"Q": b"221 2.0.0 Bye\r\n"}


class Caller:
    """One connection: what came and is not understood yet, and what is still to come of a message."""

    def __init__(self, sock: socket.socket, chunking: bool) -> None:
        self.sock, self.chunking = sock, chunking
        self.kept = b""
        self.wanted = 0  # octets of a BDAT chunk that are still to come
        self.in_data = self.last = self.ended = False
        self.messages = 0

    def take(self, came: bytes) -> bytes:
        """All replies to what has come so far."""
        data = self.kept + came if self.kept else came
        at, replies = 0, []
        while at < len(data):
            if self.wanted:
                step = min(self.wanted, len(data) - at)
                at, self.wanted = at + step, self.wanted - step
                if self.wanted:
                    break
                replies.append(self._taken())
            elif self.in_data:
                end = data.find(b"\r\n.\r\n", max(0, at - 2))
                if end < 0:
                    at = max(at, len(data) - 4)
                    break
                at, self.in_data = end + 5, False
                replies.append(self._taken())
            else:
                end = data.find(b"\n", at)
                if end < 0:
                    break
                replies.append(self._answer(data[at : end + 1]))
                at = end + 1
        self.kept = data[at:]
        return b"".join(replies)

    def _taken(self) -> bytes:
        self.messages += 1
        return b"250 2.0.0 Ok\r\n"

    def _answer(self, line: bytes) -> bytes:
        word = line[:1].upper()
        if word == b"E":
            extra = b"250-CHUNKING\r\n" if self.chunking else b""
            return b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n" + extra + b"250 ENHANCEDSTATUSCODES\r\n"
        if word == b"D":
            self.in_data = True
            return b"354 Go on\r\n"
        if word == b"B":
            self.wanted = int(line.split()[1])
            return b""
        self.ended = word == b"Q"
        return _ENDS.get(word, b"250 2.0.0 Ok\r\n")


def serve(listener: socket.socket, *, chunking: bool = False, delay: float = 0) -> int:
    """Until told to stop; how many messages were taken."""
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    held: list[tuple[float, int, Caller, bytes]] = []
    order, messages, stop = count(), 0, False

    def end(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stop
        stop = True

    signal.signal(signal.SIGTERM, end)

    def say(caller: Caller, words: bytes) -> None:
        if delay and words:
            heapq.heappush(held, (time.monotonic() + delay, next(order), caller, words))
        elif words:
            with suppress(OSError):
                caller.sock.sendall(words)

    while not stop:
        wait = max(0.0, held[0][0] - time.monotonic()) if held else 0.5
        for key, _ in selector.select(wait):
            if key.data is None:
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                caller = Caller(sock, chunking)
                selector.register(sock, selectors.EVENT_READ, caller)
                say(caller, b"220 sink\r\n")
                continue
            caller = key.data
            try:
                came = caller.sock.recv(1 << 18)
            except OSError:
                came = b""
            before = caller.messages
            say(caller, caller.take(came) if came else b"")
            messages += caller.messages - before
            if not came or caller.ended:
                selector.unregister(caller.sock)
                if not delay:
                    caller.sock.close()
        while held and held[0][0] <= time.monotonic():
            _, _, caller, words = heapq.heappop(held)
            with suppress(OSError):
                caller.sock.sendall(words)
    return messages


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--chunking", action="store_true")
    arguments.add_argument("--delay-ms", type=float, default=0)
    arguments.add_argument("--port", type=int, default=0)
    chosen = arguments.parse_args()
    listener = socket.create_server(("127.0.0.1", chosen.port), backlog=256)
    print(listener.getsockname()[1], flush=True)
    print(serve(listener, chunking=chosen.chunking, delay=chosen.delay_ms / 1000), file=sys.stderr)


if __name__ == "__main__":
    main()
