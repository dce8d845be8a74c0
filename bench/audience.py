"""Counts and fills the audience of one campaign among 100,000 contacts, and prints the seconds as JSON.

python bench/audience.py [--contacts 100000] [--database-url postgresql+psycopg://…] [--embedded-postgresql]
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy import insert

from preference_center import clock
from preference_center.app import create_app
from preference_center.campaigns import audience, scheduling
from preference_center.consent.models import Action, ConsentRecord, State, Subscription
from preference_center.contacts.models import AddressStatus, Attribute, AttributeKind, Contact
from preference_center.db import db, new_public_id, transaction
from preference_center.delivery import outbox
from preference_center.suppressions.models import Cause, Suppression
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.conftest import make_settings
from tests.support import make
from tests.support.bell import WrittenBell
from tests.support.databases import create_database

SEGMENT = 'language = "pl" and city = "Kraków"'
PER_INSERT = 5_000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--contacts", type=int, default=100_000)
    arguments.add_argument("--database-url", default="")
    arguments.add_argument("--embedded-postgresql", action="store_true", help="start a PostgreSQL of our own")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = create_database("pc_bench") if chosen.embedded_postgresql else chosen.database_url
        settings = make_settings(Path(folder), url or f"sqlite:///{folder}/bench.db")
        with create_app(settings, bell=WrittenBell()).app_context():
            db.create_all()
            print(json.dumps(measure(chosen.contacts)))
            db.session.remove()
            db.engine.dispose()


def measure(contacts: int) -> dict[str, Any]:
    with transaction():
        topic = make.topic()
        db.session.add(Attribute(key="city", name="City", kind=AttributeKind.text, created_at=clock.now()))
        people(topic, contacts)
    found: dict[str, Any] = {"database": db.engine.dialect.name, "contacts": contacts}
    begun = time.perf_counter()
    everyone = audience.funnel(topic, "", clock.now())
    found["seconds_to_count_everyone_with_reasons"] = round(time.perf_counter() - begun, 2)
    begun = time.perf_counter()
    some = audience.funnel(topic, SEGMENT, clock.now())
    found["seconds_to_count_a_segment_by_attribute"] = round(time.perf_counter() - begun, 2)
    with transaction():
        campaign = scheduling.create("Measured", topic, "Hello", "markdown", "Hello.\n")
        scheduling.schedule(campaign, clock.now())
        scheduling.start_due(clock.now())
    begun, more = time.perf_counter(), True
    while more:
        with transaction():
            more = outbox.fill_range(campaign.id)
    found["seconds_to_fill_the_outbox"] = round(time.perf_counter() - begun, 2)
    reasons = {str(reason): count for reason, count in everyone.reasons.items()}
    return found | {"allowed": everyone.allowed, "refused": reasons, "in_the_segment": some.matched}


def people(topic: Topic, number: int) -> None:
    """Contacts as they are: most agreed, some left, some never confirmed, some are suppressed or have a dead address."""
    for start in range(0, number, PER_INSERT):
        rows = list(_rows(topic, range(start + 1, min(start + PER_INSERT, number) + 1)))
        for model, part in zip(
            (Contact, ConsentRecord, Subscription, Suppression), zip(*rows, strict=True), strict=True
        ):
            db.session.execute(insert(model), [row for row in part if row])


def _rows(topic: Topic, numbers: range) -> Iterator[tuple[dict[str, Any], ...]]:
    now = clock.now()
    for number in numbers:
        kind = number % 100
        address_hash = number.to_bytes(16, "big")
        contact = {
            "id": number,
            "public_id": new_public_id(),
            "email": f"person{number}@example.org",
            "address_hash": address_hash,
            "address_status": AddressStatus.invalid if kind < 2 else AddressStatus.ok,
            "language": "pl" if number % 4 else "en",
            "attributes": {"city": "Kraków" if number % 10 == 0 else "Warszawa"},
            "created_at": now,
            "updated_at": now,
        }
        if kind >= 95:
            yield contact, {}, {}, {}
            continue
        state, action = (State.withdrawn, Action.withdrawn) if kind >= 90 else (State.given, Action.given)
        if kind >= 87 and kind < 90:
            state, action = State.requested, Action.requested
        record = {
            "id": number,
            "public_id": new_public_id(),
            "contact_id": number,
            "purpose_key": topic.purpose_key,
            "topic_id": topic.id,
            "action": action,
            "legal_basis": LegalBasis.consent,
            "source": "import",
            "happened_at": now,
            "recorded_at": now,
        }
        subscription = {
            "contact_id": number,
            "topic_id": topic.id,
            "state": state,
            "record_id": number,
            "changed_at": now,
        }
        suppression = {"address_hash": address_hash, "cause": Cause.bounce, "created_at": now} if 2 <= kind < 6 else {}
        yield contact, record, subscription, suppression


if __name__ == "__main__":
    main()
