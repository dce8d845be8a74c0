"""Once more for those who did not get it, never for those who did; a correction for those who did, never for others."""

import threading

import pytest
from flask import Flask
from sqlalchemy import select, update

from preference_center import clock
from preference_center.campaigns import copying, queries, scheduling
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import outbox
from preference_center.delivery.models import Message, MessageState
from preference_center.delivery.results import reach
from preference_center.errors import Conflict, Invalid
from preference_center.topics.models import Topic
from tests.support import databases, make
from tests.support.campaigns import fill

pytestmark = pytest.mark.both_databases

Endings = dict[str, tuple[MessageState, str | None]]
ENDINGS: Endings = {
    "got": (MessageState.delivered, None),
    "handed": (MessageState.sent, None),
    "leaving": (MessageState.sending, None),
    "spam": (MessageState.complained, None),
    "doubt": (MessageState.uncertain, "no_reply"),
    "capped": (MessageState.skipped, "frequency_cap"),
    "late": (MessageState.skipped, "too_late"),
    "refused": (MessageState.failed, "refused"),
    "back": (MessageState.bounced, None),
}


@pytest.fixture
def topic(app: Flask) -> Topic:
    with transaction():
        topic = make.topic()
        for name in ENDINGS:
            make.follower(topic, f"{name}@example.org")
    return topic


@pytest.fixture
def ended(topic: Topic) -> Campaign:
    """A cancelled campaign in which everything happened."""
    with transaction():
        campaign = scheduling.create("Autumn", topic, "News", "markdown", "Hello", segment="language = en")
    fill(campaign)
    with transaction():
        _end(campaign, ENDINGS)
        scheduling.cancel(campaign)
    return campaign


def _end(campaign: Campaign, endings: Endings) -> None:
    for name, (state, reason) in endings.items():
        who = select(Contact.id).where(Contact.email == f"{name}@example.org").scalar_subquery()
        mine = update(Message).where(Message.campaign_id == campaign.id, Message.contact_id == who)
        db.session.execute(mine.values(state=state, reason=reason).execution_options(synchronize_session=False))


def _audience(campaign: Campaign) -> set[str]:
    rows = db.session.execute(
        select(Contact.email).join(Message, Message.contact_id == Contact.id).where(Message.campaign_id == campaign.id)
    )
    return {str(email).partition("@")[0] for (email,) in rows}


def test_the_missed_are_counted_by_reason(ended: Campaign) -> None:
    assert reach.missed(ended) == {"bounced": 1, "frequency_cap": 1, "refused": 1, "too_late": 1, "uncertain": 1}


def test_once_more_reaches_those_of_the_reasons_and_nobody_who_got_it(ended: Campaign) -> None:
    with transaction():
        again = reach.resend(ended, ["frequency_cap", "too_late"], "user:1")
    assert (again.state, queries.version(again).source) == (CampaignState.draft, "Hello")
    fill(again)
    assert _audience(again) == {"capped", "late"}


def test_the_uncertain_are_mailed_again_only_where_somebody_says_so(ended: Campaign) -> None:
    with transaction():
        again = reach.resend(ended, ["uncertain", "bounced"])
    fill(again)
    assert _audience(again) == {"doubt", "back"}


def test_what_is_uncertain_no_longer_when_it_is_filled_is_left_out(ended: Campaign) -> None:
    with transaction():
        again = reach.resend(ended, ["uncertain"])
        _end(ended, {"doubt": (MessageState.delivered, None)})
    fill(again)
    assert _audience(again) == set()


def test_a_second_once_more_leaves_out_whom_the_first_reached(ended: Campaign) -> None:
    with transaction():
        first = reach.resend(ended, ["frequency_cap", "too_late"])
    fill(first)
    with transaction():
        _end(first, {"late": (MessageState.sent, None), "capped": (MessageState.failed, "refused")})
    assert reach.missed(ended)["frequency_cap"] == 1 and "too_late" not in reach.missed(ended)
    with transaction():
        second = reach.resend(ended, ["frequency_cap", "bounced"])
        third = reach.resend(ended, ["bounced"])
    fill(second)
    assert _audience(second) == {"capped", "back"}
    fill(third)
    assert _audience(third) == set()  # under way in the second already


def test_consent_is_asked_anew(ended: Campaign, topic: Topic) -> None:
    with transaction():
        late = db.session.scalars(select(Contact).where(Contact.email == "late@example.org")).one()
        ledger.withdraw(late, topic, Evidence(source="one_click"))
        again = reach.resend(ended, ["too_late"])
    fill(again)
    row = db.session.scalars(select(Message).where(Message.campaign_id == again.id)).one()
    assert (row.state, row.reason) == (MessageState.skipped, "withdrawn")


