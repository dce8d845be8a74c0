"""The way before Flask and the Flask route are one door: whichever a post goes through, it hears the same."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from preference_center.db import db
from preference_center.web.front import Front
from preference_center.webhooks import inbox
from preference_center.webhooks.models import InboundPost
from tests.conftest import make_settings

LOGIN = {"Authorization": "Basic aG9vazphLXBhc3N3b3JkLW5vYm9keS1ndWVzc2VzLTAw", "Content-Type": "application/json"}
KEPT = '[{"msys": {}}]'


@pytest.fixture
def settings(tmp_path: Any, database: str) -> Any:
    return make_settings(tmp_path, database, hooks={"SPARKPOST_LOGINS": "hook:a-password-nobody-guesses-00"})


ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "proven": ("/hooks/sparkpost", {"data": KEPT, "headers": LOGIN}),
    "forged": ("/hooks/sparkpost", {"data": KEPT}),
    "misshapen": ("/hooks/sparkpost", {"data": "[1]", "headers": LOGIN}),
    "compressed": ("/hooks/sparkpost", {"data": KEPT, "headers": LOGIN | {"Content-Encoding": "gzip"}}),
    "too large": ("/hooks/sparkpost", {"data": b"x" * (inbox.LARGEST + 1), "headers": LOGIN}),
    "nobody": ("/hooks/nobody", {"data": KEPT}),
    "no second hook": ("/hooks/sparkpost/shop", {"data": KEPT}),
    "with a query": ("/hooks/sparkpost?a=b%20c", {"data": KEPT, "headers": LOGIN}),
    "another host": ("/hooks/sparkpost", {"data": KEPT, "headers": LOGIN, "base_url": "https://evil.example"}),
    "longer path": ("/hooks/sparkpost/shop/more", {"data": KEPT}),
    "slash at the end": ("/hooks/sparkpost/", {"data": KEPT}),
    "other letters": ("/hooks/Sparkpöst", {"data": KEPT}),
}


@pytest.mark.parametrize("case", ASKED)
def test_both_ways_answer_alike(app: Flask, client: FlaskClient, case: str) -> None:
    path, asked = ASKED[case]
    front = app.wsgi_app
    assert isinstance(front, Front)
    before = client.post(path, **asked)
    app.wsgi_app = front.site  # type: ignore[method-assign]
    behind = client.post(path, **asked)
    assert (before.status_code, before.text) == (behind.status_code, behind.text)
    kept = [header for header in behind.headers if header != ("Vary", "Cookie")]  # Flask's sessions; there is none here
    assert sorted(header for header in before.headers if header != ("Vary", "Cookie")) == sorted(kept)


def test_a_proven_post_never_reaches_flask(app: Flask, client: FlaskClient) -> None:
    reached = []
    app.before_request_funcs.setdefault(None, []).append(lambda: reached.append(1))  # type: ignore[func-returns-value]
    assert client.post("/hooks/sparkpost", data=KEPT, headers=LOGIN).status_code == 200
    assert client.get("/hooks/sparkpost").status_code == 200
    assert len(reached) == 1  # the second alone
    assert db.session.scalar(select(func.count()).select_from(InboundPost)) == 1


def test_a_fault_of_ours_is_noted_without_the_post(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("anna@example.org")

    monkeypatch.setattr(inbox, "accept", broken)
    answer = client.post("/hooks/sparkpost", data=KEPT, headers=LOGIN)
    said = "".join(capfd.readouterr())
    assert answer.status_code == 500
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "hook.crashed" in said and "anna@" not in said


@pytest.mark.parametrize("way", ["front", "flask"])
def test_without_a_database_both_ask_to_come_again(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    def away(_line: object, _rows: object) -> None:
        raise OperationalError("", {}, Exception("disk full"))

    if way == "flask":
        app.wsgi_app = app.wsgi_app.site  # type: ignore[attr-defined,method-assign]
    monkeypatch.setattr(inbox._Line, "write", away)
    answer = client.post("/hooks/sparkpost", data=KEPT, headers=LOGIN)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
