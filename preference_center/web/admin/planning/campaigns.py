"""Writing campaigns: the list, a new one, and saving a draft without losing what a colleague wrote meanwhile."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.accounts import audit
from preference_center.accounts.permissions import Permission
from preference_center.campaigns import experiments, queries, scheduling, templates
from preference_center.campaigns.models import Campaign, CampaignState, CampaignVersion
from preference_center.contacts import attributes
from preference_center.db import transaction
from preference_center.delivery.results import totals
from preference_center.errors import Conflict, Invalid
from preference_center.topics import catalogue
from preference_center.web.admin.gate import allowed, me, pages, whole_number
from preference_center.web.admin.planning.campaigns_form import CampaignForm, filled, unseen
from preference_center.web.admin.words import put_faults

PAGE = 20
HISTORY = 30  # versions that are listed
MAX_BYTES = 2 * 1024 * 1024


@pages.get("/campaigns")
@allowed(Permission.look)
def campaigns() -> ResponseReturnValue:
    rows = queries.newest(PAGE + 1, whole_number(request.args.get("before")))
    figures = totals.of_list(rows[:PAGE])
    return render_template(
        "admin/planning/campaigns.html",
        campaigns=rows[:PAGE],
        figures=figures,
        uncounted=any(row.started_at and row.id not in figures for row in rows[:PAGE]),
        following=rows[PAGE - 1].id if len(rows) > PAGE else None,
        topics={topic.id: topic for topic in catalogue.everything()},
        can_write=any(topic.purpose.channel == "email" for topic in catalogue.live()),
    )


@pages.route("/campaigns/new", methods=["GET", "POST"])
@allowed(Permission.write_campaigns, max_bytes=MAX_BYTES)
def new_campaign() -> ResponseReturnValue:
    form = CampaignForm()
    if form.validate_on_submit():
        try:
            with transaction():
                fields = form.written()
                topic = catalogue.by_key(form.topic.data)
                made = scheduling.create(**fields, topic=topic, actor=me().actor)
                audit.note(me().actor, "campaign.created", "campaign", made.public_id)
        except Invalid as fault:
            put_faults(form, fault)
        else:
            flash(_("Saved as a draft. Nothing is sent before you say so."), "good")
            return _onward(made.public_id)
    return _write(form, None), 200 if request.method == "GET" else 422


@pages.get("/campaigns/<public_id>")
@allowed(Permission.look)
def campaign(public_id: str) -> ResponseReturnValue:
    found = queries.by_public_id(public_id)
    if found.state is not CampaignState.draft:
        return redirect(url_for("admin.progress", public_id=public_id))
    if not me().may(Permission.write_campaigns):
        return redirect(url_for("admin.preview", public_id=public_id))
    chosen = queries.version(found, whole_number(request.args.get("version")))
    return _write(filled(found, chosen), found, chosen)


@pages.post("/campaigns/<public_id>")
@allowed(Permission.write_campaigns, max_bytes=MAX_BYTES)
def save_campaign(public_id: str) -> ResponseReturnValue:
    form = CampaignForm()
    found = queries.by_public_id(public_id)
    shown = queries.version(found, whole_number(request.form.get("shown")))
    if form.validate_on_submit():
        try:
            with transaction():
                found = queries.by_public_id(public_id)
                topic = catalogue.by_key(form.topic.data)
                fields = form.written(shown)
                scheduling.save(found, on_version=form.version.data or 0, actor=me().actor, topic=topic, **fields)
                number = found.version
                audit.note(me().actor, "campaign.saved", "campaign", public_id, version=number)
        except Conflict as conflict:
            return _conflict(form, public_id, shown.number, conflict)
        except Invalid as fault:
            put_faults(form, fault)
        else:
            flash(_("Saved as version %(number)s.", number=number), "good")
            return _onward(public_id)
    return _write(form, found, shown), 422


def _conflict(form: CampaignForm, public_id: str, shown: int, conflict: Conflict) -> ResponseReturnValue:
    """Both texts side by side; nothing is lost, and saving again is then a choice."""
    found = queries.by_public_id(public_id)
    newest = queries.version(found)
    theirs = filled(found, newest)
    differing = [
        (field, theirs[field.name])
        for field in form
        if field.name not in ("version", "csrf_token") and _text(field.data) != _text(theirs[field.name].data)
    ]
    # what the form does not show is theirs, unless mine was to bring back an older version
    follows = found.version if shown == form.version.data else shown
    form.version.raw_data, form.version.data = None, found.version
    html = render_template(
        "admin/planning/campaign_conflict.html",
        campaign=found,
        form=form,
        differing=differing,
        newest=newest,
        shown=follows,
        is_draft=found.state is CampaignState.draft,
        message=conflict.message,
    )
    return html, 409


def _text(data: object) -> str:
    """What differs must be words, not the line ends of forms."""
    if isinstance(data, list):
        return " ".join(sorted(data))
    return str(data or "").replace("\r\n", "\n").strip()


def _write(form: CampaignForm, found: Campaign | None, shown: CampaignVersion | None = None) -> str:
    """The form; with an older version in it, saving makes that the newest."""
    saved = queries.version(found) if found else None
    return render_template(
        "admin/planning/campaign.html",
        form=form,
        campaign=found,
        saved=saved,
        unseen=unseen(shown) if shown else [],
        others=experiments.count(shown) - 1 if shown else 0,
        shown=shown.number if shown else None,
        versions=queries.versions(found)[:HISTORY] if found else [],
        attributes=attributes.declared(),
        templates=[] if found else templates.in_use(),
    )


def _onward(public_id: str) -> ResponseReturnValue:
    endpoint = "admin.preview" if "preview" in request.form else "admin.campaign"
    return redirect(url_for(endpoint, public_id=public_id))
