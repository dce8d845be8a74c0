"""M5, M7, M8, M11, M12: what a relay does to a whole campaign, from the claim to the report, hours later too."""

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update

from preference_center import clock, failpoints, providers
from preference_center.campaigns import queries as campaigns
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import CampaignState
from preference_center.config import Settings
from preference_center.db import db, transaction
from preference_center.delivery import sending
from preference_center.delivery.events import recording
from preference_center.delivery.events.models import DeliveryEvent, MatchedBy
from preference_center.delivery.models import Message
from preference_center.providers.base import BounceClass, Event, Kind
from preference_center.webhooks import mailbox, processing
from tests.conftest import make_settings
from tests.faults import inside
from tests.support.bounces import mails
from tests.support.relay import FakeRelay

pytestmark = pytest.mark.both_databases

CONNECTIONS = 4
# What one recipient's server may do, and how that may end.
FAULTS = {
    "": "sent", "+450x1": "sent", "+450x3": "sent", "+451dotx1": "sent", "+421rcptx1": "sent", "+421dotx1": "sent",
    "+dropmailx1": "sent", "+droprcptx1": "sent", "+dropdatax1": "sent", "+dropafterdot": "uncertain",
    "+lostafterdot": "uncertain", "+550rcpt": "failed", "+554data": "failed", "+554dot": "failed", "+slow0.05": "sent",
}  # fmt: skip


@pytest.fixture
def relay() -> Iterator[FakeRelay]:
    with FakeRelay() as relay:
        yield relay


@pytest.fixture
def settings(tmp_path: Any, database: str, relay: FakeRelay) -> Settings:
    hooks = {"POSTMARK_LOGINS": "hook:a-password-nobody-guesses-00"}
    return make_settings(
        tmp_path,
        database,
        relay_url=relay.url,
        relay_connections=CONNECTIONS,
        relay_provider="postmark",
        hooks=hooks,
    )


@pytest.fixture
def travel() -> Iterator[Any]:
    with time_machine.travel(datetime(2026, 11, 2, 9, tzinfo=UTC), tick=True) as travel:
        yield travel


def _people(number: int) -> list[str]:
    return [f"person{one}@example.org" for one in range(number)]


def test_a_pause_is_answered_at_once_while_the_relay_lets_us_wait(app: Flask, relay: FakeRelay) -> None:  # M5, P5
    campaign_id = inside.begun(f"person{one}+slow2@example.org" for one in range(40))

    def send() -> None:
        with app.app_context():
            sending.run(campaign_id, seconds=30)

    thread = threading.Thread(target=send)
    thread.start()
    relay.wait_for_event("holding", CONNECTIONS)
    began = time.monotonic()
    with transaction():
        scheduling.pause(campaigns.lock(campaign_id))
    took = time.monotonic() - began
    waiting = inside.figures(campaign_id)
    thread.join(20)
    assert took < 1
    assert waiting.sending > 0, "the relay had answered: nothing was waited for"
    assert inside.look(campaign_id).state is CampaignState.paused
    ended = inside.figures(campaign_id)
    assert len(relay.messages) == ended.sent == CONNECTIONS  # no other message began
    assert (ended.queued, ended.sending, ended.uncertain) == (40 - CONNECTIONS, 0, 0)


def test_greylisting_costs_time_and_no_copies(app: Flask, relay: FakeRelay, travel: Any) -> None:  # M7
    people = {f"person{one}+450x1@example.org" for one in range(60)}
    campaign_id = inside.begun(people)
    sending.run(campaign_id, seconds=20)
    assert (relay.messages, inside.figures(campaign_id).queued) == ([], 60)
    sending.run(campaign_id, seconds=20)
    assert relay.events("rcpt") and len(relay.events("rcpt")) == 60, "nobody is asked again before their time"
    travel.shift(timedelta(minutes=5))
    inside.let_it_end(campaign_id, travel)
    assert relay.copies() == Counter(people)
    assert inside.figures(campaign_id).sent == 60


def test_claims_that_crashed_count_for_nothing_when_the_relay_asks_to_wait(
    app: Flask, relay: FakeRelay
) -> None:  # M1, K6
    campaign_id = inside.begun(["anna+450x2@example.org"])
    for _ in range(4):
        failpoints.arm("message.rendered:raise")
        with pytest.raises(failpoints.Crash):
            sending.run(campaign_id, seconds=5)
        inside.sweep()
    failpoints.arm("")
    waits = []
    for _ in range(2):
        sending.run(campaign_id, seconds=5)
        message = db.session.scalars(select(Message)).one()
        assert message.next_try_at is not None
        waits.append((message.next_try_at - clock.now()).total_seconds())
        with transaction():
            db.session.execute(update(Message).values(next_try_at=None))
    assert 40 < waits[0] < 75 < 230 < waits[1] < 375, "a minute, then five"


def test_a_campaign_at_which_five_workers_die_in_a_row_waits_for_a_person(  # K16
    app: Flask, relay: FakeRelay, travel: Any
) -> None:
    campaign_id = inside.begun(_people(3))

    def die() -> CampaignState:
        failpoints.arm("message.rendered:raise")
        with pytest.raises(failpoints.Crash):
            sending.run(campaign_id, seconds=5)
        failpoints.arm("")
        inside.sweep()
        travel.shift(timedelta(seconds=20))
        return inside.look(campaign_id).state

    assert [die() for _ in range(5)] == [CampaignState.sending] * 4 + [CampaignState.paused]
    assert "5 workers in a row died" in str(inside.look(campaign_id).pause_reason)
    with transaction():
        scheduling.resume(inside.look(campaign_id))
    assert die() is CampaignState.sending, "a person has looked at it: it is counted from there"
    inside.let_it_end(campaign_id, travel)
    assert inside.figures(campaign_id).sent == 3


