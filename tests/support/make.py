"""Makes rows for tests: contact(), topic() and so on, each with sensible values that a test may override."""

from typing import Any

from preference_center import clock
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.contacts import addresses
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.topics import catalogue
from preference_center.topics.models import Topic, TopicText
from preference_center.topics.purposes import LegalBasis

# what an existing customer's mail rests on (ePrivacy 13(2))
SALE = {"sale": "order 17", "own_similar_products": True, "refusal_offered": True}


def topic(key: str = "news", name: str = "Product news", purpose: str = "email_marketing") -> Topic:
    return catalogue.add(
        key,
        {"en": TopicText(language="en", name=name, description="New things.", cadence="About once a month.")},
        purpose,
    )


def contact(email: str = "anna@example.org", **values: Any) -> Contact:
    address = addresses.parse(email)
    now = clock.now()
    made = Contact(email=address.email, address_hash=address.hash, created_at=now, updated_at=now, **values)
    db.session.add(made)
    db.session.flush()
    return made


def follower(topic: Topic, email: str = "anna@example.org", **values: Any) -> Contact:
    """A contact who gave consent for the topic."""
    made = contact(email, **values)
    ledger.grant(made, topic, LegalBasis.consent, Evidence(source="form", source_ref="test"))
    return made