def test_a_correction_is_for_those_who_got_it_or_may_have(ended: Campaign) -> None:  # C10
    with transaction():
        correction = reach.correct(ended, "user:1")
    assert correction.made_from == f"correction {ended.public_id} v1"
    fill(correction)
    assert _audience(correction) == {"got", "handed", "leaving", "spam", "doubt"}


def test_the_rule_is_frozen_with_the_version(ended: Campaign) -> None:  # P7
    with transaction():
        again = reach.resend(ended, ["too_late"])
    version = queries.version(again)
    assert version.is_intact()
    with transaction():
        version.audience = {"missed_by": ended.public_id, "reasons": ["uncertain"]}
    assert not version.is_intact()


@pytest.mark.parametrize("reasons", [[], ["no_consent"], ["delivered"]])
def test_a_reason_that_kept_nobody_is_refused(ended: Campaign, reasons: list[str]) -> None:
    with pytest.raises(Invalid, match="too_late"), transaction():
        reach.resend(ended, reasons)


def test_what_still_runs_is_not_sent_again(topic: Topic) -> None:
    with transaction():
        campaign = scheduling.create("Autumn", topic, "News", "markdown", "Hello")
    fill(campaign)
    for verb in (reach.correct, reach.missed):
        with pytest.raises(Conflict, match="sending"), transaction():
            verb(campaign)  # type: ignore[operator]


def test_a_copy_is_a_draft_of_its_own(ended: Campaign) -> None:
    with transaction():
        copy = copying.duplicate(ended, actor="user:1")
    assert (copy.name, copy.state, queries.version(copy).segment) == (
        "Autumn (copy)",
        CampaignState.draft,
        'language = "en"',
    )
    with transaction():
        again = copying.duplicate(reach.resend(ended, ["too_late"]))
    assert queries.version(again).audience == {"missed_by": ended.public_id, "reasons": ["too_late"]}


def test_who_was_reached_by_a_copy_of_a_once_more_is_not_reached_again(ended: Campaign) -> None:
    with transaction():
        again = reach.resend(ended, ["frequency_cap", "too_late"], "user:1")
        copied = copying.duplicate(again)
    fill(copied)
    assert _audience(copied) == {"capped", "late"}
    fill(again)
    assert _audience(again) == set()


def test_who_was_reached_by_a_once_more_of_a_once_more_is_not_reached_again(ended: Campaign) -> None:
    with transaction():
        first = reach.resend(ended, ["frequency_cap", "too_late", "uncertain"])
    fill(first)
    with transaction():
        failed: Endings = dict.fromkeys(["late", "capped", "doubt"], (MessageState.failed, "refused"))
        _end(first, failed)
        scheduling.cancel(first)
        second, beside = reach.resend(first, ["refused"]), reach.resend(first, ["refused"])
        third = reach.resend(ended, ["frequency_cap", "too_late"])
    fill(second)
    assert _audience(second) == {"capped", "late", "doubt"}  # somebody asked for the one in doubt
    fill(third)
    assert _audience(third) == set()
    assert "too_late" not in reach.missed(ended) and reach.missed(first) == {}
    with transaction():
        _end(second, failed)
        _end(ended, {"late": (MessageState.delivered, None)})  # told late
    fill(beside)
    assert _audience(beside) == {"capped", "doubt"}


@pytest.mark.only_postgresql
def test_two_filled_at_once_reach_nobody_twice(app: Flask, ended: Campaign) -> None:  # P2
    """One is asked for of the campaign, and one of a "once more" of it that has ended."""
    with transaction():
        first = reach.resend(ended, ["frequency_cap", "too_late"])
    fill(first)
    with transaction():
        _end(first, dict.fromkeys(["late", "capped"], (MessageState.failed, "refused")))
        scheduling.cancel(first)
        pair = [reach.resend(first, ["refused"]), reach.resend(ended, ["frequency_cap", "too_late"])]
        for one in pair:
            scheduling.schedule(one, clock.now())
        scheduling.start_due(clock.now())
    one, other = (made.id for made in pair)

    def fill_the_other() -> None:
        with app.app_context(), transaction():
            outbox.fill_range(other)

    thread = threading.Thread(target=fill_the_other)
    with transaction():
        outbox.fill_range(one)
        thread.start()
        databases.until_it_waits(thread, db.session.connection())
    thread.join()
    assert [_audience(made) for made in pair] == [{"capped", "late"}, set()]
