"""The one judge: may we mail these contacts on this topic? One SELECT over many contacts; a single contact is a chunk of one.

Asked when an audience is counted and again as each chunk of messages is claimed. It fails closed: whatever is not plainly
allowed is refused, and each refusal has one reason of the vocabulary that reports, console and `explain` share.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, False_, Select, and_, case, false, not_, null, or_, select, true

from preference_center.config import Settings
from preference_center.consent.law import cadences, caps, jurisdictions
from preference_center.consent.models import Standing, State, Subscription
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import AddressStatus, AttributeKind, Contact
from preference_center.db import db, is_postgresql
from preference_center.prepared import Asked, Prepared
from preference_center.suppressions.models import Cause, Suppression
from preference_center.topics.models import Topic


class Reason(StrEnum):
    """Why somebody is not mailed (`contract.md` section 6)."""

    erased = "erased"
    invalid_address = "invalid_address"
    null_mx = "null_mx"
    suppressed_complaint = "suppressed_complaint"
    suppressed_bounce = "suppressed_bounce"
    suppressed_manual = "suppressed_manual"
    restricted = "restricted"
    objected = "objected"
    withdrawn = "withdrawn"
    no_consent = "no_consent"
    not_confirmed = "not_confirmed"
    expired = "expired"
    paused_by_contact = "paused_by_contact"
    frequency_cap = "frequency_cap"
    quiet_hours_over = "quiet_hours_over"
    duplicate_address = "duplicate_address"
    under_age = "under_age"
    jurisdiction = "jurisdiction"
    render_error = "render_error"
    cancelled = "cancelled"
    too_late = "too_late"


@dataclass(frozen=True)
class Verdict:
    contact_id: int
    record_id: int | None  # the consent record that decided, where one did
    reason: Reason | None  # none: may be mailed

    @property
    def allowed(self) -> bool:
        return self.reason is None


def judge(
    topic: Topic,
    at: datetime,
    occasion: int | None = None,
    within: tuple[int, int] | None = None,
    kept: contacts.Declared | None = None,
) -> Select[Any]:
    """`SELECT contact_id, record_id, reason FROM contacts …`: narrow it with `.where()` on Contact. `reason` is NULL for yes.

    `occasion`: the campaign that asks. A mail it has begun already is no reason against trying the same mail again. `within`: only
    contacts after the first id up to the second. PostgreSQL is told so of each table, as its planner does not conclude it: else every
    range of a large audience would read all subscriptions there are. SQLite looks them up one by one, and is slower for being told.
    `kept`: the attributes declared now, where the caller knows them.
    """
    joined = within if is_postgresql() else None
    subscribed = and_(
        Subscription.contact_id == Contact.id, Subscription.topic_id == topic.id, *_in(Subscription.contact_id, joined)
    )
    stands = and_(
        Standing.contact_id == Contact.id, Standing.purpose_key == topic.purpose_key, *_in(Standing.contact_id, joined)
    )
    suppressed = and_(
        Suppression.address_hash == Contact.address_hash, or_(Suppression.until.is_(None), Suppression.until > at)
    )
    reasons: list[tuple[ColumnElement[bool], Reason]] = [
        (or_(Contact.erased_at.is_not(None), Contact.email.is_(None)), Reason.erased),
        (Contact.address_status == AddressStatus.invalid, Reason.invalid_address),
        (Contact.address_status == AddressStatus.null_mx, Reason.null_mx),
        (Suppression.cause == Cause.complaint, Reason.suppressed_complaint),
        (Suppression.cause == Cause.bounce, Reason.suppressed_bounce),
        (Suppression.cause == Cause.erased, Reason.erased),
        (Suppression.cause.is_not(None), Reason.suppressed_manual),
        (Contact.restricted_at.is_not(None), Reason.restricted),
        (_either(State.objected), Reason.objected),
        (_either(State.withdrawn), Reason.withdrawn),
        (Subscription.state == State.requested, Reason.not_confirmed),
        (Subscription.state == State.expired, Reason.expired),
        (or_(Subscription.state.is_(None), Subscription.state != State.given), Reason.no_consent),
        (true() if _retired(topic, at) else Subscription.until <= at, Reason.expired),
        (not_(jurisdictions.allow(topic.purpose)), Reason.jurisdiction),
        (_too_young(at, contacts.declared_attributes() if kept is None else kept), Reason.under_age),
        (Standing.paused_until > at, Reason.paused_by_contact),
        (cadences.too_soon(at, occasion), Reason.frequency_cap),
        (caps.reached(at, occasion), Reason.frequency_cap),
    ]
    # what no setting and no attribute asks for is left out of the question
    asked = [(against, why) for against, why in reasons if not isinstance(against, False_)]
    reason = case(*asked, else_=null())
    stopped = Standing.state.in_([State.withdrawn, State.objected])
    decided = case((stopped, Standing.record_id), else_=Subscription.record_id)
    return (
        select(Contact.id.label("contact_id"), decided.label("record_id"), reason.label("reason"))
        .select_from(Contact)
        .outerjoin(Subscription, subscribed)
        .outerjoin(Standing, stands)
        .outerjoin(Suppression, suppressed)
        .where(*_in(Contact.id, within))
    )


class Sitting:
    """The judge asked again and again, of some hundred contacts each time: the question is spelled once.

    It is spelled anew when anything but the moment has changed that its words rest on. `narrow` adds to it what else is wanted.
    """

    def __init__(self, narrow: Callable[[Select[Any]], Select[Any]]) -> None:
        self._narrow = narrow
        self._spelled: tuple[tuple[Any, ...], datetime, Prepared] | None = None

    def asked(self, topic: Topic, at: datetime, occasion: int, kept: contacts.Declared, **values: Any) -> Asked:
        """`kept`: the attributes that are declared now."""
        rests_on = (topic.id, topic.purpose_key, occasion, *_terms(topic, at, kept))
        spelled = self._spelled
        if spelled is None or spelled[0] != rests_on:
            spelled = self._spelled = rests_on, at, Prepared(self._narrow(judge(topic, at, occasion, kept=kept)))
        _, then, question = spelled
        return question.asked(later=at - then, **values)  # every moment of the question lies as far from this one


def _terms(topic: Topic, at: datetime, kept: contacts.Declared) -> tuple[Any, ...]:
    """What the judge's words rest on besides the topic: the day for ages, what is declared and set, the countries' rules."""
    settings: Settings = current_app.extensions["settings"]
    ages = (kept.get("birth_date"), kept.get("age"), at.date())
    return (
        is_postgresql(),
        _retired(topic, at),
        *ages,
        settings.frequency_caps,
        settings.default_jurisdiction,
        jurisdictions.in_force(),
    )


def _in(column: Any, within: tuple[int, int] | None) -> list[ColumnElement[bool]]:
    return [] if within is None else [column > within[0], column <= within[1]]


def verdicts(topic: Topic, contact_ids: list[int], at: datetime, occasion: int | None = None) -> dict[int, Verdict]:
    """The judge's answer for each of these contacts. One that does not exist any more counts as erased."""
    found = {contact_id: Verdict(contact_id, None, Reason.erased) for contact_id in contact_ids}
    for row in db.session.execute(judge(topic, at, occasion).where(Contact.id.in_(contact_ids))):
        found[row.contact_id] = Verdict(row.contact_id, row.record_id, Reason(row.reason) if row.reason else None)
    return found


def verdict(topic: Topic, contact: Contact, at: datetime) -> Verdict:
    return verdicts(topic, [contact.id], at)[contact.id]


def _retired(topic: Topic, at: datetime) -> bool:
    """What people agreed to has ended, and with it what they said; it never begins again."""
    return topic.retired_at is not None and topic.retired_at <= at


def _too_young(at: datetime, kept: contacts.Declared) -> ColumnElement[bool]:
    """By a day of birth or an age, where the owner declared to keep one; a guardian may have said yes for them (S79)."""
    born = Contact.attributes["birth_date"].as_string() if kept.get("birth_date") is AttributeKind.date else None
    age = Contact.attributes["age"].as_float() if kept.get("age") is AttributeKind.number else None
    if born is None and age is None:
        return false()
    return and_(Subscription.by_guardian.is_(False), jurisdictions.too_young(at.date(), born, age))


def _either(state: State) -> Any:
    return or_(Subscription.state == state, Standing.state == state)
