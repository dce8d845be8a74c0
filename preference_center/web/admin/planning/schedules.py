"""Letting a campaign go: the review page, send and schedule, and pausing, resuming and cancelling what runs.

Send and schedule carry a stamp of what was reviewed: pressed twice it is one run, and on changed content it is refused.
"""

import hashlib
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_wtf import FlaskForm
from wtforms import DateField, SelectField, TimeField
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, Optional, ValidationError

from preference_center import clock
from preference_center.accounts import audit
from preference_center.accounts.permissions import Permission
from preference_center.campaigns import experiments, queries, scheduling, timing
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.campaigns.rendering import content
from preference_center.campaigns.timing import Plan
from preference_center.db import transaction
from preference_center.delivery.results import checks, foretelling, trials
from preference_center.errors import Conflict, Invalid
from preference_center.segments import queries as segments
from preference_center.wall_clock import Shift
from preference_center.web.admin import words
from preference_center.web.admin.contacts import shown
from preference_center.web.admin.gate import allowed, me, pages
from preference_center.web.admin.planning import reviewing
from preference_center.web.admin.planning.previews import audience_of, seen_as
from preference_center.web.admin.words import put_faults

THEIRS = "theirs"


class WhenForm(FlaskForm):  # type: ignore[misc]
    day = DateField(_l("Day"), [InputRequired(_l("Choose a day."))])
    time = TimeField(_l("Time"), [InputRequired(_l("Choose a time."))])
    zone = SelectField(_l("By the clocks in"), [InputRequired(_l("Choose whose clocks."))], validate_choice=False)
    last_day = DateField(_l("Not after: day"), [Optional()])
    last_time = TimeField(_l("Time of that day"), [Optional()])

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        own = [SelectChoice(THEIRS, _l("each person's own place"))]
        self.zone.choices = [*own, *(SelectChoice(zone, zone) for zone in words.zones())]

    def validate_last_time(self, field: TimeField) -> None:
        if self.last_day.data is None and not self.last_day.errors:
            raise ValidationError(_("Choose a day."))

    def plan(self) -> Plan:
        zone = "" if self.zone.data == THEIRS else self.zone.data
        return timing.plan(datetime.combine(self.day.data, self.time.data), zone)

    def is_begun(self) -> bool:
        """Whether anything of a plan is filled in; the first such field says that it counts only where one is scheduled."""
        for field in (self.day, self.time, self.last_day, self.last_time):
            if any(text.strip() for text in field.raw_data or ()):
                field.errors = [_("You chose a day or a time: press Schedule, or empty it to send at once.")]
                return True
        return False

    def last_moment(self) -> datetime | None:
        """By the clocks of the same zone; of the organisation's where each person has their own."""
        if self.last_day.data is None:
            return None
        zone = timing.home() if self.zone.data == THEIRS else ZoneInfo(self.zone.data)
        wall = datetime.combine(self.last_day.data, self.last_time.data or time(23, 59))
        try:
            return timing.plan(wall, zone.key).begins().at
        except Invalid as fault:
            raise Invalid(fault.message, {"not_after": fault.message}) from None


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
    form, campaign = WhenForm(), queries.by_public_id(public_id)
    if form.is_begun() and _is_as_reviewed(campaign):
        return _review(campaign, form), 422
    begin = clock.now() + timedelta(seconds=timing.settings().hold_seconds)
    return _to_do(public_id, form) or _let_go(public_id, begin)


@pages.post("/campaigns/<public_id>/schedule")
@allowed(Permission.send)
def schedule(public_id: str) -> ResponseReturnValue:
    form = WhenForm()
    jumps: dict[str, Shift] = {}
    if form.validate_on_submit():
        try:
            plan = form.plan()
            jumps = plan.shifted()
            if not jumps or request.form.get("seen") == plan.wall.isoformat():
                return _to_do(public_id, form) or _let_go(public_id, plan, form.last_moment())
        except Invalid as fault:
            beside = {"at": "day", "not_after": "last_day"}
            put_faults(
                form, Invalid(fault.message, {beside.get(name, name): text for name, text in fault.faults.items()})
            )
            jumps = {}
    return _review(queries.by_public_id(public_id), form, jumps), 422


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


@pages.post("/campaigns/<public_id>/pick/<letter>")
@allowed(Permission.send)
def pick_winner(public_id: str, letter: str) -> ResponseReturnValue:
    try:
        with transaction():
            trials.pick(queries.by_public_id(public_id), experiments.LETTERS.find(letter))
            audit.note(me().actor, "campaign.winner_picked", "campaign", public_id, variant=letter[:1])
    except (Conflict, Invalid) as refused:
        flash(refused.message, "warn")
    else:
        flash(_("%(letter)s goes to everybody else.", letter=letter), "good")
    return redirect(url_for("admin.progress", public_id=public_id))


