"""What a campaign says: compiled once when a version is saved, rendered for each contact, looked over before it is sent.

Every mail carries the footer the law wants, in both parts and in the contact's language, wherever the author put it or at the end.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError
from sqlalchemy import select

from preference_center import i18n
from preference_center.campaigns.authoring import linting, markup
from preference_center.campaigns.authoring.linting import Finding
from preference_center.campaigns.models import Campaign, CampaignVersion
from preference_center.campaigns.rendering import compiling, following, footer, imprints, sandbox
from preference_center.campaigns.rendering.imprints import Imprint
from preference_center.campaigns.rendering.slots import Slots
from preference_center.contacts import attributes as declared_attributes
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import AttributeKind, Contact
from preference_center.db import db
from preference_center.errors import Conflict, Invalid
from preference_center.mail.header_lines import header_text
from preference_center.topics.models import Topic

MAX_VALUE = 1_000  # characters of one field of one contact

_KEPT = 32  # renderers a process keeps


class RenderError(Invalid):
    """This content cannot be rendered for this contact. The message holds nothing about them."""


@dataclass(frozen=True, slots=True)
class Rendered:
    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Encoded:
    """The same mail with both parts as quoted-printable, ready for `mime.assemble`."""

    subject: str
    html: bytes
    text: bytes


def compile(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The templates of a version, made from what its author wrote. Invalid, with field, line and what to write instead."""
    return compiling.compiled(fields, contacts.declared_attributes())


class Renderer:
    """One version, ready to be rendered for anybody. The footer of each language is compiled when it is first met."""

    def __init__(self, version: CampaignVersion) -> None:
        self._compiled = version.compiled
        self._subject = sandbox.load(self._compiled["subject"], autoescape=False)
        self._preheader = sandbox.load(self._compiled["preheader"], autoescape=False)
        self._quick_subject = Slots(self._compiled["subject"], autoescape=False, encoded=False)
        self._quick_preheader = Slots(self._compiled["preheader"], autoescape=False, encoded=False)
        self._spoken: dict[str, tuple[Slots, Slots]] = {}
        self._shown: dict[str, tuple[Template, Template]] = {}
        self._followed: dict[str, Slots] = {}

    def render(self, fields: Mapping[str, str], language: str) -> Rendered:
        """The mail for one contact, to be looked at: `fields` from fields_for(). RenderError when it cannot be made."""
        html, text = self._shown.get(language) or self._show(language)
        try:
            values = {**fields, "language": language, "subject": _subject(self._subject.render(fields))}
            if self._compiled["preheader"]:
                values["preheader"] = self._preheader.render(fields)
            made = html.render(values), text.render(values)
        except _FAULTS as fault:
            raise _named(fault) from None
        _check_size(*made)
        return Rendered(values["subject"], *made)

    def encode(self, fields: Mapping[str, str], language: str, *, ways: Mapping[str, str] | None = None) -> Encoded:
        """The same mail as quoted-printable: what is sent. `ways`: the addresses of following.py, for who agreed to be seen."""
        html, text = self._spoken.get(language) or self._speak(language)
        if ways is not None:
            html, fields = self._followed.get(language) or self._follow(language), {**fields, **ways}
        try:
            subject = _subject(self._quick_subject.fill(fields).decode())
            values = {**fields, "language": language, "subject": subject}
            if self._compiled["preheader"]:
                values["preheader"] = self._quick_preheader.fill(fields).decode()
            made = html.fill(values), text.fill(values)
        except _FAULTS as fault:
            raise _named(fault) from None
        _check_size(*made)
        return Encoded(subject, *made)

    def names(self, language: str) -> set[str]:
        """The fields that this mail speaks of: nothing else about a contact need be prepared."""
        html, text = self._spoken.get(language) or self._speak(language)
        return html.names | text.names | self._quick_subject.names | self._quick_preheader.names

    def _speak(self, language: str) -> tuple[Slots, Slots]:
        html, text = self._sources(language)
        made = Slots(html, autoescape=True), Slots(text, autoescape=False)
        if len(self._spoken) < _KEPT:  # a language tag comes from outside
            self._spoken[language] = made
        return made

    def _follow(self, language: str) -> Slots:
        spoken = footer.spoken(i18n.best(language))
        html = following.followed(self._compiled["html"]).replace(compiling.FOOTER, spoken.html, 1)
        made = Slots(html, autoescape=True)
        if len(self._followed) < _KEPT:
            self._followed[language] = made
        return made

    def _show(self, language: str) -> tuple[Template, Template]:
        html, text = self._sources(language)
        made = sandbox.load(html, autoescape=True), sandbox.load(text, autoescape=False)
        if len(self._shown) < _KEPT:
            self._shown[language] = made
        return made

    def _sources(self, language: str) -> tuple[str, str]:
        """Both parts with the footer of this language in them."""
        spoken = footer.spoken(i18n.best(language))
        return (
            self._compiled["html"].replace(compiling.FOOTER, spoken.html, 1),
            self._compiled["text"].replace(compiling.FOOTER, spoken.text, 1),
        )


