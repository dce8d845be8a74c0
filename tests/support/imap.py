"""An IMAP server for one account on loopback: as much of RFC 9051 as a fetcher needs, and it can be told to misbehave."""

import re
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Mailbox:
    """What the account holds, by number, and what was said."""

    mails: dict[int, bytes] = field(default_factory=dict)
    flags: dict[int, set[str]] = field(default_factory=dict)
    keywords: bool = True  # whether the server keeps keywords of its clients
    die_before: str = ""  # the connection breaks when this command comes
    refuses: str = ""  # this command is answered NO
    forgets: bool = False  # keywords are promised and not kept
    validity: int = 1
    invents: bytes = b""  # what a search brings besides
    certificate: tuple[str, str] | None = None  # and its key, as files: then it speaks TLS from the first byte
    port: int = 0
    heard: list[str] = field(default_factory=list)

    def put(self, raw: bytes) -> int:
        number = len(self.mails) + 1
        self.mails[number], self.flags[number] = raw, set()
        return number


@contextmanager
def serving(box: Mailbox) -> Iterator[Mailbox]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        box.port = server.getsockname()[1]
        thread = threading.Thread(target=_accept, args=(server, box), daemon=True)
        thread.start()
        yield box
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def _accept(server: socket.socket, box: Mailbox) -> None:
    while True:
        try:
            line, _ = server.accept()
        except OSError:
            return
        with line, suppress(OSError):
            line.settimeout(10)
            with _secured(line, box) as safe, safe.makefile("rb") as said:
                _talk(safe, said, box)


def _secured(line: socket.socket, box: Mailbox) -> socket.socket:
    if box.certificate is None:
        return line
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*box.certificate)
    return context.wrap_socket(line, server_side=True)


def _talk(line: socket.socket, said: Iterable[bytes], box: Mailbox) -> None:
    line.sendall(b"* OK ready\r\n")
    for raw in said:
        tag, _, command = raw.decode("latin-1").strip().partition(" ")
        box.heard.append(re.sub(r"^LOGIN .*", "LOGIN", command))
        if box.die_before and command.startswith(box.die_before):
            return
        refused = bool(box.refuses) and command.startswith(box.refuses)
        ending = "NO [SERVERBUG] it cannot be done" if refused else _ending(command)
        answer = b"" if refused and "STORE" in command else _answer(command, box)  # it may send a text, and then refuse
        line.sendall(answer + f"{tag} {ending}\r\n".encode())
        if command == "LOGOUT":
            return


def _ending(command: str) -> str:
    wrong = command.startswith("LOGIN") and "right" not in command
    return "NO [AUTHENTICATIONFAILED] no" if wrong else "OK done"


def _answer(command: str, box: Mailbox) -> bytes:
    if command == "CAPABILITY":
        return b"* CAPABILITY IMAP4rev1\r\n"
    if command.startswith("SELECT"):
        kept = r"(\Seen \Flagged \*)" if box.keywords else r"(\Seen \Flagged)"
        state = f"* OK [PERMANENTFLAGS {kept}] kept\r\n* OK [UIDVALIDITY {box.validity}] valid\r\n"
        return f"* {len(box.mails)} EXISTS\r\n{state}".encode()
    if command.startswith("UID SEARCH"):
        without = re.search(r"UNKEYWORD (\S+)", command)
        flag = without[1] if without else "\\Seen"
        numbers = [str(number) for number in box.mails if flag not in box.flags[number]]
        return b"* SEARCH %b %b\r\n" % (" ".join(numbers).encode(), box.invents)
    if found := re.match(r"UID FETCH (\d+) \(BODY\.PEEK\[\]<0\.(\d+)>\)", command):
        raw = box.mails[int(found[1])][: int(found[2])]
        return b"* %b FETCH (UID %b BODY[]<0> {%d}\r\n%b)\r\n" % (found[1].encode(), found[1].encode(), len(raw), raw)
    if found := re.match(r"UID STORE (\d+) \+FLAGS\.SILENT \((.*)\)", command):
        box.flags[int(found[1])] |= set() if box.forgets else set(found[2].split())
    return b""
