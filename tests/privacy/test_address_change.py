"""Taking a change of address back: it cannot be kept from the owner of the old one, and nothing said elsewhere comes along (S99)."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from preference_center import clock
from preference_center.consent import eligibility, ledger, projection, standing, vault, wordings
from preference_center.consent.eligibility import Reason
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Action, Cadence, State
from preference_center.contacts import addresses, queries
from preference_center.contacts.models import AddressChange, Contact
from preference_center.db import db, transaction
from preference_center.errors import Conflict
from preference_center.notices.models import Notice
from preference_center.preferences import choices, confirmation
from preference_center.privacy import address_change, erasure, restraint
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.contacts import files
from tests.support import make, shop

pytestmark = pytest.mark.both_databases
BY_PERSON = Evidence("link", language="en")
ANNA, THIEF = "anna@example.org", "thief@example.net"
TERMS = {"basis": "consent", "topics": ["offers"], "consented_on": "2020-01-01"}


@pytest.fixture
def topics(app: Flask) -> dict[str, Topic]:
    with transaction():
        return shop.topics()


def asked(contact: Contact, email: str) -> str:
    with transaction():
        address_change.ask(db.session.get_one(Contact, contact.id), addresses.parse(email))
    newest = db.session.query(AddressChange).order_by(AddressChange.id.desc()).first()
    assert newest is not None and newest.new_email == email
    return newest.public_id


def moved(contact: Contact, email: str) -> str:
    name = asked(contact, email)
    with transaction():
        address_change.confirm(db.session.get_one(Contact, contact.id), name)
    return name


def taken_back(contact: Contact, name: str) -> Contact:
    with transaction():
        address_change.take_back(db.session.get_one(Contact, contact.id), name)
    db.session.expire_all()
    return db.session.get_one(Contact, contact.id)


def signs_up(topic: Topic, email: str = ANNA, *, confirms: bool = False) -> Contact:
    text = wordings.current(topic, "en")
    assert text is not None
    with transaction():
        confirmation.ask(addresses.parse(email), [(topic, text)], "form:subscribe", BY_PERSON)
    fresh, newest = queries.by_email(email), db.session.query(Notice).order_by(Notice.id.desc()).first()
    assert fresh is not None and newest is not None
    if confirms:
        with transaction():
            assert confirmation.confirm(fresh, newest.payload["wish"], BY_PERSON)
    return fresh


def reason(topic: Topic, contact: Contact) -> Reason | None:
    return eligibility.verdict(topic, contact, clock.now()).reason


@pytest.fixture
def anna(topics: dict[str, Topic]) -> Contact:
    with transaction():
        return make.follower(topics["news"], ANNA)


def test_what_was_agreed_to_from_the_other_address_ends(topics: dict[str, Topic], anna: Contact) -> None:
    name = moved(anna, THIEF)
    with transaction():
        ledger.grant(anna, topics["offers"], LegalBasis.consent, BY_PERSON)
    anna = taken_back(anna, name)
    assert reason(topics["offers"], anna) is Reason.withdrawn and reason(topics["news"], anna) is None
    last = standing.all_records(anna)[-1]
    assert (last.action, last.topic_id, last.source_ref) == (
        Action.withdrawn,
        topics["offers"].id,
        f"address-back:{name}",
    )
    assert vault.open(anna.id)[last.id]["why"] == "the change of address was taken back"
    assert not list(projection.differences())


def test_who_had_stopped_everything_is_where_they_were(topics: dict[str, Topic], anna: Contact) -> None:
    with transaction():
        ledger.withdraw_all(anna, "email_marketing", BY_PERSON)
    name = moved(anna, THIEF)
    with transaction():
        ledger.grant(anna, topics["offers"], LegalBasis.consent, BY_PERSON)
    anna = taken_back(anna, name)
    whole = standing.on_purpose(anna, "email_marketing")
    assert whole is not None and whole.state is State.withdrawn
    assert reason(topics["offers"], anna) is Reason.withdrawn


@pytest.mark.parametrize(("basis", "stands"), [("contract", True), ("public_task", False)])
def test_mail_that_is_owed_whatever_they_say_goes_on(
    topics: dict[str, Topic], anna: Contact, basis: str, stands: bool
) -> None:
    name = moved(anna, THIEF)
    files.imported(f"email\n{THIEF}\n", basis=basis, topics=["orders"], consented_on="2026-11-01")
    assert (reason(topics["orders"], taken_back(anna, name)) is None) is stands


def test_what_kept_mail_back_does_so_again(topics: dict[str, Topic], anna: Contact) -> None:
    until = clock.now() + timedelta(days=60)
    with transaction():
        restraint.restrict(anna, BY_PERSON)
        choices.pause(anna, until, BY_PERSON)
        ledger.set_cadence(anna, topics["news"], Cadence.weekly, BY_PERSON)
    name = moved(anna, THIEF)
    with transaction():
        contact = db.session.get_one(Contact, anna.id)
        restraint.lift(contact, BY_PERSON)
        choices.resume(contact, BY_PERSON)
        ledger.set_cadence(contact, topics["news"], Cadence.each, BY_PERSON)
    anna = taken_back(anna, name)
    whole, news = standing.on_purpose(anna, "email_marketing"), standing.subscriptions(anna)[topics["news"].id]
    assert anna.restricted_at is not None
    assert whole is not None and whole.paused_until == until
    assert news.state is State.given and news.cadence is Cadence.weekly
    assert not list(projection.differences())


@pytest.mark.parametrize("further", [False, True], ids=["there", "before they moved further on"])
def test_what_staff_stopped_meanwhile_stays_stopped(topics: dict[str, Topic], anna: Contact, further: bool) -> None:
    name = moved(anna, THIEF)
    with transaction():
        register.suppress(addresses.parse(THIEF).hash, Cause.manual, "user:abc")
    if further:
        moved(anna, "thief2@example.net")
    anna = taken_back(anna, name)
    assert anna.address_hash and register.blocks_return(anna.address_hash)
    assert reason(topics["news"], anna) is Reason.suppressed_manual


@pytest.mark.parametrize("what", ["staff closed before", "a complaint"])
def test_what_was_said_of_the_other_mailbox_alone_does_not_come_along(
    topics: dict[str, Topic], anna: Contact, what: str
) -> None:
    cause = Cause.complaint if what == "a complaint" else Cause.manual
    name = asked(anna, THIEF)
    with transaction():
        if cause is Cause.complaint:
            address_change.confirm(db.session.get_one(Contact, anna.id), name)
        register.suppress(addresses.parse(THIEF).hash, cause, "user:abc")
    if cause is Cause.manual:
        with transaction():
            address_change.confirm(db.session.get_one(Contact, anna.id), name)
    assert reason(topics["news"], taken_back(anna, name)) is None


def test_nothing_is_kept_back_that_was_not(topics: dict[str, Topic], anna: Contact) -> None:
    with transaction():
        choices.pause(anna, clock.now() + timedelta(days=60), BY_PERSON)
        choices.resume(anna, BY_PERSON)
    name = moved(anna, THIEF)
    with transaction():
        contact = db.session.get_one(Contact, anna.id)
        restraint.restrict(contact, BY_PERSON)
        restraint.lift(contact, BY_PERSON)
    anna = taken_back(anna, name)
    assert anna.restricted_at is None and reason(topics["news"], anna) is None


@pytest.mark.parametrize("how", ["a sign-up nobody confirmed", "a file", "a move further on", "a bounce"])
def test_nothing_that_others_can_do_keeps_the_owner_out(topics: dict[str, Topic], anna: Contact, how: str) -> None:
    old_hash, name = anna.address_hash, moved(anna, THIEF)
    assert old_hash
    if how == "a sign-up nobody confirmed":
        signs_up(topics["offers"])
    elif how == "a file":
        files.imported(f"email\n{ANNA}\n", **TERMS)
    elif how == "a move further on":
        moved(anna, "thief2@example.net")
    else:
        with transaction():
            register.suppress(old_hash, Cause.bounce, "smtp:1")
    anna = taken_back(anna, name)
    assert anna.email == ANNA and db.session.query(Contact).filter_by(address_hash=old_hash).count() == 1
    assert reason(topics["news"], anna) is (Reason.suppressed_bounce if how == "a bounce" else None)
    assert reason(topics["offers"], anna) is not None


def test_what_still_waits_for_an_answer_or_came_later_is_over_too(topics: dict[str, Topic], anna: Contact) -> None:
    waits = asked(anna, "thief2@example.net")
    first, second = moved(anna, THIEF), moved(anna, "thief3@example.net")
    anna = taken_back(anna, first)
    for name, act in (
        (waits, address_change.confirm),
        (second, address_change.take_back),
        (first, address_change.confirm),
    ):
        with pytest.raises(Conflict), transaction():
            act(db.session.get_one(Contact, anna.id), name)
    assert db.session.get_one(Contact, anna.id).email == ANNA


def test_a_no_about_the_old_address_stays_a_no(topics: dict[str, Topic], anna: Contact) -> None:
    name = moved(anna, THIEF)
    files.imported(f"email,status\n{ANNA},unsubscribed\n", **TERMS | {"topics": ["news"]})
    anna = taken_back(anna, name)
    assert reason(topics["news"], anna) is Reason.withdrawn


def test_who_confirmed_a_sign_up_meanwhile_says_which_choices_stay(topics: dict[str, Topic], anna: Contact) -> None:
    name = moved(anna, THIEF)
    fresh = signs_up(topics["offers"], confirms=True)
    with pytest.raises(address_change.InUse):
        taken_back(anna, name)
    db.session.rollback()
    assert reason(topics["offers"], fresh) is None, "nothing was changed"
    with transaction():
        erasure.erase(fresh, BY_PERSON)
    anna = taken_back(anna, name)
    assert anna.email == ANNA and reason(topics["news"], anna) is None


@pytest.mark.parametrize("first", ["erased", "moved away"])
def test_who_comes_to_an_address_that_somebody_only_went_away_from_gets_mail_there(
    topics: dict[str, Topic], anna: Contact, first: str
) -> None:
    """A rest that was told there since, and is over by now, changes nothing."""
    with transaction():
        ben = make.follower(topics["news"], "ben@example.org")
        was_there = ben.address_hash
        if first == "erased":
            erasure.erase(ben, BY_PERSON)
    if first == "moved away":
        moved(ben, "ben@new.example.org")
    assert was_there
    with transaction():
        register.suppress(was_there, Cause.bounce, "provider:x:y", until=clock.now() + timedelta(days=7))
    with time_machine.travel(clock.now() + timedelta(days=8)):
        moved(anna, "ben@example.org")
        assert reason(topics["news"], anna) is None


def test_that_somebody_went_away_is_not_carried_to_another_address(topics: dict[str, Topic], anna: Contact) -> None:
    moved(anna, "anna@new.example.org")
    moved(signs_up(topics["offers"]), "anna@third.example.org")
    first, third = addresses.parse(ANNA).hash, addresses.parse("anna@third.example.org").hash
    assert register.standing([first, third]) == {first: Cause.manual}
    assert not register.blocks_return(first) and not register.blocks_return(third)
