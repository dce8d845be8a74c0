"""Whose a report is when the address was changed and the change taken back: the mailbox it came from, and not the owner's."""

from datetime import datetime, timedelta

import pytest
import time_machine
from flask import Flask

from preference_center import clock
from preference_center.consent import eligibility
from preference_center.consent.eligibility import Reason
from preference_center.contacts import addresses
from preference_center.contacts.models import AddressChange, Contact
from preference_center.db import db, transaction
from preference_center.delivery import outcomes
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.privacy import address_change
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics.models import Topic
from tests.delivery.events.conftest import Sent, add_campaign, event, tell
from tests.support import make

pytestmark = pytest.mark.both_databases
ANNA, THIEF = "anna@example.org", "thief@example.net"


@pytest.fixture
def news(app: Flask) -> Topic:
    with transaction():
        return make.topic("news")


@pytest.fixture
def anna(news: Topic) -> Contact:
    with transaction():
        return make.follower(news, ANNA)


def moved(contact: Contact, email: str) -> str:
    with transaction():
        address_change.ask(db.session.get_one(Contact, contact.id), addresses.parse(email))
    newest = db.session.query(AddressChange).order_by(AddressChange.id.desc()).first()
    assert newest is not None
    with transaction():
        address_change.confirm(db.session.get_one(Contact, contact.id), newest.public_id)
    return newest.public_id


def taken_back(contact: Contact, name: str) -> None:
    with transaction():
        address_change.take_back(db.session.get_one(Contact, contact.id), name)
    db.session.expire_all()


def mailed(topic: Topic, contact: Contact, state: MessageState = MessageState.sent) -> Sent:
    """By a run that begins and ends now."""
    now = clock.now()
    with transaction():
        here = add_campaign(topic, {ANNA: contact}, state, started_at=now - timedelta(minutes=1))
        run = Run(campaign_id=here.campaign.id, host="here", journal="1", started_at=now, lease_until=now, ended_at=now)
        db.session.add(run)
        db.session.flush()
        db.session.get_one(Message, here.messages[ANNA]).run_id = run.id
    return here


def standing() -> dict[str, Cause]:
    hashes = {addresses.parse(email).hash: email for email in (ANNA, THIEF)}
    return {hashes[found]: cause for found, cause in register.standing(hashes).items()}


def reason(topic: Topic, contact: Contact) -> Reason | None:
    return eligibility.verdict(topic, contact, clock.now()).reason


def later(start: datetime, minutes: int) -> time_machine.travel:
    return time_machine.travel(start + timedelta(minutes=minutes), tick=False)


@pytest.mark.parametrize("named", [THIEF, None], ids=["named", "unnamed"])
@pytest.mark.parametrize("known_by", ["our mark", "the provider's number"])
@pytest.mark.parametrize(("kind", "cause"), [("bounced", Cause.bounce), ("complained", Cause.complaint)])
def test_a_report_on_mail_to_an_address_that_was_taken_back_does_not_touch_the_owner(
    news: Topic, anna: Contact, kind: str, cause: Cause, known_by: str, named: str | None
) -> None:
    start = clock.now()
    with later(start, 1):
        name = moved(anna, THIEF)
    with later(start, 2):
        here = mailed(news, anna)
    by = {"mark": here.mark(ANNA)}
    if known_by != "our mark":
        tell(event("delivered", None, provider_message_id="0102", mark=here.mark(ANNA)))
        by = {"provider_message_id": "0102"}
    with later(start, 3):
        taken_back(anna, name)
    with later(start, 4):
        tell(event(kind, named, bounce_class="hard" if kind == "bounced" else None, **by))
        assert (standing(), reason(news, anna), here.state(ANNA)[0]) == ({THIEF: cause}, None, kind)


@pytest.mark.parametrize("named", [ANNA, None], ids=["named", "unnamed"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_complaint_about_mail_to_the_owner_s_own_address_counts_as_ever(
    news: Topic, anna: Contact, when: str, named: str | None
) -> None:
    start = clock.now()
    with later(start, 1):
        here = mailed(news, anna)
    with later(start, 2):
        name = moved(anna, THIEF)
    with later(start, 3):
        taken_back(anna, name)
    with later(start, 4):
        here = mailed(news, anna) if when == "after" else here
        tell(event("complained", named, mark=here.mark(ANNA)))
        assert standing() == {ANNA: Cause.complaint}
        assert reason(news, anna) is Reason.suppressed_complaint


@pytest.mark.parametrize("named", [ANNA, "forwards@example.org"])
def test_a_complaint_counts_for_the_owner_where_it_names_them_or_nobody_knows_where_the_mail_went(
    news: Topic, anna: Contact, named: str
) -> None:
    start = clock.now()
    with later(start, 1):
        name = moved(anna, THIEF)
    with later(start, 2):
        here = mailed(news, anna)
        if named != ANNA:
            with transaction():
                db.session.get_one(Message, here.messages[ANNA]).run_id = None
    with later(start, 3):
        taken_back(anna, name)
    with later(start, 4):
        tell(event("complained", named, mark=here.mark(ANNA)))
        assert standing() == {ANNA: Cause.complaint}


def test_a_dead_address_is_the_one_that_was_written_to(news: Topic, anna: Contact) -> None:
    """The relay's answer is stored some seconds after the claim."""
    name = moved(anna, THIEF)
    here = mailed(news, anna, MessageState.sending)
    taken_back(anna, name)
    with transaction():
        outcomes.suppress_dead({here.messages[ANNA]: THIEF})
    assert (standing(), reason(news, anna)) == ({THIEF: Cause.bounce}, None)
    with transaction():
        outcomes.suppress_dead({here.messages[ANNA]: ANNA})
    assert standing() == {ANNA: Cause.bounce, THIEF: Cause.bounce}
