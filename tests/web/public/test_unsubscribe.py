"""Leaving: the one click of a mail program (RFC 8058), and the page for people."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from preference_center.app import RedisBell
from preference_center.db import transaction
from preference_center.notices.models import Kind
from preference_center.signed_links import KeyRing, Power, ring
from preference_center.topics import catalogue
from tests.support import links, make
from tests.support.database_hash import digest
from tests.web.public.conftest import Scene

ONE_CLICK = "List-Unsubscribe=One-Click"
FORM = "application/x-www-form-urlencoded"


def multipart(line: str) -> bytes:
    lines = ["--xyz", 'Content-Disposition: form-data; name="List-Unsubscribe"', "", "One-Click", "--xyz--", ""]
    return line.join(lines).encode()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(ONE_CLICK.encode(), FORM, id="urlencoded"),  # S30
        pytest.param(f"x=1&{ONE_CLICK}&y=2".encode(), FORM, id="with extra fields"),
        pytest.param(f"{ONE_CLICK}\r\n".encode(), FORM, id="with CRLF behind it"),
        pytest.param(f"{ONE_CLICK}\n".encode(), FORM, id="with LF behind it"),
        pytest.param(multipart("\r\n"), "multipart/form-data; boundary=xyz", id="multipart with CRLF"),  # S31
        pytest.param(multipart("\n"), "multipart/form-data; boundary=xyz", id="multipart with LF"),  # S31
    ],
)
@pytest.mark.both_databases
def test_one_click_ends_this_topic_and_no_other(
    client: FlaskClient, scene: Scene, body: bytes, content_type: str
) -> None:
    """S30, S31, S32, S42, S45."""
    path = links.unsub(scene.anna, scene.topics["offers"], 77)
    foreign = {
        "Origin": "https://mail.example.net",
        "User-Agent": "",
        "Cookie": "session=somebody",
        "Sec-Fetch-Site": "cross-site",
    }
    answer = client.post(path, data=body, content_type=content_type, headers=foreign)
    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    assert "Location" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert scene.on() == {"news"}
    (record,) = scene.records()
    assert (record.source, record.source_ref) == ("one_click", "message:77")


def test_one_click_on_a_link_for_everything_stops_everything(client: FlaskClient, scene: Scene) -> None:
    assert client.post(links.unsub(scene.anna), data=ONE_CLICK, content_type=FORM).status_code == 200
    assert scene.on() == set()


def test_a_hundred_clicks_are_one_event(client: FlaskClient, scene: Scene) -> None:
    """S33."""
    path = links.unsub(scene.anna, scene.topics["offers"])
    assert {client.post(path, data=ONE_CLICK, content_type=FORM).status_code for _ in range(100)} == {200}
    assert len(scene.records()) == 1


@pytest.mark.both_databases
def test_clicks_at_the_same_time_are_one_event(app: Flask, scene: Scene) -> None:
    """S33."""
    path = links.unsub(scene.anna, scene.topics["offers"])
    statuses: list[int] = []

    def click() -> None:
        answer = app.test_client(use_cookies=False).post(path, data=ONE_CLICK, content_type=FORM)
        statuses.append(answer.status_code)

    clicks = [threading.Thread(target=click) for _ in range(8)]
    for one in clicks:
        one.start()
    for one in clicks:
        one.join()
    assert statuses == [200] * 8
    assert len(scene.records()) == 1


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(b"", None, id="no body"),
        pytest.param(b"List-Unsubscribe=Two-Clicks", FORM, id="another value"),
        pytest.param(b"List-Unsubscribe=One-Click%20", FORM, id="more than the value"),
        pytest.param(b"hello", "text/plain", id="text"),
        pytest.param(b'{"List-Unsubscribe": "One-Click"}', "application/json", id="json"),
        pytest.param(b"stop=everything", FORM, id="an unknown button"),
        pytest.param(b"undo=abc", FORM, id="a forged undo"),
        pytest.param(b"--xyz\r\nContent-Disp", "multipart/form-data; boundary=xyz", id="a torn body"),
    ],
)
def test_any_other_post_changes_nothing(
    client: FlaskClient, scene: Scene, body: bytes, content_type: str | None
) -> None:
    """S36."""
    before = digest()
    answer = client.post(links.unsub(scene.anna, scene.topics["offers"]), data=body, content_type=content_type)
    assert answer.status_code == 400
    assert "Stop Offers" in answer.text
    assert digest() == before


def test_the_page_asks_with_one_button_and_has_no_script(client: FlaskClient, scene: Scene) -> None:
    """S35."""
    page = client.get(links.unsub(scene.anna, scene.topics["offers"]))
    assert page.status_code == 200
    assert '<button class="button primary big" name="stop" value="topic">Stop Offers</button>' in page.text
    assert "Stop all marketing emails" in page.text
    assert "<script" not in page.text
    assert "anna@" not in page.text
    assert "a•••@example.org" in page.text


def test_a_press_stops_and_undo_takes_it_back(client: FlaskClient, scene: Scene) -> None:
    path = links.unsub(scene.anna, scene.topics["offers"])
    page = client.post(path, data={"stop": "topic"})
    assert page.status_code == 200
    assert "Stopped. You will no longer get Offers." in page.text
    assert scene.on() == {"news"}
    receipt = page.text.split('name="undo" value="')[1].split('"')[0]
    assert client.post(path, data={"undo": receipt}).status_code == 200
    assert scene.on() == {"news", "offers"}
    assert scene.records()[-1].wording_id is not None
    assert client.post(path, data={"undo": receipt}).status_code == 409


def test_stopping_everything_can_be_taken_back_too(client: FlaskClient, scene: Scene) -> None:
    path = links.unsub(scene.anna, scene.topics["offers"])
    page = client.post(path, data={"stop": "all"})
    assert scene.on() == set()
    receipt = page.text.split('name="undo" value="')[1].split('"')[0]
    client.post(path, data={"undo": receipt})
    assert scene.on() == {"news", "offers"}


def test_an_undo_works_only_on_the_page_of_the_same_person(client: FlaskClient, scene: Scene) -> None:
    page = client.post(links.unsub(scene.anna, scene.topics["offers"]), data={"stop": "topic"})
    receipt = page.text.split('name="undo" value="')[1].split('"')[0]
    with transaction():
        other = make.contact("other@example.org")
    assert client.post(links.unsub(other, scene.topics["offers"]), data={"undo": receipt}).status_code == 400
    assert scene.on() == {"news"}


def test_somebody_who_left_is_told_so(client: FlaskClient, scene: Scene) -> None:
    path = links.unsub(scene.anna, scene.topics["events"])
    assert "You no longer get these emails." in client.get(path).text


def test_the_link_to_all_choices_goes_to_the_mailbox_alone(client: FlaskClient, scene: Scene) -> None:
    """An unsubscribe link lives for ever and is in forwarded mail: it must not open the choices."""
    page = client.post(links.unsub(scene.anna, scene.topics["offers"]), data={"send": "link"})
    assert page.status_code == 200
    assert "/p/" not in page.text
    assert [notice.kind for notice in scene.notices()] == [Kind.new_link]


@pytest.mark.parametrize("days", [61, 400])
def test_the_link_works_long_after_sending(client: FlaskClient, scene: Scene, days: int) -> None:
    """S37."""
    path = links.unsub(scene.anna, scene.topics["offers"])
    with time_machine.travel(datetime.now(UTC) + timedelta(days=days)):
        assert client.post(path, data=ONE_CLICK, content_type=FORM).status_code == 200
    assert scene.on() == {"news"}


def test_leaving_works_after_a_new_key_a_new_address_and_for_a_retired_topic(
    app: Flask, client: FlaskClient, scene: Scene
) -> None:
    """S38."""
    path = links.unsub(scene.anna, scene.topics["offers"])
    app.extensions["key_ring"] = KeyRing((*ring().keys, ("2", "n" * 32)))
    with transaction():
        scene.anna.link_epoch += 1
        catalogue.retire(scene.topics["offers"])
    assert client.get(path).status_code == 200
    assert client.post(path, data=ONE_CLICK, content_type=FORM).status_code == 200
    assert scene.on() == {"news"}


def test_somebody_forgotten_is_told_that_the_link_is_an_old_one(client: FlaskClient, scene: Scene) -> None:
    """S38. They may have come back since, as somebody else to us, and this link does not stop what they get now."""
    path = links.unsub(scene.anna, scene.topics["offers"])
    with transaction():
        scene.anna.email, scene.anna.address_hash, scene.anna.erased_at = None, None, datetime.now(UTC)
    before = digest()
    answer = client.post(path, data=ONE_CLICK, content_type=FORM)
    old = "This link is from an earlier sign-up"
    assert (answer.status_code, answer.mimetype, answer.text) == (200, "text/plain", f"{old}.\n")
    for page in (client.get(path), client.post(path, data={"stop": "topic"}), client.post(path, data={"stop": "all"})):
        assert page.status_code == 200
        assert old in page.text and "Stopped" not in page.text and 'action="/link"' in page.text
    assert "Ten link pochodzi z wcześniejszego zapisu" in client.get(f"{path}?lang=pl").text
    assert digest() == before


def test_works_without_a_queue(app: Flask, client: FlaskClient, scene: Scene) -> None:
    """S44: the real bell, with no Redis behind it."""
    app.extensions["bell"] = RedisBell(app.extensions["settings"])
    assert client.post(links.unsub(scene.anna), data=ONE_CLICK, content_type=FORM).status_code == 200
    assert client.post("/link", data={"email": "anna@example.org"}).status_code == 200
    assert scene.on() == set()


def test_a_token_of_another_kind_or_about_nothing_opens_nothing(client: FlaskClient, scene: Scene) -> None:
    """S41: one and the same answer."""
    anna = scene.anna.public_id
    tokens = {
        "forged": "1.WyJh.aaaa",
        "another power": ring().sign(Power.manage, [anna, 0]),
        "unknown contact": ring().sign(Power.unsub, ["a" * 16, "offers", 0]),
        "unknown topic": ring().sign(Power.unsub, [anna, "nothing", 0]),
        "wrong payload": ring().sign(Power.unsub, [anna]),
        "odd payload": ring().sign(Power.unsub, [[1], {}, 0]),
    }
    pages = {name: client.post(f"/u/{token}", data=ONE_CLICK, content_type=FORM) for name, token in tokens.items()}
    assert {name: page.status_code for name, page in pages.items()} == dict.fromkeys(tokens, 404)
    assert len({page.text for page in pages.values()}) == 1
    assert scene.on() == {"news", "offers"}


def test_five_hundred_clicks_from_one_network_all_pass(client: FlaskClient, scene: Scene) -> None:
    """S40, in small: no limit stands before leaving."""
    path = links.unsub(scene.anna)
    assert {client.post(path, data=ONE_CLICK, content_type=FORM).status_code for _ in range(500)} == {200}
