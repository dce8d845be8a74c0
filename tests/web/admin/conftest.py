"""The console as a browser of a given role sees it: cookies kept, forms filled with the token of the page."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from preference_center import clock
from preference_center.accounts import sessions
from preference_center.accounts.models import User
from preference_center.accounts.permissions import Role
from preference_center.db import db, transaction
from preference_center.topics.models import Topic
from tests.support import make, staff
from tests.web.conftest import FreshContextClient

SITE = "https://mail.example.com"


@dataclass
class Console:
    """One browser."""

    client: FreshContextClient
    token: str = ""

    def get(self, path: str, **more: Any) -> TestResponse:
        return self._seen(self.client.get(path, base_url=SITE, **more))

    def post(self, path: str, data: dict[str, Any] | None = None, **more: Any) -> TestResponse:
        """With the anti-forgery token of the page seen last."""
        return self._seen(self.client.post(path, data={"csrf_token": self.token} | (data or {}), base_url=SITE, **more))

    def text(self, path: str) -> str:
        answer = self.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status}"
        return words(answer)

    def session(self) -> Any:
        return self.client.session_transaction(base_url=SITE)

    def _seen(self, answer: TestResponse) -> TestResponse:
        db.session.rollback()
        found = re.search(r'name="csrf_token" value="([^"]+)"', answer.get_data(as_text=True))
        self.token = found[1] if found else self.token
        return answer


def words(answer: TestResponse) -> str:
    """The page as one reads it: without tags."""
    html = re.sub(r"<(script|style|head).*?</\1>", " ", answer.get_data(as_text=True), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


@pytest.fixture
def anybody(app: Flask) -> Console:
    """A browser that is not signed in."""
    return Console(FreshContextClient(app, app.response_class, use_cookies=True))


@pytest.fixture
def signed_in(app: Flask) -> Iterator[Callable[..., Console]]:
    """`signed_in(Role.viewer)`: a browser of somebody in that role."""

    def enter(role: Role = Role.owner, email: str = "") -> Console:
        console = Console(FreshContextClient(app, app.response_class, use_cookies=True))
        with transaction():
            person = staff.user(email or f"{role}@example.com", role)
            token, uniquifier = sessions.open_for(person, "Test browser"), person.fs_uniquifier
        with console.session() as session:
            session |= {"token": token, "seen": clock.now().timestamp(), "_user_id": uniquifier, "_fresh": True}
        console.get("/admin/account")
        return console

    yield enter


@pytest.fixture
def owner(signed_in: Callable[..., Console]) -> Console:
    return signed_in(Role.owner)


@pytest.fixture
def marketer(signed_in: Callable[..., Console]) -> Console:
    return signed_in(Role.marketer)


@pytest.fixture
def viewer(signed_in: Callable[..., Console]) -> Console:
    return signed_in(Role.viewer)


@pytest.fixture
def news(app: Flask) -> Topic:
    with transaction():
        return make.topic()


@pytest.fixture
def people(news: Topic) -> Topic:
    """The topic with three followers, and two who do not follow it."""
    with transaction():
        for name in ("anna", "bo", "cai"):
            make.follower(news, f"{name}@example.org")
        make.contact("dag@example.org")
        make.contact("eva@example.org")
    return news


def user_named(email: str) -> User:
    db.session.rollback()
    return db.session.query(User).filter_by(email=email).one()
