"""How the console puts things into words: reasons, states, times in the user's zone, figures, and faults beside fields."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from babel.dates import format_datetime, format_timedelta, get_timezone_location
from babel.numbers import format_decimal
from flask import Flask, g
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from wtforms.fields import SelectChoice

from preference_center import clock
from preference_center.accounts import queries as users
from preference_center.consent.eligibility import Reason
from preference_center.contacts import mapping
from preference_center.contacts.models import Import, ImportState
from preference_center.errors import Invalid

REASONS: dict[str, Any] = {
    Reason.no_consent: _l("gave no consent for this topic"),
    Reason.not_confirmed: _l("did not confirm the sign-up yet"),
    Reason.withdrawn: _l("withdrew consent"),
    Reason.expired: _l("consent has run out"),
    Reason.objected: _l("objected to marketing"),
    Reason.restricted: _l("asked us to only store the data"),
    Reason.paused_by_contact: _l("takes a break"),
    Reason.suppressed_bounce: _l("mail to the address came back"),
    Reason.suppressed_complaint: _l("reported our mail as spam"),
    Reason.suppressed_manual: _l("is suppressed by hand"),
    Reason.erased: _l("was erased"),
    Reason.frequency_cap: _l("got enough mail lately"),
    Reason.quiet_hours_over: _l("quiet hours ran past the end of sending"),
    Reason.invalid_address: _l("address cannot be written to"),
    Reason.null_mx: _l("domain takes no mail"),
    Reason.duplicate_address: _l("same address as another contact"),
    Reason.under_age: _l("is under age"),
    Reason.jurisdiction: _l("lives where this basis does not hold"),
    Reason.render_error: _l("the message could not be made"),
    Reason.cancelled: _l("sending was cancelled first"),
    Reason.too_late: _l("sending was no longer allowed so late"),
}

STATES: dict[str, Any] = {
    "draft": _l("Draft"),
    "scheduled": _l("Scheduled"),
    "sending": _l("Sending"),
    "paused": _l("Paused"),
    "sent": _l("Sent"),
    "cancelled": _l("Cancelled"),
}

MESSAGE_STATES: dict[str, Any] = {
    "queued": _l("waiting"),
    "sending": _l("leaving now"),
    "sent": _l("handed over"),
    "delivered": _l("delivered"),
    "bounced": _l("came back"),
    "complained": _l("reported as spam"),
    "failed": _l("failed"),
    "skipped": _l("skipped"),
    "uncertain": _l("uncertain"),
}

CONSENT_ACTIONS: dict[str, Any] = {
    "requested": _l("Asked for it, not confirmed yet"),
    "given": _l("Consent given"),
    "confirmed": _l("Consent confirmed"),
    "refused": _l("Refused"),
    "withdrawn": _l("Withdrawn"),
    "objected": _l("Objected"),
    "expired": _l("Ran out"),
    "invalidated": _l("Declared void"),
    "paused": _l("Break begun"),
    "resumed": _l("Break ended"),
    "each": _l("Wants mail as it comes"),
    "weekly": _l("Wants one mail a week at most"),
    "monthly": _l("Wants one mail a month at most"),
}

SOURCES: dict[str, Any] = {
    "form": _l("sign-up form"),
    "link": _l("preference page"),
    "one_click": _l("one-click unsubscribe"),
    "import": _l("import"),
    "admin": _l("written down by a colleague"),
    "provider": _l("mail provider"),
    "mail": _l("mail from the person"),
    "system": _l("the system"),
}

BASES: dict[str, Any] = {
    "consent": _l("consent"),
    "double_opt_in": _l("consent, address confirmed"),
    "existing_customer": _l("existing customer, own similar products"),
    "contract": _l("contract"),
    "legal_obligation": _l("legal obligation"),
    "vital_interest": _l("vital interest"),
    "public_task": _l("public task"),
    "legitimate_interest": _l("legitimate interest"),
}

# what became of a row's claim in an import
OUTCOMES: dict[str, Any] = {
    "given": _l("consent recorded"),
    "kept": _l("had it already"),
    "not_confirmed": _l("asked, not confirmed: nothing may be sent yet"),
    "withdrawn": _l("the file says no: withdrawn"),
    "refused_because_no": _l("said no before; an import does not change that"),
    "suppressed": _l("address is suppressed; an import does not lift that"),
    "no_status": _l("the status column says neither yes nor no"),
    "no_date": _l("no date of consent, so none recorded"),
    "bad_date": _l("date of consent cannot be used"),
    "not_here": _l("this legal basis does not hold in the person's country"),
    "under_age": _l("too young to agree alone"),
    "expired": _l("so old that it has ended"),
    "invalid_address": _l("address cannot be written to"),
    "row_refused": _l("row refused"),
}

FIELDS: dict[str, Any] = {
    "email": _l("email address"),
    "language": _l("language"),
    "time_zone": _l("time zone"),
    "country": _l("country"),
    "status": _l("status: on, off, not confirmed"),
    "consented_at": _l("date of consent"),
    "consent_source": _l("where consent was given"),
}

ROLES: dict[str, Any] = {"owner": _l("Owner"), "marketer": _l("Marketer"), "viewer": _l("Viewer")}


def init(app: Flask) -> None:
    app.jinja_env.filters.update(
        moment=moment,
        ago=ago,
        count=count,
        percent=percent,
        lasting=lambda span: format_timedelta(span, threshold=1.5, locale=get_locale()),
        reason_words=lambda key: REASONS.get(key, key),
        state_words=lambda key: STATES.get(key, key),
        message_words=lambda key: MESSAGE_STATES.get(key, key),
        action_words=lambda key: CONSENT_ACTIONS.get(key, key),
        source_words=lambda key: SOURCES.get(key, key),
        basis_words=lambda key: BASES.get(key, key),
        outcome_words=lambda key: OUTCOMES.get(key, key),
        field_words=lambda key: FIELDS.get(key, key),
        import_words=import_words,
        as_field=mapping.field_named,
        weight_words=lambda key: {"fix": _("to fix"), "know": _("to know")}[key],
        role_words=lambda key: ROLES.get(key, key),
        who=users.name_of,
    )
    app.jinja_env.globals.update(zone_words=zone_words)


def moment(at: datetime | None) -> Markup:
    """A time in the user's zone, which the foot of the page names."""
    if at is None:
        return Markup("–")
    text = format_datetime(at, "d MMM y, HH:mm", tzinfo=zone(), locale=get_locale())
    return Markup('<time datetime="{}">{}</time>').format(at.astimezone(UTC).isoformat(timespec="seconds"), text)


