"""What a provider's POST to /hooks/… is answered, from the bare request, so that it need not pass through Flask (a third of its cost).

`take` is its door before Flask (`front.py`); a path that is none of ours goes on to Flask, whose route gives the same answers.
Providers come in bursts, and each answer waits for nothing but its commit.
"""

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.sansio.utils import get_content_length

from preference_center import clock
from preference_center.errors import DomainError, NotFound
from preference_center.providers.base import Forged, Post
from preference_center.web import errors
from preference_center.web.front import Answer
from preference_center.webhooks import hooks, inbox, refusals, ringing
from preference_center.webhooks.hooks import Hook
from preference_center.webhooks.shapes import Misshapen

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

_NAMED = re.compile(r"([a-z0-9_-]+)(?:/([a-z0-9_-]+))?")
_ROUTE = "/hooks/<provider>"
_RETRY = 60  # seconds


class _TooLarge(Exception):
    """More than anybody sends in one post."""


def take(environ: "WSGIEnvironment", named: str) -> Answer | None:
    """The door before Flask, for a provider's name and perhaps an account's."""
    asked = _NAMED.fullmatch(named)
    if asked is None:
        return None
    try:
        return answer(environ, *asked.groups(""))
    except Exception as fault:  # a fault of ours: a program is told so in a line, not by a page
        errors.note("hook.crashed", fault, _ROUTE)
        return line("Something went wrong on our side.", HTTPStatus.INTERNAL_SERVER_ERROR)


def answer(environ: "WSGIEnvironment", provider: str, account: str) -> Answer:
    """Store the post, if it proves where it comes from; what its provider hears."""
    try:
        hook = hooks.at(provider, account)
        greeting = _accept(hook, environ)
    except Forged as fault:
        refusals.add(hook.provider.name, str(fault))
        proof = ("WWW-Authenticate", 'Basic realm="hooks"')
        return line("This post does not prove where it comes from.", HTTPStatus.UNAUTHORIZED, proof)
    except Misshapen as fault:
        refusals.add(hook.provider.name, str(fault))
        return line(f"Not stored: {fault}.", fault.status)
    except _TooLarge:
        refusals.add(hook.provider.name, "too large")
        return line("Not stored: the body is larger than a megabyte.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    except SQLAlchemyError as trouble:  # nothing is stored, so the provider is asked to come again (D4)
        errors.note("hook.database_away", trouble, _ROUTE)
        return _later("Nothing can be stored now.")
    except NotFound as unknown:
        return line(unknown.message, HTTPStatus.NOT_FOUND)
    except DomainError as trouble:
        errors.note("hook.not_now", trouble, _ROUTE)
        return _later("This cannot be checked now.")
    return line("Stored." if greeting is None else greeting)


def _accept(hook: Hook, environ: "WSGIEnvironment") -> str | None:
    greeting = inbox.accept(hook, post_of(environ, _body(environ)), clock.now())
    if greeting is None:
        ringing.ring()
    return greeting


def _body(environ: "WSGIEnvironment") -> bytes:
    """The raw body, never more than the limit, whatever its headers claim."""
    if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        raise Misshapen(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is compressed")
    coding = environ.get("HTTP_TRANSFER_ENCODING")
    length = get_content_length(environ.get("CONTENT_LENGTH"), coding)
    if length is not None and length > inbox.LARGEST:
        raise _TooLarge
    if length is None and "chunked" not in (coding or "").lower():
        return b""
    body: bytes = environ["wsgi.input"].read(inbox.LARGEST + 1 if length is None else length)
    if len(body) > inbox.LARGEST:
        raise _TooLarge
    return body


def post_of(environ: "WSGIEnvironment", body: bytes) -> Post:
    """The request as providers see it: under the public address, header names in small letters."""
    path, query = environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")
    url = current_app.extensions["settings"].public_url + path + (f"?{query}" if query else "")
    return Post(environ["REQUEST_METHOD"], url, _headers(environ), body)


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    found = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            found[name.replace("_", "-").lower()] = environ[name]
    return found


def _later(words: str) -> Answer:
    return line(words, HTTPStatus.SERVICE_UNAVAILABLE, ("Retry-After", str(_RETRY)))


def line(words: str, status: int = HTTPStatus.OK, *more: tuple[str, str]) -> Answer:
    """A line of plain text, as every provider gets."""
    return Answer(f"{words}\n", status, more=more)
