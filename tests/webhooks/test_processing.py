"""Reading the inbox: in order, once, resumable, and one bad post keeps no other waiting."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import select

from preference_center import clock, providers
from preference_center.db import db, transaction
from preference_center.delivery.events import recording, waiting
from preference_center.delivery.events.models import DeliveryEvent, Effect
from preference_center.delivery.marks import Place
from preference_center.delivery.models import Message, MessageState
from preference_center.privacy import retention
from preference_center.providers.base import Kind, Post, Unreadable
from preference_center.suppressions.models import Cause, Suppression
from preference_center.webhooks import inbox, processing, queries
from preference_center.webhooks.models import InboundPost
from tests.delivery.events.conftest import Sent, event, tell

pytestmark = pytest.mark.both_databases
ANNA, BO = "anna@example.org", "bo@example.org"


def keep(*events: dict[str, Any], provider: str = "sparkpost") -> None:
    """A post of these events in the inbox."""
    body = json.dumps([{"msys": {"message_event": event}} for event in events]).encode()
    inbox.keep(provider, "", Post("POST", f"https://mail.example.com/hooks/{provider}", {}, body), clock.now())


def told(kind: str, email: str, mark: str | None = None, **more: Any) -> dict[str, Any]:
    number = abs(hash((kind, email, mark, clock.now())))
    meta = {"rcpt_meta": {"pc_mark": mark}} if mark else {}
    return (
        {"type": kind, "event_id": str(number), "rcpt_to": email, "timestamp": str(int(clock.now().timestamp()))}
        | meta
        | more
    )


def states() -> list[tuple[str, str | None]]:
    db.session.rollback()
    return [
        (str(post.state), post.trouble) for post in db.session.scalars(select(InboundPost).order_by(InboundPost.id))
    ]


def test_a_batch_is_read_whole_with_one_bad_event_in_it(app: Flask, sent: Callable[..., Sent]) -> None:  # S112, S113
    here = sent(ANNA, BO)
    keep(
        told("delivery", ANNA, here.mark(ANNA)),
        {"type": ["what"], "rcpt_to": 7},
        told("brand_new_type", BO),
        told("delivery", BO, here.mark(BO), extra={"deep": [1]}),
    )
    processing.drain()
    assert (here.state(ANNA)[0], here.state(BO)[0]) == ("delivered", "delivered")
    assert sorted(map(str, db.session.scalars(select(DeliveryEvent.kind)))) == ["delivered"] * 2 + ["unknown"] * 2


def test_no_more_bodies_are_loaded_than_one_batch_may_hold(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        keep(told("delivery", f"{number}@example.org", padding="x" * 1000))
    monkeypatch.setattr(processing, "BYTES", 2500)
    loaded: list[InboundPost] = []

    def note(post: InboundPost, _context: object) -> None:
        loaded.append(post)

    sqlalchemy_event.listen(InboundPost, "load", note)
    try:
        with transaction():
            assert len(processing._claim(200, 3)) == len(loaded) == 2
    finally:
        sqlalchemy_event.remove(InboundPost, "load", note)
    assert processing.drain() == 4


def test_a_fault_of_ours_in_one_post_loses_no_other(
    app: Flask, sent: Callable[..., Sent], monkeypatch: pytest.MonkeyPatch
) -> None:  # S113
    here = sent(ANNA, BO)
    keep(told("delivery", ANNA, here.mark(ANNA)))
    keep(told("poison", BO))
    keep(told("delivery", BO, here.mark(BO)))
    provider = providers.named("sparkpost")
    read = provider.read

    def broken(self: object, post: Post) -> object:
        if b"poison" in post.body:
            raise KeyError("a fault of ours")
        return read(post)

    monkeypatch.setattr(type(provider), "read", broken)
    processing.drain()
    assert (here.state(ANNA)[0], here.state(BO)[0]) == ("delivered", "delivered")
    assert [state for state, _ in states()] == ["done", "failed", "done"]
    assert "KeyError at" in (states()[1][1] or "")
    assert queries.standing().failed == 1
    monkeypatch.undo()
    with time_machine.travel(clock.now() + timedelta(hours=1), tick=False):
        processing.drain()
    assert [state for state, _ in states()] == ["done"] * 3


def test_a_post_of_another_shape_is_kept_and_replayed_with_a_mended_parser(
    app: Flask, sent: Callable[..., Sent], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = sent(ANNA)
    keep(told("delivery", ANNA, here.mark(ANNA)))

    def unreadable(self: object, post: Post) -> object:
        raise Unreadable("the list of events is missing")

    monkeypatch.setattr(type(providers.named("sparkpost")), "read", unreadable)
    processing.drain()
    assert states() == [("unreadable", "the list of events is missing")]
    monkeypatch.undo()
    with transaction():
        assert processing.replay(provider="mailgun") == 0
    with transaction():
        assert processing.replay(provider="sparkpost") == 1
    processing.drain()
    assert here.state(ANNA)[0] == "delivered"
    with transaction():
        processing.replay()
    processing.drain()
    assert len(list(db.session.scalars(select(DeliveryEvent.id)))) == 1


def test_an_event_that_was_unknown_acts_once_its_parser_is_mended(app: Flask, sent: Callable[..., Sent]) -> None:
    here = sent(ANNA)
    first = event("unknown", mark=here.mark(ANNA))
    tell(first)
    assert here.state(ANNA)[0] == "sent"
    mended = type(first)(Kind.complained, first.key, ANNA, mark=first.mark)
    tell(mended)
    tell(mended)
    assert here.state(ANNA)[0] == "complained"
    assert list(db.session.scalars(select(Suppression.cause))) == [Cause.complaint]


def test_an_inbox_nobody_read_for_six_hours_is_drained(app: Flask, sent: Callable[..., Sent]) -> None:  # W8
    people = [f"person{number}@example.org" for number in range(60)]
    here = sent(*people)
    for email in people:
        keep(told("delivery", email, here.mark(email)))
    with time_machine.travel(clock.now() + timedelta(hours=6), tick=False):
        assert queries.standing().waiting == 60
        assert processing.drain() == 60
        assert queries.standing().waiting == 0
    assert {here.state(email)[0] for email in people} == {"delivered"}


def test_what_comes_while_others_are_read_is_left_to_the_ring_it_brings(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:  # W7
    """In a burst each look would find a few more, and none would ever end."""
    monkeypatch.setattr(processing, "AT_A_TIME", 2)
    for number in range(5):
        keep(told("delivery", f"person{number}@example.org"))

    def one_more() -> bool:
        keep(told("delivery", BO, number=len(states())))
        return False

    assert processing.drain(stop=one_more) == 5
    assert processing.drain() == len(states()) - 5 > 0


def test_an_event_before_our_row_waits_for_it(app: Flask, sent: Callable[..., Sent]) -> None:  # W3
    here = sent(ANNA)
    gone = db.session.get_one(Message, here.messages[ANNA])
    columns = [column.name for column in Message.__table__.columns if column.computed is None]
    kept = {name: getattr(gone, name) for name in columns}
    with transaction():
        db.session.delete(db.session.get_one(Message, here.messages[ANNA]))
    tell(event("complained", "elsewhere@example.org", mark=here.mark(ANNA)))
    tell(event("complained", BO))
    assert set(db.session.scalars(select(DeliveryEvent.effect))) == {Effect.waiting}
    with transaction():
        db.session.add(Message(**kept))
    with time_machine.travel(clock.now() + timedelta(seconds=20), tick=False):
        processing.drain()
    assert here.state(ANNA)[0] == "complained"
    assert sorted(map(str, db.session.scalars(select(DeliveryEvent.effect)))) == ["applied", "waiting"]


def test_what_fits_nothing_is_counted_after_five_minutes_and_still_acts_if_it_turns_up(
    app: Flask, sent: Callable[..., Sent]
) -> None:  # W3
    tell(event("complained"))
    start = clock.now()
    for seconds in (16, 50, 110, 200, 306):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            processing.drain()
    assert db.session.scalar(select(DeliveryEvent.effect)) is Effect.unmatched
    assert queries.standing().unmatched == 1
    here = sent(ANNA)
    with time_machine.travel(start + timedelta(hours=2), tick=False):
        processing.drain()
    assert here.state(ANNA)[0] == "complained"


def test_looking_ends_after_a_week(app: Flask) -> None:
    tell(event("delivered", "stranger@example.org"))
    start = clock.now()
    for hours in range(0, 12 * 24, 6):
        with time_machine.travel(start + timedelta(hours=hours), tick=False), transaction():
            waiting.look_again()
    row = db.session.scalars(select(DeliveryEvent)).one()
    assert (row.effect, row.due_at) == (Effect.unmatched, None)


@pytest.mark.parametrize("kind", ["delivered", "accepted", "opened", "deferred"])
def test_a_message_in_doubt_is_settled_by_a_report_on_it(sent: Callable[..., Sent], kind: str) -> None:
    here = sent(ANNA, state=MessageState.uncertain)
    tell(event(kind, message_id=f"{here.mark(ANNA, Place.message_id)}@example.com"))
    assert here.state(ANNA) == ("delivered" if kind == "delivered" else "sent", None)


def test_a_message_in_doubt_is_not_settled_by_a_report_that_names_the_address_alone(sent: Callable[..., Sent]) -> None:
    """It may be about another mail to the same person. What it says of the address counts all the same."""
    here = sent(ANNA, state=MessageState.uncertain)
    tell(event("delivered", ANNA), event("bounced", ANNA, bounce_class="hard"))
    assert here.state(ANNA)[0] == "uncertain"
    assert db.session.scalar(select(Suppression.cause)) is Cause.bounce


def test_posts_are_deleted_after_the_set_time(app: Flask) -> None:  # S117
    keep(told("delivery", ANNA))
    processing.drain()
    rule = next(rule for rule in retention.RULES if rule.name == "provider_posts")
    with time_machine.travel(clock.now() + timedelta(days=29), tick=False):
        assert rule.count() == 0
    with time_machine.travel(clock.now() + timedelta(days=31), tick=False), transaction():
        assert rule.step() == 1
    assert states() == []
    assert recording.TEST == 0
