"""Which message, and whose, is an event about? Our keyed mark first, then the provider's number for it, then the address.

A mark proves that the report is about a message of ours, so its contact is the one meant, whatever address the report names: a
mailbox that forwards reports the address it forwards to. Without a mark the address must be the one that was written to. An
address we never mailed is nobody's. What went to an address while a change to it held that was taken back since concerns that
mailbox, and not the contact.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, any_, func, literal, select

from preference_center.campaigns.models import Campaign
from preference_center.contacts.models import AddressChange, Contact
from preference_center.db import db, is_postgresql
from preference_center.delivery import marks
from preference_center.delivery.events.models import DeliveryEvent, MatchedBy
from preference_center.delivery.marks import Place
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.notices.models import Notice

RECENT = timedelta(days=30)  # a report that names an address alone is about a mail of this time
_CLOCKS = timedelta(minutes=5)  # by which a provider's clock may differ from ours


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an event says of its message, in a form that can be looked up."""

    proven: int | None  # a message's number that a mark of ours proves
    by: MatchedBy | None
    provider_message_id: str | None
    address_hash: bytes | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Match:
    """The contact an event is about, the message where one is known, and the address that is concerned."""

    by: MatchedBy
    contact_id: int
    address_hash: bytes | None  # none: the contact has been erased
    message_id: int | None = None
    campaign_id: int | None = None
    topic_id: int | None = None
    left: bool = False  # a mark of ours, and the address it went to: it left, even if our row has forgotten that
    of_another: bool = False  # it went to an address that was not theirs: the change to it was taken back


def proven(mark: str | None, message_id: str | None, places: Sequence[Place]) -> tuple[int, MatchedBy] | None:
    """The number of the message that a mark of ours names, in the provider's metadata or inside our Message-ID."""
    for place in places:
        number = marks.read(mark, place) if mark else None
        if number is not None:
            return number, MatchedBy.mark
    local = (message_id or "").strip("<> ").partition("@")[0]
    number = marks.read(local, Place.message_id) if local else None
    return None if number is None else (number, MatchedBy.message_id)


def find(source: str, wanted: Sequence[Wanted]) -> list[Match | None]:
    """The match of each, in the same order; a handful of statements for all of them."""
    by_number = _messages({want.proven for want in wanted if want.proven})
    unproven = [want for want in wanted if not want.proven]
    by_provider = _of_provider(source, {want.provider_message_id for want in unproven if want.provider_message_id})
    contacts = _contacts({want.address_hash for want in unproven if want.address_hash})
    recent = _recent(contacts.values(), max((want.occurred_at for want in wanted), default=None))
    mailed = _ever_mailed(set(contacts.values()) - set(recent))
    changes = _changes({row.contact_id for row in (*by_number.values(), *by_provider.values())})
    strayed = _strayed([*by_number.values(), *by_provider.values()], changes)

    def one(want: Wanted) -> Match | None:
        if want.proven and want.by:
            row = by_number.get(want.proven)
            return _proven(row, want.by, want.address_hash, changes, strayed) if row else None
        row = by_provider.get(want.provider_message_id or "")
        went_to = strayed.get(row.id, row.address_hash) if row else None
        if row and want.address_hash in (None, went_to):
            return replace(_match(row, MatchedBy.provider_id, went_to), of_another=row.id in strayed)
        contact_id = contacts.get(want.address_hash or b"")
        if contact_id is None:
            return None
        if contact_id in recent:
            return _guessed(_newest_before(recent[contact_id], want), want.address_hash)
        return Match(MatchedBy.address, contact_id, want.address_hash) if contact_id in mailed else None

    return [one(want) for want in wanted]


def _proven(
    row: Any, by: MatchedBy, named: bytes | None, changes: Mapping[int, list[Any]], strayed: Mapping[int, bytes]
) -> Match:
    """Numbers are given anew after a restore, so what says that a mail left must fit the address too."""
    of_another = row.id in strayed and named != row.address_hash
    concerned = strayed[row.id] if of_another else _concerned(row, named, changes)
    return replace(_match(row, by, concerned), left=named is not None and named == concerned, of_another=of_another)


def _match(row: Any, by: MatchedBy, address_hash: bytes | None) -> Match:
    return Match(by, row.contact_id, address_hash, row.id, row.campaign_id, row.topic_id)


def _guessed(row: Any, address_hash: bytes | None) -> Match:
    """By the address alone: that may be a report on another mail of ours, and so settles no message in doubt."""
    match = _match(row, MatchedBy.address, address_hash)
    return replace(match, message_id=None) if row.state is MessageState.uncertain else match


def _concerned(row: Any, named: bytes | None, changes: Mapping[int, list[Any]]) -> bytes | None:
    """The address that the message went to: the contact's, unless the report names one that they had before."""
    had = {address for change in changes.get(row.contact_id, ()) for address in (change.old_hash, change.new_hash)}
    return named if named in had else row.address_hash


def _newest_before(rows: list[Any], want: Wanted) -> Any:
    """The newest message that had been started when it happened; a clock that is far off must not lose the event."""
    begun = [row for row in rows if row.started_at and row.started_at <= want.occurred_at + _CLOCKS]
    return max(begun or rows, key=lambda row: row.id)


