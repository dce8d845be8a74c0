"""The door with its hooks set up, and a provider to post as: made-up events, signed as the provider would."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from preference_center import clock, providers
from preference_center.config import Settings
from preference_center.db import db
from preference_center.delivery.events.models import DeliveryEvent
from preference_center.providers.base import Post
from preference_center.webhooks import refusals
from preference_center.webhooks.models import InboundPost
from tests.conftest import make_settings
from tests.delivery.events.conftest import sent  # noqa: F401 - a fixture
from tests.providers.shared import FOLDER
from tests.web.conftest import FreshContextClient

collect_ignore = [] if FOLDER.is_dir() else ["test_shared.py", "test_shared_reports.py"]

HOOKS = {
    "MAILGUN_KEYS": "an-http-webhook-signing-key the-key-before-it-00",
    "SPARKPOST_LOGINS": "hook:a-password-nobody-guesses-00",
    "POSTMARK_LOGINS": "hook:a-password-nobody-guesses-00",
    "MANDRILL_KEYS": "a-key-of-mandrill-0000000",
    "STANDARD_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    return make_settings(tmp_path, database, hooks=HOOKS)


@pytest.fixture(autouse=True)
def counted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals are written as they come, not every five seconds."""
    monkeypatch.setattr(refusals, "EVERY", 0.0)


@dataclass
class Door:
    """Posts to /hooks/… and looks at what was kept."""

    app: Flask
    client: FlaskClient

    def send(self, provider: str, post: Post, path: str = "") -> TestResponse:
        return self.client.open(
            path or f"/hooks/{provider}", method=post.method, headers=dict(post.headers), data=post.body
        )

    def sample(
        self, provider: str, mark: str = "1-none", recipient: str = "anna@example.org", now: datetime | None = None
    ) -> Post:
        """A delivered event, signed with the secret that is set here."""
        with self.app.app_context():
            secrets = self.app.extensions["hooks"][provider].secrets
            url = f"https://mail.example.com/hooks/{provider}"
            return providers.named(provider).sample(secrets, url, mark, recipient, now or clock.now())

    def posts(self) -> int:
        return db.session.scalar(select(func.count()).select_from(InboundPost)) or 0

    def events(self) -> list[DeliveryEvent]:
        return list(db.session.scalars(select(DeliveryEvent).order_by(DeliveryEvent.id)))


@pytest.fixture
def door(app: Flask) -> Door:
    app.test_client_class = FreshContextClient
    return Door(app, app.test_client(use_cookies=False))
