"""GET, POST /link: mails a person the link to their preference page. The answer is the same for every address."""

from flask import render_template, request
from flask.typing import ResponseReturnValue

from preference_center.contacts import queries as contacts
from preference_center.db import transaction
from preference_center.errors import Invalid
from preference_center.i18n import gettext as _
from preference_center.preferences import confirmation
from preference_center.web.guards import limiter
from preference_center.web.public import pages


@pages.get("/link")
def new_link() -> ResponseReturnValue:
    return render_template("public/new_link.html", faults={}, typed="")


@pages.post("/link")
@limiter.limit("20 per hour")
def send_link() -> ResponseReturnValue:
    typed = request.form.get("email", "")[:300]
    try:
        with transaction():
            confirmation.ask_for_link(contacts.by_email(typed))
    except Invalid:
        faults = {"email": _("Enter an address like name@example.com.")}
        return render_template("public/new_link.html", faults=faults, typed=typed), 400
    return render_template("public/link_sent.html", address=typed.strip())
