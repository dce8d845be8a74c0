"""C2, C3, C4, C10: what people do while a campaign leaves. Each is obeyed from its commit on, and the report keeps its sums."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, text

from preference_center import failpoints
from preference_center.campaigns import queries as campaigns
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.consent import ledger
from preference_center.consent.chain import rows, seal, verifying
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import State, Subscription
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import sending
from preference_center.delivery.results import reach
from preference_center.privacy import erasure
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.faults import inside
from tests.support import links, make
from tests.support.campaigns import fill
from tests.support.relay import FakeRelay

pytestmark = pytest.mark.relay(reply_delay=0.005)

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
PERSON = Evidence(source="link")


@pytest.fixture
def travel() -> Iterator[Any]:
    with time_machine.travel(datetime(2026, 11, 2, 9, tzinfo=UTC), tick=True) as travel:
        yield travel


@pytest.mark.both_databases
def test_who_leaves_while_in_doubt_is_never_tried_again(app: Flask, relay: FakeRelay, travel: Any) -> None:  # C2
    gone, stays = "gone+lostafterdot@example.org", "stays+lostafterdot@example.org"
    campaign_id = inside.begun([gone, stays])
    sending.run(campaign_id, seconds=10)
    assert {state for state, _ in inside.states(campaign_id).values()} == {"uncertain"}
    with transaction():
        topic = db.session.scalars(select(Topic)).one()
        ledger.withdraw(_contact(gone), topic, PERSON)
    for _ in range(3):
        inside.sweep()
        sending.run(campaign_id, seconds=2)
    assert len(relay.events("dot")) == 2, "a doubtful one was sent again"
    travel.shift(timedelta(minutes=1))  # a relay that hung up is given a rest
    with transaction():  # even when a person asks for those in doubt to be tried once more
        again = reach.resend(inside.look(campaign_id), ["uncertain"])
    _send(again)
    assert inside.states(again.id) == {gone: ("skipped", "withdrawn"), stays: ("uncertain", "no_reply")}
    dots = [recipient for event in relay.events("dot") for recipient in event["recipients"]]
    assert sorted(dots) == sorted([gone, stays, stays])


@pytest.mark.only_postgresql
def test_three_devices_within_a_second_end_as_the_last_commit_says(app: Flask) -> None:  # C3
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    with transaction():
        topic = make.topic()
        people = [make.follower(topic, f"person{number}@example.org") for number in range(30)]
    doors = {person.id: links.unsub(person, topic) for person in people}
    topic_id = topic.id
    db.session.rollback()

    def withdraw(contact_id: int) -> None:
        assert app.test_client(use_cookies=False).post(doors[contact_id], data=ONE_CLICK).status_code == 200

    def grant(contact_id: int) -> None:
        with transaction():
            person, news = db.session.get_one(Contact, contact_id), db.session.get_one(Topic, topic_id)
            ledger.grant(person, news, LegalBasis.consent, PERSON)

    for contact_id in doors:
        acts = [withdraw, grant, withdraw]
        dice.shuffle(acts)
        _at_once(app, [(act, contact_id) for act in acts])
    db.session.rollback()
    print(f"seed {seed}")
    for contact_id in doors:
        by_commit = text(
            "SELECT id, action FROM consent_records WHERE contact_id = :who ORDER BY pg_xact_commit_timestamp(xmin), id"
        )
        records = db.session.execute(by_commit, {"who": contact_id}).all()
        assert [row.id for row in records] == sorted(row.id for row in records), "the ledger tells another order"
        assert len(records) >= 2, "a withdrawal left no evidence"
        state = db.session.scalar(select(Subscription.state).where(Subscription.contact_id == contact_id))
        assert state is (State.given if records[-1].action == "given" else State.withdrawn)
    with transaction():
        seal.seal_all()
    with rows.snapshot() as connection:
        assert verifying.verify(connection).faults == []


@pytest.mark.both_databases
def test_erased_while_it_is_sent_ends_erased_and_the_report_keeps_its_count(  # C4
    app: Flask, relay: FakeRelay
) -> None:
    campaign_id = inside.begun(f"person{number}@example.org" for number in range(150))
    numbers = list(db.session.scalars(select(Contact.id).order_by(Contact.id)))
    erased = [numbers[at] for at in (0, 20, 60, 90, 120, 140, 145, 149)]
    addresses = {id_: f"person{numbers.index(id_)}@example.org" for id_ in erased}
    db.session.rollback()

    def send() -> None:
        with app.app_context():
            while inside.look(campaign_id).state is CampaignState.sending:
                sending.run(campaign_id, seconds=20)

    thread = threading.Thread(target=send)
    thread.start()
    relay.wait_for(20)
    for contact_id in erased:
        with transaction():
            erasure.erase(db.session.get_one(Contact, contact_id), PERSON)
    thread.join(30)
    ends = inside.states(campaign_id)
    taken = relay.copies()
    for contact_id, address in addresses.items():
        left = taken[address] == 1
        assert ends[str(contact_id)] == (("sent", None) if left else ("skipped", "erased"))
        assert address not in ends
    assert any(ends[str(id_)] == ("skipped", "erased") for id_ in erased), "all of them had left: no race"
    figures = inside.figures(campaign_id)
    assert (figures.audience, figures.sent) == (150, len(relay.messages))
    assert max(taken.values()) == 1


@pytest.mark.only_postgresql
def test_an_erasure_and_a_claim_of_the_same_person_do_not_wait_for_each_other(  # C4, D6
    app: Flask, relay: FakeRelay
) -> None:
    campaign_id = inside.begun(["first@example.org", "second@example.org"])
    first, second = db.session.scalars(select(Contact.id).order_by(Contact.id))
    db.session.rollback()
    done: list[str] = []

    def send() -> None:
        with app.app_context():
            sending.run(campaign_id, seconds=5)
            done.append("sent")

    def erase() -> None:
        with app.app_context():
            with transaction():
                erasure.erase(db.session.get_one(Contact, second), PERSON)
            done.append("erased")
            db.session.remove()

    threads = [threading.Thread(target=send), threading.Thread(target=erase)]
    with db.engine.connect() as holder:
        holder.execute(text("SELECT 1 FROM contacts WHERE id = :id FOR UPDATE"), {"id": first})
        threads[0].start()
        time.sleep(0.7)  # the claim holds both messages now and waits for the first of their contacts
        threads[1].start()
        time.sleep(0.7)
        holder.rollback()
    for thread in threads:
        thread.join(20)
    assert sorted(done) == ["erased", "sent"]
    assert set(inside.states(campaign_id).values()) == {("sent", None)}, "both were claimed before the erasure"


@pytest.mark.both_databases
def test_erased_between_a_crash_and_the_sweep_is_not_mailed(app: Flask, relay: FakeRelay) -> None:  # C4
    campaign_id = inside.begun(["anna@example.org", "bo@example.org"])
    failpoints.arm("claim.committed:raise")
    with pytest.raises(failpoints.Crash):
        sending.run(campaign_id, seconds=5)
    failpoints.arm("")
    assert {state for state, _ in inside.states(campaign_id).values()} == {"sending"}
    with transaction():
        anna = _contact("anna@example.org")
        number = anna.id
        erasure.erase(anna, PERSON)
    inside.sweep()
    sending.run(campaign_id, seconds=5)
    assert inside.states(campaign_id) == {str(number): ("skipped", "erased"), "bo@example.org": ("sent", None)}
    assert [message.recipient for message in relay.messages] == ["bo@example.org"]


@pytest.mark.both_databases
def test_a_campaign_cancelled_half_way_can_be_corrected_for_those_it_reached(  # C10, P5
    app: Flask, relay: FakeRelay
) -> None:
    campaign_id = inside.begun(f"person{number}@example.org" for number in range(120))

    def send() -> None:
        with app.app_context():
            sending.run(campaign_id, seconds=20)

    thread = threading.Thread(target=send)
    thread.start()
    relay.wait_for(60)
    with transaction():
        scheduling.cancel(campaigns.lock(campaign_id))
    thread.join(20)
    inside.sweep()
    reached = {message.recipient for message in relay.messages}
    figures = inside.figures(campaign_id)
    assert (figures.sent, figures.skipped) == (len(reached), {"cancelled": 120 - len(reached)})
    with transaction():
        correction = reach.correct(inside.look(campaign_id))
    _send(correction)
    assert {address for address, (state, _) in inside.states(correction.id).items() if state == "sent"} == reached
    assert set(relay.copies().values()) == {2}


def _send(campaign: Campaign) -> None:
    fill(campaign)
    sending.run(campaign.id, seconds=20)


def _contact(address: str) -> Contact:
    return db.session.scalars(select(Contact).where(Contact.email == address)).one()


def _at_once(app: Flask, acts: list[tuple[Callable[[int], None], int]]) -> None:
    gate = threading.Barrier(len(acts))

    def do(act: Callable[[int], None], contact_id: int) -> None:
        with app.app_context():
            gate.wait()
            act(contact_id)
            db.session.remove()

    threads = [threading.Thread(target=do, args=one) for one in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
