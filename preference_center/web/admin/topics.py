"""The topics: what people can follow, in each language, and the consent texts in force."""

from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from preference_center.accounts import audit
from preference_center.accounts.permissions import Permission
from preference_center.consent import queries as consent
from preference_center.consent import wordings
from preference_center.db import transaction
from preference_center.errors import Conflict, Invalid
from preference_center.i18n import LANGUAGES
from preference_center.topics import catalogue
from preference_center.topics.models import Topic, TopicText
from preference_center.topics.purposes import PURPOSES
from preference_center.web.admin.gate import allowed, me, pages
from preference_center.web.admin.words import options, put_faults


class TopicForm(FlaskForm):  # type: ignore[misc]
    key = StringField(_l("Key"), [InputRequired(_l("Give the topic a key.")), Length(max=39)])
    purpose = SelectField(_l("Purpose"), default="email_marketing")
    public = BooleanField(_l("People see it on their preference page and can choose it"), default=True)
    cadence_choice = BooleanField(_l("People may choose how often: as it comes, once a week or once a month at most"))
    language = SelectField(_l("Language of these texts"), default="en")
    name = StringField(_l("Name"), [InputRequired(_l("Give the topic a name.")), Length(max=80)])
    description = TextAreaField(_l("Description"), [Length(max=500)])
    cadence = StringField(_l("How often"), [Length(max=80)])
    heading = StringField(_l("Group"), [Length(max=60)])

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.purpose.choices = options((purpose.key, purpose.name) for purpose in PURPOSES.values())
        self.language.choices = options(LANGUAGES.items())

    def text(self) -> TopicText:
        return TopicText(
            language=self.language.data,
            name=self.name.data.strip(),
            description=(self.description.data or "").strip(),
            cadence=(self.cadence.data or "").strip(),
            heading=(self.heading.data or "").strip(),
        )


class TopicTextForm(TopicForm):
    """The texts of one language; what stands in links cannot be changed."""

    key = purpose = public = cadence_choice = language = None

    def __init__(self, **values: Any) -> None:
        FlaskForm.__init__(
            self, meta={"csrf": False}, **values
        )  # the gate has checked it, and a prefix would rename it


@pages.get("/topics")
@allowed(Permission.look)
def topics() -> ResponseReturnValue:
    return render_template("admin/topics.html", topics=catalogue.everything(), followers=consent.followers())


@pages.route("/topics/new", methods=["GET", "POST"])
@allowed(Permission.edit_topics)
def new_topic() -> ResponseReturnValue:
    form = TopicForm()
    if form.validate_on_submit():
        try:
            with transaction():
                text = form.text()
                topic = catalogue.add(
                    form.key.data.strip(), {text.language: text}, form.purpose.data, public=form.public.data
                )
                catalogue.offer_cadence(topic, form.cadence_choice.data)
                wordings.publish_defaults(topic)
                audit.note(me().actor, "topic.added", "topic", topic.key)
        except Invalid as fault:
            put_faults(form, fault)
        except Conflict as fault:
            form.key.errors = [fault.message]
        else:
            flash(_("The topic is added."), "good")
            return redirect(url_for("admin.topic", key=topic.key))
    return render_template("admin/topic_new.html", form=form), 200 if request.method == "GET" else 422


@pages.get("/topics/<key>")
@allowed(Permission.look)
def topic(key: str) -> ResponseReturnValue:
    found = catalogue.by_key(key)
    return _page(found, {language: _form_for(found, language) for language in LANGUAGES})


@pages.post("/topics/<key>/texts/<language>")
@allowed(Permission.edit_topics)
def save_topic_text(key: str, language: str) -> ResponseReturnValue:
    found = catalogue.by_key(key)
    form = TopicTextForm(prefix=language)
    if language in LANGUAGES and form.validate_on_submit():
        with transaction():
            found = catalogue.by_key(key)
            catalogue.amend(found, language, **form.data)
            audit.note(me().actor, "topic.reworded", "topic", key, language=language)
        flash(_("Saved: the texts in %(language)s.", language=LANGUAGES[language]), "good")
        return redirect(url_for("admin.topic", key=key))
    forms = {other: form if other == language else _form_for(found, other) for other in LANGUAGES}
    return _page(found, forms, faulty=form), 422


@pages.post("/topics/<key>/wordings/<language>")
@allowed(Permission.edit_topics)
def publish_wording(key: str, language: str) -> ResponseReturnValue:
    """A new version of what people agree to; those who saw the old one keep it as their proof."""
    if language not in LANGUAGES:
        abort(404)
    try:
        with transaction():
            wordings.publish(catalogue.by_key(key), language, request.form.get("text", "")[:2000])
            audit.note(me().actor, "topic.wording_published", "topic", key, language=language)
    except Invalid as fault:
        flash(fault.message, "bad")
    else:
        flash(_("This text is in force now. Whoever saw the one before keeps it as proof."), "good")
    return redirect(url_for("admin.topic", key=key))


@pages.post("/topics/<key>/place")
@allowed(Permission.edit_topics)
def place_topic(key: str) -> ResponseReturnValue:
    """One place up in the order people see."""
    with transaction():
        keys = [topic.key for topic in catalogue.live()]
        at = keys.index(catalogue.by_key(key).key) if key in keys else 0
        if at > 0:
            keys[at - 1 : at + 1] = [keys[at], keys[at - 1]]
            catalogue.arrange(keys)
            audit.note(me().actor, "topics.arranged", "topic", key)
    flash(_("The order is changed. People see it so from now on."), "good")
    return redirect(url_for("admin.topics"))


@pages.post("/topics/<key>/public")
@allowed(Permission.edit_topics)
def show_topic(key: str) -> ResponseReturnValue:
    public = request.form.get("public") == "yes"
    with transaction():
        catalogue.show(catalogue.by_key(key), public)
        audit.note(me().actor, "topic.shown", "topic", key, public=public)
    flash(_("Everybody sees it.") if public else _("Only its followers see it."), "good")
    return redirect(url_for("admin.topic", key=key))


@pages.post("/topics/<key>/cadence")
@allowed(Permission.edit_topics)
def offer_cadence(key: str) -> ResponseReturnValue:
    offered = request.form.get("offered") == "yes"
    with transaction():
        catalogue.offer_cadence(catalogue.by_key(key), offered)
        audit.note(me().actor, "topic.cadence_offered", "topic", key, offered=offered)
    flash(_("People may choose how often.") if offered else _("Nobody can choose how often any more."), "good")
    return redirect(url_for("admin.topic", key=key))


@pages.post("/topics/<key>/retire")
@allowed(Permission.edit_topics)
def retire_topic(key: str) -> ResponseReturnValue:
    with transaction():
        catalogue.retire(catalogue.by_key(key))
        audit.note(me().actor, "topic.retired", "topic", key)
    flash(_("The topic is retired. What people said about it stays."), "good")
    return redirect(url_for("admin.topic", key=key))


def _page(found: Topic, forms: dict[str, FlaskForm], faulty: FlaskForm | None = None) -> str:
    return render_template(
        "admin/topic.html",
        topic=found,
        forms=forms,
        faulty=faulty,
        written={text.language for text in found.texts},
        followers=consent.followers().get(found.id, 0),
        wordings={language: wordings.current(found, language) for language in LANGUAGES},
        languages=LANGUAGES,
    )


def _form_for(found: Topic, language: str) -> TopicTextForm:
    text = next((text for text in found.texts if text.language == language), None)
    return TopicTextForm(formdata=None, obj=text, prefix=language)
