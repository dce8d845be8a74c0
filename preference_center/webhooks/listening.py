"""Takes mail for our return paths and unsubscribe addresses by LMTP or SMTP, on a port of this machine.

A recipient without a mark of ours is refused; a mail is stored before it is acknowledged, and sent back for later (451) when the
database is away. It relays nothing, logs in nobody and answers no mail. Whoever talks slowly, without end or in crowds is hung up on.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session, syntax
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from preference_center import clock
from preference_center.errors import Unavailable
from preference_center.webhooks import mailbox, ringing
from preference_center.webhooks.reports.parts import SIZE_LIMIT

log = structlog.get_logger()

logging.getLogger("mail.log").setLevel(logging.ERROR)  # the library notes addresses below that
LARGEST = 10 * 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """What the other side may cost us."""

    idle: float = 120  # seconds for a command, and for a whole mail
    lasting: float = 900  # seconds of a conversation; mail servers end theirs sooner
    at_once: int = 100  # conversations
    commands: int = 1000  # of each kind in a conversation
    size: int = LARGEST  # of a mail; four times that ends the conversation
    lines: int = 400_000  # of a mail: each costs some work, even an empty one


LIMITS = Limits()


class Door:
    """What the conversation asks: is this address ours, and may this mail be kept?"""

    def __init__(self, app: Flask) -> None:
        self.app = app

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if envelope.rcpt_tos:  # LMTP wants one answer for each, so each comes by itself
            return "452 4.5.3 one recipient at a time"
        with self.app.app_context():
            if not mailbox.is_ours(address):
                return "550 5.1.1 there is no such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        return await asyncio.get_running_loop().run_in_executor(None, self._keep, raw, list(envelope.rcpt_tos))

    def _keep(self, raw: bytes, sent_to: list[str]) -> str:
        try:
            with self.app.app_context():
                if not mailbox.keep(raw, sent_to, clock.now(), way="listener").stored:
                    return "250 2.0.0 enough of these were kept today"  # a refusal would go on round the loop
                ringing.ring()
        except (SQLAlchemyError, Unavailable, OSError) as trouble:
            log.warning("mail.not_kept", trouble=type(trouble).__name__)
            return "451 4.3.0 it cannot be kept now; try again later"
        return "250 2.0.0 kept"

    async def handle_exception(self, error: Exception) -> str:
        """A fault of ours must not cost the mail: it is asked for again."""
        log.error("mail.fault", fault=type(error).__name__)
        return "451 4.3.0 it cannot be kept now; try again later"


class Listener(SMTP):
    """Both languages on one port: LMTP (RFC 2033) greets with LHLO and, with one recipient a mail, is otherwise the same."""

    line_length_limit = 16 * 1024  # of a command; a mail is read in pieces of that

    def __init__(self, door: Door, limits: Limits, others: "set[Listener]") -> None:
        super().__init__(
            door, hostname="localhost", ident="Preference Center", data_size_limit=limits.size, enable_SMTPUTF8=True,
            timeout=limits.idle, command_call_limit=limits.commands, loop=asyncio.get_running_loop(),
        )  # fmt: skip
        self.door, self.limits, self.others = door, limits, others

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.others.add(self)
        self._end = self.loop.call_later(self.limits.lasting, self._timeout_cb)

    def connection_lost(self, error: Exception | None) -> None:
        self.others.discard(self)
        self._end.cancel()
        super().connection_lost(error)

    def _timeout_cb(self) -> None:
        """Hangs up at once: a mere close() waits until the other side has read what we said, which may be never."""
        if self.transport is not None:
            self.transport.abort()  # type: ignore[attr-defined]

    @syntax("LHLO hostname")
    async def smtp_LHLO(self, arg: str) -> None:
        await self.smtp_EHLO(arg)

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:
        """In place of the library's, which keeps every piece of a line without an end, and every line as an object of its own."""
        session, envelope = self.session, self.envelope
        if await self.check_helo_needed() or session is None or envelope is None:
            return
        if arg or not envelope.rcpt_tos:
            await self.push("501 5.5.4 DATA takes no words" if arg else "503 5.5.1 first say for whom (RCPT)")
            return
        await self.push("354 end with a line of one dot")
        kept, size, lines = bytearray(), 0, 0
        async for piece, begins in self._pieces():
            size, lines = size + len(piece), lines + 1
            if size > 4 * self.limits.size or lines > self.limits.lines:
                self._timeout_cb()
                return
            kept += piece[1:] if begins and piece.startswith(b".") else piece
            del kept[SIZE_LIMIT:]
        envelope.content = bytes(kept)
        status = "552 5.3.4 the mail is too large"
        if size <= self.limits.size:
            status = await self.door.handle_DATA(self, session, envelope)
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        await self.push(status)

    async def _pieces(self) -> AsyncIterator[tuple[bytes, bool]]:
        """What comes up to the dot, and whether each piece begins a line. A bare LF ends none, so no mail hides within another."""
        begins, read = True, 0
        while True:
            try:
                piece = await self._reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError as longer:
                piece = await self._reader.read(longer.consumed)
            if begins and piece == b".\r\n":
                return
            yield piece, begins
            begins, read = piece.endswith(b"\r\n"), read + 1
            if read % 500 == 0:
                await asyncio.sleep(0)  # what lies there already is no reason to keep others waiting


class Full(asyncio.Protocol):
    """For one too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        log.warning("mail.too_many_conversations")
        transport.write(b"421 4.3.2 too many conversations; try again later\r\n")  # type: ignore[attr-defined]
        transport.close()


def make(app: Flask, limits: Limits) -> Callable[[], asyncio.Protocol]:
    """What holds one conversation."""
    door = Door(app)
    open_: set[Listener] = set()
    return lambda: Listener(door, limits, open_) if len(open_) < limits.at_once else Full()


async def serve(app: Flask, host: str, port: int, stop: asyncio.Event, limits: Limits = LIMITS) -> None:
    """Listen until told to stop."""
    server = await asyncio.get_running_loop().create_server(make(app, limits), host, port)
    async with server:
        await stop.wait()
