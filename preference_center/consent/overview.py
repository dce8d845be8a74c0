"""All that the preference page tells of one contact, read by one statement: it is the page people see most."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, or_, select
from sqlalchemy.engine import Connection

from preference_center import clock
from preference_center.consent.models import Action, Cadence, ConsentRecord, Standing, State, Subscription
from preference_center.contacts.models import Contact
from preference_center.errors import NotFound
from preference_center.suppressions.models import Cause, Suppression
from preference_center.topics.purposes import LegalBasis

_CONTACT = (
    Contact.id,
    Contact.public_id,
    Contact.email,
    Contact.language,
    Contact.time_zone,
    Contact.link_epoch,
    Contact.restricted_at,
    Contact.erased_at,
)
_STANDING = (Standing.state.label("whole"), Standing.paused_until, Suppression.cause)
_SAID = (
    Subscription.topic_id,
    Subscription.state,
    Subscription.until,
    Subscription.cadence,
    ConsentRecord.public_id.label("record"),
    ConsentRecord.action,
    ConsentRecord.source,
    ConsentRecord.legal_basis,
    ConsentRecord.wording_id,
    ConsentRecord.happened_at,
)
_all = (
    select(*_CONTACT, *_STANDING, *_SAID)
    .outerjoin(Standing, and_(Standing.contact_id == Contact.id, Standing.purpose_key == bindparam("purpose")))
    .outerjoin(
        Suppression,
        and_(
            Suppression.address_hash == Contact.address_hash,
            or_(Suppression.until.is_(None), Suppression.until > bindparam("now", type_=Suppression.until.type)),
        ),
    )
    .outerjoin(Subscription, Subscription.contact_id == Contact.id)
    .outerjoin(ConsentRecord, ConsentRecord.id == Subscription.record_id)
    .where(Contact.public_id == bindparam("public_id"))
)


@dataclass(frozen=True)
class Record:
    """The consent record that decided, as far as it is told."""

    public_id: str
    action: Action
    source: str
    legal_basis: LegalBasis | None
    wording_id: int | None
    happened_at: datetime


@dataclass(frozen=True)
class Said:
    """Where the contact stands on one topic."""

    state: State
    until: datetime | None
    cadence: Cadence
    record: Record | None


@dataclass(frozen=True)
class Overview:
    """A contact, and where they stand on one purpose and on each topic (by its id)."""

    id: int
    public_id: str
    email: str | None
    language: str
    time_zone: str | None
    link_epoch: int
    restricted_at: datetime | None
    erased_at: datetime | None
    whole: State | None
    paused_until: datetime | None
    suppressed: Cause | None
    topics: dict[int, Said]


def read(connection: Connection, public_id: str, purpose_key: str) -> Overview:
    """NotFound when there is no such contact."""
    asked = {"public_id": public_id, "purpose": purpose_key, "now": clock.now()}
    rows: Sequence[Any] = connection.execute(_all, asked).all()
    if not rows:
        raise NotFound("There is no such contact.")
    contact = rows[0][: len(_CONTACT) + len(_STANDING)]
    said = (row[len(contact) :] for row in rows)
    parts: list[Any] = [*contact, {topic_id: _said(*rest) for topic_id, *rest in said if topic_id is not None}]
    return Overview(*parts)


def _said(state: State, until: datetime | None, cadence: Cadence, *record: Any) -> Said:
    return Said(state, until, cadence, Record(*record) if record[0] else None)
