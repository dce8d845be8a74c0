"""Chooses contacts and writes them to a CSV file that spreadsheets cannot be tricked by (ASVS V1.2.10)."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import select

from preference_center import clock
from preference_center.accounts import audit
from preference_center.commands import desk
from preference_center.consent.models import Subscription
from preference_center.contacts import queries, spreadsheets
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.segments import queries as segments
from preference_center.topics import catalogue
from preference_center.topics.models import Topic

_AT_ONCE = 1000


def chosen(segment: str, limit: int | None = None) -> Iterator[Contact]:
    """The contacts a rule means, oldest first, streamed; without a rule everyone."""
    statement = (
        select(Contact)
        .where(segments.predicate(segments.named_or_text(segment), clock.now()))
        .order_by(Contact.id)
        .limit(limit)
        .execution_options(yield_per=_AT_ONCE)
    )
    yield from db.session.scalars(statement)


def export(file: Path, segment: str) -> int:
    """Written beside its place and moved there when it is whole. How many contacts it holds."""
    topics = catalogue.live()
    with transaction():
        audit.note(desk.ACTOR, "contacts.exported", "segment", "", segment=segment)
    keys = sorted(queries.declared_attributes())
    head = ["id", "email", "language", "time_zone", "country", "source", "created_at", *keys, *(t.key for t in topics)]
    fresh = file.with_name(f".{file.name}.new")
    count = 0
    try:
        with os.fdopen(
            os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline=""
        ) as out:
            out.writelines(spreadsheets.as_csv([head]))
            for line in spreadsheets.as_csv(_row(contact, keys, topics) for contact in chosen(segment)):
                out.write(line)
                count += 1
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
    return count


def _row(contact: Contact, keys: list[str], topics: list[Topic]) -> tuple[Any, ...]:
    own, states = contact.attributes, _states(contact)
    return (*_plain(contact), *map(own.get, keys), *(states.get(topic.id) for topic in topics))


def _plain(contact: Contact) -> tuple[Any, ...]:
    return (
        contact.public_id, contact.email, contact.language, contact.time_zone, contact.jurisdiction, contact.source,
        contact.created_at.isoformat(),
    )  # fmt: skip


def _states(contact: Contact) -> dict[int, str]:
    found = db.session.execute(
        select(Subscription.topic_id, Subscription.state).where(Subscription.contact_id == contact.id)
    )
    return {topic_id: str(state) for topic_id, state in found}
