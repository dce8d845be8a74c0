"""The segments: a list, and one page to read, try and change a rule, with an estimate, a few of the people, and the funnel.

Every button of the form posts the whole form, so conditions are added and taken away without script, and nothing typed is lost.
"""

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, IntegerField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional
from wtforms.widgets import HiddenInput

from preference_center import clock
from preference_center.accounts import audit
from preference_center.accounts.permissions import Permission
from preference_center.campaigns import audience
from preference_center.db import transaction
from preference_center.errors import Conflict, Invalid, NotFound
from preference_center.segments import named, queries, sizing
from preference_center.segments.models import Segment
from preference_center.segments.rules import Everyone, Or, Rule
from preference_center.topics import catalogue
from preference_center.web.admin.gate import allowed, me, pages
from preference_center.web.admin.planning import segment_building
from preference_center.web.admin.planning.segment_words import Speaker, place_of
from preference_center.web.admin.words import put_faults

MAX_BYTES = 256 * 1024


class SegmentForm(FlaskForm):  # type: ignore[misc]
    version = IntegerField(validators=[Optional()], widget=HiddenInput())
    name = StringField(_l("Name"), [InputRequired(_l("Give the segment a name.")), Length(max=80)])
    segment = TextAreaField(_l("Rule"), [Length(max=100_000)])
    about = SelectField(_l("About"), validate_choice=False)
    comparing = SelectField(_l("How it compares"), validate_choice=False)
    value = StringField(_l("With"), [Length(max=2000)])
    opposite = BooleanField(_l("Not these people, but all others"))
    joining = SelectField(_l("Together with what is there"), validate_choice=False)

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.about.choices = segment_building.about()
        self.comparing.choices = segment_building.comparing()
        self.joining.choices = segment_building.joining()

    @property
    def text(self) -> str:
        return (self.segment.data or "").replace("\r\n", "\n").strip()

    def put(self, rule: Rule) -> None:
        self.segment.data = "" if isinstance(rule, Everyone) else str(rule)


@pages.get("/segments")
@allowed(Permission.look)
def segments_list() -> ResponseReturnValue:
    speaker = Speaker()
    rows = [(segment, speaker.say(queries.rule_of(segment))) for segment in queries.everything()]
    return render_template("admin/planning/segments.html", segments=rows)


@pages.route("/segments/new", methods=["GET", "POST"])
@allowed(Permission.write_campaigns, max_bytes=MAX_BYTES)
def new_segment() -> ResponseReturnValue:
    form = SegmentForm()
    if request.method == "GET":
        return _page(form, None)
    if _tries(form):
        return _page(form, None, tried=True)
    if form.validate_on_submit():
        try:
            with transaction():
                made = named.add(form.name.data, queries.read(form.text), me().actor)
                audit.note(me().actor, "segment.added", "segment", made.public_id)
                public_id = made.public_id
        except Invalid as fault:
            put_faults(form, fault)
        except Conflict as conflict:
            form.name.errors = [conflict.message]
        else:
            flash(_("The segment is kept."), "good")
            return redirect(url_for("admin.segment", public_id=public_id))
    return _page(form, None, tried=True), 422


@pages.get("/segments/<public_id>")
@allowed(Permission.look)
def segment(public_id: str) -> ResponseReturnValue:
    found = queries.by_public_id(public_id)
    return _page(_form_for(found), found)


@pages.post("/segments/<public_id>")
@allowed(Permission.write_campaigns, max_bytes=MAX_BYTES)
def save_segment(public_id: str) -> ResponseReturnValue:
    form, found = SegmentForm(), queries.by_public_id(public_id)
    if _tries(form):
        return _page(form, found, tried=True)
    if form.validate_on_submit():
        version, newest = form.version.data or 0, found.version
        try:
            with transaction():
                found = queries.by_public_id(public_id)
                newest = found.version
                named.save(found, form.name.data, queries.read(form.text), on_version=version, actor=me().actor)
                audit.note(me().actor, "segment.saved", "segment", public_id, version=found.version)
        except Invalid as fault:
            put_faults(form, fault)
        except Conflict as conflict:
            if version != newest:
                return _conflict(form, public_id, conflict)
            form.name.errors = [conflict.message]
        else:
            flash(_("Saved. Campaigns that were approved before keep the rule they were approved with."), "good")
            return redirect(url_for("admin.segment", public_id=public_id))
    return _page(form, queries.by_public_id(public_id), tried=True), 422


