"""Counts, estimates and freezes the audience of one campaign, and prints the seconds as JSON.

python bench/audience.py [--contacts 200000] [--rounds 5] [--database-url postgresql+psycopg://…] [--embedded-postgresql]

G9: freezing a segment of everybody, side by side with the bare INSERT … SELECT: one hand-written statement that puts the same people into
the same table, asking only for consent on the topic and for suppressions. In turns, each on an empty table; the ratio is of medians.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy import bindparam, func, insert, select, text

from bench.databases import create_database
from preference_center import clock
from preference_center.app import create_app
from preference_center.campaigns import audience, scheduling
from preference_center.consent.models import STATES, Action, ConsentRecord, State, Subscription
from preference_center.contacts.models import AddressStatus, Attribute, AttributeKind, Contact
from preference_center.db import db, is_postgresql, new_public_id, transaction
from preference_center.delivery import outbox
from preference_center.delivery.models import Message, MessageState
from preference_center.segments import queries as segments
from preference_center.segments import sizing
from preference_center.suppressions.models import Cause, Suppression
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.conftest import make_settings
from tests.support import make
from tests.support.bell import WrittenBell

SEGMENT = 'language = "pl" and city = "Kraków"'
PER_INSERT = 5_000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--contacts", type=int, default=200_000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--database-url", default="")
    arguments.add_argument("--embedded-postgresql", action="store_true", help="start a PostgreSQL of our own")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = create_database("pc_bench") if chosen.embedded_postgresql else chosen.database_url
        settings = make_settings(Path(folder), url or f"sqlite:///{folder}/bench.db")
        with create_app(settings, bell=WrittenBell()).app_context():
            db.create_all()
            print(json.dumps(measure(chosen.contacts, chosen.rounds)))
            db.session.remove()
            db.engine.dispose()


def measure(contacts: int, rounds: int) -> dict[str, Any]:
    with transaction():
        topic = make.topic()
        db.session.add(Attribute(key="city", name="City", kind=AttributeKind.text, created_at=clock.now()))
        people(topic, contacts)
    _settle()
    found: dict[str, Any] = {"database": db.engine.dialect.name, "contacts": contacts}
    found["seconds_to_count_everyone_with_reasons"], everyone = _timed(lambda: audience.funnel(topic, "", clock.now()))
    found["seconds_to_count_a_segment_by_attribute"], some = _timed(
        lambda: audience.funnel(topic, SEGMENT, clock.now())
    )
    found["seconds_to_estimate_it"], estimate = _timed(lambda: sizing.estimate(segments.read(SEGMENT), clock.now()))
    found |= {"in_the_segment": some.matched, "estimated": estimate.number, "give_or_take": estimate.margin}
    found |= {"aim_of_estimate_seconds": sizing.LONGEST, "estimate_was_cut": estimate.cut}
    if not contacts * 0.8 < everyone.allowed < contacts:
        raise SystemExit(
            f"Of {contacts} people {everyone.allowed} may be mailed, so this measures nothing: {everyone.reasons}"
        )
    found |= side_by_side(topic, rounds, everyone.allowed)
    reasons = {str(reason): count for reason, count in everyone.reasons.items()}
    return found | {"allowed": everyone.allowed, "refused": reasons}


def side_by_side(topic: Topic, rounds: int, allowed: int) -> dict[str, Any]:
    """Freezing, the bare statement, and one that asks nothing at all, in turns. The judge refuses some more than the bare statement."""
    seconds: dict[str, list[float]] = {"freeze": [], "bare": [], "asking_nothing": []}
    for _ in range(rounds):
        for name, times in seconds.items():
            with transaction():
                db.session.execute(text("DELETE FROM messages" if not is_postgresql() else "TRUNCATE messages"))
                campaign = scheduling.create("Measured", topic, "Hello", "markdown", "Hello.\n")
                scheduling.schedule(campaign, clock.now())
                scheduling.start_due(clock.now())
            campaign_id = campaign.id
            begun = time.perf_counter()
            freeze(campaign_id) if name == "freeze" else bare(BARE[name], campaign_id, topic.id)
            times.append(time.perf_counter() - begun)
            ready = queued()
            if ready != allowed if name == "freeze" else ready < allowed:
                raise SystemExit(f"{name} made {ready} messages ready to send, and {allowed} people may be mailed.")
    medians = {name: median(times) for name, times in seconds.items()}
    return {
        **{f"seconds_{name}": round(figure, 3) for name, figure in medians.items()},
        "G9_freeze_to_bare": round(medians["freeze"] / medians["bare"], 2),
        "freeze_to_asking_nothing": round(medians["freeze"] / medians["asking_nothing"], 2),
    }


def freeze(campaign_id: int) -> None:
    more = True
    while more:
        with transaction():
            more = outbox.fill_range(campaign_id)


_INTO = "INSERT INTO messages (campaign_id, contact_id, state, reason, record_id, changed_at)"
BARE = {
    "bare": f"""{_INTO} SELECT :campaign, c.id, CASE WHEN s.state = :given AND x.cause IS NULL THEN 'queued' ELSE 'skipped' END,
        CASE WHEN s.state = :given AND x.cause IS NULL THEN NULL ELSE 'refused' END, s.record_id, :now
        FROM contacts c LEFT JOIN subscriptions s ON s.contact_id = c.id AND s.topic_id = :topic
        LEFT JOIN suppressions x ON x.address_hash = c.address_hash WHERE c.erased_at IS NULL""",
    "asking_nothing": f"{_INTO} SELECT :campaign, c.id, 'queued', NULL, NULL, :now FROM contacts c WHERE c.erased_at IS NULL",
}


def bare(statement: str, campaign_id: int, topic_id: int) -> None:
    now = clock.now() if is_postgresql() else int(clock.now().timestamp() * 1_000_000)
    given = [bindparam("given", State.given, STATES)] if ":given" in statement else []
    with transaction():
        asked = {"campaign": campaign_id, "topic": topic_id, "now": now}
        db.session.execute(text(statement).bindparams(*given), asked)


def queued() -> int:
    return db.session.scalar(select(func.count()).where(Message.state == MessageState.queued)) or 0


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    answer = call()
    return round(time.perf_counter() - begun, 3), answer


def _settle() -> None:
    """What a database does by itself in the night after an import."""
    db.session.rollback()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE" if is_postgresql() else "ANALYZE"))


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
            "legal_basis": LegalBasis.consent,
        }
        suppression = {"address_hash": address_hash, "cause": Cause.bounce, "created_at": now} if 2 <= kind < 6 else {}
        yield contact, record, subscription, suppression


if __name__ == "__main__":
    main()
