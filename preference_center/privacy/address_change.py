"""A new address for a contact: confirmed from there, told to the old one, which can take it back for seven days (S99, GDPR 16).

What the person said goes along. The old address gets nothing any more: it is suppressed as long as the change stands, so that an
old file cannot bring the person back under it.
"""

from datetime import timedelta
from enum import StrEnum

from preference_center import clock
from preference_center.contacts import moving
from preference_center.contacts import queries as contacts
from preference_center.contacts.addresses import Address
from preference_center.contacts.models import AddressChange, Contact
from preference_center.db import db
from preference_center.errors import Conflict, Invalid
from preference_center.notices import sending as notices
from preference_center.notices.models import Kind
from preference_center.privacy import links, requests
from preference_center.privacy.models import DataRequest, RequestKind
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause

MOST_A_DAY = 3  # to one address, or of one contact
UNDO_WITHIN = timedelta(days=7)
MOVED = register.AWAY


class Step(StrEnum):
    """Where a change stands, for the pages that its links open."""

    asked = "asked"
    in_force = "in_force"
    taken_back = "taken_back"
    over = "over"  # something else happened since


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
        return change, Step.in_force if contact.address_hash == change.new_hash else Step.over
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
    """The owner of the old address says: this was not me."""
    change = _locked(contact, name, Step.in_force)
    now = clock.now()
    if change.done_at is None or now > change.done_at + UNDO_WITHIN or moving.is_taken(change.old_hash):
        raise Conflict("This can no longer be taken back.")
    contact.move_to(change.old_email, change.old_hash, now)
    links.end(contact)
    change.undone_at = now
    register.lift(change.old_hash, Cause.manual, f"{MOVED}{change.public_id}")
    return requests.done(contact, RequestKind.rectification, detail="taken back")


def _locked(contact: Contact, name: str, step: Step) -> AddressChange:
    contacts.lock([contact.id], for_withdrawal=True)
    db.session.refresh(contact)
    found = look(contact, name)
    if found is None or found[1] is not step:
        raise Conflict("Something else happened since.")
    return found[0]


def _carry_over(change: AddressChange) -> None:
    """What was said against mail to the old address holds for the new one too; a bounce speaks of the mailbox alone."""
    register.lift(change.new_hash, Cause.manual, MOVED)  # the person moves back to where they had moved away from
    said = register.standing([change.old_hash]).get(change.old_hash)
    if said in (Cause.complaint, Cause.manual):
        register.suppress(change.new_hash, said, f"carried:{change.public_id}")
    else:
        register.suppress(change.old_hash, Cause.manual, f"{MOVED}{change.public_id}")
