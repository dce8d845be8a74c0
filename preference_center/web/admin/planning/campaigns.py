"""Writing campaigns: the list, a new one, and saving a draft without losing what a colleague wrote meanwhile."""

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
from preference_center.campaigns import queries, scheduling
from preference_center.campaigns.models import Campaign, CampaignState, CampaignVersion, ContentFormat
from preference_center.contacts import attributes
from preference_center.db import transaction
from preference_center.delivery import queries as delivery
from preference_center.errors import Conflict, Invalid
from preference_center.topics import catalogue
from preference_center.web.admin.gate import allowed, me, pages, whole_number
from preference_center.web.admin.words import options, put_faults

PAGE = 20
MAX_BYTES = 2 * 1024 * 1024
WRITTEN = ("subject", "preheader", "format", "source", "text_source", "segment")


FORMATS = [("markdown", "Markdown"), ("html", "HTML"), ("mjml", "MJML"), ("blocks", _l("Blocks (JSON)"))]
METRICS = [
    ("clicked", _l("more clicks, of those who agreed to be seen")),
    ("opened", _l("more openings, of those who agreed to be seen")),
    ("delivered", _l("more delivered")),
    ("person", _l("one of us picks")),
]


class CampaignForm(FlaskForm):  # type: ignore[misc]
    version = IntegerField(validators=[Optional()], widget=HiddenInput())
    name = StringField(_l("Name"), [InputRequired(_l("Give the campaign a name.")), Length(max=120)])
    topic = SelectField(_l("Topic"))
    subject = StringField(_l("Subject"), [InputRequired(_l("Write a subject.")), Length(max=250)])
    preheader = StringField(_l("Preheader"), [Length(max=250)])
    format = SelectField(_l("Written in"), choices=options(FORMATS))
    source = TextAreaField(_l("Content"), [InputRequired(_l("Write the content."))])
    text_source = TextAreaField(_l("Text part"))
    segment = TextAreaField(_l("Only for"), [Length(max=100_000)])
    other_subject = StringField(_l("The other subject"), [Length(max=250)])
    other_source = TextAreaField(_l("The other content"))
    share = IntegerField(_l("How many percent try it"), [Optional()])
    metric = SelectField(_l("Who wins"), choices=options(METRICS), validate_choice=False)
    wait = IntegerField(_l("Minutes to wait"), [Optional()])

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        topics = [topic for topic in catalogue.live() if topic.purpose.channel == "email"]
        self.topic.choices = options((topic.key, topic.name("en")) for topic in topics)

    def written(self) -> dict[str, Any]:
        """What was typed, with the line ends of text rather than of forms."""
        fields = {name: (self[name].data or "").replace("\r\n", "\n") for name in WRITTEN}
        return fields | {"name": self.name.data, "experiment": self.experiment()}

    def experiment(self) -> dict[str, Any]:
        """One other content to try; more than one are written from the command line."""
        other = {"subject": self.other_subject.data, "source": (self.other_source.data or "").replace("\r\n", "\n")}
        variant = {name: value for name, value in other.items() if value and value.strip()}
        if not variant:
            return {}
        return {
            "share": self.share.data, "metric": self.metric.data or "", "wait_minutes": self.wait.data, "variants": [variant]
        }  # fmt: skip


@pages.get("/campaigns")
@allowed(Permission.look)
def campaigns() -> ResponseReturnValue:
    rows = queries.newest(PAGE + 1, whole_number(request.args.get("before")))
    figures = {row.id: delivery.figures(row) for row in rows[:PAGE] if row.started_at}
    return render_template(
        "admin/planning/campaigns.html",
        campaigns=rows[:PAGE],
        figures=figures,
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
    return _write(_form_for(found, queries.version(found)), found)


@pages.post("/campaigns/<public_id>")
@allowed(Permission.write_campaigns, max_bytes=MAX_BYTES)
def save_campaign(public_id: str) -> ResponseReturnValue:
    form = CampaignForm()
    found = queries.by_public_id(public_id)
    if form.validate_on_submit():
        try:
            with transaction():
                found = queries.by_public_id(public_id)
                topic = catalogue.by_key(form.topic.data)
                fields = form.written()
                if len((queries.version(found).experiment or {}).get("variants", ())) > 1:
                    del fields["experiment"]  # the form shows one other content; what it does not show it leaves alone
                scheduling.save(found, on_version=form.version.data or 0, actor=me().actor, topic=topic, **fields)
                number = found.version
                audit.note(me().actor, "campaign.saved", "campaign", public_id, version=number)
        except Conflict as conflict:
            return _conflict(form, public_id, conflict)
        except Invalid as fault:
            put_faults(form, fault)
        else:
            flash(_("Saved as version %(number)s.", number=number), "good")
            return _onward(public_id)
    return _write(form, found), 422


def _conflict(form: CampaignForm, public_id: str, conflict: Conflict) -> ResponseReturnValue:
    """Both texts side by side; nothing is lost, and saving again is then a choice."""
    found = queries.by_public_id(public_id)
    newest = queries.version(found)
    theirs = _form_for(found, newest)
    differing = [
        (field, theirs[field.name])
        for field in form
        if field.name not in ("version", "csrf_token") and _text(field.data) != _text(theirs[field.name].data)
    ]
    form.version.raw_data, form.version.data = None, found.version
    html = render_template(
        "admin/planning/campaign_conflict.html",
        campaign=found,
        form=form,
        differing=differing,
        newest=newest,
        is_draft=found.state is CampaignState.draft,
        message=conflict.message,
    )
    return html, 409


def _text(data: object) -> str:
    """What differs must be words, not the line ends of forms."""
    return str(data or "").replace("\r\n", "\n").strip()


def _write(form: CampaignForm, found: Campaign | None) -> str:
    return render_template(
        "admin/planning/campaign.html",
        form=form,
        campaign=found,
        saved=queries.version(found) if found else None,
        attributes=attributes.declared(),
    )


def _form_for(found: Campaign, version: CampaignVersion) -> CampaignForm:
    keys = {topic.id: topic.key for topic in catalogue.everything()}
    values = {name: getattr(version, name) for name in WRITTEN} | {"format": ContentFormat(version.format).value}
    values |= _tried(version)
    return CampaignForm(formdata=None, name=found.name, topic=keys[found.topic_id], version=found.version, **values)


def _tried(version: CampaignVersion) -> dict[str, Any]:
    """The fields of the experiment, where the version has one; what says the same as the first content stays empty."""
    plan = version.experiment or {}
    other = (plan.get("variants") or [{}])[0]
    return {
        "other_subject": "" if other.get("subject") == version.subject else other.get("subject", ""),
        "other_source": "" if other.get("source") == version.source else other.get("source", ""),
        "share": plan.get("share", 20),
        "metric": plan.get("metric", "clicked"),
        "wait": plan.get("wait_minutes", 240),
    }


def _onward(public_id: str) -> ResponseReturnValue:
    endpoint = "admin.preview" if "preview" in request.form else "admin.campaign"
    return redirect(url_for(endpoint, public_id=public_id))
