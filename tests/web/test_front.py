"""What is answered before Flask is what Flask would have answered, to the byte; and what is not answered there reaches Flask whole."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import TestResponse

from preference_center import i18n
from preference_center.app import create_app
from preference_center.consent import vault
from preference_center.consent.models import ConsentRecord
from preference_center.consent.overview import Overview
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.preferences import choices, offer
from preference_center.privacy import erasure
from preference_center.signed_links import Power, ring
from preference_center.web.front import Front
from preference_center.web.guards import limiter
from preference_center.web.public import examples, look
from tests.conftest import make_settings
from tests.support import links, shop
from tests.support.bell import WrittenBell
from tests.web.public import states

ONE_CLICK = {"data": "List-Unsubscribe=One-Click", "content_type": "application/x-www-form-urlencoded"}


@pytest.fixture(autouse=True)
def _without_limits() -> Iterator[None]:
    limiter.enabled = False
    yield
    limiter.enabled = True


@pytest.fixture
def reached(app: Flask) -> list[str]:
    """The paths of requests that came to Flask."""
    seen: list[str] = []
    app.before_request_funcs.setdefault(None, []).insert(0, lambda: seen.append(request.path))  # type: ignore[func-returns-value]
    return seen


@contextmanager
def without_the_front(app: Flask) -> Iterator[None]:
    front = app.wsgi_app
    assert isinstance(front, Front)
    app.wsgi_app = front.site  # type: ignore[assignment,method-assign]
    yield
    app.wsgi_app = front  # type: ignore[assignment,method-assign]


def told(answer: TestResponse) -> tuple[int, list[tuple[str, str]], bytes]:
    kept = [
        header for header in answer.headers if header != ("Vary", "Cookie")
    ]  # whenever Flask draws; nothing is kept anyway
    return answer.status_code, kept, answer.data


def both(app: Flask, client: FlaskClient, path: str, **asked: Any) -> list[tuple[int, list[tuple[str, str]], bytes]]:
    """By way of the front, and by Flask alone."""
    asked.setdefault("method", "GET")
    before = client.open(path, **asked)
    with without_the_front(app):
        behind = client.open(path, **asked)
    return [told(before), told(behind)]


@pytest.mark.both_databases
def test_every_page_is_the_same_with_the_front_and_without(
    app: Flask, client: FlaskClient, reached: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every state of a page with a link, and the preference page's in every language."""
    for kept_for_seconds in (offer, look, examples):  # what is read anew is drawn anew, by Flask
        monkeypatch.setattr(kept_for_seconds, "_SECONDS", 3600)
    made = states.build(app)
    people = [path for name, path in made.paths.items() if name.startswith("preferences, ")]
    assert len(people) > 8
    for name, path in made.paths.items():
        if path.startswith(("/p/", "/u/")):
            one, other = both(app, client, path.partition("#")[0])
            assert one == other, name
    for language in i18n.LANGUAGES:
        with transaction():
            for contact in db.session.query(Contact):
                contact.language = language
        for path in people:
            client.get(path)  # what was never drawn in this language is drawn by Flask
            reached.clear()
            front = told(client.get(path))
            assert reached == [], (path, language)
            with without_the_front(app):
                assert told(client.get(path)) == front
            assert f'<html lang="{language}"'.encode() in front[2]


def test_whatever_is_odd_goes_on_to_flask(app: Flask, client: FlaskClient, reached: list[str]) -> None:
    with transaction():
        topics = shop.topics()
        anna, gone = (shop.customer(topics, "news", email=f"{name}@example.org") for name in ("anna", "gone"))
        own, left = links.manage(anna), links.manage(gone)
        other_power = links.unsub(anna).replace("/u/", "/p/")
    with transaction():
        erasure.erase(gone, states.BY_LINK)
    client.get(own)
    odd: dict[str, tuple[str, dict[str, Any]]] = {
        "HEAD": (own, {"method": "HEAD"}),
        "OPTIONS": (own, {"method": "OPTIONS"}),
        "another method": (own, {"method": "DELETE"}),
        "a query": (f"{own}?lang=pl", {}),
        "an empty act": (f"{own}?done=", {}),
        "another host": (own, {"base_url": "https://evil.example"}),
        "a slash at the end": (f"{own}/", {}),
        "two slashes": (f"/{own}", {}),
        "more of a path": (f"{own}/zone", {}),
        "no token": ("/p/", {}),
        "forged": (own[:-3], {}),
        "other letters": ("/p/1.ąść.łł", {}),
        "an erased contact": (left, {}),
        "another power": (other_power, {}),
        "a page asked for, a click sent": (own, {"method": "POST"} | ONE_CLICK),
        "a click asked for": (links.unsub(anna), {}),
        "nothing at all": ("", {}),
    }
    for name, (path, asked) in odd.items():
        reached.clear()
        one, other = both(app, client, path, **asked)
        assert one == other, name
        assert len(reached) == 2, name


