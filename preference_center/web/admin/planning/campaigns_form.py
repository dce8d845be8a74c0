"""The form a campaign is written in: its content, whom it is for, and another content to try."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import IntegerField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional, ValidationError
from wtforms.widgets import CheckboxInput, HiddenInput, ListWidget

from preference_center.campaigns import experiments
from preference_center.campaigns.models import Campaign, CampaignVersion, ContentFormat
from preference_center.segments import picking
from preference_center.segments import queries as segments
from preference_center.segments.words import folded
from preference_center.topics import catalogue
from preference_center.web.admin.words import options

WRITTEN = ("subject", "preheader", "format", "source", "text_source")


FORMATS = [("markdown", "Markdown"), ("html", "HTML"), ("mjml", "MJML"), ("blocks", _l("Blocks (JSON)"))]
METRICS = [
    ("clicked", _l("more clicks, of those who agreed to be seen")),
    ("opened", _l("more openings, of those who agreed to be seen")),
    ("delivered", _l("more delivered")),
    ("person", _l("one of us picks")),
]


class SegmentsField(SelectMultipleField):  # type: ignore[misc]
    """Segments that have a name, each with its own box; the values are their public ids."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()

    def pre_validate(self, form: FlaskForm) -> None:
        if set(self.data or ()) - {choice.value for choice in self.choices}:
            raise ValidationError(_("A segment you chose was removed meanwhile. Choose again and save."))

    @property
    def names(self) -> list[str]:
        return [choice.label for choice in self.choices if choice.value in (self.data or ())]


class CampaignForm(FlaskForm):  # type: ignore[misc]
    version = IntegerField(validators=[Optional()], widget=HiddenInput())
    name = StringField(_l("Name"), [InputRequired(_l("Give the campaign a name.")), Length(max=120)])
    topic = SelectField(_l("Topic"))
    subject = StringField(_l("Subject"), [InputRequired(_l("Write a subject.")), Length(max=250)])
    preheader = StringField(_l("Preheader"), [Length(max=250)])
    format = SelectField(_l("Written in"), choices=options(FORMATS))
    source = TextAreaField(_l("Content"), [InputRequired(_l("Write the content."))])
    text_source = TextAreaField(_l("Text part"))
    include = SegmentsField(_l("Only who is in one of these segments"))
    exclude = SegmentsField(_l("Nobody who is in one of these"))
    segment = TextAreaField(_l("And only who fits this rule"), [Length(max=100_000)])
    other_subject = StringField(_l("The other subject"), [Length(max=250)])
    other_source = TextAreaField(_l("The other content"))
    share = IntegerField(_l("How many percent try it"), [Optional()])
    metric = SelectField(_l("Who wins"), choices=options(METRICS), validate_choice=False)
    wait = IntegerField(_l("Minutes to wait"), [Optional()])

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        topics = [topic for topic in catalogue.live() if topic.purpose.channel == "email"]
        self.topic.choices = options((topic.key, topic.name("en")) for topic in topics)
        named = options((segment.public_id, segment.name) for segment in segments.everything())
        self.include.choices = self.exclude.choices = named

    def written(self, before: CampaignVersion | None = None) -> dict[str, Any]:
        """What was typed, with the line ends of text rather than of forms; `before` is the version it is to follow."""
        fields = {name: _lines(self[name].data) for name in WRITTEN}
        rule = _lines(self.segment.data)
        return fields | {
            "name": self.name.data,
            "segment": picking.put_together(self.include.names, self.exclude.names, rule),
            "experiment": self.experiment(before),
        }

    def experiment(self, before: CampaignVersion | None = None) -> dict[str, Any]:
        """One other content to try; more than one are written from the command line, and stay as they are."""
        plan = experiments.given(before) if before else {}
        stored, *more = plan.get("variants") or [{}]
        if more:
            return plan
        other = {"subject": self.other_subject.data, "source": _lines(self.other_source.data)}
        variant = {name: value for name, value in other.items() if value and value.strip()}
        if not variant and stored.keys() & other.keys():  # what was shown was taken out
            return {}
        variant |= not_shown(stored, rewritten=variant.get("source", "") != _lines(stored.get("source")))
        if not variant:
            return {}
        return {
            "share": self.share.data, "metric": self.metric.data or "", "wait_minutes": self.wait.data, "variants": [variant]
        }  # fmt: skip


def _lines(text: str | None) -> str:
    """As a form gives it back, whose own line ends are never those that were written."""
    return (text or "").replace("\r\n", "\n").replace("\r", "\n")


def not_shown(variant: dict[str, Any], *, rewritten: bool = False) -> dict[str, Any]:
    """What another content changes and the form does not show. A rewritten source is in the form's format, and its text part is new."""
    left = {"subject", "source"} | ({"format", "text_source"} if rewritten else set())
    return {name: value for name, value in variant.items() if name not in left}


def unseen(version: CampaignVersion) -> list[str]:
    """By name, what another content changes and the form does not show: to be told, as it stays."""
    names = {"preheader": _("preheader"), "text_source": _("text part"), "format": _("format")}
    variants = (version.experiment or {}).get("variants", ())
    return [words for name, words in names.items() if any(one[name] != getattr(version, name) for one in variants)]


def filled(found: Campaign, version: CampaignVersion) -> CampaignForm:
    """The form as this version fills it."""
    keys = {topic.id: topic.key for topic in catalogue.everything()}
    values = {name: getattr(version, name) for name in WRITTEN} | {"format": ContentFormat(version.format).value}
    values |= _tried(version) | _meant(version)
    return CampaignForm(formdata=None, name=found.name, topic=keys[found.topic_id], version=found.version, **values)


def _meant(version: CampaignVersion) -> dict[str, Any]:
    """The fields that say whom it is for."""
    ids = {folded(segment.name): segment.public_id for segment in segments.everything()}
    picked = picking.taken_apart(version.segment)
    chosen = {"include": picked.include, "exclude": picked.exclude}
    return {name: [ids[folded(one)] for one in names] for name, names in chosen.items()} | {"segment": picked.rule}


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
