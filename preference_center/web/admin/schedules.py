"""Letting a campaign go: the review page, send and schedule, and pausing, resuming and cancelling what runs.

Send and schedule carry a stamp of what was reviewed: pressed twice it is one run, and on changed content it is refused.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, SelectField, TimeField
from wtforms.validators import InputRequired

from preference_center import clock
from preference_center.accounts import audit
from preference_center.accounts.permissions import Permission
from preference_center.campaigns import content, queries, scheduling
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.db import transaction
from preference_center.errors import Conflict, Invalid
from preference_center.web.admin import words
from preference_center.web.admin.gate import allowed, me, pages
from preference_center.web.admin.previews import audience_of
from preference_center.web.admin.words import put_faults


class WhenForm(FlaskForm):  # type: ignore[misc]
    day = DateField(_l("Day"), [InputRequired(_l("Choose a day."))])
    time = TimeField(_l("Time"), [InputRequired(_l("Choose a time."))])
    zone = SelectField(_l("In the time of"))

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        self.zone.choices = list(words.zones())

    def moment(self) -> datetime:
        """The moment in UTC. Invalid for a time the clocks jump over that day; of one they show twice, the first."""
        zone = ZoneInfo(self.zone.data)
        local = datetime.combine(self.day.data, self.time.data, tzinfo=zone)
        try:
            at = local.astimezone(UTC)
        except OverflowError:
            raise Invalid("", {"day": _("Choose a day within two years.")}) from None
        if at.astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
            words_ = _("The clocks in %(zone)s jump over this time on that day. Choose another.", zone=zone.key)
            raise Invalid("", {"time": words_})
        return at


@pages.get("/campaigns/<public_id>/review")
@allowed(Permission.send)
def review(public_id: str) -> ResponseReturnValue:
    campaign = queries.by_public_id(public_id)
    if campaign.state is not CampaignState.draft:
        return redirect(url_for("admin.progress", public_id=public_id))
    return _review(campaign, WhenForm(formdata=None, zone=me().time_zone))


@pages.post("/campaigns/<public_id>/send")
@allowed(Permission.send)
def send(public_id: str) -> ResponseReturnValue:
    return _let_go(public_id, clock.now())


@pages.post("/campaigns/<public_id>/schedule")
@allowed(Permission.send)
def schedule(public_id: str) -> ResponseReturnValue:
    form = WhenForm()
    if form.validate_on_submit():
        try:
            return _let_go(public_id, form.moment())
        except Invalid as fault:
            faults = {"day" if name == "at" else name: text for name, text in fault.faults.items()}
            put_faults(form, Invalid(fault.message, faults))
    return _review(queries.by_public_id(public_id), form), 422


@pages.post("/campaigns/<public_id>/<any(unschedule,pause,resume,cancel):verb>")
@allowed(Permission.send)
def steer(public_id: str, verb: str) -> ResponseReturnValue:
    verbs = {
        "unschedule": (scheduling.unschedule, _("Not scheduled any more: it is a draft again.")),
        "pause": (scheduling.pause, _("Paused. Nothing more leaves until you resume.")),
        "resume": (scheduling.resume, _("Going on.")),
        "cancel": (scheduling.cancel, _("Cancelled. Nobody else gets it.")),
    }
    move, said = verbs[verb]
    try:
        with transaction():
            move(queries.by_public_id(public_id))
            audit.note(me().actor, f"campaign.{verb}", "campaign", public_id)
    except Conflict as conflict:
        flash(conflict.message, "warn")
    else:
        flash(said, "good")
    return redirect(url_for("admin.campaign", public_id=public_id))


def stamp(campaign: Campaign) -> str:
    """What was looked at: the version, and the campaign's last change."""
    return f"{campaign.version}.{int(campaign.updated_at.timestamp() * 1_000_000)}"


def _let_go(public_id: str, at: datetime) -> ResponseReturnValue:
    seen = request.form.get("stamp", "")
    there = redirect(url_for("admin.progress", public_id=public_id))
    with transaction():
        campaign = queries.lock(queries.by_public_id(public_id).id)
        if campaign.state is not CampaignState.draft:
            if seen.partition(".")[0] != str(campaign.approved_version):
                raise Conflict(_("Another version of this campaign was sent or scheduled meanwhile."))
            return there  # pressed twice: this is that run
        if seen != stamp(campaign):
            raise Conflict(_("This campaign was changed after you looked at it. Review it again before you send it."))
        scheduling.schedule(campaign, at)
        audit.note(me().actor, "campaign.scheduled", "campaign", public_id, version=campaign.version, at=at.isoformat())
    flash(_("It starts now.") if at <= clock.now() else _("Scheduled."), "good")
    return there


def _review(campaign: Campaign, form: WhenForm) -> str:
    version = queries.version(campaign)
    return render_template(
        "admin/review.html",
        campaign=campaign,
        version=version,
        form=form,
        stamp=stamp(campaign),
        seen=content.preview(version, None, "en"),
        **audience_of(campaign, version),
    )
