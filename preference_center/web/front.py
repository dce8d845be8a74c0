"""What stands before Flask: it answers the requests that come most, from the bare request, at a fraction of what Flask costs.

A door answers the plain case, by the functions that its view calls, so both say the same. For all else it has no answer, and the
request goes on to Flask as it came. What went wrong goes with it and is raised there: one place answers for it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Flask, g, request
from flask.typing import ResponseReturnValue
from werkzeug.wsgi import get_host

from preference_center import i18n
from preference_center.web import headers

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

TEXT, HTML = "text/plain; charset=utf-8", "text/html; charset=utf-8"
_TOKEN = re.compile("[A-Za-z0-9._-]+")
_FAULT = "preference_center.fault"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said, as text of a kind."""

    text: str
    status: int = HTTPStatus.OK
    kind: str = TEXT
    more: tuple[tuple[str, str], ...] = ()

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Its own; those that all answers have come on top."""
        return [("Content-Type", self.kind), *self.more]


Door = Callable[["WSGIEnvironment", str], Answer | None]  # takes the request, and what follows its place in the path


def init(app: Flask, doors: Mapping[tuple[str, str], Door]) -> None:
    """`doors` by method and place, which is the first part of the path."""
    app.before_request(_raise_what_went_wrong)
    app.wsgi_app = Front(app, doors)  # type: ignore[method-assign]


class Front:
    """The WSGI function before Flask."""

    def __init__(self, app: Flask, doors: Mapping[tuple[str, str], Door]) -> None:
        self.site: WSGIApplication = app.wsgi_app
        self._app, self._doors = app, doors
        with app.app_context():
            self._headers = headers.of_private_answers()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        _, place, rest = (*environ.get("PATH_INFO", "").split("/", 2), "", "")[:3]
        door = self._doors.get((environ["REQUEST_METHOD"], place))
        answer = self._ask(door, environ, rest) if door else None
        if answer is None:
            return self.site(environ, start_response)
        body, status = answer.text.encode(), HTTPStatus(answer.status)
        length = ("Content-Length", str(len(body)))
        start_response(f"{status.value} {status.phrase}", [*answer.headers, length, *self._headers])
        return [body]

    def _ask(self, door: Door, environ: "WSGIEnvironment", rest: str) -> Answer | None:
        """In a context of its own, which gives back what it borrowed from the database, however it ends."""
        with self._app.app_context():
            try:
                return door(environ, rest) if headers.names_us(_host(environ.get("HTTP_HOST", ""))) else None
            except Exception as fault:
                environ[_FAULT] = fault, g.get("language")
                return None


@lru_cache(maxsize=256)
def _host(said: str) -> str:
    """As Flask reads it."""
    return get_host({"HTTP_HOST": said, "wsgi.url_scheme": "https"})


def by_flask(answer: Answer) -> ResponseReturnValue:
    """The same answer, from a view."""
    return answer.text, answer.status, answer.headers


def is_plain(environ: "WSGIEnvironment", token: str) -> bool:
    """Whether the address is that of a link as we write them, with nothing added."""
    return not environ.get("QUERY_STRING") and _TOKEN.fullmatch(token) is not None


def _raise_what_went_wrong() -> None:
    """As if it had gone wrong in the view, in the language spoken there."""
    if _FAULT in request.environ:
        fault, language = request.environ[_FAULT]
        if language:
            i18n.speak(language)
        raise fault
