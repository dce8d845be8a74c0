"""From the door to the message: a post is proven, stored once, answered, read by the job, and obeyed."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import select

from preference_center import jobs
from preference_center.db import db
from preference_center.webhooks import processing
from preference_center.webhooks.models import InboundPost, PostState
from tests.delivery.events.conftest import Sent
from tests.support.bell import WrittenBell
from tests.webhooks.conftest import Door

pytestmark = pytest.mark.both_databases
ANNA = "anna@example.org"


@pytest.mark.parametrize("provider", ["mailgun", "sparkpost", "postmark", "mandrill", "standard"])
def test_a_delivered_event_reaches_its_message(door: Door, sent: Callable[..., Sent], provider: str) -> None:
    here = sent(ANNA)
    answer = door.send(provider, door.sample(provider, here.mark(ANNA)))
    assert (answer.status_code, answer.text) == (200, "Stored.\n")
    assert "Set-Cookie" not in answer.headers
    assert here.state(ANNA)[0] == "sent"
    assert processing.drain() == 1
    assert here.state(ANNA)[0] == "delivered"
    assert db.session.scalar(select(InboundPost.state)) is PostState.done


def test_the_queue_is_rung_for(door: Door, bell: WrittenBell) -> None:
    door.send("postmark", door.sample("postmark"))
    for _ in range(200):
        if bell.rung:
            break
        time.sleep(0.01)
    assert bell.rung == [(jobs.PROCESS_POSTS.path, ())]
