"""`events test`: a sample on the running instance; for those who alone can sign, what to press, and what then arrives."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from preference_center import clock
from preference_center.app import create_app
from preference_center.db import db
from preference_center.webhooks import processing, refusals
from tests.cli.conftest import Ended, Run
from tests.providers.proven import sendgrid_post, sendgrid_secrets

LOGIN = "hook:a-password-nobody-guesses-00"
KEY = ec.generate_private_key(ec.SECP256R1())


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def instance(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A running one with a worker, started with these settings; its address."""
    monkeypatch.setenv("PREFERENCE_CENTER_HOOK_POSTMARK_LOGINS", LOGIN)
    monkeypatch.setenv("PREFERENCE_CENTER_HOOK_SENDGRID_KEYS", sendgrid_secrets(KEY).one("KEYS"))
    app = create_app()

    def site(environ: dict[str, object], start: object) -> object:
        answer = app(environ, start)  # type: ignore[arg-type]
        with app.app_context():  # as a worker would, a moment later
            processing.drain()
            db.session.remove()
        return answer

    with make_server("127.0.0.1", 0, site, handler_class=_Quiet) as server:  # type: ignore[arg-type]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
    with app.app_context():
        db.engine.dispose()


def test_a_hook_is_tried_out_on_the_running_instance(instance: str, pc: Run) -> None:
    tried = pc("events", "test", "postmark", "--to", instance)
    assert (tried.status, tried.err) == (0, "")
    assert "a worker read it: event" in tried.out
    again = json.loads(pc("events", "list", "--kind", "delivered", "--json").out)
    assert [(row["effect"], row["contact"]) for row in again] == [("applied", None)]


def test_a_hook_without_a_secret_cannot_be_tried(instance: str, pc: Run) -> None:
    unset = pc("events", "test", "mailgun", "--to", instance)
    assert unset.status == 1
    assert unset.err.startswith("Nothing can be signed: this hook has no secret yet.")
    assert "_KEYS" in unset.err
    assert pc("events", "test", "nobody").status == 1


def test_an_instance_that_is_away_is_told(environ: dict[str, str], pc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFERENCE_CENTER_HOOK_POSTMARK_LOGINS", LOGIN)
    refused = pc("events", "test", "postmark", "--to", "http://127.0.0.1:1")
    assert (refused.status, "does not answer" in refused.err) == (1, True)


def test_a_refused_sample_says_that_the_instance_may_have_other_secrets(
    instance: str, pc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFERENCE_CENTER_HOOK_POSTMARK_LOGINS", "hook:another-password-than-it-has")
    refused = pc("events", "test", "postmark", "--to", instance)
    assert (refused.status, refused.out) == (1, "")
    assert "/hooks/postmark answered 401" in refused.err
    assert "may have been started with others" in refused.err
    assert "PREFERENCE_CENTER_HOOK_POSTMARK_LOGINS" in refused.err
    assert "another-password" not in refused.err


def test_a_named_hook_that_the_instance_does_not_know_is_told(
    instance: str, pc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFERENCE_CENTER_HOOK_POSTMARK__SHOP_LOGINS", LOGIN)
    refused = pc("events", "test", "postmark/shop", "--to", instance)
    assert "answered 404" in refused.err
    assert "without this hook's settings (PREFERENCE_CENTER_HOOK_POSTMARK__SHOP_LOGINS)" in refused.err


@pytest.mark.parametrize(
    ("name", "words"),
    [("sendgrid", "Only SendGrid can sign"), ("ses", "Only Amazon can sign")],
)
def test_what_only_the_provider_can_sign_is_not_forged_but_told(instance: str, pc: Run, name: str, words: str) -> None:
    told = pc("events", "test", name, "--to", instance)
    assert (told.status, told.out) == (1, "")
    assert told.err.startswith(words)
    assert "Nothing was tried." in told.err
    assert ("With --wait 300" in told.err) is (name == "sendgrid")  # the other has no settings: waiting would not help
    assert pc("events", "list").out == "No events.\n"


def test_a_hook_that_would_take_nothing_is_not_looked_out_for(instance: str, pc: Run) -> None:
    told = pc("events", "test", "ses", "--wait", "60", "--to", instance)
    assert told.status == 1
    assert "lack PREFERENCE_CENTER_HOOK_SES_TOPICS" in told.err
    assert "--wait" not in told.err


def test_what_the_provider_was_made_to_send_is_told_as_it_arrives(instance: str, pc: Run) -> None:
    post = sendgrid_post(
        KEY, b'[{"event": "delivered", "email": "x@example.invalid", "sg_event_id": "1"}]', clock.now()
    )
    told = while_looking_out(lambda: _send(instance, post.headers, post.body), pc, instance)
    assert (told.status, "Test Your Integration" in told.err) == (0, True)
    assert "proved itself; read, events in it: 1." in told.out


def test_what_the_provider_sends_and_is_refused_is_told_with_the_cause(
    instance: str, pc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "EVERY", 0.0)  # counts are written every few seconds
    stranger = sendgrid_post(ec.generate_private_key(ec.SECP256R1()), b"[]", clock.now())
    told = while_looking_out(lambda: _send(instance, stranger.headers, stranger.body), pc, instance, "8")
    assert told.status == 1
    assert "No post was taken at /hooks/sendgrid in 8 s. 1 refused: the signature is wrong." in told.err


def while_looking_out(happens: Callable[[], None], pc: Run, instance: str, seconds: str = "20") -> Ended:
    def later() -> None:
        time.sleep(3)  # the command has begun to look out by then, on a busy machine too
        happens()

    thread = threading.Thread(target=later)
    thread.start()
    told = pc("events", "test", "sendgrid", "--wait", seconds, "--to", instance)
    thread.join()
    return told


def _send(instance: str, headers: object, body: bytes) -> None:
    line = HTTPConnection(instance.removeprefix("http://"), timeout=10)
    line.request("POST", "/hooks/sendgrid", body, dict(headers))  # type: ignore[call-overload]
    line.getresponse().read()
    line.close()
