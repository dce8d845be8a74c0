"""What we hold on a person, in plain groups and in the words of their language (S96): for the page and for the readable file."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import current_app, render_template

from preference_center import i18n
from preference_center.config import Settings
from preference_center.consent import interchange
from preference_center.contacts import attributes
from preference_center.contacts.models import Contact
from preference_center.i18n import gettext as _
from preference_center.topics import catalogue
from preference_center.web.public import words

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Group:
    """One group: lines of (what, value), and below them every field as stored."""

    title: str
    lines: list[tuple[str, str]]
    stored: dict[str, Rows] = field(default_factory=dict)


def groups(contact: Contact, held: dict[str, Rows]) -> list[Group]:
    """All that is held, and in the last group who gets it and how long it is kept."""
    names = {topic.id: topic.name(i18n.current_language()) for topic in catalogue.everything()}
    made = [
        (_("About you"), _about(contact), ("contacts", "address_changes")),
        (_("What you get"), _topics(contact, held, names), ("subscriptions", "standings")),
        (_("What you agreed to, changed and stopped"), _records(contact, held, names), _CONSENT),
        (_("Emails we sent you"), _messages(contact, held), _MAIL),
        (_("Service messages"), _notices(contact, held), ("notices",)),
        (_("Marks that keep us from writing"), _marks(contact, held), ("suppressions", "suppression_records")),
        (_("Your requests"), _requests(contact, held), ("data_requests", "rights_links")),
    ]
    found = [Group(title, lines, {name: held.get(name, []) for name in tables}) for title, lines, tables in made]
    return [*found, Group(_("Who gets it, and how long we keep it"), _kept())]


_MAIL = (
    "messages",
    "message_attempts",
    "delivery_events",
    "tracked_messages",
    "mailings",
    "last_mails",
    "renewal_letters",
)
_CONSENT = ("consent_records", "consent_evidence", "contact_keys")


def readable(contact: Contact, export: dict[str, Any]) -> str:
    """A whole page of its own, to keep or to print: it loads nothing."""
    settings: Settings = current_app.extensions["settings"]
    return render_template(
        "files/your_data.html",
        groups=groups(contact, export["held"]),
        made=words.moment(datetime.fromisoformat(export["made_at"]), contact),
        organisation=settings.organisation,
        postal_address=settings.postal_address,
    )


def file_name() -> str:
    """Plain letters: it stands in a header."""
    return {"pl": "twoje-dane", "es": "tus-datos", "pt-BR": "seus-dados"}.get(i18n.current_language(), "your-data")


def _about(contact: Contact) -> list[tuple[str, str]]:
    declared = attributes.declared()
    own = [
        (declared[key].name if key in declared else key, attributes.written(value))
        for key, value in sorted(contact.attributes.items())
    ]
    return [
        (_("Email address"), contact.email or ""),
        (_("Language"), i18n.LANGUAGES.get(contact.language, contact.language)),
        *([(_("Time zone"), contact.time_zone)] if contact.time_zone else []),
        *([(_("Country"), contact.jurisdiction)] if contact.jurisdiction else []),
        *own,
        (_("Known to us since"), words.moment(contact.created_at, contact)),
        *([(_("From where"), contact.source)] if contact.source else []),
        *([(_("Use restricted since"), words.moment(contact.restricted_at, contact))] if contact.restricted_at else []),
    ]


def _topics(contact: Contact, held: dict[str, Rows], names: dict[int, str]) -> list[tuple[str, str]]:
    states = {"given": _("on"), "requested": _("waiting for your confirmation")}
    return [
        (names.get(row["topic_id"], ""), f"{states.get(row['state'], _('off'))}, {_at(row['changed_at'], contact)}")
        for row in held.get("subscriptions", [])
    ]


def _records(contact: Contact, held: dict[str, Rows], names: dict[int, str]) -> list[tuple[str, str]]:
    acts = {
        "requested": _("asked for"),
        "given": _("agreed"),
        "confirmed": _("confirmed"),
        "withdrawn": _("stopped"),
        "objected": _("objected"),
        "paused": _("paused"),
        "resumed": _("resumed"),
        "expired": _("expired"),
        "renewed": _("extended"),
        "refused": _("refused"),
        "invalidated": _("declared void"),
        **words.often(),
    }
    about = purposes()
    return [
        (
            _at(row["happened_at"], contact),
            f"{names.get(row['topic_id'], about.get(row['purpose_key'], row['purpose_key']))}: "
            f"{acts.get(row['action'], row['action'])}",
        )
        for row in held.get("consent_records", [])
    ]


def purposes() -> dict[str, str]:
    return {
        "email_marketing": _("Marketing by email"),
        "tracking": _("Counting opens and clicks"),
        "profiling": _("Choosing content by what you did"),
        "phone": _("Marketing by phone"),
        "sms": _("Marketing by SMS"),
        "post": _("Marketing by post"),
        "service": _("Messages that belong to an order or account"),
    }


_MERGED = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")  # what stood there was the reader's own, and no word for people


def _messages(contact: Contact, held: dict[str, Rows]) -> list[tuple[str, str]]:
    states = {
        "sent": _("sent"),
        "delivered": _("delivered"),
        "bounced": _("came back"),
        "complained": _("you complained"),
        "skipped": _("not sent"),
        "failed": _("could not be sent"),
        "uncertain": _("may have arrived"),
    }
    return [
        (
            _at(row["changed_at"], contact),
            f"{_MERGED.sub('…', row['subject'] or row['campaign'] or '')}: {states.get(row['state'], _('waiting'))}",
        )
        for row in held.get("messages", [])
    ]


def _notices(contact: Contact, held: dict[str, Rows]) -> list[tuple[str, str]]:
    states = {"sent": _("sent"), "failed": _("could not be sent"), "dropped": _("not sent")}
    return [
        (_at(row["created_at"], contact), f"{row['subject'] or ''}: {states.get(row['state'], _('waiting'))}")
        for row in held.get("notices", [])
    ]


def _marks(contact: Contact, held: dict[str, Rows]) -> list[tuple[str, str]]:
    causes = {
        "bounce": _("our mail came back"),
        "complaint": _("you complained about a mail"),
        "manual": _("set by our staff or by a file"),
        "erased": _("you had your data deleted"),
    }
    return [(_at(row["created_at"], contact), causes[row["cause"]]) for row in held.get("suppressions", [])]


def _requests(contact: Contact, held: dict[str, Rows]) -> list[tuple[str, str]]:
    kinds = {
        "access": _("a copy of your data"),
        "rectification": _("change of address"),
        "erasure": _("deletion"),
        "restriction": _("restriction"),
        "restriction_lifted": _("end of the restriction"),
        "objection": _("objection to marketing"),
    }
    states = {"open": _("open"), "done": _("done"), "refused": _("refused")}
    return [
        (_at(row["asked_at"], contact), f"{kinds[row['kind']]}: {states[row['state']]}")
        for row in held.get("data_requests", [])
    ]


def _kept() -> list[tuple[str, str]]:
    days, others = current_app.extensions["settings"].forget_after_days, ", ".join(interchange.recipients())
    who = _("We, and the mail servers that carry our emails to you. Nobody else.")
    if others:
        who = _("We, the mail servers that carry our emails to you, and: %(names)s", names=others)
    address = _("until you have it deleted; an unconfirmed sign-up 7 days")
    if days:
        address = _(
            "until you have it deleted, or %(days)s days after the last of your consents has ended; an unconfirmed sign-up 7 days",
            days=days,
        )
    return [
        (_("Who gets it"), who),
        (_("Why we hold it"), _("To send you what you chose, and to prove that you chose it.")),
        (_("Your address and what you told us"), address),
        (_("What you agreed to and stopped"), _("as proof; without your name once you are deleted")),
        (_("Service messages"), _("90 days")),
        (_("Your rights"), _("to see, correct, take along, restrict, object, delete; and to complain to an authority")),
    ]


def _at(text: str, contact: Contact) -> str:
    return words.day(datetime.fromisoformat(text), contact)
