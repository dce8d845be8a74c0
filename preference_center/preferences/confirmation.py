"""Double opt-in: a sign-up from the open web is only a wish, and becomes consent when the owner of the address says so.

`ask` does the same kind of work and answers the same for every address, so nobody learns who is known here (S66).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from preference_center import clock
from preference_center.consent import ledger, vault
from preference_center.consent import standing as consents
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Action, ConsentRecord, State, Subscription, Wording
from preference_center.contacts import addresses, arrivals
from preference_center.contacts import queries as contacts
from preference_center.contacts.addresses import Address
from preference_center.contacts.models import Contact
from preference_center.db import db, new_public_id
from preference_center.notices import queries as past_notices
from preference_center.notices import sending as notices
from preference_center.notices.models import Kind, Notice, NoticeState
from preference_center.preferences.forms import NAME
from preference_center.suppressions import register
from preference_center.topics import catalogue
from preference_center.topics.models import Topic

AGAIN_AFTER = timedelta(hours=24)
RESEND_AFTER = timedelta(seconds=50)  # the page says 60, and clocks of two requests are never quite alike
MOST_LINKS_A_DAY = 5
MOST_A_DAY = 3  # confirmation mails to one address, over all topics (S67)
Wanted = tuple[Topic, Wording]


class WishState(StrEnum):
    waiting = "waiting"
    used = "used"
    superseded = "superseded"  # the person has said something else since


# the first in which one of its topics stands
_STANDS = {WishState.waiting: State.requested, WishState.used: State.given}


@dataclass(frozen=True)
class Wish:
    """What one sign-up asked for, and whether it still can be confirmed."""

    state: WishState
    topics: list[Topic]  # those still to be confirmed, else those that are on, else all
    wordings: Mapping[int, Wording]  # by topic id, as shown at the sign-up
    records: list[ConsentRecord]


def ask(address: Address, wanted: list[Wanted], source: str, evidence: Evidence, *, again: bool = False) -> None:
    """Somebody, perhaps the owner of this address, wants these topics. `again`: the mail of an earlier wish did not arrive.

    A wish is written down each time, and taken back where it is not to stand: the time of the answer tells nothing.
    """
    known = contacts.by_email(address.email)  # held from outside the trial, which lets go of what it held
    contacts.lock([known.id if known else contacts.NOBODY], for_withdrawal=True)
    blocked = register.blocks_return(address.hash)
    trial = db.session.begin_nested()
    contact = arrivals.arrive(address, source=source, language=evidence.language or "en")
    asked = _look_at(contact, wanted, blocked=blocked)
    wish = new_public_id()
    if asked.makes_a_wish:
        _write(contact, asked.new, wish, evidence)
        trial.commit()
        _write_and_take_back([one for one in wanted if one not in asked.new], source, evidence)
        notices.owe(Kind.confirm_subscription, contact, {"wish": wish, "topics": asked.keys})
    else:
        trial.rollback()
        _write_and_take_back(wanted, source, evidence)
        _without_a_wish(contact, asked, again=again)


@dataclass(frozen=True)
class _Asked:
    """What a sign-up finds: who must not be written to, what is not on yet, and the mails of the last day."""

    refused: bool
    new: list[Wanted]
    lately: list[Notice]
    same: list[Notice]  # of these topics, and still to be confirmed

    @property
    def keys(self) -> list[str]:
        return sorted(topic.key for topic, _text in self.new)

    @property
    def makes_a_wish(self) -> bool:
        return bool(self.new) and not self.refused and not self.same and len(self.lately) < MOST_A_DAY


def _look_at(contact: Contact, wanted: list[Wanted], *, blocked: bool) -> _Asked:
    contacts.lock([contact.id], for_withdrawal=True)
    today, now = consents.subscriptions(contact), clock.now()
    new = [(t, w) for t, w in wanted if t.id not in today or today[t.id].state_at(now) is not State.given]
    keys = sorted(topic.key for topic, _text in new)
    lately = past_notices.since(contact, Kind.confirm_subscription, now - AGAIN_AFTER)
    same = [notice for notice in lately if notice.payload["topics"] == keys and _still_opens(contact, notice, today)]
    # whoever is too young cannot agree alone, and a stranger must not learn their age
    return _Asked(blocked or ledger.is_too_young(contact), new, lately, same)


def _write(contact: Contact, wanted: list[Wanted], wish: str, evidence: Evidence) -> None:
    for topic, wording in wanted:
        shown = replace(evidence, wording_id=wording.id, language=wording.language)
        ledger.request(contact, topic, replace(shown, source_ref=_ref(wish)))


def _write_and_take_back(wanted: list[Wanted], source: str, evidence: Evidence) -> None:
    """The work of the wishes that are not to stand, so that each sign-up writes as many as it names."""
    trial = db.session.begin_nested()
    nobody = addresses.parse(f"{new_public_id()}@example.com")
    whoever = arrivals.arrive(nobody, source=source, language=evidence.language or "en")
    _write(whoever, wanted, new_public_id(), evidence)
    trial.rollback()


def _without_a_wish(contact: Contact, asked: _Asked, *, again: bool) -> None:
    """One mail says enough, or none may go."""
    waited = bool(asked.same) and asked.same[0].created_at <= clock.now() - RESEND_AFTER
    if asked.refused:
        notices.drop(Kind.confirm_subscription)
    elif not asked.new:
        send_link(contact)
    elif again and waited and len(asked.lately) < MOST_A_DAY:
        notices.owe(Kind.confirm_subscription, contact, dict(asked.same[0].payload))
    else:
        notices.ask_again((asked.same or asked.lately)[0])


def ask_for_link(contact: Contact | None) -> None:
    """Somebody typed this contact's address, or that of nobody we know, to get the link to the preference page."""
    if contact is None or contact.erased_at is not None:
        contacts.lock([contacts.NOBODY])
        past_notices.since(None, Kind.new_link, clock.now() - timedelta(days=1))
        notices.drop(Kind.new_link)
    else:
        contacts.lock([contact.id])
        send_link(contact)


