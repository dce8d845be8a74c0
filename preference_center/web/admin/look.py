"""How the public pages look: name, colours and corners. What cannot be read is made readable, and said."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from preference_center.accounts import audit
from preference_center.accounts.permissions import Permission
from preference_center.db import transaction
from preference_center.errors import Invalid
from preference_center.preferences import branding
from preference_center.preferences.branding import Correction
from preference_center.web.admin.gate import allowed, me, pages
from preference_center.web.public import look as shown

COLOURS = {
    "accent": _l("Buttons and links"),
    "paper": _l("Background"),
    "card": _l("Cards and fields"),
    "ink": _l("Text"),
}
CORNERS = {"round": _l("Round"), "soft": _l("Soft"), "square": _l("Square")}


@pages.get("/look")
@allowed(Permission.look)
def look() -> ResponseReturnValue:
    brand = branding.current()
    return _page(brand.name if brand else "", brand.chosen if brand else {})


@pages.post("/look")
@allowed(Permission.edit_topics)
def save_look() -> ResponseReturnValue:
    name = request.form.get("name", "")
    chosen = {key: request.form.get(key, "")[:20] for key in [*branding.choosable(), "corners"]}
    try:
        with transaction():
            made = branding.save(name, chosen)
            audit.note(me().actor, "look.saved", "look", "")
    except Invalid as fault:
        return _page(name, chosen, fault), 422
    shown.forget()
    for correction in made.corrections:
        flash(_told(correction), "warn")
    flash(_("Saved. The public pages look so from now on."), "good")
    return redirect(url_for("admin.look"))


def _told(one: Correction) -> str:
    theme = _("dark") if one.theme == "dark" else _("light")
    words: str = _(
        "%(colour)s, %(theme)s: %(asked)s cannot be read well where it stands, so %(used)s is used.",
        colour=COLOURS[one.colour],
        theme=theme,
        asked=one.asked,
        used=one.used,
    )
    return words


def _page(name: str, chosen: dict[str, str], fault: Invalid | None = None) -> str:
    made = branding.made_of({} if fault else chosen)
    return render_template(
        "admin/look.html",
        name=name,
        chosen=chosen,
        fault=fault,
        colours=COLOURS,
        corners=CORNERS,
        used=made.properties,
    )
