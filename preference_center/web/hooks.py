"""POST /hooks/<provider>[/<name>]: what mail providers report. No cookie, no session, no form; short plain answers, in milliseconds.

A post that does not prove itself is answered 401, so that a provider tries again once the secret is mended; only a counter keeps it.
The limits of pages do not count here: providers come in bursts from few networks, and a refused post costs nothing.
"""

from http import HTTPStatus

from flask import Blueprint, Flask, current_app, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from preference_center import clock
from preference_center.errors import DomainError, NotFound
from preference_center.providers.base import Forged, Post
from preference_center.web import errors
from preference_center.webhooks import hooks, inbox, refusals, ringing
from preference_center.webhooks.shapes import Misshapen

pages = Blueprint("hooks", __name__, url_prefix="/hooks")
_RETRY = 60  # seconds


class _TooLarge(Exception):
    """More than anybody sends in one post."""


def init(app: Flask) -> None:
    app.register_blueprint(pages)


@pages.get("/<provider>")
@pages.get("/<provider>/<account>")
def greet(provider: str, account: str = "") -> ResponseReturnValue:
    """Also HEAD, which some send when a hook is made. Says no more than that this address is the right one."""
    hook = hooks.at(provider, account)
    greeting = hook.provider.greet(_post(b""), hook.secrets)
    return _words(greeting or f"Events of {hook.provider.name} are taken here, by POST.")


@pages.post("/<provider>")
@pages.post("/<provider>/<account>")
def receive(provider: str, account: str = "") -> ResponseReturnValue:
    hook = hooks.at(provider, account)
    try:
        greeting = inbox.accept(hook, _post(_body()), clock.now())
    except Forged as fault:
        refusals.add(hook.provider.name, str(fault))
        words, status, headers = _words("This post does not prove where it comes from.", HTTPStatus.UNAUTHORIZED)
        return words, status, headers | {"WWW-Authenticate": 'Basic realm="hooks"'}
    except Misshapen as fault:
        refusals.add(hook.provider.name, str(fault))
        return _words(f"Not stored: {fault}.", fault.status)
    except _TooLarge:
        refusals.add(hook.provider.name, "too large")
        return _words("Not stored: the body is larger than a megabyte.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if greeting is None:
        ringing.ring()
    return _words("Stored." if greeting is None else greeting)


def _body() -> bytes:
    """The raw body, never more than the limit, whatever its headers claim."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise Misshapen(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is compressed")
    length = request.content_length
    if length is not None and length > inbox.LARGEST:
        raise _TooLarge
    if length is None and "chunked" not in request.headers.get("Transfer-Encoding", "").lower():
        return b""
    body: bytes = request.environ["wsgi.input"].read(inbox.LARGEST + 1 if length is None else length)
    if len(body) > inbox.LARGEST:
        raise _TooLarge
    return body


def _post(body: bytes) -> Post:
    """The request as providers see it: under the public address, header names in small letters."""
    query = request.query_string.decode("latin-1")
    url = current_app.extensions["settings"].public_url + request.path + (f"?{query}" if query else "")
    return Post(request.method, url, {name.lower(): value for name, value in request.headers.items()}, body)


def _words(text: str, status: int = HTTPStatus.OK) -> tuple[str, int, dict[str, str]]:
    return f"{text}\n", status, {"Content-Type": "text/plain; charset=utf-8"}


@pages.errorhandler(SQLAlchemyError)
def database_away(error: SQLAlchemyError) -> ResponseReturnValue:
    """Nothing is stored, so the provider is asked to come again (D4)."""
    errors.note("hook.database_away", error)
    return _later("Nothing can be stored now.")


@pages.errorhandler(DomainError)
def refused(error: DomainError) -> ResponseReturnValue:
    if isinstance(error, NotFound):
        return _words(error.message, HTTPStatus.NOT_FOUND)
    errors.note("hook.not_now", error)
    return _later("This cannot be checked now.")


def _later(text: str) -> ResponseReturnValue:
    words, status, headers = _words(text, HTTPStatus.SERVICE_UNAVAILABLE)
    return words, status, headers | {"Retry-After": str(_RETRY)}
