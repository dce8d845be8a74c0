"""Tries a hook out: a made-up event, signed as its provider would, posted to the running instance like any other.

Where nobody but the provider can sign, it looks out for a post that the provider was made to send.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TypeVar
from urllib.parse import urlsplit

from flask import current_app
from sqlalchemy import select

from preference_center import clock
from preference_center.config import Settings
from preference_center.db import db
from preference_center.delivery import marks
from preference_center.delivery.events import recording
from preference_center.delivery.events.models import DeliveryEvent
from preference_center.delivery.marks import Place
from preference_center.errors import Unavailable
from preference_center.webhooks import hooks, refusals
from preference_center.webhooks.models import InboundPost, PostState

NOBODY = "test@example.invalid"
PATIENCE = 15.0  # seconds
Found = TypeVar("Found")


@dataclass(frozen=True)
class Tried:
    status: int
    words: str
    seconds: float
    event: str | None  # public id, once a worker has read the post


@dataclass(frozen=True)
class Arrived:
    """What came while we looked out."""

    post: str | None  # public id of the first one taken
    seconds: float
    read: bool = False
    events: int = 0
    refused: dict[str, int] = field(
        default_factory=dict
    )  # posts that did not prove themselves meanwhile, by the check that failed


def post_sample(path: str, to: str | None = None, wait: float = PATIENCE) -> Tried:
    """Post a made-up event to /hooks/<path>. It is about nobody and changes nothing. `to`: another way to the same instance."""
    settings: Settings = current_app.extensions["settings"]
    provider, _, name = path.partition("/")
    hook = hooks.at(provider, name)
    url = f"{settings.public_url}/hooks/{path}"
    begun = clock.now()
    mark = marks.make(recording.TEST, Place.metadata)
    post = hook.provider.sample(hook.secrets, url, mark, NOBODY, begun)
    started = time.perf_counter()
    status, words = _send(f"{(to or settings.public_url).rstrip('/')}/hooks/{path}", post.headers, post.body)
    seconds = time.perf_counter() - started
    return Tried(status, words, seconds, _wait_for(hook.provider.name, begun, wait) if status == 200 else None)


def reach(path: str, to: str | None = None) -> None:
    """That the hook's address answers; nothing is posted. Unavailable tells what it answers instead."""
    settings: Settings = current_app.extensions["settings"]
    url = f"{(to or settings.public_url).rstrip('/')}/hooks/{path}"
    status, words = _send(url, {}, b"", method="GET")
    if status != HTTPStatus.OK:
        raise Unavailable(f"{url} answered {status}: {words}")


def look_out(path: str, seconds: float) -> Arrived:
    """The first post taken at /hooks/<path> from now on."""
    provider, _, name = path.partition("/")
    before, begun, started = refusals.today(), clock.now(), time.monotonic()
    found = _until(lambda: _first_since(begun, provider, name), seconds)
    waited = time.monotonic() - started
    if found is None:
        more = {
            reason: count - before.get((at, reason), 0)
            for (at, reason), count in refusals.today().items()
            if at == provider
        }
        return Arrived(None, waited, refused={reason: count for reason, count in more.items() if count})
    number, public_id = found.id, found.public_id
    read = _until(lambda: db.session.get(InboundPost, number), PATIENCE, lambda post: post.state is not PostState.new)
    return Arrived(public_id, waited, read is not None, read.events if read else 0)


def _first_since(begun: datetime, provider: str, name: str) -> InboundPost | None:
    since = select(InboundPost).where(InboundPost.provider == provider, InboundPost.name == name)
    return db.session.scalar(since.where(InboundPost.received_at >= begun).order_by(InboundPost.id).limit(1))


def _send(url: str, headers: object, body: bytes, method: str = "POST") -> tuple[int, str]:
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=PATIENCE)
    try:
        connection.request(method, parts.path, body, dict(headers))  # type: ignore[call-overload]
        answer = connection.getresponse()
        return answer.status, answer.read(500).decode("utf-8", "replace").strip()
    except (OSError, HTTPException) as trouble:
        raise Unavailable(f"{parts.scheme}://{parts.netloc} does not answer ({trouble}). Is the web server running?")
    finally:
        connection.close()


def _wait_for(source: str, begun: datetime, seconds: float) -> str | None:
    """The event, when a worker has read the post."""
    found = select(DeliveryEvent.public_id).where(
        DeliveryEvent.source == source,
        DeliveryEvent.message_id == recording.TEST,
        DeliveryEvent.received_at >= begun - timedelta(seconds=2),
    )
    return _until(lambda: db.session.scalar(found.order_by(DeliveryEvent.id.desc())), seconds)


def _until(
    look: Callable[[], Found | None], seconds: float, enough: Callable[[Found], bool] = lambda _: True
) -> Found | None:
    """What is found, as soon as it is there; none when the time is over."""
    end = time.monotonic() + seconds
    while True:
        db.session.rollback()  # see what others have committed
        found = look()
        if found is not None and enough(found):
            return found
        if time.monotonic() > end:
            return None
        time.sleep(0.2)
