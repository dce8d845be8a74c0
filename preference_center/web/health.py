"""Whether this process is alive, and whether it can serve: the database answers. Redis is not asked; pages live without it."""

from flask import Blueprint, Flask
from flask.typing import ResponseReturnValue
from sqlalchemy import text

from preference_center.db import db

pages = Blueprint("health", __name__)


def init(app: Flask) -> None:
    app.register_blueprint(pages)


@pages.get("/healthz")
def alive() -> ResponseReturnValue:
    return _line("alive")


@pages.get("/readyz")
def ready() -> ResponseReturnValue:
    db.session.execute(text("SELECT 1"))
    return _line("ready")


def _line(word: str) -> ResponseReturnValue:
    return f"{word}\n", 200, {"Content-Type": "text/plain; charset=utf-8"}
