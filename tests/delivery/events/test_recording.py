"""Events are kept once and obeyed once, whoever tells them and however often."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from preference_center import clock
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Standing, State, Subscription
from preference_center.db import db, transaction
from preference_center.delivery import personal
from preference_center.delivery.events.models import DeliveryEvent, Effect, MatchedBy
from preference_center.delivery.marks import Place
from preference_center.delivery.models import Message, MessageState
from preference_center.privacy import erasure
from preference_center.suppressions.models import Cause, Suppression
from tests.delivery.events.conftest import Sent, event, tell

pytestmark = pytest.mark.both_databases

ANNA = "anna@example.org"


def count() -> int:
    return db.session.scalar(select(func.count()).select_from(DeliveryEvent)) or 0


def causes() -> list[Cause]:
    return list(db.session.scalars(select(Suppression.cause)))


def test_an_event_told_three_times_is_kept_once(sent: Callable[..., Sent]) -> None:  # W1
    here = sent(ANNA)
    told = event("complained", mark=here.mark(ANNA))
    assert [tell(told).stored for _ in range(3)] == [1, 0, 0]
    assert tell(told, told).repeated == 1
    assert count() == 1
    assert here.state(ANNA) == ("complained", None)


def test_the_same_key_from_another_source_is_another_event(sent: Callable[..., Sent]) -> None:
    sent(ANNA)
    told = event("delivered")
    tell(told, source="one")
    tell(told, source="two")
    assert count() == 2


def test_a_complaint_suppresses_and_withdraws_everything(sent: Callable[..., Sent]) -> None:
    here = sent(ANNA)
    tell(event("complained", mark=here.mark(ANNA)))
    assert causes() == [Cause.complaint]
    assert db.session.scalar(select(Subscription.state)) is State.withdrawn
    assert db.session.scalar(select(Standing.state)) is State.withdrawn


def test_an_unsubscribe_leaves_the_topic_of_its_message(sent: Callable[..., Sent]) -> None:
    here = sent(ANNA)
    tell(event("unsubscribed", mark=here.mark(ANNA)))
    assert db.session.scalar(select(Subscription.state)) is State.withdrawn
    assert db.session.scalar(select(Standing.state)) is None
    assert causes() == []
    assert here.state(ANNA)[0] == "sent"


def test_a_hard_bounce_suppresses_the_address_at_once(sent: Callable[..., Sent]) -> None:  # S122
    here = sent(ANNA)
    tell(event("bounced", bounce_class="hard", mark=here.mark(ANNA)))
    assert causes() == [Cause.bounce]
    assert here.state(ANNA) == ("bounced", "hard")


@pytest.mark.parametrize("bounce_class", ["block", "soft"])
def test_a_block_or_one_soft_bounce_suppresses_nobody(sent: Callable[..., Sent], bounce_class: str) -> None:  # S122
    here = sent(ANNA)
    tell(event("bounced", bounce_class=bounce_class, mark=here.mark(ANNA)), event("deferred"))
    assert causes() == []
    assert here.state(ANNA) == ("bounced", bounce_class)


def test_an_address_we_never_mailed_changes_nothing(app: Flask, sent: Callable[..., Sent]) -> None:
    sent(ANNA)
    tell(event("complained", "stranger@example.org"))
    assert causes() == []
    assert db.session.scalar(select(DeliveryEvent.effect)) is Effect.waiting


def test_a_complaint_by_address_counts_after_a_report_on_a_message_that_a_restore_forgot(
    sent: Callable[..., Sent],
) -> None:  # D3
    here = sent(ANNA)
    with transaction():
        message = db.session.get_one(Message, here.messages[ANNA])
        message.state, message.attempt = MessageState.queued, 0
    tell(event("bounced", bounce_class="soft", mark=here.mark(ANNA)))
    assert here.state(ANNA) == ("bounced", "soft")
    tell(event("complained"), source="another")
    assert here.state(ANNA)[0] == "complained"
    assert causes() == [Cause.complaint]


def test_a_mark_of_another_place_proves_nothing(sent: Callable[..., Sent]) -> None:
    here = sent(ANNA)
    tell(event("complained", None, mark=here.mark(ANNA, Place.message_id)))
    tell(event("complained", None, mark=here.mark(ANNA, Place.return_path)))
    assert causes() == []
    tell(event("complained", None, mark=here.mark(ANNA, Place.return_path)), places=(Place.return_path,))
    assert causes() == [Cause.complaint]


def test_our_message_id_names_the_message(sent: Callable[..., Sent]) -> None:
    here = sent(ANNA)
    tell(event("delivered", None, message_id=f"{here.mark(ANNA, Place.message_id)}@example.com"))
    assert here.state(ANNA)[0] == "delivered"
    assert db.session.scalar(select(DeliveryEvent.matched_by)) is MatchedBy.message_id


def test_what_the_remote_server_says_is_kept_without_addresses(sent: Callable[..., Sent]) -> None:
    sent(ANNA)
    tell(
        event("bounced", bounce_class="hard", detail=f"550 5.1.1 <{ANNA}>: unknown; see mailto:{ANNA}", status="5.1.1")
    )
    kept = db.session.scalars(select(DeliveryEvent)).one()
    assert ANNA not in repr(vars(kept))
    assert "550 5.1.1" in (kept.detail or "")


def test_an_erased_person_has_none_of_the_events_that_name_nobody(sent: Callable[..., Sent]) -> None:  # S97
    here = sent(ANNA)
    tell(event("bounced", None, bounce_class="hard", detail="550 of somebody else"))
    with transaction():
        erasure.erase(here.people[ANNA], Evidence("system", "test", actor="system"))
        assert personal.held(here.people[ANNA])["delivery_events"] == []
        personal.forget(here.people[ANNA])
    assert db.session.scalar(select(DeliveryEvent.detail)) == "550 of somebody else"


@pytest.mark.parametrize("year", [1, 1970, 9999])
def test_an_event_without_a_time_of_its_own_counts_as_of_now(sent: Callable[..., Sent], year: int) -> None:
    """Some programs write the year 1 where they know no time."""
    sent(ANNA)
    tell(replace(event("bounced", ANNA, bounce_class="hard"), occurred_at=datetime(year, 1, 1, tzinfo=UTC)))
    assert causes() == [Cause.bounce]
    assert abs(db.session.scalars(select(DeliveryEvent.occurred_at)).one() - clock.now()) < timedelta(minutes=5)
