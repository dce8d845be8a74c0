"""Spares the public pages what extensions would do around every request: a user is looked for in the console alone.

A view with a limit asks the limiter by itself beforehand, so nobody asks for the views that have none. Afterwards it is asked where
a limit counts by the answer.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Flask, Request, Response, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

_USERS = ("flask_login", "flask_principal", "flask_security")
_LIMITS = "flask_limiter"
_CONSOLE = "admin"  # the blueprint
_COUNT_BY_THE_ANSWER = {"public.signed_up"}  # views whose limit has a `deduct_when`


def init(app: Flask) -> None:
    """After the extensions, and before the console adds its own, which look at the user."""
    counting = [hook for hook in app.after_request_funcs.get(None, []) if _maker(hook) == _LIMITS]
    for hooks in (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs):
        everywhere: list[Callable[..., Any]] = hooks.get(None, [])  # type: ignore[assignment]
        hooks[None] = [hook for hook in everywhere if _maker(hook) not in (*_USERS, _LIMITS)]
        hooks[_CONSOLE] = [hook for hook in everywhere if _maker(hook) in _USERS]
    app.after_request_funcs[None].extend(_where_it_counts(hook) for hook in counting)
    app.session_interface = _Sessions()


def _where_it_counts(hook: Callable[[Response], Any]) -> Callable[[Response], Any]:
    return lambda response: hook(response) if request.endpoint in _COUNT_BY_THE_ANSWER else response


class _Sessions(SecureCookieSessionInterface):
    """Who brings no cookie has no session, which needs no key to find out."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)


def _maker(hook: Callable[..., Any]) -> str:
    """The package a hook comes from."""
    return (hook.func if isinstance(hook, partial) else hook).__module__.partition(".")[0]
