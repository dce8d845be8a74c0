"""Requests that must be answered soon: told once to the organisation's own contact address, and by `doctor` until they are closed."""

from datetime import timedelta

from sqlalchemy import select

from preference_center import clock
from preference_center.db import db
from preference_center.notices import sending as notices
from preference_center.notices.models import Kind
from preference_center.privacy.models import DataRequest, RequestState

AHEAD = timedelta(days=7)
STEP = 100


def near() -> list[DataRequest]:
    """Open requests whose deadline is near or past, the most urgent first."""
    return list(
        db.session.scalars(
            select(DataRequest)
            .where(DataRequest.state == RequestState.open, DataRequest.due_at < clock.now() + AHEAD)
            .order_by(DataRequest.due_at)
        )
    )


def tell() -> int:
    """One mail about those that no mail told of yet, inside a `transaction()`; how many they were."""
    new = [request for request in near() if request.escalated_at is None][:STEP]
    if new:
        told = [{"id": one.public_id, "due": one.due_at.isoformat()} for one in new]
        notices.tell_us(Kind.requests_due, {"requests": told})
    for request in new:
        request.escalated_at = clock.now()
    return len(new)