def send_link(contact: Contact) -> Notice:
    """One link an hour at most, and a few a day: anybody can type any address."""
    now = clock.now()
    lately = past_notices.since(contact, Kind.new_link, now - timedelta(days=1))
    if lately and (len(lately) >= MOST_LINKS_A_DAY or lately[0].created_at > now - timedelta(hours=1)):
        notices.ask_again(lately[0])
        return lately[0]
    return notices.owe(Kind.new_link, contact, {})


def look(contact: Contact, wish: str) -> Wish | None:
    """The wish behind a confirmation link; none when there was no such sign-up."""
    records = [r for r in consents.records_from(contact, _ref(wish)) if r.action is Action.requested]
    if not records or contact.erased_at is not None or not _asked_from_here(contact, records):
        return None
    topics = {topic.id: topic for topic in catalogue.live()}
    today = consents.subscriptions(contact)
    mine = [r for r in records if r.topic_id in topics]
    states = {r.topic_id: today[r.topic_id].state_at(clock.now()) for r in mine if r.topic_id in today}
    state = next((state for state, stands in _STANDS.items() if stands in states.values()), WishState.superseded)
    stands = _STANDS.get(state)
    shown = consents.texts(r.wording_id for r in mine)
    return Wish(
        state,
        [
            topics[r.topic_id]
            for r in mine
            if r.topic_id is not None and (not stands or states.get(r.topic_id) is stands)
        ],
        {r.topic_id: shown[r.wording_id] for r in mine if r.topic_id is not None and r.wording_id in shown},
        records,
    )


def _asked_from_here(contact: Contact, records: list[ConsentRecord]) -> bool:
    """The mail went to the address the contact had then. Once they have another, that mailbox speaks for them no more."""
    opened = vault.open(contact.id)
    return all(opened.get(record.id, {}).get("email", contact.email) == contact.email for record in records)


def confirm(contact: Contact, wish: str, evidence: Evidence) -> list[ConsentRecord]:
    """The owner of the address said yes. Twice is fine; what was withdrawn since stays withdrawn.

    Nothing comes of it while something stands against mail to the address, said after the sign-up.
    """
    contacts.lock([contact.id], for_withdrawal=True)
    found = look(contact, wish)
    if found is None or found.state is not WishState.waiting:
        return []
    if contact.address_hash is None or register.blocks_return(contact.address_hash):
        return []
    made = []
    for topic in found.topics:
        text = found.wordings.get(topic.id)
        own = replace(evidence, wording_id=text.id, language=text.language) if text else evidence
        record = ledger.confirm(contact, topic, replace(own, source_ref=_ref(wish)))
        made += [record] if record else []
    if made:
        register.let_back(contact.address_hash)
        _keep_name(contact, found.records)
    return made


def _keep_name(contact: Contact, records: list[ConsentRecord]) -> None:
    """A name typed into the form counts only once the address is proven, and never replaces one we have."""
    opened = vault.open(contact.id)
    name = next((opened[r.id]["name"] for r in records if opened.get(r.id, {}).get("name")), None)
    if name and NAME in contacts.declared_attributes() and not contact.attributes.get(NAME):
        arrivals.call(contact, NAME, name)


def _still_opens(contact: Contact, notice: Notice, today: Mapping[int, Subscription]) -> bool:
    """Whether that mail went or will go, and its link still confirms. One who left since and comes back needs another."""
    if notice.state in (NoticeState.failed, NoticeState.dropped):
        return False
    asked = [r for r in consents.records_from(contact, _ref(notice.payload["wish"])) if r.topic_id in today]
    states = {today[r.topic_id].state_at(clock.now()) for r in asked if r.topic_id is not None}
    return State.requested in states and _asked_from_here(contact, asked)


def _ref(wish: str) -> str:
    return f"subscribe:{wish}"
