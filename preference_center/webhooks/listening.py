"""Takes mail for our return paths and unsubscribe addresses by LMTP or SMTP, on a port of this machine.

A recipient without a mark of ours is refused; a mail is stored before it is acknowledged, and sent back for later (451) when the
database is away. It relays nothing, logs in nobody and answers no mail.
"""

import asyncio
import logging
from collections.abc import Callable

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session, syntax
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from preference_center import clock, jobs
from preference_center.db import transaction
from preference_center.errors import Unavailable
from preference_center.webhooks import mailbox

log = structlog.get_logger()

logging.getLogger("mail.log").setLevel(logging.ERROR)  # the library notes addresses below that
LARGEST = 10 * 1024 * 1024
_IDLE = 120  # seconds


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
                if not mailbox.keep(raw, sent_to, clock.now(), way="listener"):
                    return "250 2.0.0 enough of these were kept today"  # a refusal would go on round the loop
                with transaction():
                    jobs.later(jobs.PROCESS_POSTS)
        except (SQLAlchemyError, Unavailable, OSError) as trouble:
            log.warning("mail.not_kept", trouble=type(trouble).__name__)
            return "451 4.3.0 it cannot be kept now; try again later"
        return "250 2.0.0 kept"


class Listener(SMTP):
    """Both languages on one port: LMTP (RFC 2033) greets with LHLO and, with one recipient a mail, is otherwise the same."""

    line_length_limit = 1024 * 1024  # reports quote mails whose lines are longer than RFC 5321 allows

    @syntax("LHLO hostname")
    async def smtp_LHLO(self, arg: str) -> None:
        await self.smtp_EHLO(arg)


def make(app: Flask) -> Callable[[], Listener]:
    """What holds one conversation."""
    return lambda: Listener(
        Door(app), hostname="localhost", ident="Preference Center", data_size_limit=LARGEST, enable_SMTPUTF8=True,
        timeout=_IDLE, loop=asyncio.get_running_loop(),
    )  # fmt: skip


async def serve(app: Flask, host: str, port: int, stop: asyncio.Event) -> None:
    """Listen until told to stop."""
    server = await asyncio.get_running_loop().create_server(make(app), host, port)
    async with server:
        await stop.wait()
