"""Everything we hold on one person, room by room, with what the law wants said beside it (GDPR 15, 20; LGPD 18)."""

from typing import Any

from flask import current_app

from preference_center import clock
from preference_center.config import Settings
from preference_center.consent import interchange
from preference_center.consent import personal as consent
from preference_center.consent.law import bases
from preference_center.contacts import personal as contacts
from preference_center.contacts.models import Contact
from preference_center.delivery import personal as delivery
from preference_center.notices import personal as notices
from preference_center.privacy import personal as privacy
from preference_center.suppressions import personal as suppressions
from preference_center.topics.purposes import PURPOSES

# A room that holds something on a person stands here; a test finds the one that is missing.
# The contact comes last: to forget the others, one must still know who it is.
ROOMS = (delivery, notices, consent, suppressions, privacy, contacts)

FORMAT = "preference-center-export/1"
KEPT = {
    "contacts": "until the person asks to be erased; an unconfirmed sign-up 7 days",  # or `_contacts_kept`
    "consent_evidence": "with the record; the key is destroyed at erasure",
    "consent_records": "as proof, without a name after erasure",
    "messages": "with the campaign's figures, without a name after erasure",
    "message_attempts": "2 years; deleted at erasure",
    "tracked_messages": "as long as the message, only where the person agreed to be seen; deleted at erasure",
    "mailings": "as long as the longest frequency cap looks back",
    "last_mails": "until the next mail of the topic takes its place; deleted at erasure",
    "renewal_letters": "until the next letter about the topic takes its place; deleted at erasure",
    "delivery_events": "2 years",
    "notices": "90 days",
    "suppressions": "as long as the address must not be mailed; they hold a keyed hash, no address",
    "address_changes": "14 days",
    "rights_links": "1 day",
    "data_requests": "as proof that they were met; without a name after erasure",
}


def of(contact: Contact) -> dict[str, Any]:
    """One document, plain values only."""
    settings: Settings = current_app.extensions["settings"]
    held = {name: rows for room in reversed(ROOMS) for name, rows in room.held(contact).items()}
    return {
        "format": FORMAT,
        "made_at": clock.now().isoformat(),
        "controller": {"name": settings.organisation, "address": settings.postal_address},
        "purposes": {
            key: {"name": purpose.name, "bases": bases.allowed_for(purpose)} for key, purpose in PURPOSES.items()
        },
        "recipients": [interchange.MAIL_SERVERS, *interchange.recipients()],
        "kept": KEPT | {"contacts": _contacts_kept(settings.forget_after_days)},
        "rights": ["access", "rectification", "erasure", "restriction", "portability", "objection", "complaint"],
        "held": held,
    }


def _contacts_kept(days: int) -> str:
    """Consent may be all that we had (`retention.py`)."""
    forgotten = f"; who was written to on consent alone, {days} days after the last of it ended" if days else ""
    return KEPT["contacts"] + forgotten
