"""The contacts: a list, the exact search by address, and one contact's page with all that is known and may be done."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from preference_center import clock
from preference_center.accounts import audit
from preference_center.accounts.permissions import Permission
from preference_center.consent import eligibility, standing
from preference_center.consent import queries as consent
from preference_center.consent.models import State
from preference_center.contacts import addresses, attributes
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import queries as delivery
from preference_center.errors import Invalid
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics import catalogue
from preference_center.topics.purposes import PURPOSES
from preference_center.web.admin.gate import allowed, me, pages, whole_number

PAGE = 50


class SearchForm(FlaskForm):  # type: ignore[misc]
    email = StringField(_l("Find by exact address"), [InputRequired(_l("Type an address.")), Length(max=320)])


def shown(contact: Contact) -> str:
    """The address as this user may see it."""
    return written(contact, whole=me().may(Permission.see_addresses))


def written(contact: Contact, *, whole: bool) -> str:
    """Its address for somebody who may see whole ones, or may not: where the user is not at hand any more, as in a file that streams."""
    return (contact.email or "–") if whole else addresses.mask(contact.email)


@pages.get("/contacts")
@allowed(Permission.look)
def contacts_list() -> ResponseReturnValue:
    return _list(SearchForm())


@pages.post("/contacts/search")
@allowed(Permission.look)
def find_contact() -> ResponseReturnValue:
    """A POST, so that no address stands in a URL, a log or a history."""
    form = SearchForm()
    if not form.validate_on_submit():
        return _list(form), 422
    try:
        found = contacts.by_email(form.email.data)
    except Invalid:
        form.email.errors = [_("This is no whole address. Write it like anna@example.org.")]
        return _list(form), 422
    if found is None or found.erased_at is not None:
        return _list(form, missing=form.email.data), 404
    return redirect(url_for("admin.contact", public_id=found.public_id))


@pages.get("/contacts/<public_id>")
@allowed(Permission.look)
def contact(public_id: str) -> ResponseReturnValue:
    person = contacts.by_public_id(public_id)
    now = clock.now()
    topics = catalogue.everything()
    records = consent.timeline(person)
    stands = [found for key in PURPOSES if (found := standing.on_purpose(person, key))]
    return render_template(
        "admin/contact.html",
        contact=person,
        shown=shown(person),
        attributes=attributes.declared(),
        topics={topic.id: topic for topic in topics},
        verdicts=[(topic, eligibility.verdict(topic, person, now)) for topic in topics if topic.retired_at is None],
        stopped=[found for found in stands if found.state != State.open],
        breaks=[found for found in stands if found.paused_until and found.paused_until > now],
        records=records,
        by_id={record.id: record for record, _wording in records},
        suppression=register.standing([person.address_hash]).get(person.address_hash) if person.address_hash else None,
        messages=delivery.of_contact(person, limit=20),
    )


@pages.post("/contacts/<public_id>/suppress")
@allowed(Permission.change_consent)
def suppress_contact(public_id: str) -> ResponseReturnValue:
    """Stop mail to this address for good. There is no button for the way back: only the person can take that (`screens.md` 4.7)."""
    with transaction():
        person = contacts.by_public_id(public_id)
        contacts.lock([person.id], for_withdrawal=True)
        db.session.refresh(person)  # the address may have changed while we waited
        if person.address_hash:
            register.suppress(person.address_hash, Cause.manual, me().actor)
        audit.note(me().actor, "contact.suppressed", "contact", person.public_id)
    flash(_("Nothing is sent to this address any more."), "good")
    return redirect(url_for("admin.contact", public_id=public_id))


def _list(form: SearchForm, missing: str = "") -> str:
    rows = contacts.newest(PAGE + 1, whole_number(request.args.get("before")))
    return render_template(
        "admin/contacts.html",
        form=form,
        missing=missing,
        contacts=[(person, shown(person)) for person in rows[:PAGE]],
        following=rows[PAGE - 1].id if len(rows) > PAGE else None,
        total=contacts.count(),
    )
