"""GET, POST /p/<token>: the preference page. Several small forms, one address; each says by `act` what it is for."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from preference_center import clock, i18n
from preference_center.consent import standing
from preference_center.consent.models import Cadence
from preference_center.consent.overview import Overview
from preference_center.contacts import queries as contacts
from preference_center.db import transaction
from preference_center.errors import Conflict, DomainError, Invalid
from preference_center.i18n import gettext as _
from preference_center.preferences import choices, offer
from preference_center.preferences.choices import Change, Choice, Choices, Shown
from preference_center.signed_links import Power
from preference_center.topics import catalogue
from preference_center.web import front
from preference_center.web.front import Answer
from preference_center.web.guards import Link, LinkForm, open_with, refuse_other_sites, signed_link
from preference_center.web.public import acts, pages, words
from preference_center.web.public.acts import Receipt
from preference_center.web.public.managing import preference_page, zones
from preference_center.web.public.managing.preference_page import LONGEST_BREAK, NOTHING, Said
from preference_center.web.public.managing.stencils import NotDrawn

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment


@pages.get("/p/<token>")
def preferences(token: str) -> ResponseReturnValue:
    contact, _rest = open_with(choices.look_up, Power.manage, token)
    language = i18n.speak(i18n.best(request.args.get("lang"), contact.language))
    receipt = acts.read_receipt(contact.public_id, request.args.get("done"))
    said = Said(done=request.args.get("done", "")) if receipt else NOTHING
    return _page(token, contact, language, said, receipt)


def look(environ: "WSGIEnvironment", token: str) -> Answer | None:
    """The door before Flask for the page as mails link to it. What was never drawn needs Flask, so its first time comes to the view."""
    if not front.is_plain(environ, token):
        return None
    contact, _rest = open_with(choices.look_up, Power.manage, token)
    language = i18n.speak(contact.language)
    try:
        return Answer(_page(token, contact, language), kind=front.HTML)
    except NotDrawn:
        return None


@pages.post("/p/<token>")
@signed_link(Power.manage)
def choose(link: Link) -> ResponseReturnValue:
    refuse_other_sites()
    act = request.form.get("act", "")
    if act not in _ACTS or not LinkForm(link).validate():
        return _again(link, fault=_("This page was open for too long or was not complete. Choose again.")), 400
    try:
        with transaction():
            change = _ACTS[act](link)
    except (Invalid, Conflict) as refused:
        return _refused(link, act, refused)
    done = acts.receipt(link, act, change)
    return redirect(url_for("public.preferences", token=link.token, done=done, _anchor="done"), 303)


@pages.get("/p/<token>/zone")
@signed_link(Power.manage)
def time_zone(link: Link) -> ResponseReturnValue:
    """A page of its own: four hundred zones would weigh more than the rest of the preference page."""
    return render_template(
        "public/managing/preferences_zone.html",
        contact=link.contact,
        token=link.token,
        form=LinkForm(link),
        zones=zones.named(i18n.current_language()),
        chosen=link.contact.time_zone,
    )


def _save(link: Link) -> Change:
    shown = dict(_shown(value) for value in request.form.getlist("shown"))
    chosen = set(request.form.getlist("topic"))
    often = {key: _cadence(request.form.get(f"often-{key}")) for key, was in shown.items() if was.cadence}
    answered = {key: cadence for key, cadence in often.items() if cadence}
    return choices.apply(link.hold(), shown, chosen, acts.evidence("link"), answered)


def _shown(value: str) -> tuple[str, Shown]:
    """`key:1:17:weekly`: the topic was shown as on, beside consent text 17, with a choice of how often that stood at weekly."""
    key, on, wording, *often = [*value.split(":"), "", ""][:4]
    if on not in ("0", "1") or len(wording) > 9 or not (wording == "" or (wording.isascii() and wording.isdecimal())):
        raise Invalid("The form is not complete.")
    return key, Shown(on == "1", int(wording) if wording else None, _cadence(often[0]))


def _cadence(text: str | None) -> Cadence | None:
    if not text:
        return None
    try:
        return Cadence(text)
    except ValueError:
        raise Invalid("There is no such choice.") from None


def _stop_all(link: Link) -> Change:
    return choices.stop_all(link.contact, acts.evidence("link"))


def _pause(link: Link) -> Change:
    return choices.pause(link.hold(), _until(link), acts.evidence("link"))


def _until(link: Link) -> datetime:
    """The start of the chosen day, where the person lives if we know it."""
    zone = zones.of(link.contact)
    today = clock.now().astimezone(zone).date()
    length = request.form.get("length", "")
    if length in ("30", "90"):
        day = today + timedelta(days=int(length))
    else:
        try:
            day = datetime.strptime(request.form.get("until", ""), "%Y-%m-%d").date()  # noqa: DTZ007 - a date
        except ValueError:
            raise Invalid("no day", {"until": _("Choose 30 days, 90 days or a day.")}) from None
    if not today < day <= today + LONGEST_BREAK:
        raise Invalid("wrong day", {"until": _("Choose a day between tomorrow and one year from now.")})
    return datetime.combine(day, time(), zone)


def _resume(link: Link) -> Change:
    return choices.resume(link.hold(), acts.evidence("link"))


def _undo(link: Link) -> Change:
    receipt = acts.read_receipt(link.contact.public_id, request.form.get("receipt"))
    if receipt is None:
        raise Conflict("The time to take it back is over.")
    return choices.undo(link.hold(), receipt.records, acts.evidence("link"))


def _live_in(link: Link) -> Change:
    zone = request.form.get("zone", "")
    if zone not in zones.known():
        raise Invalid("There is no such time zone.")
    choices.live_in(link.hold(), zone)
    return Change()


def _speak(link: Link) -> Change:
    language = request.form.get("language", "")
    if language not in i18n.LANGUAGES:
        raise Invalid("There is no such language.")
    choices.speak(link.hold(), language)
    return Change()


_ACTS: dict[str, Callable[[Link], Change]] = {
    "save": _save,
    "stop_all": _stop_all,
    "pause": _pause,
    "resume": _resume,
    "undo": _undo,
    "speak": _speak,
    "live_in": _live_in,
}


def _refused(link: Link, act: str, refused: DomainError) -> ResponseReturnValue:
    """The page again, with what was typed and what is wrong."""
    if isinstance(refused, Conflict):
        return _again(link, fault=_("This cannot be taken back any more. Below is how it stands now.")), 409
    told = refused.faults if isinstance(refused, Invalid) else {}
    faults = {field: fault for field, fault in told.items() if field == "until"}  # the only field one can be led to
    fault = "" if faults else told.get("topic") or _("This page has changed since you opened it. Choose again.")
    chosen = set(request.form.getlist("topic")) if act == "save" else None
    return _again(link, fault=fault, faults=faults, chosen=chosen), 400


def _again(link: Link, **said: Any) -> str:
    contact = choices.look_up(link.contact.public_id)
    shown = Said(typed=request.form.to_dict(), done=request.args.get("done", ""), **said)
    return _page(link.token, contact, i18n.current_language(), shown)


def _page(token: str, contact: Overview, language: str, said: Said = NOTHING, receipt: Receipt | None = None) -> str:
    offered = offer.lately()
    today = choices.among(offered, contact, language)
    if receipt is not None:
        said = replace(said, outcome=_outcome(contact, receipt), conflicts=_conflicts(today, receipt))
    return preference_page.html(token, contact, language, offered, today, said)


def _outcome(seen: Overview, receipt: Receipt) -> words.Outcome:
    contact = contacts.by_public_id(seen.public_id)
    records = standing.records_named(contact, receipt.records)
    names = {topic.id: topic.name(i18n.current_language()) for topic in catalogue.live()}
    can_undo = receipt.act != "undo" and choices.can_be_undone(contact, records)
    return words.outcome(receipt.act, records, names, can_undo)


def _conflicts(today: Choices, receipt: Receipt) -> list[tuple[Choice, bool]]:
    """What another page changed while this one was open, with what this one had, as long as the two differ."""
    had = dict(receipt.elsewhere)
    return [
        (choice, had[choice.topic.key])
        for choice in today.topics
        if choice.topic.key in had and had[choice.topic.key] != choice.on
    ]
