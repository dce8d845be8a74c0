"""What happened, in words for the person it happened to."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Protocol

from babel import Locale
from babel.dates import format_date, format_time, get_datetime_format, get_time_format
from flask import render_template

from preference_center import i18n
from preference_center.consent.models import Action, ConsentRecord
from preference_center.contacts.models import Contact
from preference_center.i18n import gettext as _
from preference_center.i18n import ngettext
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from preference_center.web.public.managing import zones
from preference_center.web.public.managing.zones import Resident


class Fact(Protocol):
    """A consent record, or what is told of one."""

    @property
    def action(self) -> Action: ...

    @property
    def source(self) -> str: ...

    @property
    def legal_basis(self) -> LegalBasis | None: ...


@dataclass(frozen=True)
class Outcome:
    """The answer after an act: a headline, what changed line by line, and whether it can be taken back."""

    headline: str
    lines: list[str]
    changed: bool
    can_undo: bool


def outcome(act: str, records: list[ConsentRecord], names: dict[int, str], can_undo: bool) -> Outcome:
    lines = []
    for actions, words in ((_ON, _("Turned on: %(topics)s.")), (_OFF, _("Turned off: %(topics)s."))):
        topics = [names[r.topic_id] for r in records if r.topic_id in names and r.action in actions]
        if topics:
            lines.append(words % {"topics": ", ".join(topics)})
    for cadence, words in often().items():
        topics = [names[r.topic_id] for r in records if r.topic_id in names and r.action == cadence]
        if topics:
            lines.append(f"{', '.join(topics)}: {words}.")
    return Outcome(_headline(act, bool(records)), lines, bool(records), can_undo)


def _headline(act: str, changed: bool) -> str:
    if act == "speak":
        return _("Saved. Pages and emails now speak English to you.")
    if act == "live_in":
        return _("Saved. Days and times are now told for your time zone.")
    if not changed:
        return _("No changes to save.")
    return {
        "stop_all": _("Stopped. You will get no marketing emails from us."),
        "pause": _("Paused. We send nothing until the day you chose."),
        "resume": _("The break is over. You get your topics again."),
        "undo": _("Undone. Everything is as it was before."),
    }.get(act, _("Saved."))


_ON = (Action.given, Action.confirmed, Action.renewed)
_OFF = (Action.withdrawn, Action.objected)


def often() -> dict[str, str]:
    """How often one may have a topic, by cadence. No word of summaries: there are none yet."""
    return {"each": _("as they come"), "weekly": _("at most once a week"), "monthly": _("at most once a month")}


def held_back(cause: str) -> str:
    """Why nothing is sent to an address, whatever is ticked."""
    return {
        "bounce": _("Our emails to this address came back, so we send none now."),
        "complaint": _("Our mail was reported as unwanted from this address, so we send none any more."),
        "restricted": _("The use of your data is restricted."),
    }.get(cause, _("We hold back all emails to this address."))


def will_get(count: int) -> str:
    return ngettext("You will get %(num)s topic.", "You will get %(num)s topics.", count)


def day(moment: datetime, contact: Resident) -> str:
    """A day in words, with the year, where the person lives if we know it."""
    return day_of(moment.astimezone(zones.of(contact)), i18n.current_language())


def moment(at: datetime, contact: Resident) -> str:
    """A moment as evidence: to the second, with its zone."""
    return moment_of(at.astimezone(zones.of(contact)), i18n.current_language())


def day_of(there: datetime, language: str) -> str:
    """The day of a moment that is told by the clock of its place."""
    return _day(there.date(), language)


def moment_of(there: datetime, language: str) -> str:
    """That moment. Babel takes as long for one as the rest of a page does, so only what is seldom new is left to it."""
    hour = there.hour, there.utcoffset(), there.tzinfo, language
    pattern = _hours.get(hour)
    if pattern is None:
        if len(_hours) >= _MOST_HOURS:
            _hours.clear()
        pattern = _hours[hour] = _pattern(there, i18n.locale(language))
    return pattern.format(day=day_of(there, language), minute=there.minute, second=there.second)


_hours: dict[tuple[object, ...], str] = {}
_MOST_HOURS = 4096  # a process remembers; then it begins anew


def _pattern(there: datetime, locale: Locale) -> str:
    """How moments of this hour are written, with the day, the minute and the second left open."""
    time = get_time_format("long", locale).pattern.replace("mm", "'{minute:02}'").replace("ss", "'{second:02}'")
    whole = str(get_datetime_format("long", locale)).replace("'", "")
    return whole.replace("{0}", format_time(there, time, tzinfo=there.tzinfo, locale=locale)).replace("{1}", "{day}")


@lru_cache(maxsize=4096)
def _day(day: date, language: str) -> str:
    return format_date(day, "long", locale=i18n.locale(language))


def since(record: Fact, on: bool, day: str) -> str:
    """`On since 3 May 2026, by the sign-up form`."""
    facts = {"day": day, "how": how(record)}
    if record.action is Action.requested:
        return _("Waiting for your confirmation since %(day)s, %(how)s", **facts)
    return _("On since %(day)s, %(how)s", **facts) if on else _("Off since %(day)s, %(how)s", **facts)


def how(record: Fact) -> str:
    return {  # only the one that is needed is translated
        "form": lambda: _("by the sign-up form"),
        "link": lambda: _("by you, on a page like this"),
        "one_click": lambda: _("by the unsubscribe button of your mail program"),
        "import": lambda: _("as recorded before we moved to this system"),
        "admin": lambda: _("by our staff, as you told us"),
        "mail": lambda: _("by an email from you"),
        "provider": lambda: _("by your mail provider"),
    }.get(record.source, lambda: _("by our system"))()


def event(record: ConsentRecord, contact: Contact) -> str:
    """What a record says happened, in a few words."""
    if record.action is Action.paused and record.until is not None:
        return _("break until %(day)s", day=day(record.until, contact))
    if record.action in often():
        return often()[record.action]
    return {
        "requested": _("asked for, not confirmed yet"),
        "given": _("turned on"),
        "confirmed": _("confirmed from your mailbox"),
        "renewed": _("extended"),
        "refused": _("refused"),
        "withdrawn": _("turned off"),
        "objected": _("objection"),
        "expired": _("ran out"),
        "invalidated": _("declared void"),
        "resumed": _("end of the break"),
    }[record.action]


def subject(topic: Topic | None, record: ConsentRecord, language: str) -> str:
    """What a record speaks of: a topic, or everything of one purpose."""
    return topic.name(language) if topic else purpose(record.purpose_key)


def purpose(key: str) -> str:
    return {
        "email_marketing": _("All marketing emails"),
        "tracking": _("Counting opens and clicks"),
        "profiling": _("Choosing content by what you did"),
        "phone": _("Marketing by phone"),
        "sms": _("Marketing by SMS"),
        "post": _("Marketing by post"),
    }.get(key, _("Messages that belong to an order or account"))


def basis(record: Fact) -> str:
    """What it rests on, in the words of that basis (`templates/public/bases/`)."""
    return render_template(f"public/bases/{record.legal_basis}.html").strip() if record.legal_basis else ""


def other_way(channel: str) -> str:
    """How else than by mail the owner may reach a person."""
    return {"sms": _("By SMS"), "phone": _("By phone"), "post": _("By post")}.get(channel, channel)
