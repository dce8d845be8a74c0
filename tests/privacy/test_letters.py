"""The letters of data rights reach the right mailbox, through a real relay, with links that work and nothing a stranger typed."""

# ruff: noqa: F811 - the fixtures that this file borrows
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from preference_center.consent.ledger import Evidence
from preference_center.contacts import addresses
from preference_center.contacts.models import Contact
from preference_center.db import transaction
from preference_center.notices import sending
from preference_center.privacy import address_change, erasure, links
from preference_center.privacy.models import Opens
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from tests.notices.test_sending import Relay, relay  # noqa: F401 - a fixture
from tests.support import make
from tests.web.conftest import client  # noqa: F401 - a fixture

NEW = "anna@new.example.org"


@pytest.fixture
def anna(app: Flask) -> Contact:
    with transaction():
        return make.contact("anna@old.example.org")


def letter(relay: Relay) -> tuple[str, str, str]:
    """To whom, the plain text, and the path of its link."""
    mail = relay.last()
    body = mail.get_body(("plain",))
    assert body is not None
    found = re.search(r"https://mail\.example\.com(/\S+)", body.get_content())
    assert found
    return str(mail["To"]), body.get_content(), found[1]


@pytest.mark.parametrize(
    ("opens", "shows"), [(Opens.data, "What we hold about you"), (Opens.address, "new email address")]
)
def test_the_way_to_the_data_goes_to_the_address_we_hold(
    app: Flask,
    anna: Contact,
    relay: Relay,
    client: FlaskClient,
    opens: Opens,
    shows: str,
) -> None:
    """S53."""
    with transaction():
        links.ask(anna, opens)
    assert sending.drain() == 1
    to, text, path = letter(relay)
    assert to == "anna@old.example.org" and "15 minutes" in text and "anna" not in path
    assert shows in client.get(path).text


def test_the_new_address_is_asked_and_the_old_one_told(
    app: Flask,
    anna: Contact,
    relay: Relay,
    client: FlaskClient,
) -> None:
    """S99."""
    with transaction():
        address_change.ask(anna, addresses.parse(NEW))
    assert sending.drain() == 1
    to, text, path = letter(relay)
    assert to == NEW and "old.example.org" not in text
    assert client.post(path).status_code == 200
    assert sending.drain() == 1
    to, text, back = letter(relay)
    assert to == "anna@old.example.org" and NEW not in text
    assert client.post(back).status_code == 200
    with transaction():
        assert anna.email == "anna@old.example.org"


@pytest.mark.parametrize("cause", list(Cause))
def test_a_new_address_that_must_not_be_written_to_gets_nothing(
    app: Flask,
    anna: Contact,
    relay: Relay,
    cause: Cause,
) -> None:
    with transaction():
        register.suppress(addresses.parse(NEW).hash, cause, "test")
        address_change.ask(anna, addresses.parse(NEW))
    assert sending.drain() == 0 and relay.mails == []


def test_who_goes_back_to_an_earlier_address_of_theirs_is_asked_there(
    app: Flask, anna: Contact, relay: Relay, client: FlaskClient
) -> None:
    with transaction():
        address_change.ask(anna, addresses.parse(NEW))
    assert sending.drain() == 1
    assert client.post(letter(relay)[2]).status_code == 200
    with transaction():
        address_change.ask(anna, addresses.parse("anna@old.example.org"))
    sending.drain()
    assert letter(relay)[0] == "anna@old.example.org" and "Confirm" in str(relay.last()["Subject"])


def test_nothing_goes_to_somebody_who_was_erased_meanwhile(app: Flask, anna: Contact, relay: Relay) -> None:
    with transaction():
        address_change.ask(anna, addresses.parse(NEW))
        links.ask(anna, Opens.data)
        erasure.erase(anna, Evidence("link"))
    assert sending.drain() == 0 and relay.mails == []
