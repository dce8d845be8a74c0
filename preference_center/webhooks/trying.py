"""Tries a hook out: a made-up event, signed as its provider would, posted to the running instance like any other."""

import time
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection, HTTPException, HTTPSConnection
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
from preference_center.webhooks import hooks

NOBODY = "test@example.invalid"
_SECONDS = 15.0


@dataclass(frozen=True)
class Tried:
    status: int
    words: str
    seconds: float
    event: str | None  # public id, once a worker has read the post


def post_sample(path: str, to: str | None = None, wait: float = _SECONDS) -> Tried:
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


def _send(url: str, headers: object, body: bytes) -> tuple[int, str]:
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_SECONDS)
    try:
        connection.request("POST", parts.path, body, dict(headers))  # type: ignore[call-overload]
        answer = connection.getresponse()
        return answer.status, answer.read(500).decode("utf-8", "replace").strip()
    except (OSError, HTTPException) as trouble:
        raise Unavailable(f"{parts.scheme}://{parts.netloc} does not answer ({trouble}). Is the web server running?")
    finally:
        connection.close()


def _wait_for(source: str, begun: object, seconds: float) -> str | None:
    """The event, when a worker has read the post."""
    end = time.monotonic() + seconds
    found = select(DeliveryEvent.public_id).where(
        DeliveryEvent.source == source,
        DeliveryEvent.message_id == recording.TEST,
        DeliveryEvent.received_at >= begun - timedelta(seconds=2),  # type: ignore[operator]
    )
    while True:
        db.session.rollback()  # see what others have committed
        event = db.session.scalar(found.order_by(DeliveryEvent.id.desc()))
        if event is not None or time.monotonic() > end:
            return event
        time.sleep(0.2)
