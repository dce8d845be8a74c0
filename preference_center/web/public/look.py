"""GET /look/<digest>.css: the owner's colours, as a stylesheet whose address names its content."""

import time
from dataclasses import dataclass

from flask import current_app, g, make_response, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from preference_center.db import db
from preference_center.errors import NotFound
from preference_center.preferences import branding
from preference_center.web.public import pages

_SECONDS = 5  # how long a process goes on with the look it knows; asking for each page would cost each page a query


@dataclass(frozen=True)
class Shown:
    """What the pages need of the look."""

    name: str = ""
    digest: str = ""
    css: str = ""

    @property
    def href(self) -> str:
        return url_for("public.look", digest=self.digest) if self.digest else ""


def current() -> Shown:
    known: tuple[float, Shown] | None = current_app.extensions.get("look")
    if g.get("database_is_away"):  # whoever waited for it in vain must not wait once more for the colours
        return known[1] if known else Shown()
    if known is None or known[0] < time.monotonic():
        known = current_app.extensions["look"] = (time.monotonic() + _SECONDS, _read())
    return known[1]


def forget() -> None:
    """It was just changed here."""
    current_app.extensions.pop("look", None)


def _read() -> Shown:
    try:
        brand = branding.current()
    except SQLAlchemyError:  # the page that says so must not fail for its colours
        db.session.rollback()
        return Shown()
    return Shown(brand.name, brand.digest, brand.css) if brand else Shown()


@pages.get("/look/<digest>.css")
def look(digest: str) -> ResponseReturnValue:
    if current().digest != digest:
        forget()  # another process may have saved it a moment ago
    if current().digest != digest:
        raise NotFound("")
    answer = make_response(current().css)
    answer.headers["Content-Type"] = "text/css; charset=utf-8"
    return answer
