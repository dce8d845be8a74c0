"""A test send: what a campaign would look like, to a colleague's mailbox. Its links lead nowhere and nobody's figures change."""

from email.utils import format_datetime, make_msgid

from flask import current_app

from preference_center import clock
from preference_center.campaigns.models import CampaignVersion
from preference_center.campaigns.rendering import content
from preference_center.config import Settings
from preference_center.contacts.models import Contact
from preference_center.db import new_public_id
from preference_center.errors import Unavailable
from preference_center.mail import mime, signing, smtp
from preference_center.mail.outcomes import Envelope, Outcome
from preference_center.mail.relay import Relay


def send_test(version: CampaignVersion, to: str, *, contact: Contact | None = None, language: str = "en") -> None:
    """Hand one test mail to the relay now. Unavailable, with the relay's words, when it was not taken."""
    settings: Settings = current_app.extensions["settings"]
    seen = content.preview(version, contact, language)
    data = mime.message(
        [
            ("From", mime.mailbox(settings.from_name, settings.from_address)),
            ("To", mime.mailbox("", to)),
            ("Subject", f"[Test] {seen.subject}"),
            ("Date", format_datetime(clock.now())),
            ("Message-ID", make_msgid(domain=settings.sending_domain)),
            ("Content-Language", language),
        ],
        seen.text,
        seen.html,
        boundary=f"=_{new_public_id()}",
    )
    own = signing.signers(settings)
    if own is not None:
        data = own.sign(data)
    result = smtp.send_one(
        Relay.from_url(settings.relay_url), Envelope(0, settings.from_address, to, data, dotless=True)
    )
    if result.outcome is not Outcome.accepted:
        raise Unavailable(f"The test mail was not taken by the relay: {result.text}")
