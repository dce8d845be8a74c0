"""GET, POST /p/<token>: the preference page. Several small forms, one address; each says by `act` what it is for."""

from collections.abc import Callable
from datetime import datetime, time, timedelta

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from preference_center import clock, i18n
from preference_center.consent import standing
from preference_center.consent.models import Cadence
from preference_center.db import transaction
from preference_center.errors import Conflict, DomainError, Invalid
from preference_center.i18n import gettext as _
from preference_center.preferences import choices
from preference_center.preferences.choices import Change, Choice, Choices, Shown
from preference_center.signed_links import Power
from preference_center.topics import catalogue
from preference_center.web.guards import Link, LinkForm, refuse_other_sites, signed_link
from preference_center.web.public import acts, pages, words, zones
from preference_center.web.public.acts import Receipt

LONGEST_BREAK = timedelta(days=366)


@pages.get("/p/<token>")
@signed_link(Power.manage)
def preferences(link: Link) -> ResponseReturnValue:
    return _page(link, acts.read_receipt(link, request.args.get("done")))


@pages.post("/p/<token>")
@signed_link(Power.manage)
def choose(link: Link) -> ResponseReturnValue:
    refuse_other_sites()
    act = request.form.get("act", "")
    if act not in _ACTS or not LinkForm(link).validate():
        return _page(link, fault=_("This page was open for too long or was not complete. Choose again.")), 400
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
        "public/preferences_zone.html",
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
    return choices.apply(link.contact, shown, chosen, acts.evidence("link"), answered)


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
    return choices.pause(link.contact, _until(link), acts.evidence("link"))


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
    return choices.resume(link.contact, acts.evidence("link"))


def _undo(link: Link) -> Change:
    receipt = acts.read_receipt(link, request.form.get("receipt"))
    if receipt is None:
        raise Conflict("The time to take it back is over.")
    return choices.undo(link.contact, receipt.records, acts.evidence("link"))


def _live_in(link: Link) -> Change:
    zone = request.form.get("zone", "")
    if zone not in zones.known():
        raise Invalid("There is no such time zone.")
    choices.live_in(link.contact, zone)
    return Change()


def _speak(link: Link) -> Change:
    language = request.form.get("language", "")
    if language not in i18n.LANGUAGES:
        raise Invalid("There is no such language.")
    choices.speak(link.contact, language)
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
        return _page(link, fault=_("This cannot be taken back any more. Below is how it stands now.")), 409
    faults = refused.faults if isinstance(refused, Invalid) else {}
    fault = "" if faults else _("This page has changed since you opened it. Choose again.")
    return _page(
        link, fault=fault, faults=faults, chosen=set(request.form.getlist("topic")) if act == "save" else None
    ), 400


def _page(
    link: Link,
    receipt: Receipt | None = None,
    *,
    fault: str = "",
    faults: dict[str, str] | None = None,
    chosen: set[str] | None = None,
) -> str:
    language = i18n.current_language()
    today = choices.for_contact(link.contact, language)
    ticked = chosen if chosen is not None else {choice.topic.key for choice in today.topics if choice.on}
    tomorrow = clock.now().astimezone(zones.of(link.contact)).date() + timedelta(days=1)
    return render_template(
        "public/preferences.html",
        contact=link.contact,
        token=link.token,
        choices=today,
        ticked=ticked,
        language=language,
        form=LinkForm(link),
        outcome=_outcome(link, receipt),
        conflicts=_conflicts(today, receipt),
        done=request.args.get("done", ""),
        fault=fault,
        faults=faults or {},
        typed=request.form,
        tomorrow=tomorrow.isoformat(),
        in_a_year=(tomorrow + LONGEST_BREAK - timedelta(days=2)).isoformat(),
        words=words,
        zone=zones.city(link.contact, language),
    )


def _outcome(link: Link, receipt: Receipt | None) -> words.Outcome | None:
    if receipt is None:
        return None
    records = standing.records_named(link.contact, receipt.records)
    names = {topic.id: topic.name(i18n.current_language()) for topic in catalogue.live()}
    can_undo = receipt.act != "undo" and choices.can_be_undone(link.contact, records)
    return words.outcome(receipt.act, records, names, can_undo)


def _conflicts(today: Choices, receipt: Receipt | None) -> list[tuple[Choice, bool]]:
    """What another page changed while this one was open, with what this one had, as long as the two differ."""
    had = dict(receipt.elsewhere) if receipt else {}
    return [
        (choice, had[choice.topic.key])
        for choice in today.topics
        if choice.topic.key in had and had[choice.topic.key] != choice.on
    ]
