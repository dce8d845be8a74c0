"""The words of each notice: one function a kind, which gives the template what it needs. Nothing a stranger typed goes in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import current_app
from flask_babel import format_date

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


def write(notice: Notice, contact: Contact | None, said: dict[str, Any] | None = None) -> Letter:
    """The letter of this notice, in the contact's language, or our own where it is for us. `said`: instead of what was noted."""
    settings: Settings = current_app.extensions["settings"]
    language = i18n.best(contact.language if contact else settings.default_language)
    with i18n.in_language(language):
        payload = (notice.payload if said is None else said) | {"name": notice.public_id}
        title, facts = _KINDS[notice.kind](contact, payload) if contact else _TO_US[notice.kind](payload)
        return Letter(title, _fill(notice.kind, "txt", facts), _fill(notice.kind, "html", facts), language)


_Facts = tuple[str, dict[str, Any]]


def confirm_subscription(contact: Contact, payload: dict[str, Any]) -> _Facts:
    """Asks the owner of the address whether the sign-up was theirs."""
    url = signed_links.url(Power.confirm, [contact.public_id, payload["wish"]])
    topics = _topics(payload)
    wishes = [(mails, [topic for topic in topics if topic["mails"] is mails]) for mails in (True, False)]
    return _("Confirm your subscription"), {"url": url, "wishes": [wish for wish in wishes if wish[1]]}


def new_link(contact: Contact, payload: dict[str, Any]) -> _Facts:
    """The way back to the preference page, for one whose link is gone."""
    return _("Your link to your email preferences"), {"url": _manage(contact)}


def topic_turned_on(contact: Contact, payload: dict[str, Any]) -> _Facts:
    """Tells the owner of the address that a link of theirs was used to turn a topic on, and how to take it back."""
    facts = _to_take_back(contact, payload)
    return _("You turned on %(topics)s", topics=facts["names"]), facts


def consent_renewed(contact: Contact, payload: dict[str, Any]) -> _Facts:
    """The same where a consent that was about to end was extended."""
    facts = _to_take_back(contact, payload)
    return _("You extended %(topics)s", topics=facts["names"]), facts


def _to_take_back(contact: Contact, payload: dict[str, Any]) -> dict[str, Any]:
    topics = _topics(payload)
    stops = [
        {"name": topic["name"], "url": signed_links.url(Power.unsub, [contact.public_id, topic["key"], 0])}
        for topic in topics
    ]
    names = ", ".join(topic["name"] for topic in topics)
    return {"names": names, "stops": stops, "url": _manage(contact)}


def rights_link(contact: Contact, payload: dict[str, Any]) -> _Facts:
    """The short-lived way to what we hold on a person; only their mailbox gets it."""
    url = signed_links.url(Power.rights, [contact.public_id, payload["opens"], signed_links.nonce(payload["name"])])
    wishes_address = payload["opens"] == "address"
    subject = _("Change your address") if wishes_address else _("Your data: see, download or delete it")
    return subject, {"url": url, "wishes_address": wishes_address}


def confirm_address(contact: Contact, payload: dict[str, Any]) -> _Facts:
    """Asks the owner of a new address whether our mail may come there."""
    url = signed_links.url(Power.confirm, [contact.public_id, "address", payload["change"]])
    return _("Confirm your new address"), {"url": url}


def address_changed(contact: Contact, payload: dict[str, Any]) -> _Facts:
    """Tells the owner of the old address, who can take it back."""
    url = signed_links.url(Power.confirm, [contact.public_id, "address-back", payload["change"]])
    return _("Your address was changed"), {"url": url}


def consent_ending(contact: Contact, payload: dict[str, Any]) -> _Facts:
    """Tells in time that a consent ends by itself, and where it can be given again. No advertising."""
    topics = _topics(payload)
    names = ", ".join(topic["name"] for topic in topics)
    day = _day(payload["until"])
    facts = {"url": f"{_manage(contact)}/renew", "names": names, "day": day}
    return _("%(topics)s ends on %(day)s, unless you want more", topics=names, day=day), facts


def receipt(contact: Contact, payload: dict[str, Any]) -> _Facts:
    """A person's own record, which they asked to have in the mailbox."""
    here = f"{_manage(contact)}/consents/{payload['record']}"
    names = ", ".join(topic["name"] for topic in _topics(payload))
    facts = {"reference": payload["record"], "names": names, "day": _day(payload["at"]), "url": here}
    return _("Receipt %(reference)s", reference=payload["record"]), facts


def requests_due(payload: dict[str, Any]) -> _Facts:
    """Tells ourselves which requests of people the law wants answered soon. Numbers only: no name goes by mail."""
    due = [{"id": one["id"], "due": _day(one["due"])} for one in payload["requests"]]
    return _("Requests of people must be answered soon"), {"requests": due}


def subject(kind: Kind, contact: Contact, payload: dict[str, Any], name: str) -> str | None:
    """The subject of a letter that was owed, in the language spoken now; none when its payload was emptied."""
    known = payload or kind is Kind.new_link
    return _KINDS[kind](contact, payload | {"name": name})[0] if known else None


_KINDS: dict[Kind, Callable[[Contact, dict[str, Any]], _Facts]] = {
    Kind.confirm_subscription: confirm_subscription,
    Kind.new_link: new_link,
    Kind.topic_turned_on: topic_turned_on,
    Kind.consent_renewed: consent_renewed,
    Kind.rights_link: rights_link,
    Kind.confirm_address: confirm_address,
    Kind.address_changed: address_changed,
    Kind.consent_ending: consent_ending,
    Kind.receipt: receipt,
}
_TO_US: dict[Kind, Callable[[dict[str, Any]], _Facts]] = {Kind.requests_due: requests_due}


def _fill(kind: Kind, form: str, facts: dict[str, Any]) -> str:
    settings: Settings = current_app.extensions["settings"]
    template = current_app.jinja_env.get_template(f"email/{kind}.{form}")
    return template.render(organisation=settings.organisation, postal_address=settings.postal_address, **facts)


def _manage(contact: Contact) -> str:
    return signed_links.url(Power.manage, [contact.public_id, contact.link_epoch])


def _day(moment: str) -> str:
    return str(format_date(datetime.fromisoformat(moment), "long"))


def _topics(payload: dict[str, Any]) -> list[dict[str, Any]]:
    language = i18n.current_language()
    found = []
    for key in payload["topics"]:
        topic = catalogue.by_key(key)
        text = topic.text(language)
        found.append({"key": key, "name": text.name, "cadence": text.cadence, "mails": topic.purpose.mails})
    return found
