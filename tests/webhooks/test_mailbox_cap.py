"""A mail loop, or whoever holds a mark, fills no disk; and no report is lost for looking like another."""

import threading
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import func, select

from preference_center import clock
from preference_center.db import db
from preference_center.delivery.events.models import DeliveryEvent
from preference_center.providers.base import Kind
from preference_center.webhooks import mailbox, mailbox_cap, processing, queries
from preference_center.webhooks.models import InboundPost
from preference_center.webhooks.reports import reading
from preference_center.webhooks.reports.parts import SIZE_LIMIT
from tests.delivery.events.conftest import Sent, sent  # noqa: F401 - a fixture
from tests.support.bounces import mails
from tests.webhooks.test_mailbox import ANNA, BEN, Box, box  # noqa: F401 - a fixture

EACH = mailbox_cap.EACH


def away(number: int, filling: str = "") -> bytes:
    """One of many absence notes of the same person."""
    text = mails.reply("Automatic reply: away", f"I am away. {number} {filling}", Auto_Submitted="auto-replied")
    return text.replace(b"Message-ID: <", f"Message-ID: <{number}.".encode())


def stored() -> tuple[int, int]:
    """How many mails, and how many bytes of them."""
    db.session.rollback()
    counted = select(func.count(), func.coalesce(func.sum(InboundPost.size), 0)).select_from(InboundPost)
    number, size = db.session.execute(counted).one()
    return number, int(size)


@pytest.mark.both_databases
def test_a_loop_at_one_mark_is_kept_a_few_times_a_day_and_told(box: Box) -> None:  # noqa: F811
    kept = [mailbox.keep(away(number), [box.path()], clock.now(), way="test").stored for number in range(EACH + 20)]
    assert kept == [True] * EACH + [False] * 20
    assert stored()[0] == EACH
    assert any(f"20 mails were not kept today: {mailbox_cap.REASON}." in told for told in queries.standing().troubles)


@pytest.mark.both_databases
def test_a_full_loop_leaves_room_for_a_complaint_a_bounce_a_wish_and_for_other_people(box: Box) -> None:  # noqa: F811
    for number in range(EACH + 3):
        mailbox.keep(away(number), [box.path()], clock.now(), way="test")
    box.take(mails.complaint(message_id=box.message_id()), box.path())
    box.take(mails.reply("unsubscribe", to=box.leave()))
    box.take(mails.dsn(to=box.path(BEN)))
    assert (box.state()[0], box.follows(), box.state(BEN)) == ("complained", False, ("bounced", "hard"))
    mailbox.keep(away(99), [box.path(BEN)], clock.now(), way="test")
    assert stored()[0] == EACH + 4


@pytest.mark.both_databases
def test_mailboxes_that_are_full_leave_room_for_the_one_that_is_gone(box: Box) -> None:  # noqa: F811
    for number in range(EACH + 3):
        full = mails.dsn("5.2.2", "552 mailbox full").replace(b"Message-ID: <", f"Message-ID: <{number}.".encode(), 1)
        mailbox.keep(full, [box.path()], clock.now(), way="test")
    assert stored()[0] == EACH
    box.take(mails.dsn(), box.path())
    assert box.state() == ("bounced", "hard")


def test_letters_differ_so_that_far_more_of_them_are_kept_for_a_person_though_not_without_end(box: Box) -> None:  # noqa: F811
    def letter(number: int) -> bytes:
        return mails.reply("Do you have it in blue?", f"{number} {'x' * SIZE_LIMIT if number == 1 else ''}")

    for number in range(EACH):
        mailbox.keep(letter(number), [box.path()], clock.now(), way="test")
    wish = mails.reply("Delete my data", "All of it.")
    assert mailbox.keep(wish, [box.path()], clock.now(), way="test").stored
    processing.drain()
    assert wish in [mailbox.raw_of(post.public_id) for post in mailbox.for_a_person(EACH + 1)]
    kept = [
        mailbox.keep(letter(number), [box.path()], clock.now(), way="test").stored
        for number in range(EACH + 1, mailbox_cap.LETTERS + 2)
    ]
    assert kept.count(False) == 2
    number, size = stored()
    assert number == mailbox_cap.LETTERS
    assert size <= number * mailbox_cap.CUT_AT


def test_the_next_day_there_is_room_again(box: Box) -> None:  # noqa: F811
    evening, morning = datetime(2026, 11, 20, 23, 59, tzinfo=UTC), datetime(2026, 11, 21, 0, 1, tzinfo=UTC)
    for number in range(EACH):
        assert mailbox.keep(away(number), [box.path()], evening, way="test").stored
    assert not mailbox.keep(away(EACH), [box.path()], evening, way="test").stored
    assert mailbox.keep(away(EACH), [box.path()], morning, way="test").stored


def test_large_mails_of_one_mark_are_kept_in_part_after_the_first(box: Box) -> None:  # noqa: F811
    for number in range(EACH + 2):
        mailbox.keep(away(number, "x" * 2 * SIZE_LIMIT), [box.path()], clock.now(), way="test")
    number, size = stored()
    assert number == EACH
    assert size <= SIZE_LIMIT + 200 + (EACH - 1) * mailbox_cap.CUT_AT
    processing.drain()
    assert db.session.scalars(select(DeliveryEvent.kind)).all() == [Kind.auto_replied] * EACH


def test_a_mail_that_lies_there_already_takes_no_place_and_is_no_alarm(box: Box) -> None:  # noqa: F811
    for _ in range(3):
        for number in range(EACH):
            assert mailbox.keep(away(number), [box.path()], clock.now(), way="test").stored
    assert stored()[0] == EACH
    assert queries.standing().refused == {}


@pytest.mark.both_databases
def test_many_at_the_same_moment_take_no_more_places_and_lose_none(app: Flask, box: Box) -> None:  # noqa: F811
    """Each was told the truth: what it was told is kept lies there."""
    path, kept = box.path(), []
    db.session.rollback()

    def one(number: int) -> None:
        with app.app_context():
            if mailbox.keep(away(number), [path], clock.now(), way="test").stored:
                kept.append(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(2 * EACH)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(kept), stored()[0]) == (EACH, EACH)


@pytest.mark.both_databases
def test_the_same_bytes_for_two_messages_are_two_reports(box: Box) -> None:  # noqa: F811
    """A program may write nothing into its mail that tells two of them apart; the envelope does."""
    raw = mails.letter(f"<somebody@elsewhere.example>:\n550 5.1.1 No such user\n\n{'x' * 50}")
    box.take(raw, box.path(ANNA))
    box.take(raw, box.path(BEN))
    box.take(raw, box.path(BEN))
    assert (box.state(ANNA), box.state(BEN)) == (("bounced", "hard"), ("bounced", "hard"))
    assert db.session.scalar(select(func.count()).select_from(DeliveryEvent)) == 2


def test_a_mail_is_handed_out_as_it_came(box: Box) -> None:  # noqa: F811
    raw = b"From somebody Mon Mar  3 08:00:00 2025\n" + mails.reply("Do you have it in blue?")
    box.take(raw, box.path())
    (letter,) = mailbox.for_a_person(10)
    assert mailbox.raw_of(letter.public_id) == raw


def test_what_a_fault_of_ours_cannot_read_is_kept_all_the_same(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    def broken(raw: bytes) -> None:
        raise IndexError

    monkeypatch.setattr(reading, "read", broken)
    assert mailbox.keep(mails.dsn(), [box.path()], clock.now(), way="test").stored
    assert stored()[0] == 1
