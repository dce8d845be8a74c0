"""A shop with topics, consent texts and one customer, as the public pages need them."""

from datetime import UTC, datetime
from typing import Any

from preference_center.consent import ledger, wordings
from preference_center.consent.ledger import Evidence
from preference_center.contacts.models import Contact
from preference_center.topics import catalogue
from preference_center.topics.models import Topic, TopicText
from preference_center.topics.purposes import LegalBasis
from tests.support import make

TEXTS = {
    "news": ("Product news", "New features and fixes, in plain words.", "About once a month."),
    "offers": ("Offers", "Discounts for customers, before anybody else gets them.", "At most weekly."),
    "events": ("Events", "Invitations to workshops and open days near you.", "4 to 6 a year."),
}


def topics() -> dict[str, Topic]:
    """Three public topics with their consent texts, and the service mail nobody can turn off."""
    made = {}
    for key, (name, description, cadence) in TEXTS.items():
        text = TopicText(language="en", name=name, description=description, cadence=cadence)
        made[key] = catalogue.add(key, {"en": text})
        wordings.publish_defaults(made[key])
    order = TopicText(language="en", name="Order messages", description="Confirmations, invoices and delivery times.")
    made["orders"] = catalogue.add("orders", {"en": order}, "service")
    return made


_MAY = datetime(2026, 5, 3, 14, 2, tzinfo=UTC)


def customer(
    made: dict[str, Topic], *on: str, email: str = "anna@example.org", since: datetime = _MAY, **values: Any
) -> Contact:
    """A contact who follows these topics since the 3rd of May 2026, by the sign-up form."""
    contact = make.contact(email, **values)
    for key in on:
        wording = wordings.current(made[key], "en")
        evidence = Evidence(
            source="form",
            source_ref="subscribe:test",
            language="en",
            wording_id=wording.id if wording else None,
            happened_at=since,
        )
        ledger.grant(contact, made[key], LegalBasis.consent, evidence)
    return contact
