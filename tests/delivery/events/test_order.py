"""W2: whatever the order in which events come, they come to the same. Each order is tried out on a person of its own."""

import itertools
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select

from preference_center import clock
from preference_center.consent.models import Standing, Subscription
from preference_center.db import db, transaction
from preference_center.delivery.events import waiting
from preference_center.providers.base import Event
from preference_center.suppressions.models import Suppression
from tests.delivery.events.conftest import Sent, event, tell

pytestmark = pytest.mark.both_databases

Said = dict[str, Any]  # of one event, without whom it is about


def _end(here: Sent, email: str) -> tuple[Any, ...]:
    """What the events of one person came to, without what names them."""
    person = here.people[email]
    suppressed = select(Suppression.cause, Suppression.until).where(Suppression.address_hash == person.address_hash)
    subscribed = select(Subscription.state).where(Subscription.contact_id == person.id)
    stands = select(Standing.state).where(Standing.contact_id == person.id)
    return (
        here.state(email),
        *(tuple(map(tuple, db.session.execute(rows))) for rows in (suppressed, subscribed, stands)),
    )


def _ends(sent: Callable[..., Sent], orders: Sequence[Sequence[Said]], **campaign: Any) -> list[tuple[Any, ...]]:
    """The first events of all orders come first, then the second ones, and so on; each batch in a transaction."""
    emails = [f"person{number}@example.org" for number in range(len(orders))]
    here = sent(*emails, **campaign)
    told: list[list[Event]] = [
        [
            event(recipient=email, mark=here.mark(email) if said.get("marked", True) else None, **_plain(said))
            for said in order
        ]
        for email, order in zip(emails, orders, strict=True)
    ]
    for step in range(max(map(len, told))):
        tell(*(own[step] for own in told if step < len(own)))
    with time_machine.travel(clock.now() + timedelta(hours=2), tick=False):
        while _look_again():
            pass
    db.session.rollback()
    return [_end(here, email) for email in emails]


def _look_again() -> int:
    with transaction():
        return waiting.look_again()


def _plain(said: Said) -> Said:
    return {name: value for name, value in said.items() if name != "marked"}


def test_every_order_of_four_events_ends_alike(sent: Callable[..., Sent]) -> None:  # W2
    told = [
        {"kind": "delivered"},
        {"kind": "bounced", "bounce_class": "hard"},
        {"kind": "complained"},
        {"kind": "unsubscribed"},
    ]
    ends = _ends(sent, list(itertools.permutations(told)))
    assert len(ends) == 24
    assert len(set(map(repr, ends))) == 1
    assert ends[0][0] == ("complained", None)


def test_any_order_of_any_kinds_ends_alike(sent: Callable[..., Sent]) -> None:  # W2, S109
    pool: list[Said] = [
        {"kind": kind, "bounce_class": bounce_class}
        for kind, bounce_class in [
            ("accepted", None), ("deferred", None), ("delivered", None), ("bounced", "soft"), ("bounced", "block"),
            ("bounced", "hard"), ("rejected", None), ("opened", None), ("clicked", None), ("provider_reactivated", None),
            ("unknown", None), ("auto_replied", None), ("unsubscribed", None), ("complained", None),
        ]
    ]  # fmt: skip
    chance = random.Random(7)
    chosen = [chance.sample(pool, chance.randint(2, 8)) for _ in range(12)]
    ends = _ends(sent, [chance.sample(some, len(some)) for some in chosen for _ in range(3)])
    for number in range(len(chosen)):
        assert len(set(map(repr, ends[3 * number : 3 * number + 3]))) == 1, chosen[number]
    assert len(set(map(repr, ends))) > 3


@pytest.mark.parametrize("forgiven", [True, False])
def test_a_late_delivery_forgives_soft_bounces_in_any_order(
    sent: Callable[..., Sent], forgiven: bool
) -> None:  # W2, S122
    """They are counted an hour later, when what belongs together has come."""
    now = clock.now()
    told: list[Said] = [
        {"kind": "bounced", "bounce_class": "soft", "occurred_at": now - timedelta(weeks=week), "marked": False}
        for week in range(6)
    ]
    if forgiven:
        told.append({"kind": "delivered", "occurred_at": now - timedelta(days=10), "marked": False})
    chance = random.Random(3)
    orders = [chance.sample(told, len(told)) for _ in range(8)]
    ends = _ends(sent, orders, started_at=now - timedelta(weeks=30))
    assert len(set(map(repr, ends))) == 1
    assert bool(ends[0][1]) is not forgiven
