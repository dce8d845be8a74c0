"""Before a consent ends the person is written to once; the page asks nothing but a press, and looking changes nothing."""

# ruff: noqa: F811 - the fixtures that this file borrows
import email
import email.policy
import re
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from preference_center import clock
from preference_center.consent import ledger, standing
from preference_center.consent.declaring import bulk
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Action
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.notices import letters, sending
from preference_center.notices.models import Kind, Notice, NoticeState
from preference_center.preferences import renewal
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.notices.test_sending import Relay, relay  # noqa: F401 - a fixture
from tests.support import links, make, shop
from tests.support.database_hash import digest
from tests.web.conftest import FreshContextClient


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    app.test_client_class = FreshContextClient
    return app.test_client(use_cookies=False)


@pytest.fixture
def topics(app: Flask) -> dict[str, Topic]:
    with transaction():
        return shop.topics()


def ends_soon(topics: dict[str, Topic], *keys: str, email: str = "anna@example.org", days: int = 20) -> Contact:
    with transaction():
        contact = make.contact(email)
        for key in keys:
            until = clock.now() + timedelta(days=days)
            ledger.grant(contact, topics[key], LegalBasis.consent, Evidence("form"), until=until)
    return contact


def ask() -> list[Notice]:
    while True:
        with transaction():
            if not renewal.ask(2):
                break
    return db.session.query(Notice).order_by(Notice.id).all()


def test_one_mail_tells_of_all_that_ends_and_none_comes_twice(topics: dict[str, Topic]) -> None:  # S74
    for number in range(5):
        ends_soon(topics, "news", email=f"p{number}@example.org")
    ends_soon(topics, "news", "offers")
    ends_soon(topics, "events", email="later@example.org", days=200)
    asked = ask()
    assert [notice.payload["topics"] for notice in asked] == [["news"]] * 5 + [["news", "offers"]]
    assert {notice.kind for notice in asked} == {Kind.consent_ending}
    assert len(ask()) == 6


def test_nobody_is_written_to_who_is_restricted_or_suppressed(topics: dict[str, Topic]) -> None:
    first, second = ends_soon(topics, "news"), ends_soon(topics, "news", email="b@example.org")
    with transaction():
        first.restricted_at = clock.now()
        assert second.address_hash
        register.suppress(second.address_hash, Cause.complaint, "test")
    assert ask() == []


def test_the_letter_is_no_advertising_and_follows_nobody(app: Flask, topics: dict[str, Topic]) -> None:  # S25
    contact = ends_soon(topics, "news")
    (notice,) = ask()
    letter = letters.write(notice, contact)
    assert "Product news ends on" in letter.subject
    assert "/renew" in letter.html and "/renew" in letter.text
    assert "<img" not in letter.html and "/r/" not in letter.html and "/o/" not in letter.html


def test_who_left_since_is_not_written_to_and_one_who_left_a_part_hears_of_the_rest(
    topics: dict[str, Topic], relay: Relay
) -> None:
    """The mail may wait for a relay; what it says is looked at again as it goes."""
    left, some, other = (ends_soon(topics, "news", "offers", email=f"{name}@example.org") for name in "abc")
    assert [notice.contact_id for notice in ask()] == [left.id, some.id, other.id]
    with transaction():
        ledger.withdraw_all(left, "email_marketing", Evidence("link"))
        ledger.withdraw(some, topics["offers"], Evidence("link"))
    assert sending.drain(today=renewal.today) == 2
    db.session.rollback()
    assert [notice.state for notice in ask()] == [NoticeState.dropped, NoticeState.sent, NoticeState.sent]
    mails = [email.message_from_bytes(mail, policy=email.policy.default) for mail in relay.mails]
    told = {str(mail["To"]): str(mail["Subject"]) for mail in mails}
    assert "Offers" not in told["b@example.org"] and "Product news" in told["b@example.org"]
    assert "Product news, Offers" in told["c@example.org"] or "Offers, Product news" in told["c@example.org"]


@pytest.mark.parametrize("said", ["manual", "complaint", "bounce"])
def test_who_may_not_be_written_to_any_more_hears_nothing(topics: dict[str, Topic], relay: Relay, said: str) -> None:
    contact = ends_soon(topics, "news")
    (notice,) = ask()
    with transaction():
        register.suppress(contact.address_hash or b"", Cause(said), "test")
    assert sending.drain(today=renewal.today) == 0
    db.session.rollback()
    assert (notice.state, relay.mails) == (NoticeState.dropped, [])


def in_a_break(topics: dict[str, Topic], days: int) -> tuple[Contact, Notice]:
    contact = ends_soon(topics, "news")
    with transaction():
        ledger.pause(contact, "email_marketing", clock.now() + timedelta(days=days), Evidence("link"))
    (notice,) = ask()
    return contact, notice


def test_in_a_break_the_letter_waits_and_no_try_is_counted(topics: dict[str, Topic], relay: Relay) -> None:
    """As the page says: we send nothing until the day you chose."""
    start, days = clock.now(), sending.MOST_TRIES + 2
    _contact, notice = in_a_break(topics, days)
    for day in range(days):
        with time_machine.travel(start + timedelta(days=day, minutes=day)):
            assert sending.drain(today=renewal.today) == 0
        db.session.rollback()
        assert (notice.state, notice.attempts, relay.mails) == (NoticeState.queued, 0, [])
    with time_machine.travel(start + timedelta(days=days, minutes=days)):
        assert sending.drain(today=renewal.today) == 1


