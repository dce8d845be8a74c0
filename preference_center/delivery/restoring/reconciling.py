"""After a restore or a failover: what journals here know to have left, and the database does not.

A claim is committed before its mail leaves, and raises the number of attempts. So a row with fewer of them than a journal notes has
lost its claim, and takes the ending that the journal proves. Done twice it changes nothing more.
The number of a message stands in its mail, for an unsubscribe mail or a bounce to name. So a row that comes back takes the noted one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from flask import current_app
from sqlalchemy import bindparam, select, update

from preference_center import clock
from preference_center.campaigns.models import Campaign
from preference_center.consent.law import cadences, caps
from preference_center.contacts.models import Contact
from preference_center.db import among, db
from preference_center.delivery import journal
from preference_center.delivery.journal import Noted
from preference_center.delivery.models import Message, MessageState
from preference_center.delivery.restoring import numbers
from preference_center.topics.models import Topic

AT_ONCE = 1_000
_FORGOTTEN = (MessageState.queued, MessageState.sending, MessageState.uncertain, MessageState.skipped)
UNKNOWN = "unknown"  # who got it is no contact any more: added after the backup was made
UNKNOWN_CAMPAIGN = "unknown_campaign"  # made after the backup


class _Last(NamedTuple):
    """Of a mail that left, or may have: the number that it bears, the attempt, and the reply; none where it is not known."""

    number: int
    attempt: int
    code: int | None


def steps() -> Iterator[Callable[[], Counter[str]]]:
    """The journals of this machine, the oldest first, as steps that each want a transaction."""
    folder: Path = current_app.extensions["settings"].journals
    for noted in journal.read_kept(folder):
        yield partial(settle, noted)
    for name, noted in journal.read_left(folder):
        yield partial(settle, noted)
        journal.put_aside(folder / name)


def settle(noted: Noted) -> Counter[str]:
    """Give what this journal knows to have left, or not to have, to rows that know less: how many came to which state."""
    found: Counter[str] = Counter()
    if not noted.people:
        return found
    campaign = db.session.scalar(select(Campaign).where(Campaign.public_id == noted.campaign).with_for_update())
    left = _left(noted)
    if campaign is None:
        return Counter({UNKNOWN_CAMPAIGN: len(left)})
    for some in _batched(left):
        found += _settle(campaign, {contact: left[contact] for contact in some})
    return found


def is_ahead(noted: Noted) -> bool:
    """Whether this journal knows of an attempt that the database has forgotten. Silence after another boot is no sign of it."""
    left = _left(replace(noted, whole=True))
    ours = select(Contact.public_id, Message.attempt).join(Message, Message.contact_id == Contact.id)
    ours = ours.join(Campaign, Campaign.id == Message.campaign_id).where(
        Campaign.public_id == noted.campaign, Message.state.in_(_FORGOTTEN)
    )
    return any(
        row.attempt < left[row.public_id].attempt
        for some in _batched(left)
        for row in db.session.execute(ours.where(Contact.public_id.in_(some)))
    )


def _batched(left: Iterable[str]) -> Iterator[list[str]]:
    """Not more at once than one statement takes."""
    rest = iter(left)
    while some := list(islice(rest, AT_ONCE)):
        yield some


def _left(noted: Noted) -> dict[str, _Last]:
    """By contact the last attempt. Who certainly got nothing is not among them."""
    last: dict[str, _Last] = {}
    for (number, attempt), contact in noted.people.items():
        if noted.whole and (number, attempt) not in noted.replies:
            continue
        if contact not in last or attempt > last[contact].attempt:
            last[contact] = _Last(number, attempt, noted.replies.get((number, attempt)))
    return {contact: one for contact, one in last.items() if one.code is None or not 300 <= one.code < 500}


def _settle(campaign: Campaign, left: dict[str, _Last]) -> Counter[str]:
    people = select(Contact.id, Contact.public_id).where(Contact.public_id.in_(left))
    known = {row.id: left[row.public_id] for row in db.session.execute(people)}
    owners = {one.number: contact_id for contact_id, one in known.items()}
    numbers.make_room(campaign.id, owners)
    rows = db.session.execute(
        select(Message.id, Message.contact_id, Message.state, Message.attempt)
        .where(Message.campaign_id == campaign.id, among(Message.contact_id, known))
        .order_by(Message.id)
        .with_for_update()
    ).all()
    behind = [row for row in rows if row.state in _FORGOTTEN and row.attempt < known[row.contact_id].attempt]
    lost = known.keys() - {row.contact_id for row in rows}
    untried = {row.contact_id for row in behind if not row.attempt}  # no mail bears the number that such a row has now
    free = numbers.free(owners)
    borne = {
        contact_id: number for number, contact_id in owners.items() if number in free and contact_id in untried | lost
    }
    forgotten = [
        {"b_id": row.id, "b_number": borne.get(row.contact_id, row.id)} | _values(known[row.contact_id], "b_")
        for row in behind
    ]
    fresh = iter(numbers.fresh(len(lost - borne.keys())))
    missing = [
        {"id": borne.get(id_) or next(fresh), "campaign_id": campaign.id, "contact_id": id_} | _values(known[id_])
        for id_ in sorted(lost)
    ]
    connection = db.session.connection()
    if forgotten:
        connection.execute(_END, forgotten)
    if missing:  # the outbox was filled after the backup was made; filling passes over them
        connection.execute(_TABLE.insert(), missing)
    _count_as_mailed(campaign, [*(row.contact_id for row in behind), *lost])
    found = Counter(str(row["b_state"]) for row in forgotten) + Counter(str(row["state"]) for row in missing)
    return found + Counter({UNKNOWN: len(left) - len(known)})


def _count_as_mailed(campaign: Campaign, contact_ids: list[int]) -> None:
    """For caps and cadences: when it left nobody has noted, so it counts from now."""
    now = clock.now()
    topic = db.session.get_one(Topic, campaign.topic_id)
    caps.note(sorted(contact_ids), campaign.id, now)
    cadences.note(topic, cadences.hold(topic, contact_ids), campaign.id, now)


def _values(last: _Last, prefix: str = "") -> dict[str, Any]:
    state, reason, code = MessageState.sent, None, last.code
    if code is None:
        state, reason = MessageState.uncertain, "no_reply"
    elif code >= 500:
        state, reason = MessageState.failed, "refused"
    values = {"state": state, "reason": reason, "reply_code": code, "attempt": last.attempt, "changed_at": clock.now()}
    return {prefix + name: value for name, value in values.items()}


_TABLE: Any = Message.__table__
_END = (
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("b_id"), _TABLE.c.attempt < bindparam("b_attempt"))
    .values(
        {"id": bindparam("b_number")}
        | {name: bindparam(f"b_{name}") for name in ("state", "reason", "reply_code", "attempt", "changed_at")}
        | {"next_try_at": None, "reply": None}  # the words were said at an earlier attempt
    )
)
