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
from preference_center.consent.models import Action, ConsentRecord, State, Wording
from preference_center.contacts import arrivals
from preference_center.contacts import queries as contacts
from preference_center.contacts.addresses import Address
from preference_center.contacts.models import Contact
from preference_center.db import new_public_id
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


class WishState(StrEnum):
    waiting = "waiting"
    used = "used"
    superseded = "superseded"  # the person has said something else since


@dataclass(frozen=True)
class Wish:
    """What one sign-up asked for, and whether it still can be confirmed."""

    state: WishState
    topics: list[Topic]
    wordings: Mapping[int, Wording]  # by topic id, as shown at the sign-up
    records: list[ConsentRecord]


def ask(
    address: Address, wanted: list[tuple[Topic, Wording]], source: str, evidence: Evidence, *, again: bool = False
) -> None:
    """Somebody, perhaps the owner of this address, wants these topics. `again`: the mail of an earlier wish did not arrive."""
    if register.blocks_return(address.hash):
        notices.drop(Kind.confirm_subscription)
        return
    contact = arrivals.arrive(address, source=source, language=evidence.language or "en")
    contacts.lock([contact.id], for_withdrawal=True)
    if ledger.is_too_young(contact):  # they cannot agree alone, and a stranger must not learn their age
        notices.drop(Kind.confirm_subscription)
        return
    today = consents.subscriptions(contact)
    now = clock.now()
    new = [(t, w) for t, w in wanted if t.id not in today or today[t.id].state_at(now) is not State.given]
    if not new:
        send_link(contact)
        return
    keys = sorted(topic.key for topic, _ in new)
    lately = past_notices.since(contact, Kind.confirm_subscription, clock.now() - AGAIN_AFTER)
    same = [notice for notice in lately if notice.payload["topics"] == keys and _still_opens(contact, notice)]
    if again and same and len(lately) < MOST_A_DAY and same[0].created_at <= now - RESEND_AFTER:
        notices.owe(Kind.confirm_subscription, contact, dict(same[0].payload))
        return
    if same or len(lately) >= MOST_A_DAY:
        notices.ask_again((same or lately)[0])
        return
    wish = new_public_id()
    for topic, wording in new:
        ledger.request(contact, topic, replace(evidence, source_ref=_ref(wish), wording_id=wording.id))
    notices.owe(Kind.confirm_subscription, contact, {"wish": wish, "topics": keys})


def ask_for_link(contact: Contact | None) -> None:
    """Somebody typed this contact's address, or that of nobody we know, to get the link to the preference page."""
    if contact is None or contact.erased_at is not None:
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
    states = {today[r.topic_id].state_at(clock.now()) for r in mine if r.topic_id in today}
    state = WishState.used if State.given in states else WishState.superseded
    if State.requested in states:
        state = WishState.waiting
    shown = consents.texts(r.wording_id for r in mine)
    return Wish(
        state,
        [topics[r.topic_id] for r in mine if r.topic_id is not None],
        {r.topic_id: shown[r.wording_id] for r in mine if r.topic_id is not None and r.wording_id in shown},
        records,
    )


def _asked_from_here(contact: Contact, records: list[ConsentRecord]) -> bool:
    """The mail went to the address the contact had then. Once they have another, that mailbox speaks for them no more."""
    opened = vault.open(contact.id)
    return all(opened.get(record.id, {}).get("email", contact.email) == contact.email for record in records)


def confirm(contact: Contact, wish: str, evidence: Evidence) -> list[ConsentRecord]:
    """The owner of the address said yes. Twice is fine; what was withdrawn since stays withdrawn."""
    contacts.lock([contact.id], for_withdrawal=True)
    found = look(contact, wish)
    if found is None or found.state is not WishState.waiting:
        return []
    made = []
    for topic in found.topics:
        text = found.wordings.get(topic.id)
        own = replace(evidence, source_ref=_ref(wish), wording_id=text.id if text else None)
        record = ledger.confirm(contact, topic, own)
        made += [record] if record else []
    if made and contact.address_hash:
        register.let_back(contact.address_hash)
    if made:
        _keep_name(contact, found.records)
    return made


def _keep_name(contact: Contact, records: list[ConsentRecord]) -> None:
    """A name typed into the form counts only once the address is proven, and never replaces one we have."""
    opened = vault.open(contact.id)
    name = next((opened[r.id]["name"] for r in records if opened.get(r.id, {}).get("name")), None)
    if name and NAME in contacts.declared_attributes() and not contact.attributes.get(NAME):
        arrivals.call(contact, NAME, name)


def _still_opens(contact: Contact, notice: Notice) -> bool:
    """Whether that mail went or will go, and its link still confirms. One who left since and comes back needs another."""
    wish = look(contact, notice.payload["wish"])
    arrives = notice.state not in (NoticeState.failed, NoticeState.dropped)
    return arrives and wish is not None and wish.state is WishState.waiting


def _ref(wish: str) -> str:
    return f"subscribe:{wish}"
