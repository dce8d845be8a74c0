"""A post is stored once, encrypted, and what is good once is good once."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from preference_center import clock
from preference_center.db import db
from preference_center.errors import Unavailable
from preference_center.providers.base import Post
from preference_center.webhooks import inbox, processing
from preference_center.webhooks.models import InboundPost
from tests.delivery.events.conftest import Sent
from tests.webhooks.conftest import Door

pytestmark = pytest.mark.both_databases
ANNA = "anna@example.org"


def _kept() -> list[InboundPost]:
    db.session.rollback()
    return list(db.session.scalars(select(InboundPost).order_by(InboundPost.id)))


def test_a_repeat_is_answered_alike_and_stored_once(door: Door, sent: Callable[..., Sent]) -> None:  # W1, W10
    """The provider did not hear our answer and tries again: once stored, once obeyed."""
    here = sent(ANNA)
    post = door.sample("postmark", here.mark(ANNA))
    assert [door.send("postmark", post).status_code for _ in range(3)] == [200] * 3
    assert len(_kept()) == 1
    processing.drain()
    assert len(door.events()) == 1
    assert door.send("postmark", post).status_code == 200
    assert processing.drain() == 0
    assert len(door.events()) == 1


def test_the_same_post_many_times_at_once_has_one_effect(door: Door, sent: Callable[..., Sent]) -> None:  # W1
    here = sent(ANNA)
    post = door.sample("mailgun", here.mark(ANNA))
    answers: list[int] = []

    def send() -> None:
        answers.append(
            door.app.test_client(use_cookies=False)
            .post("/hooks/mailgun", data=post.body, headers=dict(post.headers))
            .status_code
        )

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 50
    assert len(_kept()) == 1
    processing.drain()
    assert [str(event.kind) for event in door.events()] == ["delivered"]
    assert here.state(ANNA)[0] == "delivered"


def test_a_token_is_good_once_whatever_body_it_is_moved_to(door: Door) -> None:
    """Mailgun signs a token and not the body."""
    post = door.sample("mailgun")
    assert door.send("mailgun", post).status_code == 200
    moved = replace(post, body=post.body.replace(b'"delivered"', b'"complained"'))
    assert door.send("mailgun", moved).status_code == 200
    assert len(_kept()) == 1
    assert b"delivered" in inbox.open_sealed(_kept()[0]).body


def test_a_captured_post_is_worth_nothing_a_day_later(door: Door, sent: Callable[..., Sent]) -> None:  # W4
    here = sent(ANNA)
    signed, plain = door.sample("mailgun", here.mark(ANNA)), door.sample("postmark", here.mark(ANNA))
    door.send("postmark", plain)
    processing.drain()
    with time_machine.travel(clock.now() + timedelta(days=1), tick=True):
        assert door.send("mailgun", signed).status_code == 401
        assert door.send("postmark", plain).status_code == 200
        processing.drain()
    assert len(door.events()) == 1


def test_what_is_stored_is_the_request_as_it_came_and_cannot_be_read_in_the_database(door: Door) -> None:  # S117
    post = door.sample("postmark")
    door.send("postmark", post)
    (stored,) = _kept()
    assert ANNA.encode() not in stored.body
    opened = inbox.open_sealed(stored)
    assert (opened.method, opened.url, opened.body) == ("POST", "https://mail.example.com/hooks/postmark", post.body)
    assert "authorization" not in opened.headers
    assert opened.headers["content-type"] == "application/json"


def test_a_stored_post_moved_to_another_row_cannot_be_opened(door: Door) -> None:
    door.send("postmark", door.sample("postmark"))
    (stored,) = _kept()
    stored.provider = "sparkpost"
    with pytest.raises(Unavailable):
        inbox.open_sealed(stored)
    db.session.rollback()


def test_a_body_that_came_compressed_long_ago_opens_whole(app: Flask) -> None:
    """A megabyte of anything, line breaks and all."""
    body = b'\n{"a": "' + b"\n\r\x00" * 300_000 + b'"}\n'
    inbox.keep("postmark", "", Post("POST", "https://x", {"a": "b"}, body), clock.now())
    assert inbox.open_sealed(_kept()[0]).body == body


def test_the_count_of_rows_is_one_a_post(door: Door) -> None:
    for number in range(3):
        door.send("postmark", door.sample("postmark", mark=f"1-{number}"))
    assert db.session.scalar(select(func.count()).select_from(InboundPost)) == 3
