"""The words of each notice: one function a kind, which gives the template what it needs. Nothing a stranger typed goes in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import current_app

from preference_center import i18n, signed_links
from preference_center.config import Settings
from preference_center.contacts.models import Contact
from preference_center.i18n import gettext as _
from preference_center.notices.models import Kind, Notice
from preference_center.signed_links import Power
from preference_center.topics import catalogue


@dataclass(frozen=True)
class Letter:
    subject: str
    text: str
    html: str
    language: str


def write(notice: Notice, contact: Contact) -> Letter:
    """The letter of this notice, in the contact's language."""
    language = i18n.best(contact.language)
    with i18n.in_language(language):
        subject, facts = _KINDS[notice.kind](contact, notice.payload)
        return Letter(subject, _fill(notice.kind, "txt", facts), _fill(notice.kind, "html", facts), language)


_Facts = tuple[str, dict[str, Any]]


def confirm_subscription(contact: Contact, payload: dict[str, Any]) -> _Facts:
    """Asks the owner of the address whether the sign-up was theirs."""
    url = signed_links.url(Power.confirm, [contact.public_id, payload["wish"]])
    return _("Confirm your subscription"), {"url": url, "topics": _topics(payload)}


def new_link(contact: Contact, payload: dict[str, Any]) -> _Facts:
    """The way back to the preference page, for one whose link is gone."""
    return _("Your link to your email preferences"), {"url": _manage(contact)}


def topic_turned_on(contact: Contact, payload: dict[str, Any]) -> _Facts:
    """Tells the owner of the address that a link of theirs was used to turn a topic on, and how to take it back."""
    topics = _topics(payload)
    stops = [
        {"name": topic["name"], "url": signed_links.url(Power.unsub, [contact.public_id, topic["key"], 0])}
        for topic in topics
    ]
    subject = _("You turned on %(topics)s", topics=", ".join(topic["name"] for topic in topics))
    return subject, {"topics": topics, "stops": stops, "url": _manage(contact)}


_KINDS: dict[Kind, Callable[[Contact, dict[str, Any]], _Facts]] = {
    Kind.confirm_subscription: confirm_subscription,
    Kind.new_link: new_link,
    Kind.topic_turned_on: topic_turned_on,
}


def _fill(kind: Kind, form: str, facts: dict[str, Any]) -> str:
    settings: Settings = current_app.extensions["settings"]
    template = current_app.jinja_env.get_template(f"email/{kind}.{form}")
    return template.render(organisation=settings.organisation, postal_address=settings.postal_address, **facts)


def _manage(contact: Contact) -> str:
    return signed_links.url(Power.manage, [contact.public_id, contact.link_epoch])


def _topics(payload: dict[str, Any]) -> list[dict[str, str]]:
    language = i18n.current_language()
    found = []
    for key in payload["topics"]:
        text = catalogue.by_key(key).text(language)
        found.append({"key": key, "name": text.name, "cadence": text.cadence})
    return found
