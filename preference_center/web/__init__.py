"""The doors for people: registers the blueprints, error pages and security headers."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask

from preference_center.contacts.addresses import mask
from preference_center.web import admin, errors, front, guards, headers, health, hook_posts, hooks, public, sparing
from preference_center.web.public import unsubscribe
from preference_center.web.public.managing import preferences

_BEFORE_FLASK = {
    ("GET", "p"): preferences.look,
    ("POST", "u"): unsubscribe.one_click,
    ("POST", "hooks"): hook_posts.take,
}


def init(app: Flask) -> None:
    """Join all pages to the app."""
    headers.init(app)
    errors.init(app)
    guards.init(app)
    sparing.init(app)
    health.init(app)
    hooks.init(app)
    public.init(app)
    admin.init(app)
    front.init(app, _BEFORE_FLASK)
    app.context_processor(lambda: _sender(app))
    app.jinja_env.globals["masked"] = mask
    app.url_defaults(lambda endpoint, values: _add_digest(app, endpoint, values))


def _sender(app: Flask) -> dict[str, Any]:
    """Who speaks on every page."""
    settings = app.extensions["settings"]
    return {
        "organisation": settings.organisation,
        "postal_address": settings.postal_address,
        "privacy_url": settings.privacy_url,
        "contact_email": settings.contact_email or settings.from_address,
    }


def _add_digest(app: Flask, endpoint: str, values: dict[str, Any]) -> None:
    """A static file's address names its content, so browsers may keep it for ever."""
    if endpoint == "static" and "filename" in values and app.static_folder:
        file = Path(app.static_folder) / values["filename"]
        if file.is_file():
            values["v"] = _digest(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(file: Path, _changed: int) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:10]
