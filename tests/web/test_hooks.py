"""The door for providers: what it takes, what it refuses, and that nothing anybody sends breaks it or stays with it."""

import gzip
import json
import random
import time
import tracemalloc
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from preference_center import providers
from preference_center.db import db
from preference_center.providers.base import Post
from preference_center.webhooks import inbox, refusals
from preference_center.webhooks.hooks import Hook
from preference_center.webhooks.models import HookRefusal, InboundPost
from preference_center.webhooks.shapes import DEEPEST
from tests.providers.proven import NOW, Proven, proven

LOGIN = {"Authorization": "Basic aG9vazphLXBhc3N3b3JkLW5vYm9keS1ndWVzc2VzLTAw", "Content-Type": "application/json"}
UNSIGNED = "sparkpost"  # believes whoever has its password: what it says may be anything


@pytest.fixture(autouse=True)
def set_up(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every provider is set up; refusals are counted as they come."""
    monkeypatch.setattr(refusals, "EVERY", 0.0)
    for name in providers.names():
        made = proven(name)
        app.extensions["hooks"][name] = Hook(made.provider, "", made.secrets)


def send(client: FlaskClient, post: Post, **more: Any) -> TestResponse:
    path = post.url.partition("mail.example.com")[2]
    with time_machine.travel(NOW, tick=True):
        return client.open(path, method=post.method, headers=dict(post.headers), data=post.body, **more)


def kept() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(InboundPost)) or 0


@pytest.mark.both_databases
@pytest.mark.parametrize("name", providers.names())
def test_a_proven_post_is_stored_and_answered(client: FlaskClient, name: str) -> None:
    answer = (
        send(client, proven(name).post) if name not in ("sendgrid", "ses") else send(client, own(client, name).post)
    )
    assert (answer.status_code, answer.text) == (200, "Stored.\n")
    assert answer.content_type == "text/plain; charset=utf-8"
    assert "Set-Cookie" not in answer.headers
    assert kept() == 1


def own(client: FlaskClient, name: str) -> Proven:
    """Signed with a key of this moment, which the hook is told."""
    made = proven(name)
    client.application.extensions["hooks"][name] = Hook(made.provider, "", made.secrets)
    return made


@pytest.mark.parametrize("name", providers.names())
def test_a_post_with_other_secrets_leaves_only_a_count(client: FlaskClient, name: str) -> None:  # W5, S110
    made = proven(name)
    client.application.extensions["hooks"][name] = Hook(made.provider, "", made.others)
    answer = send(client, made.post)
    assert answer.status_code == 401
    assert kept() == 0
    assert db.session.scalar(select(HookRefusal.count)) == 1


def test_two_secrets_are_valid_at_once(client: FlaskClient) -> None:  # S115, W6
    made = proven("mailgun")
    both = replace(made.secrets, values={"KEYS": (*made.others.all("KEYS"), *made.secrets.all("KEYS"))})
    client.application.extensions["hooks"]["mailgun"] = Hook(made.provider, "", both)
    assert send(client, made.post).status_code == 200


def test_a_provider_that_is_not_set_up_believes_nothing(app: Flask, client: FlaskClient) -> None:
    made = proven("mailgun")
    app.extensions["hooks"]["mailgun"] = Hook(made.provider, "", replace(made.secrets, values={}))
    assert send(client, made.post).status_code == 401
    assert client.post("/hooks/nobody", data=b"{}").status_code == 404
    assert client.post("/hooks/mailgun/elsewhere", data=b"{}").status_code == 404


def test_a_second_hook_of_one_provider_has_secrets_of_its_own(app: Flask, client: FlaskClient) -> None:
    made = proven("mailgun")
    app.extensions["hooks"]["mailgun/shop"] = Hook(made.provider, "shop", made.secrets)
    app.extensions["hooks"]["mailgun"] = Hook(made.provider, "", made.others)
    assert send(client, replace(made.post, url="https://mail.example.com/hooks/mailgun")).status_code == 401
    assert send(client, replace(made.post, url="https://mail.example.com/hooks/mailgun/shop")).status_code == 200
    assert db.session.scalar(select(InboundPost.name)) == "shop"


def test_get_and_head_say_only_that_the_address_is_right(client: FlaskClient) -> None:  # S116
    for name in providers.names():
        assert client.head(f"/hooks/{name}").status_code == 200
        assert client.get(f"/hooks/{name}").status_code == 200
    assert client.get("/hooks/nobody").status_code == 404
    assert kept() == 0


def post_as(client: FlaskClient, body: bytes, **headers: str) -> TestResponse:
    """With the right password, so that only the body speaks against it."""
    return client.post(f"/hooks/{UNSIGNED}", data=body, headers=LOGIN | headers)


WRONG = {
    "empty": (b"", 400),
    "blank": (b"  \r\n", 400),
    "no JSON": (b"hello", 400),
    "half a JSON": (b'[{"msys": {"message_event"', 400),
    "a text": (b'"hello"', 400),
    "a number": (b"12", 400),
    "null": (b"null", 400),
    "a list of numbers": (b"[1, 2]", 400),
    "no UTF-8": (b'{"a": "\xff\xfe"}', 400),
    "nested lists": (b"[" * 100_000 + b"]" * 100_000, 400),
    "nested objects": (b'{"a":' * 1000 + b"1" + b"}" * 1000, 400),
    "a bit too deep": (b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1), 400),
    "a text without end": (b'{"a": "' + b'\\"' * 500_000, 400),
    "a text without end, cut": (b'{"a": "' + b'\\"' * 500_000 + b"\\", 400),
    "a number without end": (b'{"a": ' + b"9" * 100_000 + b"}", 400),
    "ten megabytes": (b'{"a": "' + b"x" * 10_000_000 + b'"}', 413),
    "just too large": (b'{"a": "' + b"x" * inbox.LARGEST + b'"}', 413),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_body_of_the_wrong_shape_is_refused_at_once(client: FlaskClient, case: str) -> None:  # S110, W5
    body, status = WRONG[case]
    post_as(client, b"[1]")  # the first request of a process imports things
    spent = time.process_time()
    answer = post_as(client, body)
    spent = time.process_time() - spent
    assert answer.status_code == status
    assert spent < 0.1
    assert kept() == 0


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "text/html", "application/octet-stream", "image/png"]
)
def test_a_body_of_another_type_is_refused(client: FlaskClient, kind: str) -> None:  # W5
    assert post_as(client, b'{"a": 1}', **{"Content-Type": kind}).status_code == 415
    assert kept() == 0


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip"])
def test_a_compressed_body_is_refused_unread(client: FlaskClient, encoding: str) -> None:  # S110
    bomb = gzip.compress(b" " * 50_000_000)
    tracemalloc.start()
    answer = post_as(client, bomb, **{"Content-Encoding": encoding})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == 415
    assert most < 3_000_000
    assert kept() == 0


class _Endless(BytesIO):
    """A body that goes on for as long as somebody reads."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None and 0 < size <= inbox.LARGEST + 1, "never without a limit"
        self.taken += size
        return b"x" * size


def test_a_chunked_body_is_read_to_the_limit_and_no_further(client: FlaskClient) -> None:  # S110
    endless = _Endless()
    answer = client.post(f"/hooks/{UNSIGNED}", input_stream=endless, headers=LOGIN | {"Transfer-Encoding": "chunked"})
    assert answer.status_code == 413
    assert endless.taken <= inbox.LARGEST + 1


@pytest.mark.parametrize(
    ("length", "status"), [("99999999999999", 413), ("-1", 400), ("many", 400), ("", 400), ("3", 400), ("900", 200)]
)
def test_a_length_that_lies_is_no_way_in(client: FlaskClient, length: str, status: int) -> None:
    claimed = {"CONTENT_LENGTH": length}
    answer = client.post(f"/hooks/{UNSIGNED}", data=b'{"a": 1}', headers=LOGIN, environ_overrides=claimed)
    assert answer.status_code == status  # a server gives no more than came, so too long a length reads the whole body
    assert kept() == (status == 200)


def test_a_flood_of_forged_posts_writes_a_count_now_and_then(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "EVERY", 3600.0)
    written: list[object] = []
    monkeypatch.setattr(refusals, "_write", written.append)
    for _ in range(50):
        assert client.post("/hooks/mailgun", data=b"{}").status_code == 401
    assert len(written) <= 1


def test_random_posts_never_break_the_door(client: FlaskClient) -> None:
    """Whatever comes, to any provider, proven or not: an answer below 500, and never a stored forgery."""
    chance = random.Random(2026)
    made = {name: proven(name) for name in providers.names()}
    values: list[Any] = [None, True, -1, 1e308, "x" * 2000, "\x00", "ż@ó", [], {}, [[]], {"a": [1]}, "a@b.c", 10**30]

    def anything(depth: int) -> Any:
        if depth == 0 or chance.random() < 0.3:
            return chance.choice(values)
        if chance.random() < 0.5:
            return [anything(depth - 1) for _ in range(chance.randint(0, 3))]
        keys = [
            "event",
            "signature",
            "event-data",
            "msys",
            "Type",
            "timestamp",
            "token",
            "RecordType",
            "data",
            "type",
            "\ud800",
        ]
        return {chance.choice(keys): anything(depth - 1) for _ in range(chance.randint(0, 4))}

    for turn in range(300):
        name = chance.choice(list(made))
        post = made[name].post
        headers = dict(post.headers)
        for header in list(headers):
            if chance.random() < 0.2:
                headers[header] = chance.choice(
                    ["", "é" * 5, "v1,", "v1,AAAA v1a,====", "9" * 400, "Basic =", "Basic :::"]
                )
        body = chance.choice(
            [
                chance.randbytes(chance.randint(0, 400)),
                json.dumps(anything(5)).encode(),
                post.body[: chance.randint(0, len(post.body))],
                bytes(byte if chance.random() > 0.02 else chance.randint(0, 255) for byte in post.body),
                b"mandrill_events=" + chance.randbytes(30).hex().encode(),
            ]
        )
        answer = send(client, Post("POST", post.url, headers, body))
        assert answer.status_code < 500, (turn, name)


def test_a_database_that_does_not_answer_is_said_so(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:  # D4
    def away(_line: object, _rows: object) -> None:
        raise OperationalError("", {}, Exception("disk full"))

    monkeypatch.setattr(inbox._Line, "write", away)
    answer = send(client, proven("mailgun").post)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert answer.content_type.startswith("text/plain")
    monkeypatch.undo()
    assert send(client, proven("mailgun").post).status_code == 200


def test_nothing_of_a_post_is_logged(client: FlaskClient, capfd: pytest.CaptureFixture[str]) -> None:
    made = proven("mailgun")
    send(client, made.post)
    send(client, replace(made.post, body=made.post.body[:-3]))
    said = "".join(capfd.readouterr())
    assert "anna@" not in said
    assert made.secrets.one("KEYS") not in said
