"""GET, POST /u/<token>: leaving. One click of a mail program (RFC 8058), or one press of a button on the page.

No log-in, no cookie, no anti-forgery value, no second question; twice is fine. GET changes nothing.
"""

from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from flask import render_template, request
from flask.typing import ResponseReturnValue

from preference_center import clock, i18n
from preference_center.consent import standing
from preference_center.consent.models import State
from preference_center.contacts import queries as contacts
from preference_center.contacts.queries import Person
from preference_center.db import transaction
from preference_center.errors import Conflict, NotFound
from preference_center.i18n import gettext as _
from preference_center.preferences import choices, confirmation, offer
from preference_center.preferences.choices import Change
from preference_center.signed_links import Power
from preference_center.topics import catalogue
from preference_center.topics.models import Topic
from preference_center.web import front
from preference_center.web.front import Answer
from preference_center.web.guards import DeadLink, Link, known, payload_of, signed_link
from preference_center.web.public import acts, pages

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

_LINE, _FORM = b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"


@pages.get("/u/<token>")
@signed_link(Power.unsub)
def unsubscribe(link: Link) -> ResponseReturnValue:
    return _ask(link)


@pages.post("/u/<token>")
@signed_link(Power.unsub)
def leave(link: Link) -> ResponseReturnValue:
    scope = _scope(link.carries)
    if request.form.get("List-Unsubscribe", "").rstrip("\r\n") == "One-Click":
        payload = [link.held.public_id, *link.carries]
        return front.by_flask(_leave_at_once(payload, request.environ, i18n.current_language()))
    stop = request.form.get("stop")
    if stop == "all" or (stop == "topic" and scope.topic):
        meant = scope if stop == "topic" else replace(scope, topic=None)
        with transaction():
            change = _stop(contacts.person(link.held.public_id), meant, "link", request.environ)
        return _left(link, change, all_of_it=stop == "all")
    if request.form.get("undo"):
        return _undo(link)
    if request.form.get("send") == "link":
        return _send_link(link)
    return _ask(link), 400  # nothing we know, so nothing changes (S36)


def one_click(environ: "WSGIEnvironment", token: str) -> Answer | None:
    """The door before Flask for what mail programs send, which is nothing but the line of RFC 8058."""
    if not front.is_plain(environ, token) or not _says_one_click(environ):
        return None
    payload = payload_of(Power.unsub, token)  # a forged one must not wait for its turn to write
    try:
        return _leave_at_once(payload, environ) if payload else None
    except DeadLink:  # explained by the view, in the language of whom the link was made for
        return None


def _says_one_click(environ: "WSGIEnvironment") -> bool:
    kind, length = environ.get("CONTENT_TYPE", ""), environ.get("CONTENT_LENGTH")
    if kind != _FORM or length != str(len(_LINE)) or "HTTP_TRANSFER_ENCODING" in environ:
        return False
    body = environ["wsgi.input"].read(len(_LINE))
    environ["wsgi.input"] = BytesIO(body)  # Flask reads it again if it is another one
    return bool(body == _LINE)


def _leave_at_once(payload: list[Any], environ: "WSGIEnvironment", language: str = "") -> Answer:
    """Whose link it is is asked where it is obeyed: this one looks up nobody before."""
    scope = _scope(payload[1:])
    with transaction():
        whose, _carries = known(contacts.person, Power.unsub, payload)
        spoken = i18n.speak(language or whose.language)
        _stop(whose, scope, "one_click", environ, spoken)
    return Answer(_goodbye(spoken, forgotten=whose.erased_at is not None))


@cache
def _goodbye(language: str, *, forgotten: bool) -> str:
    with i18n.in_language(language):
        return f"{_('This link is from an earlier sign-up')}.\n" if forgotten else _("You are unsubscribed.") + "\n"


@dataclass(frozen=True)
class _Scope:
    """What the link leaves: one topic, or with none all marketing."""

    topic: Topic | None
    message_id: int


def _scope(carries: list[Any]) -> _Scope:
    try:
        key, message_id = carries
        return _Scope(None if key == "*" else offer.topic(str(key)), int(message_id))
    except (ValueError, NotFound):
        raise DeadLink("This link opens nothing.") from None


def _ask(link: Link) -> str:
    scope = _scope(link.carries)
    return _page("public/unsubscribe.html", link, topic_is_on=_is_on(link, scope.topic), anything_is_on=_is_on(link))


def _stop(whose: Person, scope: _Scope, source: str, environ: "WSGIEnvironment", language: str = "") -> Change:
    """Of somebody we have forgotten there is nothing left to stop."""
    if whose.erased_at is not None:
        return Change()
    evidence = acts.evidence(source, f"message:{scope.message_id}" if scope.message_id else "", environ, language)
    if scope.topic is None:
        return choices.stop_all(whose, evidence)
    return choices.stop_topic(whose, scope.topic, evidence)


def _left(link: Link, change: Change, *, all_of_it: bool) -> str:
    undo = acts.receipt(link, "stop", change) if choices.can_be_undone(link.contact, change.records) else ""
    return _page("public/unsubscribed.html", link, undo=undo, all_of_it=all_of_it, anything_is_on=_is_on(link))


def _undo(link: Link) -> ResponseReturnValue:
    receipt = acts.read_receipt(link.held.public_id, request.form.get("undo"))
    if receipt is None or link.held.erased_at is not None:
        return _ask(link), 400
    try:
        with transaction():
            choices.undo(link.hold(), receipt.records, acts.evidence("link"))
    except Conflict:
        return _ask(link), 409
    return _page("public/resubscribed.html", link)


def _send_link(link: Link) -> str:
    """The link to all choices goes to the mailbox: this link may be old or forwarded, and only reduces mail (`security.md` 3.2)."""
    if link.held.erased_at is None:
        with transaction():
            confirmation.ask_for_link(link.contact)
    return render_template("public/link_sent.html", address=None)


def _is_on(link: Link, topic: Topic | None = None) -> bool:
    """Whether this topic is on, or without one any marketing at all."""
    today = standing.subscriptions(link.contact)
    if topic is not None:
        return topic.id in today and today[topic.id].state_at(clock.now()) is State.given
    marketing = {t.id for t in catalogue.live() if t.purpose_key == choices.MARKETING}
    return any(s.state_at(clock.now()) is State.given for s in today.values() if s.topic_id in marketing)


def _page(template: str, link: Link, **values: object) -> str:
    if (
        link.held.erased_at is not None
    ):  # who was forgotten and came back is somebody else to us, with links of their own
        return render_template("public/earlier_link.html")
    return render_template(template, topic=_scope(link.carries).topic, contact=link.contact, token=link.token, **values)