_COLUMNS = (Message.id, Message.contact_id, Message.campaign_id, Campaign.topic_id, Contact.address_hash)


def _messages(numbers: set[int]) -> dict[int, Any]:
    if not numbers:
        return {}
    rows = select(*_COLUMNS).join(Campaign, Campaign.id == Message.campaign_id)
    rows = rows.join(Contact, Contact.id == Message.contact_id).where(_among(Message.id, numbers))
    return {row.id: row for row in db.session.execute(rows)}


def _of_provider(source: str, ids: set[str]) -> dict[str, Any]:
    """Messages that earlier events of this provider tied to its own numbers."""
    if not ids:
        return {}
    pairs = select(DeliveryEvent.provider_message_id, func.max(DeliveryEvent.message_id)).where(
        DeliveryEvent.source == source,
        DeliveryEvent.provider_message_id.is_not(
            None
        ),  # else the index, which holds no others, is not used for a parameter
        _among(DeliveryEvent.provider_message_id, ids),
        DeliveryEvent.message_id.is_not(None),
    )
    found = db.session.execute(pairs.group_by(DeliveryEvent.provider_message_id))
    known = {name: number for name, number in found if name is not None and number is not None}
    rows = _messages(set(known.values()))
    return {name: rows[number] for name, number in known.items() if number in rows}


def _contacts(hashes: set[bytes]) -> dict[bytes, int]:
    if not hashes:
        return {}
    rows = select(Contact.address_hash, Contact.id).where(_among(Contact.address_hash, hashes))
    return {row.address_hash: row.id for row in db.session.execute(rows) if row.address_hash}


_LEFT = (Message.attempt > 0, Message.state.not_in([MessageState.queued, MessageState.skipped]))


def _recent(contact_ids: Iterable[int], until: datetime | None) -> dict[int, list[Any]]:
    ids = set(contact_ids)
    if not ids or until is None:
        return {}
    rows = select(*_COLUMNS, Message.state, Campaign.started_at).join(Campaign, Campaign.id == Message.campaign_id)
    rows = rows.join(Contact, Contact.id == Message.contact_id).where(
        _among(Message.contact_id, ids), *_LEFT, Campaign.started_at >= until - RECENT
    )
    found: dict[int, list[Any]] = {}
    for row in db.session.execute(rows):
        found.setdefault(row.contact_id, []).append(row)
    return found


def _ever_mailed(contact_ids: set[int]) -> set[int]:
    """By a campaign of any time, or by a letter of the house."""
    if not contact_ids:
        return set()
    messages = select(Message.contact_id).where(_among(Message.contact_id, contact_ids), *_LEFT)
    notices = select(Notice.contact_id).where(_among(Notice.contact_id, contact_ids), Notice.sent_at.is_not(None))
    return {id_ for id_ in db.session.scalars(messages.union(notices)) if id_ is not None}


def _changes(contact_ids: set[int]) -> dict[int, list[Any]]:
    """The changes of address that came into force, by contact, the newest first; also those that were taken back."""
    if not contact_ids:
        return {}
    columns = (AddressChange.contact_id, AddressChange.old_hash, AddressChange.new_hash)
    rows = select(*columns, AddressChange.done_at, AddressChange.undone_at).where(
        _among(AddressChange.contact_id, contact_ids), AddressChange.done_at.is_not(None)
    )
    found: dict[int, list[Any]] = {}
    for row in db.session.execute(rows.order_by(AddressChange.done_at.desc())):
        found.setdefault(row.contact_id, []).append(row)
    return found


def _strayed(rows: Sequence[Any], changes: Mapping[int, list[Any]]) -> dict[int, bytes]:
    """Of these messages, those whose whole run lies within a change that was taken back later, and where they went.

    In doubt it is the contact's: a complaint of theirs must never be lost.
    """
    undone = {contact_id for contact_id, own in changes.items() if any(change.undone_at for change in own)}
    whose = {row.id: row.contact_id for row in rows if row.contact_id in undone}
    if not whose:
        return {}
    runs = select(Message.id, Run.started_at, Run.ended_at).join(Run, Run.id == Message.run_id)
    found = {}
    for run in db.session.execute(runs.where(_among(Message.id, set(whose)), Run.ended_at.is_not(None))):
        held = [one for one in changes[whose[run.id]] if one.done_at <= run.started_at]
        change = next((one for one in held if one.undone_at is None or one.undone_at > run.started_at), None)
        if change is not None and change.undone_at is not None and run.ended_at <= change.undone_at:
            found[run.id] = change.new_hash
    return found


def _among(column: Any, values: set[Any]) -> ColumnElement[bool]:
    """One parameter on PostgreSQL, so that it is the same prepared statement for any number: 500 of them cost more to write than to ask."""
    if is_postgresql():
        return column == any_(literal(list(values), ARRAY(column.type)))  # type: ignore[no-any-return]
    return column.in_(values)  # type: ignore[no-any-return]
