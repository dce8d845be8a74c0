"""Turns what went wrong into a status and a page; nowhere else does a status code follow from an error of the house."""

import secrets
import traceback
from http import HTTPStatus

import structlog
from flask import Flask, Response, g, make_response, render_template, request
from sqlalchemy.exc import DataError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError

from preference_center.errors import Conflict, DomainError, Invalid, NotAllowed, NotFound, Unavailable
from preference_center.i18n import gettext as _

log = structlog.get_logger()

_STATUS: dict[type[DomainError], int] = {NotFound: 404, NotAllowed: 403, Invalid: 400, Conflict: 409, Unavailable: 503}


def init(app: Flask) -> None:
    app.log_exception = lambda exc_info: None  # type: ignore[method-assign] # Flask's own line names the whole address
    app.register_error_handler(DomainError, domain_error)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(InternalServerError, crash)
    app.register_error_handler(DataError, impossible)
    app.register_error_handler(OperationalError, database_away)
    app.register_error_handler(PoolTimeout, database_away)
    app.register_error_handler(InternalError, database_away)  # PostgreSQL in recovery or told to be read only


def domain_error(error: DomainError) -> Response:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 400)
    # what says that nothing is there is in English, for staff; people are told so in their language
    of_staff = isinstance(error, NotFound) and request.blueprint == "public"
    return page(status, "" if of_staff else error.message)


def http_error(error: HTTPException) -> Response:
    """Any error of the web itself; one that brings its own answer (a redirect, a page) keeps it."""
    if error.response is not None:
        return make_response(error.response)
    answer = page(error.code or 500)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            answer.headers[name] = value
    return answer


def crash(error: InternalServerError) -> Response:
    return page(500, reference=note("page.crashed", error.original_exception))


def impossible(error: Exception) -> Response:
    """A value that the database cannot hold, such as a NUL in an address: whoever asked made it up."""
    return page(400, reference=note("page.impossible_value", error))


def database_away(error: Exception) -> Response:
    g.database_is_away = True
    return page(503, reference=note("page.database_away", error))


def page(status: int, message: str = "", reference: str = "") -> Response:
    """The one error page. `message` is in words for a person; without it the status speaks."""
    title, text = _words(status)
    html = render_template("errors/error.html", status=status, title=title, text=message or text, reference=reference)
    answer = make_response(html, status)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = "120"
    return answer


def note(event: str, error: object, route: str = "") -> str:
    """Log by the route's pattern and the places in the code. The address may hold a token, and an error's text anything."""
    reference = secrets.token_hex(4)
    route = route or (request.url_rule.rule if request.url_rule else "?")
    frames = [
        f"{frame.name} {frame.filename}:{frame.lineno}"
        for frame in traceback.extract_tb(getattr(error, "__traceback__", None))
    ]
    log.error(event, reference=reference, route=route, error=type(error).__name__, where=frames[-8:])
    return reference


def _words(status: int) -> tuple[str, str]:
    known = {
        400: (_("We could not read that"), _("What was sent is not complete. Go back and try once more.")),
        403: (
            _("This is not open to you"),
            _("Your role does not allow this, or the page was sent from another site."),
        ),
        404: (_("There is nothing here"), _("The address may be cut off or mistyped, or the page has gone.")),
        405: (_("This page cannot do that"), _("Go back and use the buttons of the page.")),
        409: (_("Somebody changed this meanwhile"), _("Load the page again to see how it stands now.")),
        413: (_("That is too large"), _("What was sent is larger than this page takes.")),
        429: (_("Too many tries in a short time"), _("Wait a few minutes, then try again.")),
        503: (
            _("We cannot save anything at the moment"),
            _("Nothing was changed. Try again in a few minutes."),
        ),
    }
    fallback = (_("Something went wrong on our side"), _("Nothing you did caused this. Try again in a few minutes."))
    return known.get(status, known[400] if 400 <= status < 500 else fallback)
