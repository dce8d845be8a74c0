"""L1: the real send path under a random history of choices, crashes, pauses and reports, with the promises asked after each step.

A crash is a failpoint that raises: the run is broken off where a killed process would have been, and its memory is dropped.
"""

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask, current_app
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from preference_center import clock, failpoints
from preference_center.campaigns import queries as campaigns
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, CampaignState, ContentFormat
from preference_center.config import Settings
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.contacts.models import Contact
from preference_center.db import Base, db, transaction
from preference_center.delivery import marks, outbox, queries, sending
from preference_center.delivery.events import recording
from preference_center.delivery.marks import Place
from preference_center.delivery.models import Message, MessageState
from preference_center.providers.base import BounceClass, Event, Kind
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.conftest import make_settings
from tests.faults import inside
from tests.faults.history import FINAL
from tests.support import make
from tests.support.relay import FakeRelay

PEOPLE = 8
SCRIPTS = ("", "", "", "", "+450x1", "+dropafterdot", "+421rcptx1", "+550rcpt")
BREAKS = [point for point in failpoints.POINTS if point not in ("deliver.start", "bell.before_ring")]
LINK = Evidence(source="link")
NUMBERS = st.integers(0, PEOPLE - 1)


class SendPath(RuleBasedStateMachine):
    app: Flask
    relay: FakeRelay
    steps = 0

    @initialize(started=st.sampled_from([True, True, True, False]), filled=st.booleans())
    def begin(self, started: bool, filled: bool) -> None:
        _empty()
        self.relay.messages.clear()
        self.relay.history.clear()
        self.relay._seen.clear()
        self.travel = time_machine.travel(datetime(2026, 11, 2, 9, tzinfo=UTC), tick=True)
        self.clock = self.travel.start()
        with transaction():
            topic = make.topic()
            for number in range(PEOPLE):
                make.follower(topic, _address(number))
            campaign = scheduling.create("Model", topic, "Hello", ContentFormat.markdown, "Hello.")
        with transaction():
            scheduling.schedule(campaign, clock.now())
        self.campaign_id, self.topic_id = campaign.id, topic.id
        self.may = dict.fromkeys(range(PEOPLE), True)  # the plain model of consent and suppression
        self.suppressed: set[int] = set()
        if started:
            self.clocks_ring()
        if started and filled:  # who leaves from now on is found by the claim alone
            with transaction():
                outbox.fill_range(self.campaign_id)

    def teardown(self) -> None:
        if hasattr(self, "travel"):
            self._let_it_end()
            self.travel.stop()

    # What people and others do.

    @rule(number=NUMBERS)
    def leaves(self, number: int) -> None:
        with transaction():
            ledger.withdraw(_contact(number), db.session.get_one(Topic, self.topic_id), LINK)
        self.may[number] = False

    @rule(number=NUMBERS)
    def comes_back(self, number: int) -> None:
        with transaction():
            ledger.grant(_contact(number), db.session.get_one(Topic, self.topic_id), LegalBasis.consent, LINK)
        self.may[number] = True

    @rule(number=NUMBERS)
    def is_suppressed(self, number: int) -> None:
        with transaction():
            address_hash = _contact(number).address_hash
            assert address_hash is not None
            register.suppress(address_hash, Cause.manual, "test")
        self.suppressed.add(number)

    @rule(number=NUMBERS, kind=st.sampled_from([Kind.delivered, Kind.bounced, Kind.complained]))
    def is_reported(self, number: int, kind: Kind) -> None:
        with transaction():
            message = self._message(number)
            if message is None or message.state in (MessageState.queued, MessageState.skipped):
                return
            event = Event(
                kind,
                f"{kind}-{message.id}",
                mark=marks.make(message.id, Place.metadata),
                bounce_class=BounceClass.hard if kind is Kind.bounced else None,
            )
            recording.record("mailgun", [event], clock.now())
        if kind is not Kind.delivered:
            self.suppressed.add(number)

    # What the house does.

    @rule()
    def clocks_ring(self) -> None:
        with transaction():
            first = scheduling.start_due(clock.now())
        with transaction():
            assert scheduling.start_due(clock.now()) == [], "two clocks started one campaign twice"  # P9, C6
        assert first in ([], [self.campaign_id])

    @rule(point=st.sampled_from([None, *BREAKS]), nth=st.integers(1, 6))
    def a_worker_works(self, point: str | None, nth: int) -> None:
        allowed = self._allowed()
        before = len(self.relay.messages)
        failpoints.arm(f"{point}:raise@{nth}" if point else "")
        try:
            with transaction():
                outbox.fill_range(self.campaign_id)
            sending.run(self.campaign_id, seconds=0.5)
        except failpoints.Crash:
            db.session.rollback()
        finally:
            failpoints.arm("")
            db.session.remove()
        time.sleep(0.02)  # a final dot that was written is taken, crash or not
        for message in self.relay.messages[before:]:
            assert _number(message.recipient) in allowed, "mailed against their will"  # P3, P5

    @rule(point=st.sampled_from(["smtp.dot", "smtp.reply", "store.before"]), nth=st.integers(1, 4))
    def a_worker_dies_after_a_dot_and_another_goes_on(self, point: str, nth: int) -> None:
        self.a_worker_works(point, nth)
        inside.sweep()
        self.a_worker_works(None, 1)

    @rule()
    def the_sweep_comes(self) -> None:
        inside.sweep()

    @rule(minutes=st.sampled_from([1, 7, 90]))
    def time_passes(self, minutes: int) -> None:
        self.clock.shift(timedelta(minutes=minutes))

    @rule(verb=st.sampled_from(["pause", "resume"]))
    def somebody_stops_or_resumes(self, verb: str) -> None:
        wanted = CampaignState.sending if verb == "pause" else CampaignState.paused
        with transaction():
            if self._campaign().state is wanted:
                getattr(scheduling, verb)(self._campaign())

    @precondition(lambda self: self.relay.messages)
    @rule()
    def somebody_cancels(self) -> None:
        with transaction():
            if self._campaign().state in (CampaignState.sending, CampaignState.paused):
                scheduling.cancel(self._campaign())

    # What must hold after each step.

    @invariant()
    def figures_close(self) -> None:  # P6
        if not hasattr(self, "campaign_id"):
            return
        type(self).steps += 1
        campaign = db.session.get_one(Campaign, self.campaign_id, populate_existing=True)
        assert queries.figures(campaign).audience == (PEOPLE if campaign.filled_at else 0)
        db.session.rollback()

    @invariant()
    def nobody_has_two_copies(self) -> None:  # P2
        taken = Counter(message.recipient for message in self.relay.messages)
        assert all(count == 1 for count in taken.values()), taken

    def _let_it_end(self) -> None:
        """No more faults: everybody reaches an ending (P1), and what it says is true."""
        campaign = self._campaign()
        if campaign.state is CampaignState.scheduled:
            self.clocks_ring()
        elif campaign.state is CampaignState.paused:
            with transaction():
                scheduling.resume(self._campaign())
        for _ in range(30):
            self.a_worker_works(None, 1)
            inside.sweep()
            if self._campaign().state in (CampaignState.sent, CampaignState.cancelled):
                break
            self.clock.shift(timedelta(minutes=90))
        inside.sweep()
        ends = {_number(address): state for address, state in self._states().items()}
        if self._campaign().filled_at is not None:
            assert set(ends) == set(range(PEOPLE)) and set(ends.values()) <= FINAL, ends
        taken = {_number(message.recipient) for message in self.relay.messages}
        said = {number for number, state in ends.items() if state == "sent"}
        assert said <= taken
        assert taken <= {number for number, state in ends.items() if state not in ("skipped", "failed")}
        self.figures_close()

    def _campaign(self) -> Campaign:
        return campaigns.lock(self.campaign_id)

    def _allowed(self) -> set[int]:
        state = self._campaign().state
        db.session.rollback()
        if state is not CampaignState.sending:
            return set()
        return {number for number, given in self.may.items() if given} - self.suppressed

    def _message(self, number: int) -> Message | None:
        wanted = db.select(Message).where(Message.contact_id == _contact(number).id)
        return db.session.scalars(wanted).one_or_none()

    def _states(self) -> dict[str, str]:
        rows = db.session.execute(
            db.select(Contact.email, Message.state).join(Message, Message.contact_id == Contact.id)
        )
        return {str(email): str(state) for email, state in rows}


