"""The inbox pages of the demo: a list, and each mail as HTML, text and source. GET writes nothing.

Only for loopback: a request that names another host, or a POST from another site, is refused.
"""

import base64
import re
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, render_template, request
from flask.typing import ResponseReturnValue

from preference_center import config, i18n, lifelines
from preference_center.catcher import one_click, store
from preference_center.catcher.store import Inbox
from preference_center.config import Settings

_PACKAGE = Path(__file__).parents[1]
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_PAGE = 50
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
# The mail's own HTML runs in a frame that may do nothing but show, and open its links in a new tab.
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: 'self'; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)


def site(settings: Settings | None = None) -> Flask:
    """The pages of the inbox in DATA_DIR."""
    lifelines.tie_to_forker()
    settings = settings or config.read()
    assets = _PACKAGE / "_assets" if (_PACKAGE / "_assets").is_dir() else _PACKAGE.parent
    app = Flask(__name__, template_folder=str(assets / "templates"), static_folder=str(assets / "static"))
    app.config.update(SECRET_KEY=settings.secret_key, MAX_CONTENT_LENGTH=16 * 1024)
    app.extensions["settings"] = settings
    app.extensions["inbox"] = Inbox(settings.data_dir / "inbox")
    i18n.init(app, settings.default_language)
    app.jinja_env.filters["when"] = _when
    app.context_processor(lambda: {"organisation": settings.organisation})
    app.before_request(_only_from_here)
    app.after_request(_dress)
    app.add_url_rule("/", "inbox", inbox)
    app.add_url_rule("/mail/<int:number>", "mail", mail)
    app.add_url_rule("/mail/<int:number>/html", "html", html)
    app.add_url_rule("/mail/<int:number>/one-click", "unsubscribe", unsubscribe, methods=["POST"])
    return app


def inbox() -> ResponseReturnValue:
    recipient = request.args.get("to", "").strip()
    lines = _inbox().lines(recipient, request.args.get("before", type=int), _PAGE + 1)
    older = lines[_PAGE - 1].id if len(lines) > _PAGE else None
    return render_template(
        "catcher/inbox.html", lines=lines[:_PAGE], to=recipient, older=older, total=_inbox().count(),
        newest="before" not in request.args,
    )  # fmt: skip


def mail(number: int) -> ResponseReturnValue:
    return _show(number)


def html(number: int) -> ResponseReturnValue:
    _, _, message = _mail(number)
    body = _part(message, "html")
    if body is None:
        abort(404)
    response = Response(_with_new_tabs(_with_own_images(body, message)), mimetype="text/html")
    response.headers["Content-Security-Policy"] = _MAIL_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def unsubscribe(number: int) -> ResponseReturnValue:
    """Do what a mailbox provider does when its own unsubscribe button is pressed (RFC 8058)."""
    _, _, message = _mail(number)
    outcome = one_click.press(message, _settings().public_url)
    return _show(number, outcome=outcome), 200 if outcome.done else 502


def _show(number: int, outcome: one_click.Outcome | None = None) -> str:
    line, raw, message = _mail(number)
    text, has_html = _part(message, "plain"), _part(message, "html") is not None
    wanted = request.args.get("as", "html")
    view = wanted if wanted in ("text", "source", "headers") or (wanted == "html" and has_html) else "text"
    return render_template(
        "catcher/mail.html",
        line=line,
        view=view,
        sender=str(message.get("From", "")),
        text=text or "",
        has_html=has_html,
        headers=[(name, str(value)) for name, value in message.items()],
        source=raw.decode("utf-8", "replace"),
        one_click=one_click.address(message, _settings().public_url),
        outcome=outcome,
    )


def _mail(number: int) -> tuple[store.Line, bytes, EmailMessage]:
    found = _inbox().raw(number)
    if found is None:
        abort(404)
    line, raw = found
    return line, raw, store.parse(raw)


def _part(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    if part is None:
        return None
    content = part.get_content()
    return content if isinstance(content, str) else None


def _with_own_images(body: str, message: EmailMessage) -> str:
    """Images that travel in the mail are shown; nothing is fetched from elsewhere."""

    def inlined(found: re.Match[str]) -> str:
        for part in message.walk():
            if part.get("Content-ID", "").strip("<>") == found[1] and part.get_content_maintype() == "image":
                data = cast(bytes, part.get_payload(decode=True) or b"")
                return f"data:{part.get_content_type()};base64,{base64.b64encode(data).decode()}"
        return found[0]

    return re.sub(r"cid:([^\"'\s)>]+)", inlined, body)


def _with_new_tabs(body: str) -> str:
    base = '<base target="_blank">'
    head = re.search(r"<head[^>]*>", body, re.IGNORECASE)
    return body[: head.end()] + base + body[head.end() :] if head else base + body


def _only_from_here() -> None:
    """Refuse other hosts (DNS rebinding) and other sites' forms; whoever runs the demo is the only visitor."""
    if urlsplit(f"//{request.host}").hostname not in _LOOPBACK:
        abort(403)
    if request.method == "POST":
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        origin = request.headers.get("Origin", request.host_url.rstrip("/"))
        if site != "same-origin" or origin != request.host_url.rstrip("/"):
            abort(403)


def _dress(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", _POLICY)
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers["Referrer-Policy"] = "no-referrer" if request.endpoint == "html" else "same-origin"
    if request.endpoint != "static":
        headers["Cache-Control"] = "no-store"
    return response


def _when(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment).astimezone():%H:%M:%S}"


def _inbox() -> Inbox:
    made: Inbox = current_app.extensions["inbox"]
    return made


def _settings() -> Settings:
    made: Any = current_app.extensions["settings"]
    settings: Settings = made
    return settings
