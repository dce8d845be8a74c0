"""GET, POST /data and /d/<token>: a person's own data, to see, take along, correct, restrict, object to and erase (S53, S95 to S101).

Each starts with a mail, which proves that the mailbox is theirs. The link works for 15 minutes, gives each file once, acts once.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from flask import Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from preference_center import clock, i18n
from preference_center.contacts import addresses
from preference_center.contacts import queries as contacts
from preference_center.db import transaction
from preference_center.errors import Conflict, Invalid
from preference_center.i18n import gettext as _
from preference_center.privacy import address_change, erasure, export, links, requests, restraint
from preference_center.privacy.models import DataRequest, Opens, RequestKind, RightsLink
from preference_center.signed_links import Power
from preference_center.web.guards import DeadLink, Link, LinkForm, limiter, refuse_other_sites, signed_link
from preference_center.web.public import acts, pages
from preference_center.web.public.managing import data_words


@pages.get("/data")
def data_link() -> ResponseReturnValue:
    return render_template("public/managing/data_ask.html", faults={}, typed="", opens="data")


@pages.post("/data")
@limiter.limit("20 per hour")
def send_data_link() -> ResponseReturnValue:
    typed, opens = request.form.get("email", "")[:300], _opens(request.form.get("opens"))
    try:
        with transaction():
            links.ask(contacts.by_email(typed), opens)
    except Invalid:
        faults = {"email": _("Enter an address like name@example.com.")}
        return render_template("public/managing/data_ask.html", faults=faults, typed=typed, opens=opens), 400
    return render_template("public/managing/data_sent.html", address=typed.strip())


@pages.post("/p/<token>/data")
@signed_link(Power.manage)
def ask_for_data_link(link: Link) -> ResponseReturnValue:
    """From the preference page. Its link may have been forwarded, so the way to the data goes to the mailbox (S53)."""
    refuse_other_sites()
    if not LinkForm(link).validate():
        return redirect(url_for("public.preferences", token=link.token), 303)
    with transaction():
        links.ask(link.contact, _opens(request.form.get("opens")))
    return render_template("public/managing/data_sent.html", address=addresses.mask(link.contact.email))


@dataclass(frozen=True)
class _Opened:
    """A rights link that can still be used."""

    link: Link
    row: RightsLink

    @property
    def shows_data(self) -> bool:
        return self.row.opens is Opens.data


@pages.get("/d/<token>")
@signed_link(Power.rights)
def data(link: Link) -> ResponseReturnValue:
    opened = _open(link)
    if not opened.shows_data or request.args.get("show") == "address":
        return _page(opened, "data_address", typed="")
    if request.args.get("show") == "delete":
        return _page(opened, "data_delete")
    return _data_page(opened)


@pages.post("/d/<token>")
@signed_link(Power.rights)
def use_right(link: Link) -> ResponseReturnValue:
    refuse_other_sites()
    opened, act = _open(link), request.form.get("act", "")
    allowed = _FOR_DATA if opened.shows_data else _FOR_ADDRESS
    if act not in allowed or not LinkForm(link).validate():
        fault = _("This page was open for too long or was not complete. Choose again.")
        return (_data_page(opened, fault) if opened.shows_data else _page(opened, "data_address", fault, typed="")), 400
    return allowed[act](opened)


def _download_json(opened: _Opened) -> ResponseReturnValue:
    held = _taken(opened, "json")
    if held is None:
        return _downloaded_already(opened)
    return _file(json.dumps(held, ensure_ascii=False, indent=1), "application/json", "json")


def _download_html(opened: _Opened) -> ResponseReturnValue:
    held = _taken(opened, "html")
    if held is None:
        return _downloaded_already(opened)
    return _file(data_words.readable(opened.link.contact, held), "text/html; charset=utf-8", "html")


def _taken(opened: _Opened, form: str) -> dict[str, object] | None:
    """What we hold, the request written down before it is read, so that it stands in its own file."""
    with transaction():
        if not links.take_file(opened.row, form):
            return None
        requests.done(opened.link.contact, RequestKind.access, detail=form)
        return export.of(opened.link.contact)


def _downloaded_already(opened: _Opened) -> ResponseReturnValue:
    fault = _("This file was downloaded with this link already. Ask for a new link to get it once more.")
    return _data_page(opened, fault), 409


def _file(content: str, mimetype: str, ending: str) -> Response:
    answer = make_response(content)
    answer.headers["Content-Type"] = mimetype
    name = f"{data_words.file_name()}-{clock.now().date().isoformat()}.{ending}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _erase(opened: _Opened) -> ResponseReturnValue:
    return _act(opened, "erased", lambda: erasure.erase(opened.link.contact, acts.evidence("link")))


def _object(opened: _Opened) -> ResponseReturnValue:
    return _act(opened, "objected", lambda: restraint.object_to_marketing(opened.link.contact, acts.evidence("link")))


def _restrict(opened: _Opened) -> ResponseReturnValue:
    return _act(opened, "restricted", lambda: restraint.restrict(opened.link.contact, acts.evidence("link")))


def _lift(opened: _Opened) -> ResponseReturnValue:
    return _act(opened, "lifted", lambda: restraint.lift(opened.link.contact, acts.evidence("link")))


def _change_address(opened: _Opened) -> ResponseReturnValue:
    typed = request.form.get("email", "")[:300]
    try:
        address = addresses.parse(typed)
        if address.hash == opened.link.contact.address_hash:
            raise Invalid("", {"email": _("That is the address we have.")})
    except Invalid as wrong:
        faults = wrong.faults or {"email": _("Enter an address like name@example.com.")}
        return _page(opened, "data_address", faults=faults, typed=typed), 400
    return _act(opened, "address_asked", lambda: address_change.ask(opened.link.contact, address), typed=typed.strip())


def _act(opened: _Opened, news: str, verb: Callable[[], DataRequest | None], **values: object) -> ResponseReturnValue:
    """The one act of the link. If it cannot be done, the link was not used."""
    try:
        with transaction():
            if not links.use(opened.row):
                raise DeadLink("This link opens nothing.")
            done = verb()
            reference = done.public_id if done else ""
    except Conflict:
        return _data_page(_open(opened.link), _("This has been done already. Below is how it stands now.")), 409
    return render_template("public/managing/data_done.html", news=news, reference=reference, **values)


_FOR_ADDRESS: dict[str, Callable[[_Opened], ResponseReturnValue]] = {"address": _change_address}
_FOR_DATA = _FOR_ADDRESS | {
    "json": _download_json,
    "html": _download_html,
    "erase": _erase,
    "object": _object,
    "restrict": _restrict,
    "lift": _lift,
}


def _opens(wish: str | None) -> Opens:
    return Opens.address if wish == Opens.address else Opens.data


def _open(link: Link) -> _Opened:
    row = links.look(link.contact, link.carries)
    if row is None:
        raise DeadLink("This link opens nothing.")
    return _Opened(link, row)


def _data_page(opened: _Opened, fault: str = "") -> str:
    contact = opened.link.contact
    groups = data_words.groups(contact, export.of(contact)["held"])
    return _page(opened, "data", fault, groups=groups, contact=contact, restricted=contact.restricted_at is not None)


def _page(
    opened: _Opened, template: str, fault: str = "", faults: dict[str, str] | None = None, **values: object
) -> str:
    return render_template(
        f"public/managing/{template}.html",
        fault=fault,
        faults=faults or {},
        token=opened.link.token,
        form=LinkForm(opened.link),
        shows_data=opened.shows_data,
        language=i18n.current_language(),
        row=opened.row,
        **values,
    )