def _subject(rendered: str) -> str:
    subject = header_text(rendered, compiling.MAX_SUBJECT)
    if not subject:
        raise RenderError("The subject is empty for this contact.")
    return subject


def _check_size(*parts: str | bytes) -> None:
    if max(map(len, parts)) > markup.MAX_OUTPUT:
        raise RenderError("The mail is larger than 1 MB for this contact.")


_FAULTS = (TemplateError, ValueError, OverflowError)


def _named(fault: Exception) -> RenderError:
    return RenderError(f"The content cannot be rendered: {type(fault).__name__}.")


_renderers: OrderedDict[str, Renderer] = OrderedDict()


def renderer(version: CampaignVersion) -> Renderer:
    """The renderer of a version, kept by the hash of its content. Conflict when the row is not what was saved."""
    if not version.is_intact():
        raise Conflict("This version was altered after it was saved; it is not used any more. Save the content again.")
    made = _renderers.get(version.sha256)
    if made is None:
        made = _renderers[version.sha256] = Renderer(version)
        if len(_renderers) > _KEPT:
            _renderers.popitem(last=False)
    return made


def fields_for(
    *,
    email: str,
    language: str,
    attributes: Mapping[str, Any],
    unsubscribe_url: str,
    preferences_url: str,
    imprint: Imprint,
    why: str,
    browser_url: str = "",
) -> dict[str, str]:
    """Everything a template may say about one contact, as clean single lines. `why` says when and how they agreed."""
    values = {key: _written(value) for key, value in attributes.items()}
    values.update(
        email=email,
        language=language,
        topic=imprint.topic_name(language),
        why=why,
        unsubscribe_url=unsubscribe_url,
        preferences_url=preferences_url,
        browser_url=browser_url,
        organisation=imprint.organisation,
        postal_address=imprint.postal_address,
    )
    return values


def _written(value: Any) -> str:
    if isinstance(value, str):
        return _line(value)
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return header_text(declared_attributes.written(value), MAX_VALUE)


@lru_cache(maxsize=4096)  # names and cities come again
def _line(value: str) -> str:
    return header_text(value, MAX_VALUE)


@dataclass(frozen=True)
class Preview:
    """The mail as somebody would get it, with links that lead nowhere, and what there is to know about it."""

    subject: str
    html: str
    text: str
    findings: list[Finding]


def preview(version: CampaignVersion, contact: Contact | None = None, language: str | None = None) -> Preview:
    """As this contact would get it; without one, with sample values. No link in it works."""
    language = language or (contact.language if contact else "en")
    declared = contacts.declared_attributes()
    fields = fields_for(
        email=(contact and contact.email) or "anna@example.com",
        language=language,
        attributes=contact.attributes if contact else {key: _sample(key, kind) for key, kind in declared.items()},
        unsubscribe_url="#preview",
        preferences_url="#preview",
        browser_url="#preview",
        imprint=_imprint(version),
        why=footer.sample_reason(language),
    )
    rendered = renderer(version).render(fields, language)
    inert = _LINK.sub(r"\1#preview\2", rendered.html)
    return Preview(rendered.subject, inert, rendered.text, linting.findings(version, rendered.html, rendered.text))


def lint(version: CampaignVersion) -> list[Finding]:
    """What an author should look at before this is sent, the worst first."""
    return preview(version).findings


_LINK = re.compile(r"""(<a\s(?:[^<>"]|"[^"]*")*?href=")[^"]*(")""")
_SAMPLES = {AttributeKind.number: 120, AttributeKind.date: "2026-05-14", AttributeKind.boolean: True}
_NAMES = {"first_name": "Anna", "name": "Anna Nowak", "last_name": "Nowak", "city": "Kraków", "company": "Example Ltd"}


def _sample(key: str, kind: AttributeKind) -> Any:
    return _SAMPLES.get(kind) or _NAMES.get(key) or key.replace("_", " ").capitalize()


def _imprint(version: CampaignVersion) -> Imprint:
    mine = select(Topic).join(Campaign, Campaign.topic_id == Topic.id).where(Campaign.id == version.campaign_id)
    return imprints.of(version, db.session.scalar(mine))
