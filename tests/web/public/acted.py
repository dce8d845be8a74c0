"""Pages that stand only after an act that can be done once, and pages of errors: made anew each time they are looked at."""

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import InternalServerError, TooManyRequests

from preference_center.campaigns import archive, scheduling
from preference_center.campaigns.models import CampaignState
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.contacts import addresses, moving
from preference_center.contacts.models import Contact
from preference_center.db import transaction
from preference_center.privacy import links as rights
from preference_center.privacy.models import Opens
from preference_center.signed_links import Power, ring
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.support import links, make, shop

Post = tuple[str, dict[str, list[str]]]
_number = count(1)
ERRORS = {"429": TooManyRequests(), "500": InternalServerError(), "503": OperationalError("", {}, Exception())}


def fail_on_demand(app: Flask) -> dict[str, str]:
    """Paths that answer with an error page, by the door's own handlers: the feed of the archive stands in for any page."""

    def fail(key: str) -> str:
        raise ERRORS[key]

    app.view_functions["public.archive_feed"] = fail
    return {f"error {status}": f"/archive/{status}/feed.xml" for status in ERRORS}


def published(topic: Topic) -> dict[str, str]:
    """Something in the archive, which is an example beside its topic too."""
    with transaction():
        made = scheduling.create(
            "Autumn", topic, "Autumn & more", "markdown", "# Hello\n\nA mail. [Leave]({{ unsubscribe }})"
        )
        made.state, made.approved_version = CampaignState.sent, 1
        made.started_at = made.finished_at = datetime.now(UTC)
        archive.put(made)
    topics, issues = "/archive/", f"/archive/{topic.key}"
    return {"archive": topics, "archive of a topic": issues, "a mail of the archive": f"{issues}/{made.public_id}"}


def ending(topic: Topic) -> dict[str, str]:
    """A consent that ends soon, and the page after it was extended."""
    with transaction():
        contact = make.contact("ending@example.org")
        until = datetime.now(UTC) + timedelta(days=9)
        ledger.grant(contact, topic, LegalBasis.consent, Evidence("form", language="en"), until=until)
    path = f"{links.manage(contact)}/renew"
    return {"what ends soon": path, "extended": f"{path}?renewed=1"}


def once(client: FlaskClient, topics: dict[str, Topic]) -> Iterator[tuple[str, Post]]:
    """Acts that can be done once, each by somebody new."""
    anna = _somebody(topics)
    path = links.unsub(anna, topics["offers"])
    left = client.post(path, data={"stop": "topic"}).text
    yield "taken back after leaving", (path, {"undo": re.findall(r'name="undo" value="([^"]*)"', html.unescape(left))})
    yield "left everything", (path, {"stop": ["all"]})
    for act in ("erase", "object", "restrict", "lift", "address"):
        yield f"data, {act}", _right(client, _somebody(topics), act)
    mover = _somebody(topics)
    with transaction():
        change = moving.note(mover, addresses.parse(f"new-{mover.public_id}@example.org"))
    yield (
        "new address confirmed",
        (f"/c/{ring().sign(Power.confirm, [mover.public_id, 'address', change.public_id])}", {}),
    )


def _somebody(topics: dict[str, Topic]) -> Contact:
    with transaction():
        return shop.customer(topics, "news", "offers", email=f"once{next(_number)}@example.org")


def _right(client: FlaskClient, contact: Contact, act: str) -> Post:
    with transaction():
        rights.ask(contact, Opens.address if act == "address" else Opens.data)
        if act == "lift":
            contact.restrict(datetime.now(UTC))
    path = links.rights(contact, "address" if act == "address" else "data")
    proof = re.findall(r'name="proof" type="hidden" value="([^"]*)"', client.get(path).text)[:1]
    return path, {"act": [act], "proof": proof, "email": [f"new-{contact.public_id}@example.org"]}
