"""When soft bounces are too many: a score that fades with time and that one delivery forgives.

It is counted from the events themselves, an hour after each, when what belongs together has come: so neither order nor repeats
change it, and nothing has to be kept in step. One message counts once, however often it was tried.

No standard names a number (RFC 5321 speaks of one message, not of the next). The numbers are our judgement: an address that goes on
failing is left alone, and a few bad days (a full mailbox after a holiday) are not taken for the end. Of a weekly mail they allow
five failures in a row, of a daily one a fortnight of them.
"""

from datetime import datetime, timedelta

from sqlalchemy import func, select

from preference_center import clock
from preference_center.db import db
from preference_center.delivery.events.models import DeliveryEvent, Effect
from preference_center.providers.base import BounceClass, Kind
from preference_center.suppressions.models import SuppressionRecord

ENOUGH = 4.0  # the score from which an address is left alone
HALF_LIFE = timedelta(days=90)  # after which a soft bounce counts half
SPAN = timedelta(days=14)  # from the first to the last of them, at least
REST = timedelta(days=90)  # for how long nothing is sent then
_FADED = timedelta(days=720)  # what is older counts for nothing


def rest_until(address_hash: bytes) -> datetime | None:
    """Until when this address is to be left alone, if its soft bounces since the last delivery are too many."""
    failed = _since_the_last_delivery(address_hash)
    if not failed or max(failed) - min(failed) < SPAN or score(failed) < ENOUGH:
        return None
    until = max(failed) + REST
    return until if until > clock.now() else None


def score(failed: list[datetime]) -> float:
    """As of the newest of them."""
    newest = max(failed, default=None)
    return sum(0.5 ** ((newest - at) / HALF_LIFE) for at in failed) if newest else 0.0


def _since_the_last_delivery(address_hash: bytes) -> list[datetime]:
    """The first soft bounce of each message since the last delivery, or since a person let the address go."""
    mine = (DeliveryEvent.address_hash == address_hash, DeliveryEvent.effect == Effect.applied)
    delivered = db.session.scalar(
        select(func.max(DeliveryEvent.occurred_at)).where(*mine, DeliveryEvent.kind == Kind.delivered)
    )
    released = db.session.scalar(
        select(func.max(SuppressionRecord.happened_at)).where(
            SuppressionRecord.address_hash == address_hash, SuppressionRecord.action == "lifted"
        )
    )
    after = max(filter(None, [delivered, released, clock.now() - _FADED]))
    message = func.coalesce(DeliveryEvent.message_id, -DeliveryEvent.id)
    failed = (
        select(func.min(DeliveryEvent.occurred_at))
        .where(*mine, DeliveryEvent.kind == Kind.bounced, DeliveryEvent.bounce_class == BounceClass.soft)
        .where(DeliveryEvent.occurred_at > after)
        .group_by(message)
    )
    return list(db.session.scalars(failed))
