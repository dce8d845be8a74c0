"""Templates in the console: the list, writing one, its versions, and a campaign made of one."""

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import IntegerField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional
from wtforms.widgets import HiddenInput

from preference_center.accounts import audit
from preference_center.accounts.permissions import Permission
from preference_center.campaigns import queries, templates
from preference_center.campaigns.models import ContentFormat, Template
from preference_center.db import transaction
from preference_center.errors import Conflict, Invalid
from preference_center.topics import catalogue
from preference_center.web.admin.gate import allowed, me, pages, whole_number
from preference_center.web.admin.planning.campaigns import MAX_BYTES
from preference_center.web.admin.planning.campaigns_form import FORMATS
from preference_center.web.admin.words import options, put_faults


class TemplateForm(FlaskForm):  # type: ignore[misc]
    version = IntegerField(validators=[Optional()], widget=HiddenInput())
    name = StringField(_l("Name"), [InputRequired(_l("Give the template a name.")), Length(max=120)])
    subject = StringField(_l("Subject"), [InputRequired(_l("Write a subject.")), Length(max=250)])
    preheader = StringField(_l("Preheader"), [Length(max=250)])
    format = SelectField(_l("Written in"), choices=options(FORMATS))
    source = TextAreaField(_l("Content"), [InputRequired(_l("Write the content."))])
    text_source = TextAreaField(_l("Text part"))

    def written(self) -> dict[str, Any]:
        return {name: (self[name].data or "").replace("\r\n", "\n") for name in ("name", *templates.FIELDS)}


@pages.get("/templates")
@allowed(Permission.look)
def templates_list() -> ResponseReturnValue:
    away = templates.put_away()
    return render_template("admin/planning/campaigns_templates.html", templates=templates.in_use(), away=away)


@pages.route("/templates/new", methods=["GET", "POST"])
@allowed(Permission.write_campaigns, max_bytes=MAX_BYTES)
def new_template() -> ResponseReturnValue:
    form = TemplateForm()
    if form.validate_on_submit():
        try:
            with transaction():
                made = templates.create(actor=me().actor, **form.written())
                audit.note(me().actor, "template.created", "template", made.public_id)
                public_id = made.public_id
        except Invalid as fault:
            put_faults(form, fault)
        else:
            flash(_("The template was saved."), "good")
            return redirect(url_for("admin.template", public_id=public_id))
    return _write(form, None), 200 if request.method == "GET" else 422


@pages.post("/campaigns/<public_id>/template")
@allowed(Permission.write_campaigns)
def keep_template(public_id: str) -> ResponseReturnValue:
    """The content of a campaign as a template of its own."""
    with transaction():
        made = templates.keep(queries.by_public_id(public_id), actor=me().actor)
        audit.note(me().actor, "template.created", "template", made.public_id, campaign=public_id)
        made_id = made.public_id
    flash(_("The template was saved."), "good")
    return redirect(url_for("admin.template", public_id=made_id))


@pages.get("/templates/<public_id>")
@allowed(Permission.look)
def template(public_id: str) -> ResponseReturnValue:
    """The newest version, or another one to look at; saving that makes it the next."""
    found = templates.by_public_id(public_id)
    chosen = templates.version(found, whole_number(request.args.get("version")))
    values = {name: getattr(chosen, name) for name in templates.FIELDS} | {"format": ContentFormat(chosen.format).value}
    form = TemplateForm(formdata=None, name=found.name, version=found.version, **values)
    return _write(form, found, chosen.number)


@pages.post("/templates/<public_id>")
@allowed(Permission.write_campaigns, max_bytes=MAX_BYTES)
def save_template(public_id: str) -> ResponseReturnValue:
    form, status = TemplateForm(), 422
    if form.validate_on_submit():
        try:
            with transaction():
                found = templates.by_public_id(public_id)
                number = templates.save(
                    found, on_version=form.version.data or 0, actor=me().actor, **form.written()
                ).number
                audit.note(me().actor, "template.saved", "template", public_id, version=number)
        except Conflict as conflict:
            newest = templates.version(templates.by_public_id(public_id))
            put_faults(form, Invalid(conflict.message))
            form.version.raw_data, form.version.data, status = None, newest.number, 409
        except Invalid as fault:
            put_faults(form, fault)
        else:
            flash(_("Saved as version %(number)s.", number=number), "good")
            return redirect(url_for("admin.template", public_id=public_id))
    return _write(form, templates.by_public_id(public_id)), status


@pages.post("/templates/<public_id>/start")
@allowed(Permission.write_campaigns)
def start_from_template(public_id: str) -> ResponseReturnValue:
    try:
        with transaction():
            found = templates.by_public_id(public_id)
            topic = catalogue.by_key(request.form.get("topic", ""))
            number = whole_number(request.form.get("version"))
            made = templates.start(found, request.form.get("name") or found.name, topic, me().actor, number)
            audit.note(me().actor, "campaign.created", "campaign", made.public_id, made_from=made.made_from)
            made_id = made.public_id
    except (Conflict, Invalid) as refused:
        flash(refused.message, "warn")
        return redirect(url_for("admin.templates_list"))
    flash(_("Saved as a draft. Nothing is sent before you say so."), "good")
    return redirect(url_for("admin.campaign", public_id=made_id))


@pages.post("/templates/<public_id>/<any(retire,take_out):verb>")
@allowed(Permission.write_campaigns)
def retire_template(public_id: str, verb: str) -> ResponseReturnValue:
    with transaction():
        (templates.retire if verb == "retire" else templates.take_out)(templates.by_public_id(public_id))
        audit.note(me().actor, f"template.{'retired' if verb == 'retire' else 'taken_out'}", "template", public_id)
    if verb == "take_out":
        flash(_("The template is in use again."), "good")
        return redirect(url_for("admin.template", public_id=public_id))
    flash(_("The template was put away. Campaigns made from it stay as they are."), "good")
    return redirect(url_for("admin.templates_list"))


def _write(form: TemplateForm, found: Template | None, number: int | None = None) -> str:
    newest = templates.version(found) if found else None
    theirs = newest if found and form.form_errors and newest else None
    return render_template(
        "admin/planning/campaigns_template.html",
        form=form,
        template=found,
        theirs=theirs,
        number=number or (found.version if found else None),
        versions=templates.versions(found) if found else [],
        topics=_topics(),
    )


def _topics() -> list[Any]:
    return [topic for topic in catalogue.live() if topic.purpose.mails]
