"""How a letter becomes mail: its headers, its signatures, and the relay it goes to.

What the settings give is taken first, so that a fault of theirs is told from one of a single letter.
"""

from dataclasses import dataclass
from email.utils import format_datetime

from flask import current_app

from preference_center import clock
from preference_center.config import Settings
from preference_center.db import new_public_id
from preference_center.errors import Unavailable
from preference_center.mail import dkim, mime, signing
from preference_center.mail.smtp import Envelope, Relay
from preference_center.notices.letters import Letter
from preference_center.notices.models import Notice


@dataclass(frozen=True)
class Means:
    """What every letter needs of the settings."""

    relay: Relay
    sender: str
    sender_address: str
    domain: str
    signers: dkim.Signers | None


def means() -> Means:
    """Unavailable: the settings make no mail, whatever the letter, until a person mends them."""
    settings: Settings = current_app.extensions["settings"]
    try:
        sender = mime.mailbox(settings.from_name, settings.from_address)
        mime.encode_header("Message-ID", f"<@{settings.sending_domain}>")
        relay, signers = Relay.from_url(settings.relay_url), signing.signers(settings)
    except OSError as fault:
        raise Unavailable(f"No mail can be written: the DKIM key cannot be read ({fault.strerror}).") from fault
    except ValueError as fault:
        raise Unavailable(f"No mail can be written: {fault}") from fault
    return Means(relay, sender, settings.from_address, settings.sending_domain, signers)


def seal(means: Means, notice: Notice, letter: Letter, mailbox: str) -> tuple[str, Envelope]:
    """The Message-ID, and what the relay gets. ValueError when this letter cannot be written."""
    message_id = f"<notice.{notice.public_id}.{new_public_id()}@{means.domain}>"
    data = mime.message(
        [
            ("From", means.sender),
            ("To", mime.mailbox("", mailbox)),
            ("Subject", letter.subject),
            ("Date", format_datetime(clock.now())),
            ("Message-ID", message_id),
            ("Auto-Submitted", "auto-generated"),
            ("Content-Language", letter.language),
        ],
        letter.text,
        letter.html,
        boundary=f"=_{new_public_id()}",
    )
    if means.signers is not None:
        data = means.signers.sign(data)
    return message_id, Envelope(notice.id, means.sender_address, mailbox, data, dotless=True)
