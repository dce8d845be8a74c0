"""A new address for a contact: confirmed from there, told to the old one, which can take it back for seven days (S99, GDPR 16).

What the person said goes along. The old address gets nothing any more: it is suppressed as long as the change stands, so that an
old file cannot bring the person back under it.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from preference_center import clock
from preference_center.consent import ledger, projection, standing
from preference_center.consent.law import bases
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Action, State
from preference_center.contacts import moving
from preference_center.contacts import queries as contacts
from preference_center.contacts.addresses import Address
from preference_center.contacts.models import AddressChange, Contact
from preference_center.db import db
from preference_center.delivery import chunks
from preference_center.errors import Conflict, Invalid
from preference_center.notices import sending as notices
from preference_center.notices.models import Kind
from preference_center.privacy import erasure, links, requests, restraint
from preference_center.privacy.models import DataRequest, RequestKind
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics import catalogue
from preference_center.topics.purposes import PURPOSES

MOST_A_DAY = 3  # to one address, or of one contact
UNDO_WITHIN = timedelta(days=7)
_GIVES = (Action.given, Action.confirmed, Action.renewed)
_STOPS = (State.withdrawn, State.objected)


class Step(StrEnum):
    """Where a change stands, for the pages that its links open."""

    asked = "asked"
    in_force = "in_force"
    moved_on = "moved_on"  # to yet another address since
    taken_back = "taken_back"
    over = "over"  # something else happened since

    @property
    def can_be_taken_back(self) -> bool:
        return self in (Step.in_force, Step.moved_on)


class InUse(Conflict):
    """Somebody who said yes has the old address by now."""


def ask(contact: Contact, address: Address) -> None:
    """Sends the confirmation to the new address. The answer is the same when the address is in use, or was written to too often."""
    contacts.lock([contact.id], for_withdrawal=True)
    if address.hash == contact.address_hash:
        raise Invalid("That is the address we have.", {"email": "That is the address we have."})
    asked = moving.asked_since(contact, address, clock.now() - timedelta(days=1))
    if asked >= MOST_A_DAY or moving.is_taken(address.hash):
        notices.drop(Kind.confirm_address)
        return
    change = moving.note(contact, address)
    notices.owe(Kind.confirm_address, contact, {"change": change.public_id})


def look(contact: Contact, name: str) -> tuple[AddressChange, Step] | None:
    change = moving.named(contact, name)
    if change is None or contact.erased_at is not None:
        return None
    if change.undone_at is not None:
        return change, Step.taken_back
    if change.done_at is not None:
        if contact.address_hash == change.old_hash:
            return change, Step.over
        return change, Step.in_force if contact.address_hash == change.new_hash else Step.moved_on
    return change, Step.asked if contact.address_hash == change.old_hash else Step.over


def confirm(contact: Contact, name: str) -> DataRequest:
    """The owner of the new address says yes: mail goes there from now on. Conflict when that is no longer to be had."""
    change = _locked(contact, name, Step.asked)
    if moving.is_taken(change.new_hash):
        raise Conflict("This address is in use.")
    now = clock.now()
    contact.move_to(change.new_email, change.new_hash, now)
    links.end(contact)
    change.done_at = now
    _carry_over(change)
    notices.owe(Kind.address_changed, contact, {"change": change.public_id})
    return requests.done(contact, RequestKind.rectification)


def take_back(contact: Contact, name: str) -> DataRequest:
    """The owner of the old address says: this was not me. Whatever was done since goes too: moves further on, and each yes.

    What kept mail back then does so again, and what staff stopped since stays stopped.

    InUse when somebody who said yes has the old address by now.
    """
    other = _who_is_there_now(contact, name)
    change = _locked(contact, name, Step.in_force, Step.moved_on)
    now = clock.now()
    if change.done_at is None or now > change.done_at + UNDO_WITHIN:
        raise Conflict("This can no longer be taken back.")
    evidence = Evidence(
        "link", f"address-back:{change.public_id}", detail={"why": "the change of address was taken back"}
    )
    if other is not None:
        _join(other, contact, evidence)
    elif moving.is_taken(change.old_hash):
        raise InUse("Somebody took this address a moment ago.")
    contact.move_to(change.old_email, change.old_hash, now)
    links.end(contact)
    _withdraw_what_was_given_since(change.done_at, contact, evidence)
    _bring_back_what_was_ended_since(change.done_at, contact, evidence)
    had = moving.take_back(contact, change, now)
    register.let_back(change.old_hash)
    if register.closed_by_staff(had, change.done_at):
        register.suppress(change.old_hash, Cause.manual, f"{register.CARRIED}{change.public_id}")
    return requests.done(contact, RequestKind.rectification, detail="taken back")


def _who_is_there_now(contact: Contact, name: str) -> Contact | None:
    """Whom we know by the old address since; held together with the contact who comes back."""
    change = moving.named(contact, name)
    other = moving.holder(change.old_hash) if change else None
    if other is None or other.id == contact.id:
        return None
    chunks.hold_all_of([other.id])
    contacts.lock([contact.id, other.id], for_withdrawal=True)
    db.session.refresh(other)
    return other if change and other.address_hash == change.old_hash else None


def _join(other: Contact, contact: Contact, evidence: Evidence) -> None:
    """A sign-up that nobody confirmed, or a row of a file, does not keep the owner out: we forget it, but for its noes."""
    if any(record.action in _GIVES for record in standing.all_records(other)):
        raise InUse("Somebody who said yes has this address by now.")
    topics = {topic.id: topic for topic in catalogue.everything()}
    for topic_id, today in standing.subscriptions(other).items():
        if today.state in _STOPS:
            ledger.withdraw(contact, topics[topic_id], evidence)
    for _id, purpose_key, _begun_again in standing.stops([other.id], PURPOSES):
        ledger.withdraw_all(contact, purpose_key, evidence)
    if other.restricted_at is not None:
        contact.restrict(clock.now())
    erasure.forget(other)
    db.session.flush()


def _withdraw_what_was_given_since(moment: datetime, contact: Contact, evidence: Evidence) -> None:
    """Whoever had the other address said so, and not the owner of this one; nor do they begin again what had been stopped."""
    topics = {topic.id: topic for topic in catalogue.everything()}
    today = standing.subscriptions(contact)
    rests_on = standing.records(one.record_id for one in today.values())
    for topic_id, one in today.items():
        given = rests_on[one.record_id]
        is_a_yes = bases.ends_by_a_no(given.legal_basis)  # a contract is none, and no page could turn it on again
        if one.state is State.given and given.recorded_at >= moment and is_a_yes:
            ledger.withdraw(contact, topics[topic_id], evidence)
    for purpose_key, whole in projection.stand_at(contact.id, moment).purposes.items():
        if whole.state in _STOPS:
            ledger.withdraw_all(contact, purpose_key, evidence)


def _bring_back_what_was_ended_since(moment: datetime, contact: Contact, evidence: Evidence) -> None:
    """A break goes on, data that was not to be used is not, and mail comes as often as it did."""
    topics, now = {topic.id: topic for topic in catalogue.everything()}, clock.now()
    then, today = projection.stand_at(contact.id, moment), projection.today(contact.id)
    for purpose_key, whole in then.purposes.items():
        until = whole.paused_until
        if until is not None and until > now and today.purposes[purpose_key].paused_until != until:
            ledger.pause(contact, purpose_key, until, evidence)
    for topic_id, one in then.topics.items():
        ledger.set_cadence(contact, topics[topic_id], one.cadence, evidence)
    if restraint.was_lifted_since(contact, moment):
        contact.restrict(now)


def _locked(contact: Contact, name: str, *steps: Step) -> AddressChange:
    contacts.lock([contact.id], for_withdrawal=True)
    db.session.refresh(contact)
    found = look(contact, name)
    if found is None or found[1] not in steps:
        raise Conflict("Something else happened since.")
    return found[0]


def _carry_over(change: AddressChange) -> None:
    """What was said against mail to the old address holds for the new one too; a bounce speaks of the mailbox alone."""
    register.let_back(change.new_hash)  # it was confirmed from there
    said = register.said_against(change.old_hash) & {Cause.complaint, Cause.manual}
    for cause in sorted(said):
        register.suppress(change.new_hash, cause, f"{register.CARRIED}{change.public_id}")
    if not said:
        register.suppress(change.old_hash, Cause.manual, f"{register.AWAY}{change.public_id}")