@pytest.fixture
def relay() -> Iterator[FakeRelay]:
    with FakeRelay() as relay:
        yield relay


@pytest.fixture
def settings_(tmp_path, database: str, relay: FakeRelay) -> Settings:  # type: ignore[no-untyped-def]
    return make_settings(tmp_path, database, relay_url=relay.url, relay_connections=2)


@pytest.fixture(name="settings")
def _settings(settings_: Settings) -> Settings:
    return settings_


def test_the_promises_hold_over_random_histories(
    app: Flask, relay: FakeRelay
) -> None:  # P1, P2, P3, P5, P6, P9, S81, S83
    SendPath.app, SendPath.relay, SendPath.steps = app, relay, 0
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        SendPath,
        settings=settings(
            max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    print(f"{SendPath.steps} steps")
    assert SendPath.steps > 100


def _address(number: int) -> str:
    return f"person{number}{SCRIPTS[number]}@example.org"


def _number(address: str) -> int:
    return int(address.removeprefix("person")[0])


def _contact(number: int) -> Contact:
    return db.session.scalars(db.select(Contact).where(Contact.email == _address(number))).one()


def _empty() -> None:
    """As on the first day, also in the eyes of this machine: else it would take the database for an older one."""
    shutil.rmtree(current_app.extensions["settings"].journals, ignore_errors=True)
    db.session.remove()
    with transaction():
        for table in reversed(Base.metadata.sorted_tables):
            db.session.execute(table.delete())