def test_pages_speak_the_language_of_the_contact_whatever_the_browser_speaks(app: Flask, client: FlaskClient) -> None:
    with transaction():
        anna = shop.customer(shop.topics(), "news", language="pl")
    for _ in range(2):
        assert '<html lang="pl"' in client.get(links.manage(anna), headers={"Accept-Language": "es"}).text


def test_a_dead_link_is_looked_up_once_and_explained_in_the_language_of_the_browser(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, look_up = [], choices.look_up

    def look(public_id: str) -> Overview:
        asked.append(public_id)
        return look_up(public_id)

    monkeypatch.setattr(choices, "look_up", look)
    for answer in both(app, client, "/p/1.forged", headers={"Accept-Language": "pl"}):
        assert answer[0] == 404 and b'<html lang="pl"' in answer[2]
    assert asked == ["-", "-"]  # once by the front, once by Flask alone


CLICKS: dict[str, tuple[str, dict[str, Any]]] = {
    "one topic": ("offers", ONE_CLICK),
    "everything": ("*", ONE_CLICK),
    "multipart": ("offers", {"data": {"List-Unsubscribe": "One-Click"}, "content_type": "multipart/form-data"}),
    "with more fields": ("offers", {"data": {"List-Unsubscribe": "One-Click", "x": "1"}}),
    "from another site": ("offers", ONE_CLICK | {"headers": {"Sec-Fetch-Site": "cross-site", "Cookie": "session=x"}}),
    "another line as long": ("offers", ONE_CLICK | {"data": "stop=topic&x=0123456789abc"}),
    "no line": ("offers", {}),
    "not a form": ("offers", ONE_CLICK | {"content_type": "text/plain"}),
    "a topic nobody knows": ("gone", ONE_CLICK),
    "in another language": ("offers", ONE_CLICK | {"query_string": {"lang": "pl"}}),
    "another host": ("offers", ONE_CLICK | {"base_url": "https://evil.example"}),
}


@pytest.mark.parametrize("case", CLICKS)
@pytest.mark.both_databases
def test_a_click_is_answered_and_written_down_alike(app: Flask, client: FlaskClient, case: str) -> None:
    topic, asked = CLICKS[case]
    asked = asked | {"environ_base": {"REMOTE_ADDR": "203.0.113.7", "HTTP_USER_AGENT": "Mail/1.0 " + "x" * 300}}
    with transaction():
        topics = shop.topics()
        people = [shop.customer(topics, "news", "offers", email=f"{at}@example.org", language="es") for at in "ab"]
        paths = [f"/u/{ring().sign(Power.unsub, [one.public_id, topic, 77])}" for one in people]
    answers = [told(client.post(paths[0], **asked))]
    with without_the_front(app):
        answers.append(told(client.post(paths[1], **asked)))
    (status, headers, page), (other_status, other_headers, other_page) = answers
    assert (status, headers) == (other_status, other_headers)
    assert _bare(page, "a", paths[0]) == _bare(other_page, "b", paths[1])
    records = [_written(one) for one in people]
    assert records[0] == records[1]
    assert bool(records[0]) == (case in {"one topic", "everything", "multipart", "with more fields", "from another site",
                                         "another line as long", "in another language"})  # fmt: skip


def _bare(page: bytes, name: str, path: str) -> str:
    """Without what is one person's own: the link, the address, the receipt of the act."""
    text = page.decode().replace(path, "").replace(f"{name}•••@", "")
    return re.sub(r'name="undo" value="[^"]*"', "", text)


def _written(contact: Contact) -> list[Any]:
    """What the ledger holds of the contact since the beginning."""
    db.session.rollback()
    found = db.session.query(ConsentRecord).filter_by(contact_id=contact.id).order_by(ConsentRecord.id).all()[2:]
    details = vault.open(contact.id)
    kept = ("topic_id", "purpose_key", "action", "source", "source_ref", "actor", "language", "wording_id")
    return [
        [*(getattr(record, name) for name in kept), {**details[record.id], "email": ""}]
        for record in found
    ]  # fmt: skip


def test_a_click_does_not_come_to_flask(app: Flask, client: FlaskClient, reached: list[str]) -> None:
    with transaction():
        topics = shop.topics()
        anna = shop.customer(topics, "news", "offers", language="pl")
        path = links.unsub(anna, topics["offers"], 5)
    answer = client.post(path, **ONE_CLICK)
    assert (answer.status_code, reached) == (200, [])
    (record,) = _written(anna)
    assert record[2:7] == ["withdrawn", "one_click", "message:5", "person", "pl"]


def test_somebody_we_have_forgotten_is_answered_as_anybody_else(app: Flask, client: FlaskClient) -> None:
    with transaction():
        topics = shop.topics()
        anna = shop.customer(topics, "news")
        path = links.unsub(anna, topics["news"])
    with transaction():
        erasure.erase(anna, states.BY_LINK)
    one, other = both(app, client, path, method="POST", **ONE_CLICK)
    assert one == other and one[0] == 200


@pytest.mark.parametrize("door", ["p", "u"])
@pytest.mark.both_databases
def test_without_a_database_the_page_says_so_and_no_connection_is_lost(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], door: str
) -> None:
    """And no token reaches the log."""
    with transaction():
        anna = shop.customer(shop.topics(), "news")
        path, asked = {"p": (links.manage(anna), {}), "u": (links.unsub(anna), {"method": "POST"} | ONE_CLICK)}[door]
    client.get(path)
    db.session.remove()
    tried = []

    def away(*_: object) -> None:
        tried.append(1)
        db.session.connection()  # one is lent when it happens
        raise OperationalError("", {}, Exception("gone"))

    monkeypatch.setattr(choices, "look_up", away)
    monkeypatch.setattr(contacts, "person", away)
    one, other = both(app, client, path, **asked)
    assert (one[0], other[0]) == (503, 503)
    assert len(tried) == 2
    assert b"Nothing was changed" in one[2]
    assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    said = "".join(capfd.readouterr())
    assert "page.database_away" in said and f"/{door}/<token>" in said and path[3:] not in said