def test_workers_that_die_after_something_left_are_followed_by_others(
    app: Flask, relay: FakeRelay, travel: Any
) -> None:  # K14
    campaign_id = inside.begun(_people(8 * sending.FIRST))
    for _ in range(7):
        failpoints.arm("store.before:raise@2")  # after the first chunk has left
        with suppress(failpoints.Crash):
            sending.run(campaign_id, seconds=5)
        failpoints.arm("")
        inside.sweep()
        travel.shift(timedelta(seconds=20))
    assert inside.look(campaign_id).state is CampaignState.sending


@pytest.mark.parametrize("turn", range(3))
def test_any_mixture_of_faults_loses_nobody_and_mails_nobody_twice(  # M8, P1, P2
    app: Flask, relay: FakeRelay, travel: Any, turn: int
) -> None:
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    scripts = [dice.choice([*FAULTS, ""]) for _ in range(80)]
    people = {f"person{number}{script}@example.org": FAULTS[script] for number, script in enumerate(scripts)}
    campaign_id = inside.begun(people)
    inside.let_it_end(campaign_id, travel)
    ends = {address: state for address, (state, _) in inside.states(campaign_id).items()}
    copies = [address for address, count in relay.copies().items() if count > 1]
    doubtful = sum(state == "uncertain" for state in ends.values())
    print(f"seed {seed}: kills 0, accepted {len(relay.messages)}, copies {len(copies)}, uncertain {doubtful}")
    assert copies == []
    assert ends == people
    taken = set(relay.copies())
    assert {address for address, state in ends.items() if state == "sent"} <= taken
    assert not {address for address, state in ends.items() if state == "failed"} & taken


def test_a_bounce_hours_later_moves_the_report_and_not_the_campaign(  # M11
    app: Flask, relay: FakeRelay, travel: Any
) -> None:
    campaign_id = inside.begun(_people(10))
    inside.let_it_end(campaign_id, travel)
    finished_at = inside.look(campaign_id).finished_at
    travel.shift(timedelta(hours=7))
    mail = relay.messages[3]
    mailbox.keep(mails.dsn(recipient=mail.recipient, to=mail.sender), [mail.sender], clock.now(), way="test")
    processing.drain()
    figures = inside.figures(campaign_id)
    assert (figures.sent, figures.bounced, figures.audience) == (9, 1, 10)
    assert inside.states(campaign_id)[mail.recipient][0] == "bounced"
    _post(app, _mark(relay, 4), relay.messages[4].recipient)
    inside.sweep()
    sending.run(campaign_id, seconds=5)
    figures = inside.figures(campaign_id)
    assert (figures.sent, figures.delivered, figures.bounced, figures.audience) == (8, 1, 1, 10)
    campaign = inside.look(campaign_id)
    assert (campaign.state, campaign.finished_at) == (CampaignState.sent, finished_at)
    assert len(relay.messages) == 10


def test_a_rewritten_message_id_is_matched_by_our_mark_and_then_by_the_provider_s_number(  # M12
    app: Flask, relay: FakeRelay, travel: Any
) -> None:
    object.__setattr__(relay.options, "rewrite_message_id", True)
    campaign_id = inside.begun(_people(3))
    inside.let_it_end(campaign_id, travel)
    address = relay.messages[1].recipient
    _post(app, _mark(relay, 1), address)
    told = db.session.scalars(select(DeliveryEvent)).one()
    assert (told.matched_by, inside.states(campaign_id)[address][0]) == (MatchedBy.mark, "delivered")
    later = Event(
        Kind.bounced,
        "later",
        recipient=address,
        message_id="<2@rewritten.relay.example>",
        provider_message_id=told.provider_message_id,
        bounce_class=BounceClass.hard,
    )
    with transaction():
        recording.record("postmark", [later], clock.now())
    found = db.session.scalars(select(DeliveryEvent).where(DeliveryEvent.key == "later")).one()
    assert (found.matched_by, found.message_id) == (MatchedBy.provider_id, told.message_id)
    assert {address: state for address, (state, _) in inside.states(campaign_id).items()} == {
        one.recipient: "bounced" if one.recipient == address else "sent" for one in relay.messages
    }


def _mark(relay: FakeRelay, number: int) -> str:
    """Our mark as the relay read it in the header that is for it."""
    found = re.search(rb"(?im)^X-PM-Metadata-[^:]+: *(\S+)", relay.messages[number].data)
    assert found
    return found[1].decode()


def _post(app: Flask, mark: str, recipient: str) -> None:
    """The provider tells us, in its way, that this message was delivered."""
    secrets = app.extensions["hooks"]["postmark"].secrets
    post = providers.named("postmark").sample(
        secrets, "https://mail.example.com/hooks/postmark", mark, recipient, clock.now()
    )
    with app.app_context():
        answer = app.test_client(use_cookies=False).post(
            "/hooks/postmark", headers=dict(post.headers), data=post.body, base_url="https://mail.example.com"
        )
    assert answer.status_code == 200
    processing.drain()