def stamp(campaign: Campaign) -> str:
    """What was looked at: the version, the campaign's last change, and what its rule meant with all the segments that it names."""
    try:
        rule = segments.frozen(queries.version(campaign).segment)
    except Invalid:  # one of them is gone: nothing can be sent before it is mended
        rule = ""
    meant = hashlib.sha256(rule.encode()).hexdigest()[:16]
    return f"{campaign.version}.{int(campaign.updated_at.timestamp() * 1_000_000)}.{meant}"


def _is_as_reviewed(campaign: Campaign) -> bool:
    return campaign.state is CampaignState.draft and request.form.get("stamp") == stamp(campaign)


def _to_do(public_id: str, form: WhenForm) -> ResponseReturnValue | None:
    """The page again, where somebody has not ticked what there is to know, or not typed how many get it."""
    campaign = queries.by_public_id(public_id)
    if not _is_as_reviewed(campaign):
        return None  # answered by what comes next
    version = queries.version(campaign)
    audience = audience_of(campaign, version)
    if not audience["funnel"]:
        return None
    people = audience["funnel"].allowed
    to_tick = checks.of(campaign, version, audience["topic"], people, clock.now())
    missing = reviewing.unticked(to_tick)
    wrong_number = reviewing.number_is_wrong(people, timing.settings().ask_number_above)
    if not missing and not wrong_number:
        return None
    return _review(campaign, form, to_do=reviewing.faults(to_tick, missing, wrong_number)), 422


def _let_go(public_id: str, at: datetime | Plan, not_after: datetime | None = None) -> ResponseReturnValue:
    seen = request.form.get("stamp", "")
    there = redirect(url_for("admin.progress", public_id=public_id))
    with transaction():
        campaign = queries.lock(queries.by_public_id(public_id).id)
        if campaign.state is not CampaignState.draft:
            if seen.partition(".")[0] != str(campaign.approved_version):
                raise Conflict(_("Another version of this campaign was sent or scheduled meanwhile."))
            return there  # pressed twice: this is that run
        if seen != stamp(campaign):
            raise Conflict(
                _(
                    "This campaign, or a segment in it, was changed after you looked. Review it again before you send it."
                )
            )
        number = int(seen.partition(".")[0])
        scheduling.schedule(campaign, at, version=number, not_after=not_after, actor=me().actor)
        begins = campaign.scheduled_at
        detail = {"version": number, "at": begins and begins.isoformat(), "known": reviewing.ticked()}
        audit.note(me().actor, "campaign.scheduled", "campaign", public_id, **detail)
    flash(_when_it_starts(at, begins or clock.now()), "good")
    return there


def _when_it_starts(wish: datetime | Plan, begins: datetime) -> str:
    """In words; a moment that was wished for may have become the next opening of the sending calendar."""
    if isinstance(wish, Plan) and wish.is_everywhere:
        day, at = wish.wall.strftime("%Y-%m-%d"), wish.wall.strftime("%H:%M")
        return str(_("Scheduled for %(time)s on %(day)s by the clocks where each person lives.", time=at, day=day))
    if isinstance(wish, Plan) or begins > wish:
        return str(_("Scheduled for %(when)s.", when=words.moment(begins).striptags()))
    seconds = round((begins - clock.now()).total_seconds())
    if seconds <= 0:
        return str(_("It starts now."))
    return str(ngettext("It starts in %(num)s second.", "It starts in %(num)s seconds.", seconds))


def _review(
    campaign: Campaign, form: WhenForm, jumps: dict[str, Shift] | None = None, to_do: dict[str, str] | None = None
) -> str:
    version = queries.version(campaign)
    plan = form.plan() if jumps else None
    now, audience = clock.now(), audience_of(campaign, version)
    topic, allowed_ = audience["topic"], audience["funnel"].allowed if audience["funnel"] else 0
    some = reviewing.people(version, topic) if allowed_ else []
    return render_template(
        "admin/planning/review.html",
        campaign=campaign,
        version=version,
        letters=experiments.letters(version),
        form=form,
        stamp=stamp(campaign),
        checks=checks.of(campaign, version, topic, allowed_, now) if allowed_ else [],
        known=request.form.getlist("known"),
        to_do=to_do or {},
        asks_number=allowed_ > timing.settings().ask_number_above,
        takes=foretelling.takes(allowed_),
        looks=[(one, shown(one), content.preview(version, seen_as(one))) for one in some],
        seen=content.preview(version, None, "en"),
        jumps=jumps,
        plan=plan,
        begins=plan.begins().at.astimezone(ZoneInfo(plan.zone)).strftime("%H:%M") if plan and plan.zone else "",
        home=timing.home().key,
        quiet=timing.settings().quiet_hours,
        opens=timing.next_open(now) if not timing.is_open(now) else None,
        hold=timing.settings().hold_seconds,
        **audience,
    )