def test_a_break_that_ends_early_lets_the_letter_go(topics: dict[str, Topic], relay: Relay) -> None:
    contact, _notice = in_a_break(topics, 10)
    assert sending.drain(today=renewal.today) == 0
    with transaction():
        ledger.resume(contact, "email_marketing", Evidence("link"))
    with time_machine.travel(clock.now() + renewal.AGAIN + timedelta(minutes=1)):
        assert sending.drain(today=renewal.today) == 1


@pytest.mark.both_databases
def test_whose_address_rests_is_asked_once_it_may_be_written_to(topics: dict[str, Topic]) -> None:
    """And keeps nobody behind them waiting."""
    start = clock.now()
    for name in ("a", "b", "c"):
        contact = ends_soon(topics, "news", email=f"{name}@example.org")
        with transaction():
            register.suppress(contact.address_hash or b"", Cause.bounce, "test", until=start + timedelta(days=3))
    other = ends_soon(topics, "news", email="d@example.org")
    assert [notice.contact_id for notice in ask()] == [other.id]
    with time_machine.travel(start + timedelta(days=4)):
        assert len(ask()) == 4


@pytest.mark.parametrize("why", ["rests", "restricted"])
def test_a_letter_that_was_owed_waits_until_the_address_rests_no_more_or_the_data_may_be_used(
    topics: dict[str, Topic], relay: Relay, why: str
) -> None:  # GDPR 18
    start, contact = clock.now(), ends_soon(topics, "news")
    (notice,) = ask()
    with transaction():
        if why == "restricted":
            db.session.get_one(Contact, contact.id).restrict(start)
        else:
            register.suppress(contact.address_hash or b"", Cause.bounce, "test", until=start + timedelta(days=3))
    for day in range(3):
        with time_machine.travel(start + timedelta(days=day, minutes=day)):
            assert sending.drain(today=renewal.today) == 0
        db.session.rollback()
        assert (notice.state, notice.attempts, relay.mails) == (NoticeState.queued, 0, [])
    if why == "restricted":
        with transaction():
            db.session.get_one(Contact, contact.id).lift_restriction(clock.now())
    with time_machine.travel(start + timedelta(days=3, minutes=5)):
        assert sending.drain(today=renewal.today) == 1


def page(client: FlaskClient, path: str) -> tuple[str, dict[str, str]]:
    shown = client.get(path).text
    fields = dict(re.findall(r'name="(proof|renew)"[^>]*value="([^"]*)"', shown))
    return shown, fields


def test_a_press_renews_on_the_text_that_was_shown(client: FlaskClient, topics: dict[str, Topic]) -> None:
    contact = ends_soon(topics, "news")
    before, path = digest(), links.manage(contact) + "/renew"
    shown, fields = page(client, path)
    assert digest() == before
    assert (
        "I want to get Product news from Example Shop Ltd by email." in shown
        and "Keep sending me Product news" in shown
    )
    own = links.manage(contact)
    assert "<dt>Holds until</dt>" in client.get(own).text, "as this page says when nothing ends soon"
    answer = client.post(path + "?lang=en", data=fields)
    assert answer.status_code == 303 and "lang=en" in answer.location
    assert "You go on getting it." in client.get(answer.location).text
    db.session.rollback()
    last = standing.all_records(contact)[-1]
    assert (last.action, last.source, last.until) == (Action.renewed, "link", None)
    assert last.wording_id == int(fields["renew"].partition(":")[2])
    assert "Holds until" not in client.get(own).text
    again = client.post(path, data=fields)
    assert again.status_code == 409 and "<title>Error:" in again.text
    assert "This does not end soon any more, or has ended." in again.text
    (told,) = db.session.query(Notice).all()
    letter = letters.write(told, contact)
    assert letter.subject == "You extended Product news"
    assert "/u/" in letter.text and "/u/" in letter.html, "the link may have been forwarded: it can be taken back"


def test_a_forged_form_a_foreign_text_and_an_ended_consent_renew_nothing(
    client: FlaskClient, topics: dict[str, Topic]
) -> None:
    contact = ends_soon(topics, "news")
    path = links.manage(contact) + "/renew"
    _shown, fields = page(client, path)
    offers = ends_soon(topics, "offers", email="b@example.org")
    _shown, others = page(client, links.manage(offers) + "/renew")
    before = len(standing.all_records(contact))
    foreign = f"news:{others['renew'].partition(':')[2]}"
    assert client.post(path, data={"renew": fields["renew"]}).status_code == 400
    assert client.post(path, data=fields | {"renew": "news:x"}).status_code == 400
    assert client.post(path, data=fields | {"renew": foreign}).status_code == 409
    with transaction():
        ledger.withdraw(contact, topics["news"], Evidence("link"))
    assert client.post(path, data=fields).status_code == 409
    assert len(standing.all_records(contact)) == before + 1


def test_a_text_that_no_page_shows_renews_nothing(client: FlaskClient, topics: dict[str, Topic]) -> None:  # S69
    path = links.manage(ends_soon(topics, "news")) + "/renew"
    _shown, fields = page(client, path)
    with transaction():
        declared = bulk.wording(topics["news"], "en", "As written in a file.")
    before = digest()
    assert client.post(path, data=fields | {"renew": f"news:{declared}"}).status_code == 409
    assert digest() == before
