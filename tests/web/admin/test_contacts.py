"""The contact pages: list, search, one person, and what a viewer is not shown."""

import threading
import time

import pytest
from flask import Flask
from sqlalchemy import text

from preference_center import clock
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.contacts import addresses, attributes
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics.models import Topic
from tests.support import make
from tests.web.admin.conftest import Console, words


def _page_of(email: str) -> str:
    contact = db.session.query(Contact).filter_by(email=email).one()
    return f"/admin/contacts/{contact.public_id}"


def test_the_list_shows_fifty_and_leads_on(owner: Console, app: Flask) -> None:
    with transaction():
        for number in range(53):
            make.contact(f"person{number:02}@example.org")
    first = owner.get("/admin/contacts").get_data(as_text=True)
    assert "53 people" in first
    assert "person52@" in first and "person02@" not in first
    following = first[first.index("/admin/contacts?before=") :].partition('"')[0]
    rest = owner.text(following)
    assert "person02@example.org" in rest and "person00@example.org" in rest
    assert "person03@" not in rest


@pytest.mark.parametrize("before", ["x", "-1", "0", "9" * 30, "1;drop", "١"])
def test_a_made_up_place_in_the_list_does_no_harm(owner: Console, people: Topic, before: str) -> None:
    assert owner.get("/admin/contacts", query_string={"before": before}).status_code == 200


def test_a_viewer_sees_addresses_masked_and_no_attributes(viewer: Console, people: Topic) -> None:  # V15.3.1
    with transaction():
        attributes.declare("city")
        make.contact("fay@example.org", attributes={"city": "Kraków"})
    for path in ("/admin/contacts", _page_of("fay@example.org"), _page_of("anna@example.org")):
        text = viewer.text(path)
        assert "•••@example.org" in text
        assert "anna@" not in text and "fay@" not in text and "Kraków" not in text


def test_the_search_finds_the_exact_address_without_naming_it_in_a_url(owner: Console, people: Topic) -> None:
    answer = owner.post("/admin/contacts/search", {"email": " ANNA@Example.org"})
    assert answer.headers["Location"] == _page_of("anna@example.org")
    assert "anna" not in answer.headers["Location"]


@pytest.mark.parametrize(
    ("email", "status"),
    [("nobody@example.org", 404), ("ann@example.org", 404), ("", 422), ("anna", 422), ("a" * 400, 422)],
)
def test_a_search_without_a_hit_says_so(owner: Console, people: Topic, email: str, status: int) -> None:
    answer = owner.post("/admin/contacts/search", {"email": email})
    assert answer.status_code == status


def test_the_contact_page_answers_may_we_mail_with_record_and_text(owner: Console, people: Topic) -> None:
    text = owner.text(_page_of("anna@example.org"))
    assert "Yes Product news consent stands: Consent given, sign-up form," in text
    assert "no_consent" in owner.text(_page_of("dag@example.org"))


def test_a_withdrawal_shows_as_the_reason_and_in_the_history(owner: Console, people: Topic) -> None:
    with transaction():
        anna = db.session.query(Contact).filter_by(email="anna@example.org").one()
        ledger.withdraw(anna, people, Evidence(source="one_click"))
    text = owner.text(_page_of("anna@example.org"))
    assert "No Product news withdrew consent withdrawn : Withdrawn, one-click unsubscribe," in text
    assert text.index("Withdrawn · Product news") < text.index("Consent given · Product news"), "newest first"


@pytest.mark.parametrize("cause", [Cause.bounce, Cause.complaint, Cause.manual])
def test_a_suppression_is_said_and_outranks_consent(owner: Console, people: Topic, cause: Cause) -> None:
    with transaction():
        anna = db.session.query(Contact).filter_by(email="anna@example.org").one()
        register.suppress(anna.address_hash or b"", cause, "test")
    text = owner.text(_page_of("anna@example.org"))
    assert "Suppressed: nothing is sent to this address" in text
    assert f"suppressed_{cause}" in text


def test_stopping_all_mail_suppresses_and_offers_no_way_back(owner: Console, people: Topic) -> None:
    path = _page_of("anna@example.org")
    owner.get(path)
    assert owner.post(f"{path}/suppress").status_code == 302
    text = owner.text(path)
    assert "suppressed_manual" in text
    assert "Stop all mail to this address" not in text


@pytest.mark.only_postgresql
def test_stopping_all_mail_waits_for_whoever_holds_the_person_and_stops_where_mail_goes_then(
    owner: Console, app: Flask, people: Topic
) -> None:
    """S39: a claim that was judged before is over when this is answered; and the address may just have changed."""
    path, new = _page_of("anna@example.org"), addresses.parse("anna@new.example.org")
    owner.get(path)
    held, waited = threading.Event(), threading.Event()

    def move() -> None:
        blocked = text("SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))")
        with app.app_context(), transaction():
            anna = db.session.query(Contact).filter_by(email="anna@example.org").one()
            contacts.lock([anna.id])
            held.set()
            end = time.monotonic() + 3
            while not waited.is_set() and time.monotonic() < end:
                if db.session.scalar(blocked):
                    waited.set()
                time.sleep(0.01)
            anna.move_to(new.email, new.hash, clock.now())

    other = threading.Thread(target=move)
    other.start()
    assert held.wait(10)
    assert owner.post(f"{path}/suppress").status_code == 302
    other.join()
    assert waited.is_set()
    assert register.standing([new.hash]) == {new.hash: Cause.manual}


def test_a_contact_that_does_not_exist_is_not_found(owner: Console) -> None:
    assert owner.get("/admin/contacts/aaaaaaaaaaaaaaaa").status_code == 404


@pytest.mark.parametrize("payload", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}", "=1+1"])
def test_hostile_data_of_a_contact_is_inert(owner: Console, people: Topic, payload: str) -> None:  # V1.2.1
    with transaction():
        attributes.declare("city")
        made = make.contact("mal@example.org", attributes={"city": payload}, source=payload[:40])
        ledger.grant(made, people, "consent", Evidence(source="form", source_ref=payload))  # type: ignore[arg-type]
    for path in ("/admin/contacts", _page_of("mal@example.org")):
        html = owner.get(path).get_data(as_text=True)
        assert "<script>alert" not in html and "<img src=x" not in html
        assert payload[:40] in words(owner.get(path)) or payload.startswith('"')
