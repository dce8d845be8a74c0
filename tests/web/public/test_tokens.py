"""Every wrong token gets the one neutral page; looking at any page changes nothing; no token or address reaches a log."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from preference_center import clock
from preference_center.contacts import queries
from preference_center.db import db, transaction
from preference_center.notices.models import Notice
from preference_center.signed_links import KeyRing, Power, ring
from tests.support import links
from tests.support.database_hash import digest
from tests.support.statements import heard
from tests.web.public.conftest import Scene

PATHS = {"u": Power.unsub, "p": Power.manage, "c": Power.confirm, "d": Power.rights}


def payload(power: Power, scene: Scene) -> list[object]:
    anna = scene.anna.public_id
    return {
        Power.unsub: [anna, "offers", 0],
        Power.manage: [anna, 0],
        Power.confirm: [anna, "wish"],
        Power.rights: [anna, "data", "nonce"],
    }[power]


@pytest.mark.parametrize("door", PATHS)
def test_every_wrong_token_gets_one_answer(client: FlaskClient, scene: Scene, app: Flask, door: str) -> None:
    """S41, and the first row of the bad-input list."""
    power = PATHS[door]
    good = ring().sign(power, payload(power, scene))
    other_salt = ring().sign(Power.confirm if power is Power.rights else Power.rights, payload(power, scene))
    removed_key = KeyRing((("9", "z" * 32),)).sign(power, payload(power, scene))
    wrong = {
        "one character": "x",
        "ten thousand": "x" * 10_000,
        "dots": "....",
        "unicode": "1.ąść.łł",
        "cut off": good[:-3],
        "one character changed": good[:10] + ("A" if good[10] != "A" else "B") + good[11:],
        "last character respelled": good[:-1] + chr(ord(good[-1]) + 1),
        "another power": other_salt,
        "a removed key": removed_key,
        "no key id": good.partition(".")[2],
        "nobody": ring().sign(power, ["a" * 16, *payload(power, scene)[1:]]),
    }
    answers = {name: client.get(f"/{door}/{token}") for name, token in wrong.items()}
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(wrong, 404)
    assert len({answer.text for answer in answers.values()}) == 1
    assert ("Ask for a new link" if door == "d" else "Email me a new link") in answers["cut off"].text


@pytest.mark.parametrize("door", PATHS)
def test_every_wrong_token_costs_the_same(client: FlaskClient, scene: Scene, app: Flask, door: str) -> None:
    """S41: the time of the answer is that of its work: nobody is looked up for a forged token too."""
    power = PATHS[door]
    good = ring().sign(power, payload(power, scene))
    wrong = [good[:-3], "x", ring().sign(power, ["a" * 16, *payload(power, scene)[1:]])]
    client.get(f"/{door}/x")  # what a process looks up once
    costs = []
    with heard() as said:
        for token in wrong:
            said.clear()
            client.get(f"/{door}/{token}")
            costs.append([statement for statement in said if statement.startswith("SELECT")])
    assert costs[0] == costs[1] == costs[2] and costs[0]


def test_an_empty_token_is_no_page(client: FlaskClient) -> None:
    assert client.get("/p/").status_code == 404


def test_a_link_of_an_older_key_still_works(client: FlaskClient, scene: Scene, app: Flask) -> None:
    path = links.manage(scene.anna)
    app.extensions["key_ring"] = KeyRing((*ring().keys, ("2", "n" * 32)))
    assert client.get(path).status_code == 200


def test_looking_changes_nothing(client: FlaskClient, scene: Scene) -> None:
    """S34: every method that is not POST, prefetch too, ten times, over every public page."""
    client.post("/subscribe", data={"email": "new@example.org", "topic": ["news"]})
    notice = db.session.query(Notice).one()
    newcomer = queries.by_email("new@example.org")
    assert newcomer is not None
    paths = [
        links.manage(scene.anna),
        links.unsub(scene.anna, scene.topics["offers"]),
        links.unsub(scene.anna),
        links.confirm(newcomer, notice.payload["wish"]),
        "/subscribe",
        "/link",
        "/healthz",
        "/readyz",
    ]
    before = digest()
    for path in paths * 10:
        for method in ("GET", "HEAD", "OPTIONS", "PROPFIND", "TRACE"):
            status = client.open(path, method=method, headers={"Sec-Purpose": "prefetch"}).status_code
            assert status == (200 if method in ("GET", "HEAD", "OPTIONS") else 405), (path, method)
    assert digest() == before


def test_no_token_and_no_address_reaches_a_log(
    client: FlaskClient, scene: Scene, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """S52."""
    caplog.set_level("DEBUG")
    path = links.manage(scene.anna)
    client.get(path)
    client.post(path, data={"act": "save", "proof": "forged"})
    client.get(path + "x")
    client.post("/link", data={"email": "anna@example.org"})
    client.post(links.unsub(scene.anna), data={"List-Unsubscribe": "One-Click"})
    out, err = capsys.readouterr()
    written = caplog.text + out + err
    assert path.removeprefix("/p/")[:30] not in written
    assert "anna@" not in written


def test_a_crash_is_logged_without_the_token_or_the_message(app: Flask, scene: Scene) -> None:
    """S52: a traceback's text may quote what was sent."""
    app.testing = False
    app.config["PROPAGATE_EXCEPTIONS"] = False

    def crash(token: str) -> str:
        raise RuntimeError(f"boom {token} anna@example.org")

    app.view_functions["public.preferences"] = crash
    path = links.manage(scene.anna)
    with capture_logs() as logs:
        page = app.test_client().get(path)
    assert page.status_code == 500
    reference = re.search(r"Reference for our support: ([0-9a-f]{8})", page.text)
    assert reference and any(entry.get("reference") == reference[1] for entry in logs)
    assert any("crash" in str(entry.get("where")) for entry in logs)
    assert path[3:30] not in str(logs) and "anna@" not in str(logs)
    assert "boom" not in page.text


def test_an_erased_contact_has_no_preference_page(client: FlaskClient, scene: Scene) -> None:
    path = links.manage(scene.anna)
    with transaction():
        scene.anna.erased_at = clock.now()
    assert client.get(path).status_code == 404
