"""All that the preference page tells of one contact, read by one statement: it is the page people see most."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, or_, select

from preference_center import clock
from preference_center.consent.models import Action, Cadence, ConsentRecord, Standing, State, Subscription
from preference_center.contacts.models import Contact
from preference_center.errors import NotFound
from preference_center.prepared import Prepared
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
_all = Prepared(
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


class Record(NamedTuple):
    """The consent record that decided, as far as it is told."""

    public_id: str
    action: Action
    source: str
    legal_basis: LegalBasis | None
    wording_id: int | None
    happened_at: datetime


class Said(NamedTuple):
    """Where the contact stands on one topic."""

    state: State
    until: datetime | None
    cadence: Cadence
    record: Record | None


class Overview(NamedTuple):
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


def lately(public_id: str, purpose_key: str) -> Overview:
    """As committed, outside any transaction. NotFound when there is no such contact."""
    return _overview(_all.look(public_id=public_id, purpose=purpose_key, now=clock.now()))


def now(public_id: str, purpose_key: str) -> Overview:
    """As it stands in the open transaction. NotFound when there is no such contact."""
    return _overview(_all.rows(public_id=public_id, purpose=purpose_key, now=clock.now()))


_OWN = len(_CONTACT) + len(_STANDING)


def _overview(rows: list[Any]) -> Overview:
    if not rows:
        raise NotFound("There is no such contact.")
    topics = {row[_OWN]: _said(*row[_OWN + 1 :]) for row in rows if row[_OWN] is not None}
    return Overview._make([*rows[0][:_OWN], topics])


def _said(state: State, until: datetime | None, cadence: Cadence, *record: Any) -> Said:
    return Said(state, until, cadence, Record(*record) if record[0] else None)
