"""What a campaign says: compiled once when a version is saved, rendered for each contact, looked over before it is sent.

Every mail carries the footer the law wants, in both parts and in the contact's language, wherever the author put it or at the end.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

from jinja2 import Template, TemplateError
from sqlalchemy import select

from preference_center import i18n
from preference_center.campaigns.authoring import linting, markup
from preference_center.campaigns.authoring.linting import Finding
from preference_center.campaigns.models import Campaign, CampaignVersion
from preference_center.campaigns.rendering import compiling, following, footer, imprints, sandbox, values
from preference_center.campaigns.rendering.imprints import Imprint
from preference_center.campaigns.rendering.slots import Slots, Source
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import AttributeKind, Contact
from preference_center.db import db
from preference_center.errors import Conflict, Invalid
from preference_center.mail.header_lines import header_text
from preference_center.topics.models import Topic

_KEPT = 32  # renderers a process keeps
_KEPT_LINES = 1024  # of each language


class RenderError(Invalid):
    """This content cannot be rendered for this contact. The message holds nothing about them."""


@dataclass(frozen=True, slots=True)
class Rendered:
    subject: str
    html: str
    text: str


class Encoded(NamedTuple):
    """The same mail with both parts as quoted-printable, ready for `mime.assemble`."""

    subject: str
    html: bytes
    text: bytes


def compile(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The templates of a version, made from what its author wrote. Invalid, with field, line and what to write instead."""
    return compiling.compiled(fields, contacts.declared_attributes())


class Renderer:
    """One version, to be looked at as anybody would get it, or to be spoken in a language and sent."""

    def __init__(self, version: CampaignVersion) -> None:
        self._compiled = version.compiled
        self._subject = sandbox.load(self._compiled["subject"], autoescape=False)
        self._preheader = sandbox.load(self._compiled["preheader"], autoescape=False)
        self._spoken: dict[tuple[str, ...], Spoken] = {}
        self._shown: dict[str, tuple[Template, Template]] = {}

    def render(self, fields: Mapping[str, str], language: str) -> Rendered:
        """The mail for one contact, to be looked at: `fields` from fields_for(). RenderError when it cannot be made."""
        html, text = self._shown.get(language) or self._show(language)
        try:
            said = {**fields, "language": language, "subject": _subject(self._subject.render(fields))}
            said["preheader"] = self._preheader.render(fields)
            made = html.render(said), text.render(said)
        except _FAULTS as fault:
            raise _named(fault) from None
        _check_size(*made)
        return Rendered(said["subject"], *made)

    def spoken(self, language: str, imprint: Imprint) -> "Spoken":
        """The form in which the mails of one language are made."""
        fixed = _fixed(language, imprint)
        key = tuple(fixed.values())
        made = self._spoken.get(key)
        if made is None:
            made = Spoken(self._compiled, fixed)
            if len(self._spoken) < _KEPT:  # a language tag comes from outside
                self._spoken[key] = made
        return made

    def _show(self, language: str) -> tuple[Template, Template]:
        html, text = _with_footer(self._compiled["html"], self._compiled["text"], language)
        made = sandbox.load(html, autoescape=True), sandbox.load(text, autoescape=False)
        if len(self._shown) < _KEPT:
            self._shown[language] = made
        return made


class Spoken:
    """One version in one language, ready to be sent to anybody: all that their mails share is written already."""

    def __init__(self, compiled: Mapping[str, Any], fixed: Mapping[str, str]) -> None:
        self._html, self._text, self._fixed = compiled["html"], compiled["text"], fixed
        lines = Slots(
            *(Source(compiled[name], autoescape=False) for name in ("subject", "preheader")), fixed=fixed, encoded=False
        )
        self._in_lines = tuple(lines.names)
        self._lines = lru_cache(maxsize=_KEPT_LINES)(partial(_written, lines, self._in_lines))
        self._parts = self._slots(self._html)
        self._followed: Slots | None = None
        self.names = self._parts.names  # the fields that its parts speak of

    def encode(
        self, attributes: Mapping[str, Any], own: Mapping[str, str], *, ways: Mapping[str, str] | None = None
    ) -> Encoded:
        """The mail for one contact as quoted-printable. RenderError when it cannot be made.

        `own`: their own_fields(). `ways`: the addresses of following.py, for who agreed to be seen.
        """
        fields, parts = {**attributes, **own}, self._parts
        if ways is not None:
            fields, parts = {**fields, **ways}, self._followed or self._follow()
        try:
            subject, fields["preheader"] = self._lines(*[values.text(fields.get(name)) for name in self._in_lines])
            fields["subject"] = subject
            html, text = parts.fill(fields)
        except _FAULTS as fault:
            raise _named(fault) from None
        _check_size(html, text)
        return Encoded(subject, html, text)

    def _follow(self) -> Slots:
        self._followed = self._slots(following.followed(self._html))
        return self._followed

    def _slots(self, html: str) -> Slots:
        sources = _with_footer(html, self._text, self._fixed["language"])
        return Slots(*(Source(*one) for one in zip(sources, (True, False), strict=True)), fixed=self._fixed)


def _with_footer(html: str, text: str, language: str) -> tuple[str, str]:
    """Both parts with the footer of this language in them."""
    spoken = footer.spoken(i18n.best(language))
    return html.replace(compiling.FOOTER, spoken.html, 1), text.replace(compiling.FOOTER, spoken.text, 1)


def _written(lines: Slots, names: tuple[str, ...], *said: str) -> tuple[str, str]:
    """Subject and preheader when this is said of these fields, which comes again for many: often it is a first name alone."""
    subject, preheader = lines.fill(dict(zip(names, said, strict=True)))
    return _subject(subject.decode()), preheader.decode()


def _subject(rendered: str) -> str:
    subject = header_text(rendered, compiling.MAX_SUBJECT)
    if not subject:
        raise RenderError("The subject is empty for this contact.")
    return subject


def _check_size(html: str | bytes, text: str | bytes) -> None:
    if len(html) > markup.MAX_OUTPUT or len(text) > markup.MAX_OUTPUT:
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
    *, language: str, attributes: Mapping[str, Any], imprint: Imprint, browser_url: str = "", **own: str
) -> dict[str, str]:
    """Everything a template may say about one contact: attributes as clean single lines, and what own_fields() takes."""
    clean = {key: values.line(value) for key, value in attributes.items()}
    return {**clean, **_fixed(language, imprint), **own_fields(browser_url=browser_url, **own)}


def own_fields(*, email: str, why: str, unsubscribe_url: str, preferences_url: str, browser_url: str) -> dict[str, str]:
    """What we write to one contact. `why` says when and how they agreed."""
    return {
        "email": email,
        "why": why,
        "unsubscribe_url": unsubscribe_url,
        "preferences_url": preferences_url,
        "browser_url": browser_url,
    }


def _fixed(language: str, imprint: Imprint) -> dict[str, str]:
    """What is the same in all mails of one language."""
    return {
        "language": language,
        "topic": imprint.topic_name(language),
        "organisation": imprint.organisation,
        "postal_address": imprint.postal_address,
    }


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