def test_a_fault_of_ours_is_the_error_page(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with transaction():
        path = links.manage(shop.customer(shop.topics(), "news"))

    def broken(*_: object) -> None:
        raise RuntimeError("anna@example.org")

    monkeypatch.setattr(choices, "look_up", broken)
    app.testing = False
    answer = client.get(path)
    assert answer.status_code == 500 and "<h1>" in answer.text
    said = "".join(capfd.readouterr())
    assert "page.crashed" in said and "anna@" not in said


def test_behind_a_proxy_the_person_is_at_the_address_the_proxy_says(tmp_path: Any, database: str) -> None:
    app = create_app(make_settings(tmp_path, database, proxies=1), bell=WrittenBell())
    assert isinstance(app.wsgi_app, ProxyFix)
    with app.app_context():
        with transaction():
            topics = shop.topics()
            anna = shop.customer(topics, "news", "offers")
            path = links.unsub(anna, topics["offers"])
        headers = {"X-Forwarded-For": "198.51.100.9", "X-Forwarded-Host": "mail.example.com"}
        client = app.test_client(use_cookies=False)
        assert client.post(path, headers=headers, base_url="http://inside", **ONE_CLICK).status_code == 200
        (record,) = _written(anna)
        assert record[-1]["network"] == "198.51.100.9"
        db.session.remove()
        db.engine.dispose()


def test_a_page_is_as_new_as_what_the_person_just_said(app: Flask, client: FlaskClient) -> None:
    """Nothing that is kept between requests is one person's own."""
    with transaction():
        topics = shop.topics()
        anna = shop.customer(topics, "news", "offers")
        path = links.manage(anna)
    for _ in range(2):
        assert "You get 2 topics." in client.get(path).text
    client.post(links.unsub(anna, topics["offers"]), **ONE_CLICK)
    for _ in range(2):
        assert "You get 1 topic." in client.get(path).text
    with transaction():
        choices.pause(anna, datetime(2099, 1, 1, tzinfo=UTC), states.BY_LINK)
    for _ in range(2):
        assert "Paused until" in client.get(path).text
