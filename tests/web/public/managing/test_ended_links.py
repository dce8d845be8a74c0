"""Once the owner takes their address back, nothing that whoever had the other one still holds turns anything on (S99)."""

import re
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from preference_center import clock
from preference_center.consent import ledger, standing, wordings
from preference_center.consent.ledger import Evidence
from preference_center.contacts import addresses
from preference_center.contacts.models import AddressChange, Contact
from preference_center.db import db, transaction
from preference_center.notices.models import Kind
from preference_center.preferences import choices, confirmation
from preference_center.privacy import address_change
from preference_center.topics.purposes import LegalBasis
from preference_center.web import guards
from tests.support import links
from tests.web.public.conftest import Scene

pytestmark = pytest.mark.both_databases
BY_PERSON, THIEF = Evidence("link", language="en"), "thief@example.net"
Post = tuple[str, dict[str, object]]


@pytest.fixture
def change(scene: Scene) -> str:
    """The public id of a change that is in force: Anna's contact is at the other address. Her offers end soon."""
    with transaction():
        ledger.withdraw(anna(scene), scene.topics["offers"], BY_PERSON)
        soon = clock.now() + timedelta(days=5)
        ledger.grant(anna(scene), scene.topics["offers"], LegalBasis.consent, BY_PERSON, until=soon)
        address_change.ask(anna(scene), addresses.parse(THIEF))
    name = str(db.session.query(AddressChange).one().public_id)
    with transaction():
        address_change.confirm(anna(scene), name)
    db.session.expire_all()
    return name


def anna(scene: Scene) -> Contact:
    return db.session.get_one(Contact, scene.anna.id)


def undo_of_a_stop(client: FlaskClient, scene: Scene) -> Post:
    """Turned on and stopped at the other address: the button that takes the stop back."""
    with transaction():
        ledger.grant(anna(scene), scene.topics["events"], LegalBasis.consent, BY_PERSON)
    path = links.unsub(anna(scene), scene.topics["events"])
    stopped = client.post(path, data={"stop": "topic"}).text
    return path, {"undo": re.findall(r'name="undo" value="([^"]+)"', stopped)[0]}


def form(client: FlaskClient, scene: Scene, act: str, **fields: object) -> Post:
    path = links.manage(anna(scene))
    return path, {"act": act, "proof": guards.proof(path.removeprefix("/p/")), **fields}


def turning_on(client: FlaskClient, scene: Scene) -> Post:
    shown = re.findall(r'name="shown" value="([^"]*)"', client.get(links.manage(anna(scene))).text)
    return form(client, scene, "save", shown=shown, topic=["news", "offers", "events"])


def ending_a_break(client: FlaskClient, scene: Scene) -> Post:
    with transaction():
        choices.pause(anna(scene), clock.now() + timedelta(days=60), BY_PERSON)
    return form(client, scene, "resume")


def a_break(client: FlaskClient, scene: Scene) -> Post:
    return form(client, scene, "pause", length="90")


def going_on(client: FlaskClient, scene: Scene) -> Post:
    text = wordings.current(scene.topics["offers"], "en")
    assert text is not None
    path, fields = form(client, scene, "")
    return f"{path}/renew", {**fields, "renew": f"offers:{text.id}"}


def confirming(client: FlaskClient, scene: Scene) -> Post:
    """A sign-up that was made with the other address."""
    text = wordings.current(scene.topics["events"], "en")
    assert text is not None
    with transaction():
        confirmation.ask(addresses.parse(THIEF), [(scene.topics["events"], text)], "form:subscribe", BY_PERSON)
    (notice,) = [one for one in scene.notices() if one.kind is Kind.confirm_subscription]
    return links.confirm(anna(scene), notice.payload["wish"]), {}


def test_a_stop_made_at_the_other_address_is_not_taken_back_after_it(
    client: FlaskClient, scene: Scene, change: str
) -> None:
    path, fields = undo_of_a_stop(client, scene)
    with transaction():
        address_change.take_back(anna(scene), change)
    assert client.post(path, data=fields).status_code == 409
    assert scene.on() == {"news", "offers"}


@pytest.mark.parametrize("what", [undo_of_a_stop, turning_on, ending_a_break, a_break, going_on, confirming])
def test_what_waited_for_the_owner_changes_nothing(
    app: Flask, client: FlaskClient, scene: Scene, change: str, what: Callable[[FlaskClient, Scene], Post]
) -> None:
    path, fields = what(client, scene)
    db.session.rollback()
    posting = threading.Thread(target=lambda: app.test_client().post(path, data=fields))
    with transaction():
        address_change.take_back(anna(scene), change)
        posting.start()
        time.sleep(0.4)  # the post has found its link alive by now, and waits for us
        written = len(standing.all_records(anna(scene)))
    posting.join()
    assert scene.on() == {"news", "offers"} and len(standing.all_records(anna(scene))) == written


@pytest.mark.parametrize("how", ["one click", "the button"])
def test_leaving_works_by_a_link_in_mail_to_the_other_address(
    client: FlaskClient, scene: Scene, change: str, how: str
) -> None:
    path = links.unsub(anna(scene), scene.topics["news"])
    with transaction():
        address_change.take_back(anna(scene), change)
    data = {"List-Unsubscribe": "One-Click"} if how == "one click" else {"stop": "topic"}
    assert client.post(path, data=data).status_code == 200
    assert scene.on() == {"offers"}
