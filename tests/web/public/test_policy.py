"""Reports of the pages' policy: counted, nothing else kept; and a forged Host header opens nothing."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from preference_center.db import db
from preference_center.preferences.models import PolicyReport
from preference_center.web.guards import limiter
from tests.support.database_hash import digest


@pytest.fixture(autouse=True)
def no_limits(app: Flask) -> Iterator[None]:
    limiter.enabled = False
    yield
    limiter.enabled = True


def counted() -> dict[str, int]:
    db.session.rollback()
    return {one.directive: one.count for one in db.session.query(PolicyReport)}


@pytest.mark.both_databases
def test_reports_of_both_forms_are_counted_by_directive(client: FlaskClient) -> None:  # V3.4.7
    old = {"csp-report": {"document-uri": "https://x/p/secret", "violated-directive": "img-src 'self'"}}
    new = [{"type": "csp-violation", "body": {"effectiveDirective": "img-src", "documentURL": "https://x/p/secret"}}]
    odd = {"csp-report": {"effective-directive": "x" * 5000}}
    for sent in (old, new, odd):
        assert client.post("/csp", json=sent).status_code == 204
    assert counted() == {"img-src": 2, "other": 1}


@pytest.mark.parametrize(
    "sent", [b"", b"not json", b"[]", b"{}", b"[1, null]", b'{"csp-report": 7}', b'{"csp-report": {"effective-directive": 7}}',
             b"[" * 5000]
)  # fmt: skip
def test_what_is_no_report_is_not_stored(client: FlaskClient, sent: bytes) -> None:
    before = digest()
    assert client.post("/csp", data=sent).status_code == 204
    assert digest() == before


def test_only_so_many_are_taken_and_no_long_one(client: FlaskClient) -> None:
    limiter.enabled = True
    sent = {"csp-report": {"effective-directive": "img-src"}}
    answers = [client.post("/csp", json=sent).status_code for _ in range(33)]
    assert answers.count(429) == 3 and counted() == {"img-src": 30}
    limiter.enabled = False
    assert client.post("/csp", data=b"x" * 100_000).status_code in (204, 413)


def test_every_policy_names_the_place_to_report_to(client: FlaskClient) -> None:
    answer = client.get("/subscribe")
    assert "report-uri /csp; report-to csp" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Reporting-Endpoints"] == 'csp="/csp"'


@pytest.mark.parametrize(
    ("host", "status"),
    [("mail.example.com", 200), ("mail.example.com:8443", 200), ("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:80", 200),
     ("evil.example", 400), ("mail.example.com.evil.example", 400), ("evil.example:443", 400), ("10.0.0.7", 400)],
)  # fmt: skip
def test_a_forged_host_opens_nothing_but_health(client: FlaskClient, host: str, status: int) -> None:  # V4.1.3
    assert client.get("/subscribe", headers={"Host": host}).status_code == status
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_on_this_machine_alone_any_name_will_do(app: Flask, client: FlaskClient) -> None:
    app.extensions["settings"] = replace(app.extensions["settings"], public_url="http://127.0.0.1:8000")
    assert client.get("/subscribe", headers={"Host": "demo.internal"}).status_code == 200
