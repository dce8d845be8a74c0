"""The shared cases through the real door: all of authentication end as they say, all samples are stored, read and obeyed."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from preference_center.contacts import addresses
from preference_center.db import db
from preference_center.delivery.events.models import DeliveryEvent
from preference_center.errors import Invalid
from preference_center.providers.base import Kind, Post
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.webhooks import inbox, processing
from preference_center.webhooks.hooks import Hook
from preference_center.webhooks.models import InboundPost
from tests.delivery.events.conftest import Sent
from tests.providers import test_shared_samples as shared
from tests.web.conftest import FreshContextClient

pytestmark = pytest.mark.both_databases
PROVIDERS = sorted({vector["provider"] for vector in shared.VECTORS.values()})
VENDORS_URL = "https://mail.example.org/webhooks/mandrill"


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    fetched = shared.Door()
    for name, secrets in shared.SECRETS.items():
        app.extensions["hooks"][name] = Hook(fetched.named(name), "", secrets)
    app.test_client_class = FreshContextClient
    return app.test_client(use_cookies=False)


def _kept() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(InboundPost)) or 0


def _send(client: FlaskClient, vector: dict[str, Any]) -> int:
    post, name = shared.request_of(vector), vector["provider"].removesuffix("-webhooks")
    headers = {header: value for header, value in post.headers.items() if header != "content-length"}
    if "form" in vector:
        headers["content-type"] = "application/x-www-form-urlencoded"
    clock = datetime.fromtimestamp(vector["clock"], UTC) if "clock" in vector else datetime(2026, 11, 22, tzinfo=UTC)
    with time_machine.travel(clock, tick=False):
        return client.open(f"/hooks/{name}", method=post.method, headers=headers, data=post.body).status_code


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_cases_of_authentication_end_as_they_say(
    client: FlaskClient, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # S107, S114, S116
    if provider == "mandrill":  # it signs the address of the hook, which here is another one than in the cases
        monkeypatch.setattr(inbox, "accept", _at(VENDORS_URL, inbox.accept))
    for vector in shared.VECTORS.values():
        if vector["provider"] != provider:
            continue
        before = _kept()
        status = _send(client, vector)
        if vector["expect"] == "reject":
            assert status in (401, 403), vector["id"]
        else:
            assert status == 200, vector["id"]
        if vector["expect"] != "accept":
            assert _kept() == before, vector["id"]


def _at(url: str, accept: Callable[..., Any]) -> Callable[..., Any]:
    return lambda hook, post, now: accept(hook, Post(post.method, url, post.headers, post.body), now)


def _is_address(text: str) -> bool:
    try:
        return bool(addresses.parse(text))
    except Invalid:  # such as one at a domain that only stands for an example
        return False


HARD = {Kind.bounced: Cause.bounce, Kind.complained: Cause.complaint}


def test_every_sample_does_what_stands_beside_it(client: FlaskClient, sent: Callable[..., Sent]) -> None:  # S108, S109
    """All 54, twice and in reverse order the second time: those we mailed are suppressed as said, and nobody else."""
    named = {event.get("recipient") or "" for events in shared.EXPECTED.values() for event in events}
    wanted = {email.lower() for email in named if _is_address(email)} | {"jane@example.com"}
    here = sent(*sorted(wanted))
    samples = list(shared.EXPECTED)
    for order in (samples, samples[::-1]):
        for number, sample in enumerate(samples) if order is samples else [(samples.index(one), one) for one in order]:
            inbox.keep(sample.partition("/")[0], "", shared.post_of(sample, f"msg_{number}"), datetime.now(UTC))
        processing.drain()
    counted = select(DeliveryEvent.kind, func.count()).group_by(DeliveryEvent.kind)
    kinds = {kind: count for kind, count in db.session.execute(counted)}  # noqa: C416
    said: dict[Kind, int] = {}
    for events in shared.EXPECTED.values():
        for event in events:
            if event["type"] != "none":
                said[Kind(event["type"])] = said.get(Kind(event["type"]), 0) + 1
    assert kinds == said
    suppressed = register.standing([person.address_hash for person in here.people.values() if person.address_hash])
    for email, person in here.people.items():
        causes = {
            HARD[Kind(event["type"])]
            for events in shared.EXPECTED.values()
            for event in events
            if (event.get("recipient") or "").lower() == email
            and (event["type"] == "complained" or event.get("bounce_class") == "hard")
        }
        strongest = Cause.complaint if Cause.complaint in causes else Cause.bounce if causes else None
        assert suppressed.get(person.address_hash or b"") == strongest, email
