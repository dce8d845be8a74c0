"""Consent ends, and the person is forgotten after a time; who went away may come back by an act of their own, never by a file."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from preference_center import clock
from preference_center.consent import eligibility, ledger, standing, wordings
from preference_center.consent.eligibility import Reason
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Action, ConsentRecord
from preference_center.contacts import addresses, queries
from preference_center.contacts.models import AddressChange, Contact
from preference_center.db import db, transaction
from preference_center.notices import sending as notices
from preference_center.notices.models import Notice, NoticeState
from preference_center.preferences import confirmation
from preference_center.privacy import address_change, erasure, requests, retention
from preference_center.privacy.models import DataRequest, RequestKind
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics import catalogue
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.contacts import files
from tests.support import make, shop

pytestmark = pytest.mark.both_databases
BY_PERSON = Evidence("form", language="en")
START = datetime(2020, 1, 1, 3, tzinfo=UTC)
ANNA = "anna@example.org"


@pytest.fixture
def news(app: Flask) -> Topic:
    with transaction():
        return shop.topics()["news"]


def signs_up(news: Topic, email: str = ANNA) -> str:
    """The wish that the newest confirmation mail carries; empty when none was owed."""
    text = wordings.current(news, "en")
    assert text is not None
    with transaction():
        confirmation.ask(addresses.parse(email), [(news, text)], "form:subscribe", BY_PERSON)
    newest = db.session.query(Notice).order_by(Notice.id.desc()).first()
    assert newest is not None
    return str(newest.payload.get("wish", ""))


def found(email: str) -> Contact:
    contact = queries.by_email(email)
    assert contact is not None
    return contact


def reason(news: Topic, email: str = ANNA) -> Reason | None:
    return eligibility.verdict(news, found(email), clock.now()).reason


def test_an_erased_person_comes_back_by_confirming_and_not_before(news: Topic) -> None:  # S76, S97
    with transaction():
        old = make.follower(news)
        erasure.erase(old, BY_PERSON)
    wish = signs_up(news)
    assert wish, "a confirmation mail was owed"
    assert reason(news) is Reason.erased
    import_ = files.imported(f"email\n{ANNA}\n", basis="consent", topics=["news"], consented_on="2026-01-01")
    assert import_.figures["refused_because"] == {"erased": 1}
    new = queries.by_email(ANNA)
    assert new is not None and new.id != old.id, "a fresh contact: nothing ties it to the erased one"
    with transaction():
        assert confirmation.confirm(new, wish, BY_PERSON)
    assert reason(news) is None
    assert [record.action for record in standing.all_records(new)] == [Action.requested, Action.confirmed]


def test_the_confirmation_mail_may_go_to_an_erased_address_and_nothing_else(news: Topic) -> None:
    with transaction():
        erasure.erase(make.follower(news), BY_PERSON)
    signs_up(news)
    contact = queries.by_email(ANNA)
    assert contact is not None
    asked = db.session.query(Notice).order_by(Notice.id.desc()).first()
    assert asked is not None and contact.address_hash is not None
    assert notices._may_write_to(asked, contact, ANNA, contact.address_hash)
    with transaction():
        link = confirmation.send_link(contact)
    assert not notices._may_write_to(link, contact, ANNA, contact.address_hash)


def test_who_moved_away_from_an_address_leaves_it_free_for_a_new_sign_up(news: Topic) -> None:
    with transaction():
        anna = make.follower(news)
        address_change.ask(anna, addresses.parse("new@example.org"))
    name = db.session.query(Notice).order_by(Notice.id.desc()).first().payload["change"]  # type: ignore[union-attr]
    with transaction():
        address_change.confirm(anna, name)
    wish = signs_up(news)
    fresh = queries.by_email(ANNA)
    assert wish and fresh is not None and fresh.id != anna.id
    assert reason(news) is Reason.suppressed_manual
    with transaction():
        confirmation.confirm(fresh, wish, BY_PERSON)
    assert reason(news) is None and reason(news, "new@example.org") is None


@pytest.mark.parametrize("how", ["erased", "moved"])
def test_who_comes_back_for_one_topic_gets_no_other_by_an_old_file(news: Topic, how: str) -> None:  # S76
    with transaction():
        offers = catalogue.by_key("offers")
        anna = make.follower(offers)
        ledger.withdraw_all(anna, offers.purpose_key, BY_PERSON)
        if how == "erased":
            erasure.erase(anna, BY_PERSON)
        else:
            address_change.ask(anna, addresses.parse("new@example.org"))
    if how == "moved":
        with transaction():
            address_change.confirm(anna, db.session.query(AddressChange).one().public_id)
    wish = signs_up(news)
    with transaction():
        assert confirmation.confirm(found(ANNA), wish, BY_PERSON)
    old = {"basis": "consent", "topics": ["offers"], "consented_on": "2020-01-01"}
    import_ = files.imported(f"email\n{ANNA}\nben@example.org\n", **old)
    assert import_.figures["consent"]["offers"] == {"refused_because_no": 1, "given": 1}
    assert reason(offers) is Reason.no_consent and reason(news) is None


def moves(contact: Contact, email: str) -> str:
    with transaction():
        address_change.ask(contact, addresses.parse(email))
    name = db.session.scalars(select(AddressChange.public_id).order_by(AddressChange.id.desc())).first()
    assert name is not None
    with transaction():
        address_change.confirm(contact, name)
    return name


@pytest.mark.parametrize("how", ["moved back", "taken back"])
def test_whose_history_was_never_lost_is_taken_from_a_file_as_anybody_is(news: Topic, how: str) -> None:  # S76
    with transaction():
        events = catalogue.by_key("events")
        anna = make.follower(news, ANNA)
        ledger.grant(anna, events, LegalBasis.consent, BY_PERSON)
        ledger.withdraw(anna, events, BY_PERSON)
    name = moves(anna, "new@example.org")
    if how == "moved back":
        moves(anna, ANNA)
    else:
        with transaction():
            address_change.take_back(anna, name)
    old = {"basis": "consent", "topics": ["offers", "events"], "consented_on": "2020-01-01"}
    given = files.imported(f"email\n{ANNA}\n", **old).figures["consent"]
    assert given == {"offers": {"given": 1}, "events": {"refused_because_no": 1}}


def test_whose_address_is_taken_by_another_contact_gets_no_topic_by_a_file_there(news: Topic) -> None:  # S76
    with transaction():
        anna, ben = make.follower(news, ANNA), make.follower(news, "ben@example.org")
        ledger.withdraw_all(anna, news.purpose_key, BY_PERSON)
    moves(anna, "new@example.org")
    moves(ben, ANNA)
    old = {"basis": "consent", "topics": ["offers"], "consented_on": "2020-01-01"}
    assert files.imported(f"email\n{ANNA}\n", **old).figures["consent"] == {"offers": {"refused_because_no": 1}}


@pytest.mark.parametrize(
    ("basis", "outcome"),
    [("contract", "given"), ("legal_obligation", "given"), ("public_task", "refused_because_no")],
)
def test_who_came_back_gets_the_mail_that_is_owed_whatever_they_say(news: Topic, basis: str, outcome: str) -> None:
    with transaction():
        erasure.erase(make.follower(news, ANNA), BY_PERSON)
    wish = signs_up(news)
    with transaction():
        assert confirmation.confirm(found(ANNA), wish, BY_PERSON)
    import_ = files.imported(f"email\n{ANNA}\n", basis=basis, topics=["orders"], consented_on="2026-11-01")
    assert import_.figures["consent"] == {"orders": {outcome: 1}}


@pytest.mark.parametrize("cause", [Cause.complaint, Cause.bounce, Cause.manual])
def test_what_was_said_besides_still_keeps_the_address_closed(news: Topic, cause: Cause) -> None:  # S76
    with transaction():
        contact = make.follower(news)
        assert contact.address_hash
        address_hash = contact.address_hash
        register.suppress(address_hash, cause, "test")
        erasure.erase(contact, BY_PERSON)
    assert signs_up(news) == ""
    newest = db.session.query(Notice).order_by(Notice.id.desc()).first()
    assert newest is not None and newest.state is NoticeState.dropped
    assert register.blocks_return(address_hash)


@pytest.mark.parametrize("erased", [True, False])
@pytest.mark.parametrize("cause", [Cause.complaint, Cause.bounce, Cause.manual])
def test_what_is_said_before_the_confirmation_keeps_the_address_closed(news: Topic, cause: Cause, erased: bool) -> None:
    if erased:
        with transaction():
            erasure.erase(make.follower(catalogue.by_key("offers")), BY_PERSON)
    wish = signs_up(news)
    anna = found(ANNA)
    assert anna.address_hash
    with transaction():
        register.suppress(anna.address_hash, cause, "user:abc", until=clock.now() + timedelta(days=3))
    with transaction():
        assert confirmation.confirm(anna, wish, BY_PERSON) == []
    assert reason(news) is not None
    with time_machine.travel(clock.now() + timedelta(days=4)), transaction():
        assert confirmation.confirm(anna, wish, BY_PERSON), "the link works once that has ended"
        assert reason(news) is None


def former(app: Flask, days: float) -> int:
    with time_machine.travel(START + timedelta(days=days), tick=False):
        return retention.report()["former_contacts"]


@pytest.fixture
def people(app: Flask, news: Topic) -> dict[str, Contact]:
    """Anna left, and everybody who is like her but for one thing."""
    with time_machine.travel(START, tick=False), transaction():
        orders = make.topic("parcels", "Parcels", "service")
        made = {
            name: make.follower(news, f"{name}@example.org")
            for name in ("anna", "ended", "stays", "customer", "restricted", "asks", "wishes")
        }
        made["never"] = make.contact("never@example.org")
        made["bought"] = make.contact("bought@example.org", jurisdiction="ES")
        ledger.grant(made["bought"], news, LegalBasis.existing_customer, replace(BY_PERSON, detail=make.SALE))
        ledger.withdraw(made["bought"], news, BY_PERSON)  # still a customer: consent was not all we had
        for name in ("anna", "customer", "restricted", "asks", "wishes"):
            ledger.withdraw(made[name], news, BY_PERSON)
        ledger.grant(made["customer"], orders, LegalBasis.contract, BY_PERSON)
        ledger.request(made["wishes"], news, BY_PERSON)
        made["restricted"].restricted_at = clock.now()
        ledger.withdraw(made["ended"], news, BY_PERSON)
        until = START + timedelta(days=10)
        ledger.grant(made["ended"], news, LegalBasis.consent, BY_PERSON, until=until)
        requests.receive(made["asks"], RequestKind.access)
    return made


def test_who_has_nothing_on_is_forgotten_after_the_set_time_and_stays_suppressed(
    app: Flask, news: Topic, people: dict[str, Contact]
) -> None:  # S74, S97, S103
    app.extensions["settings"] = replace(app.extensions["settings"], forget_after_days=400)
    assert [former(app, days) for days in (399, 401, 409, 411)] == [0, 2, 2, 3]
    with time_machine.travel(START + timedelta(days=411), tick=False), transaction():
        (rule,) = [rule for rule in retention.RULES if rule.name == "former_contacts"]
        assert rule.step() == 3
    db.session.rollback()
    assert {name for name, contact in people.items() if contact.erased_at} == {"anna", "ended", "wishes"}
    gone = addresses.parse(ANNA).hash
    assert register.standing([gone]) == {gone: Cause.erased}
    asked = db.session.query(DataRequest).filter_by(asked_by="system").count()
    assert asked == 3 and db.session.query(ConsentRecord).filter_by(contact_id=people["anna"].id).count() == 2


def test_a_topic_that_is_retired_ends_what_was_said_for_it(app: Flask, news: Topic) -> None:  # S74, S103
    app.extensions["settings"] = replace(app.extensions["settings"], forget_after_days=400)
    with time_machine.travel(START, tick=False), transaction():
        tips = make.topic("tips", "Tips")
        anna, both, left = (make.follower(tips, f"{name}@example.org") for name in ("anna", "both", "left"))
        make.follower(news, "stays@example.org")
        ledger.grant(both, news, LegalBasis.consent, BY_PERSON)
        ledger.withdraw(left, tips, BY_PERSON)
        limited = [make.contact(f"until{days}@example.org") for days in (300, 900)]
        for one, days in zip(limited, (300, 900), strict=True):
            ledger.grant(one, tips, LegalBasis.consent, BY_PERSON, until=START + timedelta(days=days))
    assert former(app, 600) == 1, "only who left; nothing is retired yet"
    with time_machine.travel(START + timedelta(days=200), tick=False), transaction():
        catalogue.retire(tips)
    with time_machine.travel(START + timedelta(days=301), tick=False), transaction():
        assert ledger.expire() == 1, "the consent of who was limited to 300 days, which nobody was mailed on any more"
    assert [former(app, days) for days in (401, 599, 601)] == [1, 1, 4], "the clock begins as the topic is retired"
    with time_machine.travel(START + timedelta(days=601), tick=False), transaction():
        (rule,) = [rule for rule in retention.RULES if rule.name == "former_contacts"]
        assert rule.step() == 4
    db.session.expire_all()
    assert all(one.erased_at for one in (anna, left, *limited)) and both.erased_at is None


def test_a_term_of_nothing_forgets_nobody(app: Flask, people: dict[str, Contact]) -> None:
    app.extensions["settings"] = replace(app.extensions["settings"], forget_after_days=0)
    assert former(app, 9000) == 0


@pytest.mark.only_postgresql
def test_who_says_yes_while_the_forgotten_are_looked_for_stays(app: Flask, news: Topic) -> None:  # S103
    app.extensions["settings"] = replace(app.extensions["settings"], forget_after_days=400)
    with time_machine.travel(START, tick=False), transaction():
        anna = make.follower(news)
        ledger.withdraw(anna, news, BY_PERSON)
    contact_id, topic_id = anna.id, news.id
    held, looked = threading.Event(), threading.Event()

    def says_yes() -> None:
        with app.app_context(), transaction():
            contact, topic = db.session.get_one(Contact, contact_id), db.session.get_one(Topic, topic_id)
            ledger.grant(contact, topic, LegalBasis.consent, BY_PERSON)
            held.set()
            looked.wait(10)
            time.sleep(0.3)  # the other waits for our lock by now

    one = threading.Thread(target=says_yes)
    one.start()
    held.wait(10)
    (rule,) = [rule for rule in retention.RULES if rule.name == "former_contacts"]
    assert rule.count() == 1
    looked.set()
    with transaction():
        assert rule.step() == 0
    one.join()
    db.session.rollback()
    assert db.session.get_one(Contact, contact_id).erased_at is None
