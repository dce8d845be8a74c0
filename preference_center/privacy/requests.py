"""The book of data requests: every use of a right is written down, with its deadline, and who did what."""

from collections.abc import Iterable

from sqlalchemy import select

from preference_center import clock
from preference_center.accounts import audit
from preference_center.contacts.models import Contact
from preference_center.db import db
from preference_center.privacy import deadlines
from preference_center.privacy.models import DataRequest, RequestKind, RequestState

PERSON = "person"


def receive(
    contact: Contact, kind: RequestKind, by: str = PERSON, through: str = "link", detail: str = ""
) -> DataRequest:
    """A request that is open until somebody closes it."""
    now = clock.now()
    request = DataRequest(
        contact_id=contact.id,
        kind=kind,
        jurisdiction=contact.jurisdiction,
        asked_by=by,
        asked_through=through,
        detail=detail,
        asked_at=now,
        due_at=deadlines.due(contact.jurisdiction, now),
        state=RequestState.open,
    )
    db.session.add(request)
    db.session.flush()
    return request


def done(contact: Contact, kind: RequestKind, by: str = PERSON, through: str = "link", detail: str = "") -> DataRequest:
    """A request that was fulfilled at once: by the person on a page, or by an operator."""
    request = receive(contact, kind, by, through, detail)
    request.close(by, clock.now())
    if by != PERSON:
        audit.note(by, f"privacy.{kind}", "contact", contact.public_id, request=request.public_id)
    return request


def overdue(kinds: Iterable[RequestKind] = RequestKind) -> list[DataRequest]:
    """Open requests whose deadline has passed, the oldest first."""
    return list(
        db.session.scalars(
            select(DataRequest)
            .where(DataRequest.state == RequestState.open, DataRequest.due_at < clock.now())
            .where(DataRequest.kind.in_(list(kinds)))
            .order_by(DataRequest.due_at)
        )
    )
