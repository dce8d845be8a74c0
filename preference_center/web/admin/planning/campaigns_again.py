"""After a campaign: a copy, once more for those who did not get it, a correction for those who did, the public archive."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.accounts import audit
from preference_center.accounts.permissions import Permission
from preference_center.campaigns import archive, copying, queries
from preference_center.campaigns.models import Campaign
from preference_center.db import transaction
from preference_center.delivery.results import reach
from preference_center.errors import Conflict, Invalid
from preference_center.web.admin.gate import allowed, me, pages


@pages.post("/campaigns/<public_id>/<any(duplicate,correct):verb>")
@allowed(Permission.write_campaigns)
def copy_campaign(public_id: str, verb: str) -> ResponseReturnValue:
    try:
        with transaction():
            found = queries.by_public_id(public_id)
            made = (
                copying.duplicate(found, actor=me().actor) if verb == "duplicate" else reach.correct(found, me().actor)
            )
            made_id = _noted(made)
    except (Conflict, Invalid) as refused:
        flash(refused.message, "warn")
        return redirect(url_for("admin.campaign", public_id=public_id))
    flash(_("A draft was made. Nothing is sent before you say so."), "good")
    return redirect(url_for("admin.campaign", public_id=made_id))


@pages.post("/campaigns/<public_id>/<any(show,hide):verb>")
@allowed(Permission.write_campaigns)
def set_archive(public_id: str, verb: str) -> ResponseReturnValue:
    try:
        with transaction():
            found = queries.by_public_id(public_id)
            (archive.put if verb == "show" else archive.take_out)(found)
            audit.note(me().actor, f"campaign.archive_{verb}", "campaign", public_id)
    except Invalid as refused:
        flash(refused.message, "warn")
    else:
        flash(
            _("It is in the public archive.") if verb == "show" else _("It is not in the public archive any more."),
            "good",
        )
    return redirect(url_for("admin.progress", public_id=public_id))


@pages.get("/campaigns/<public_id>/again")
@allowed(Permission.write_campaigns)
def again(public_id: str) -> ResponseReturnValue:
    found = queries.by_public_id(public_id)
    try:
        missed, waits = reach.missed(found), ""
    except Conflict as not_yet:
        missed, waits = {}, not_yet.message
    return render_template("admin/planning/campaigns_again.html", campaign=found, missed=missed, waits=waits)


@pages.post("/campaigns/<public_id>/again")
@allowed(Permission.write_campaigns)
def send_again(public_id: str) -> ResponseReturnValue:
    try:
        with transaction():
            made = reach.resend(queries.by_public_id(public_id), request.form.getlist("reason"), me().actor)
            made_id = _noted(made)
    except Invalid as refused:
        flash(refused.message, "bad")
        return redirect(url_for("admin.again", public_id=public_id))
    flash(_("A draft was made for them. Each is judged anew before their mail leaves."), "good")
    return redirect(url_for("admin.campaign", public_id=made_id))


def _noted(made: Campaign) -> str:
    audit.note(me().actor, "campaign.created", "campaign", made.public_id, made_from=made.made_from)
    return made.public_id
