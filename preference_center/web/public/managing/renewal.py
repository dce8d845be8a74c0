"""GET, POST /p/<token>/renew: what ends soon, with the text of each consent, and a button for each to go on."""

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from preference_center import i18n
from preference_center.db import transaction
from preference_center.errors import Conflict
from preference_center.i18n import gettext as _
from preference_center.preferences import renewal
from preference_center.signed_links import Power
from preference_center.web.guards import Link, LinkForm, refuse_other_sites, signed_link
from preference_center.web.public import acts, pages, words


@pages.get("/p/<token>/renew")
@signed_link(Power.manage)
def what_ends(link: Link) -> ResponseReturnValue:
    return _page(link, renewed=request.args.get("renewed", "") == "1")


@pages.post("/p/<token>/renew")
@signed_link(Power.manage)
def renew(link: Link) -> ResponseReturnValue:
    refuse_other_sites()
    key, _colon, wording = request.form.get("renew", "").partition(":")
    if not LinkForm(link).validate() or not (wording.isascii() and wording.isdecimal() and len(wording) < 10):
        return _page(link, fault=_("This page was open for too long or was not complete. Choose again.")), 400
    try:
        with transaction():
            renewal.renew(link.hold(), key, int(wording), acts.evidence("link"))
    except Conflict:
        return _page(link, fault=_("This does not end soon any more, or has ended. Below is how it stands now.")), 409
    there = url_for("public.what_ends", token=link.token, renewed=1, lang=i18n.chosen_language())
    return redirect(there, 303)


def _page(link: Link, *, renewed: bool = False, fault: str = "") -> str:
    return render_template(
        "public/managing/renew.html",
        contact=link.contact,
        token=link.token,
        endings=renewal.endings(link.contact, i18n.current_language()),
        renewed=renewed,
        fault=fault,
        form=LinkForm(link),
        words=words,
    )