@pages.post("/segments/<public_id>/count")
@allowed(Permission.look)
def count_segment(public_id: str) -> ResponseReturnValue:
    """Exactly; the number stays with its time, for when nobody has the patience to count again."""
    number = sizing.count(queries.rule_of(queries.by_public_id(public_id)), clock.now())
    with transaction():
        named.note_count(queries.by_public_id(public_id), number)
    return redirect(url_for("admin.segment", public_id=public_id))


@pages.post("/segments/<public_id>/remove")
@allowed(Permission.write_campaigns)
def remove_segment(public_id: str) -> ResponseReturnValue:
    try:
        with transaction():
            named.remove(queries.by_public_id(public_id))
            audit.note(me().actor, "segment.removed", "segment", public_id)
    except Conflict as conflict:
        flash(conflict.message, "warn")
        return redirect(url_for("admin.segment", public_id=public_id))
    flash(_("The segment is gone. What was sent by it stays as it was."), "good")
    return redirect(url_for("admin.segments_list"))


def _tries(form: SegmentForm) -> bool:
    """Whether a button was pressed that keeps nothing: it looks, adds a condition, or takes one away."""
    do, _mark, number = request.form.get("do", "").partition(":")
    if do not in ("look", "add", "drop"):
        return False
    try:
        rule = queries.read(form.text)
        if do == "add":
            rule = segment_building.added(
                rule, form.about.data, form.comparing.data, form.value.data, form.opposite.data, form.joining.data
            )
            form.value.data, form.opposite.data = "", False
        elif do == "drop":
            rule = segment_building.dropped(rule, number)
        form.put(rule)
    except Invalid as fault:
        put_faults(form, fault)
    return True


def _page(form: SegmentForm, found: Segment | None, *, tried: bool = False) -> str:
    """The form with all there is to know about the rule as it stands in it."""
    topics = [topic for topic in catalogue.live() if topic.purpose.mails]
    shown: dict[str, Any] = {"topics": topics, "topic": None, "funnel": None, "size": None, "conditions": []}
    try:
        rule = queries.read(form.text)
    except Invalid as fault:
        if tried and not form.segment.errors:
            put_faults(form, fault)
    else:
        shown |= _seen(rule, form.text, topics)
    return render_template(
        "admin/planning/segment.html",
        form=form,
        segment=found,
        uses=named.uses(found) if found else None,
        place=place_of(str(form.segment.errors[0]), form.text) if form.segment.errors else None,
        **shown,
    )


def _seen(rule: Rule, text: str, topics: list[Any]) -> dict[str, Any]:
    now, speaker = clock.now(), Speaker()
    size = sizing.estimate(rule, now)
    narrow = sizing.narrowest(rule, now) if not size.number and not size.cut else None
    topic = next((topic for topic in topics if topic.key == request.values.get("topic")), None)
    return {
        "size": size,
        "narrow": speaker.say(narrow) if narrow else "",
        "sentence": speaker.say(rule),
        "either": isinstance(rule, Or),
        "conditions": [speaker.say(part) for part in segment_building.parts(rule)],
        "profiles": queries.profiles(queries.written_out(rule)),
        "sample": sizing.sample(rule, now),
        "topic": topic,
        "funnel": audience.funnel(topic, text, now) if topic else None,
    }


def _conflict(form: SegmentForm, public_id: str, conflict: Conflict) -> ResponseReturnValue:
    """Both side by side; nothing is lost, and saving again is then a choice."""
    try:
        found = queries.by_public_id(public_id)
    except NotFound:
        flash(_("Somebody removed this segment meanwhile. Yours is below: keep it under a name."), "warn")
        return _page(form, None), 409
    form.version.raw_data, form.version.data = None, found.version
    return render_template(
        "admin/planning/segment_conflict.html",
        form=form,
        segment=found,
        theirs=_form_for(found),
        message=conflict.message,
    ), 409


def _form_for(found: Segment) -> SegmentForm:
    form = SegmentForm(formdata=None, name=found.name, version=found.version)
    form.put(queries.rule_of(found))
    return form