def ago(at: datetime | None) -> Markup:
    """`3 hours ago`, with the exact time for those who point at it."""
    if at is None:
        return Markup("–")
    text = format_timedelta(at - clock.now(), add_direction=True, locale=get_locale())
    exact = format_datetime(at, "d MMM y, HH:mm", tzinfo=zone(), locale=get_locale())
    stamp = at.astimezone(UTC).isoformat(timespec="seconds")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(stamp, exact, text)


def count(number: int | None) -> str:
    return str(format_decimal(number or 0, locale=get_locale()))


def percent(part: int, whole: int) -> float:
    """A share for the width of a bar; whatever is there at all can be seen."""
    return 0.0 if not whole or not part else max(round(100 * part / whole, 2), 0.4)


def zone() -> ZoneInfo:
    user = g.get("user")
    return ZoneInfo(user.time_zone if user is not None and user.time_zone in zones() else "UTC")


def zone_words() -> str:
    here = zone()
    if here.key == "UTC":
        return str(_("Times are in UTC."))
    return str(_("Times are in %(place)s.", place=get_timezone_location(here, locale=get_locale())))


@cache
def zones() -> tuple[str, ...]:
    """Zones by place, as people look for them, and UTC."""
    places = {"Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
    return ("UTC", *sorted(zone for zone in available_timezones() if zone.partition("/")[0] in places))


def import_words(found: Import) -> str:
    """Where an import stands."""
    if found.state is ImportState.done:
        return str(_("Trial run") if found.dry_run else _("Imported"))
    if found.state is ImportState.uploaded:
        return str(_("Waiting to start") if found.declared else _("Uploaded"))
    words = {
        ImportState.running: _("Trial run going on") if found.dry_run else _("Being imported"),
        ImportState.failed: _("Stopped by a fault"),
        ImportState.cancelled: _("Stopped by hand"),
    }
    return str(words[found.state])


def options(pairs: Iterable[tuple[str, Any]]) -> list[SelectChoice]:
    """The options of a choice, from values and words."""
    return [SelectChoice(value, label) for value, label in pairs]


def put_faults(form: Any, fault: Invalid) -> None:
    """Lay the faults a room found beside their fields; what belongs to none is said at the top."""
    rest = []
    for name, words in (fault.faults or {"": fault.message}).items():
        if name in form:
            form[name].errors = [*form[name].errors, words]
        else:
            rest.append(words)
    form.form_errors = [*form.form_errors, *rest]
