"""What a person chose: reads the choices of one contact, and changes them by the ledger's verbs. It does not commit.

Each verb answers with a Change: the records it wrote. A Change can be taken back as long as its records still decide.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from preference_center import clock
from preference_center.consent import ledger, overview, projection, vault
from preference_center.consent import standing as consents
from preference_center.consent.ledger import Evidence, Whose
from preference_center.consent.models import Action, Cadence, ConsentRecord, State, Wording
from preference_center.consent.overview import Overview, Record, Said
from preference_center.consent.projection import Stand
from preference_center.contacts import arrivals
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import Contact
from preference_center.errors import Conflict, Invalid
from preference_center.notices import queries as past_notices
from preference_center.notices import sending as notices
from preference_center.notices.models import Kind
from preference_center.preferences import offer
from preference_center.preferences.offer import Offer
from preference_center.topics import catalogue
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis

MARKETING = "email_marketing"
SERVICE = "service"
MOST_TOLD_A_DAY = 5
_STOPS = (State.withdrawn, State.objected)
_PURE_UNDO = (Action.paused, Action.resumed, *(Action(cadence) for cadence in Cadence))


@dataclass(frozen=True)
class Choice:
    """One topic as one contact may choose it."""

    topic: Topic
    state: State | None
    on: bool
    record: Record | None  # the one that decided
    agreed: Wording | None  # the text of that record, as shown then
    wording: Wording | None  # the text that turning it on would rest on; none: not offered in this language
    cadence: Cadence = Cadence.each
    until: datetime | None = None  # when it ends by itself


@dataclass(frozen=True)
class Choices:
    """All that one contact may choose, in the owner's order."""

    topics: list[Choice]
    service: list[Topic]
    stopped: bool
    paused_until: datetime | None
    held_back: str | None = None  # why nothing is sent whatever is chosen: restricted, or the cause of a suppression
    ended: list[Topic] = field(default_factory=list)  # topics the contact follows and the owner has retired

    @property
    def by_mail(self) -> list[Choice]:
        return [choice for choice in self.topics if choice.topic.purpose.mails]

    @property
    def besides(self) -> list[Choice]:
        """What we may do with mail besides sending it, such as seeing whether it is opened: a consent of its own each."""
        return [
            choice
            for choice in self.topics
            if not choice.topic.purpose.mails and choice.topic.purpose.channel == "email"
        ]

    @property
    def by_other_ways(self) -> list[Choice]:
        """SMS, phone, post: kept, exported and honoured; what is sent there is sent by others."""
        return [choice for choice in self.topics if choice.topic.purpose.channel != "email"]

    @property
    def on(self) -> list[Choice]:
        """The topics that mail comes of."""
        return [choice for choice in self.by_mail if choice.on]


@dataclass(frozen=True)
class Change:
    """What one act changed. `elsewhere`: topics that another page had changed meanwhile, left as they are, and what this one had."""

    records: list[ConsentRecord] = field(default_factory=list)
    elsewhere: list[tuple[Topic, bool]] = field(default_factory=list)


@dataclass(frozen=True)
class Shown:
    """What the page showed for one topic when the person chose: its state, the consent text beside it, and how often."""

    on: bool
    wording_id: int | None
    cadence: Cadence | None = None  # none: the page did not ask how often


def for_contact(contact: Contact, language: str) -> Choices:
    """Today's choices of a contact, as they stand in the open transaction."""
    return among(offer.now(), overview.now(contact.public_id, MARKETING), language)


def look_up(public_id: str) -> Overview:
    """The contact of this public id with all they said, as committed. NotFound when there is none."""
    return overview.lately(public_id, MARKETING)


def among(offered: Offer, seen: Overview, language: str) -> Choices:
    """What one contact may choose of all that is offered. Topics that are neither public nor on are left out.

    Retired ones cannot be chosen: no mail comes of them.
    """
    now, whole = clock.now(), seen.whole in _STOPS
    topics, service, ended = [], [], []
    for topic in offered.topics:
        said = seen.topics.get(topic.id)
        on = _is_on(said, now)
        if topic.retired_at is not None:
            ended += [topic] if on else []
        elif topic.purpose_key == SERVICE:
            service += [topic] if topic.public else []
        elif topic.public or on:
            topics.append(_choice(topic, said, on, offered, language))
    return Choices(
        sorted(topics, key=lambda choice: choice.topic.purpose_key != MARKETING),
        service,
        stopped=whole,
        paused_until=seen.paused_until if seen.paused_until and seen.paused_until > now else None,
        held_back=seen.suppressed or ("restricted" if seen.restricted_at else None),
        ended=ended,
    )


def _choice(topic: Topic, said: Said | None, on: bool, offered: Offer, language: str) -> Choice:
    wording = offered.in_force(language).get(topic.id)
    if said is None:
        return Choice(topic, None, on, None, None, wording)
    agreed = offered.text(said.record.wording_id) if said.record else None
    return Choice(topic, said.state, on, said.record, agreed, wording, said.cadence, said.until if on else None)


def apply(
    contact: Contact,
    shown: Mapping[str, Shown],
    chosen: set[str],
    evidence: Evidence,
    often: Mapping[str, Cadence] | None = None,
) -> Change:
    """Change what the person changed on the page, and only that: a page left open never undoes what was said since (S61)."""
    often = often or {}
    contacts.lock([contact.id], for_withdrawal=True)
    topics = {choice.topic.key: choice for choice in for_contact(contact, evidence.language or "en").topics}
    retired = {topic.key for topic in catalogue.everything() if topic.retired_at}  # meanwhile: the rest still counts
    unknown = (set(shown) | chosen) - set(topics) - retired
    asked = {key for key, was in shown.items() if was.cadence is not None}
    if unknown or not chosen <= set(shown) or not set(often) <= asked:
        raise Invalid("The form names topics that this page does not offer.")
    change, turned_on = Change(), []
    for key, choice in topics.items():
        if key not in shown:
            continue
        was, wanted, on = shown[key], key in chosen, choice.on
        if wanted == was.on:
            if on != was.on:
                change.elsewhere.append((choice.topic, was.on))
        else:
            record = (
                _turn_on(contact, choice, was, evidence) if wanted else ledger.withdraw(contact, choice.topic, evidence)
            )
            on = wanted
            change.records.extend([record] if record else [])
            turned_on += [key] if wanted and record else []
        if on and choice.topic.cadence_choice and often.get(key, was.cadence) is not was.cadence:
            paced = ledger.set_cadence(contact, choice.topic, often[key], evidence)
            change.records.extend([paced] if paced else [])
    if turned_on:
        tell(contact, Kind.topic_turned_on, turned_on)
    return change


def tell(contact: Contact, kind: Kind, topics: list[str]) -> None:
    """The link may have been forwarded, so the mailbox hears of it; some times a day, since whoever has the link may go on for ever."""
    lately = past_notices.since(contact, kind, clock.now() - timedelta(days=1))
    if len(lately) >= MOST_TOLD_A_DAY:
        notices.ask_again(lately[0])
    else:
        notices.owe(kind, contact, {"topics": topics})


def stop_topic(contact: Whose, topic: Topic, evidence: Evidence) -> Change:
    """No more of this topic. Twice is fine."""
    return _change(ledger.withdraw(contact, topic, evidence))


def stop_all(contact: Whose, evidence: Evidence) -> Change:
    """No more marketing by email at all. Twice is fine."""
    return _change(ledger.withdraw_all(contact, MARKETING, evidence))


def pause(contact: Contact, until: datetime, evidence: Evidence) -> Change:
    """A break that ends by itself."""
    return _change(ledger.pause(contact, MARKETING, until, evidence))


def resume(contact: Contact, evidence: Evidence) -> Change:
    """The break ends now."""
    return _change(ledger.resume(contact, MARKETING, evidence))


def live_in(contact: Contact, zone: str) -> None:
    """Days and times are told for this time zone from now on."""
    arrivals.live_in(contact, zone)


def speak(contact: Contact, language: str) -> None:
    """Pages and mail in this language from now on."""
    arrivals.speak(contact, language)


def undo(contact: Contact, records: list[str], evidence: Evidence) -> Change:
    """Go back to where the contact stood before these records, as far as they still decide. Conflict when none does."""
    contacts.lock([contact.id], for_withdrawal=True)
    taken = consents.records_named(contact, records)
    if not taken or _said_elsewhere(contact, taken):
        raise Conflict("This change cannot be taken back any more.")
    ids = {record.id for record in taken}
    was, now = projection.before(taken[0]), projection.today(contact.id)
    evidence = replace(evidence, source_ref=f"undo:{taken[0].public_id}")
    made = [*_undo_topics(contact, ids, was, now, evidence), *_undo_purposes(contact, ids, was, now, evidence)]
    if not made:
        raise Conflict("This change cannot be taken back any more.")
    return Change(made)


def can_be_undone(contact: Contact, records: list[ConsentRecord]) -> bool:
    """Whether taking these records back would change anything."""
    if not records:
        return False
    ids = {record.id for record in records}
    was, now = projection.before(records[0]), projection.today(contact.id)
    topics = any(
        topic.record_id in ids and (topic.state is State.given) != _was_given(was, topic_id)
        for topic_id, topic in now.topics.items()
    )
    return topics or any(record.action in _PURE_UNDO for record in records)


def _said_elsewhere(contact: Contact, records: list[ConsentRecord]) -> bool:
    """Whether they had another address then: whoever has the receipt may have that mailbox, and not this one."""
    opened = vault.open(contact.id)
    return any(opened.get(record.id, {}).get("email", contact.email) != contact.email for record in records)


def _undo_topics(contact: Contact, ids: set[int], was: Stand, now: Stand, evidence: Evidence) -> list[ConsentRecord]:
    made = []
    topics = {topic.id: topic for topic in catalogue.live()}
    for topic_id, today in now.topics.items():
        if topic_id not in topics:
            continue
        made += _undo_cadence(contact, topics[topic_id], ids, was, evidence)
        if today.record_id not in ids:
            continue
        record = None
        if today.state is State.given and not _was_given(was, topic_id):
            record = ledger.withdraw(contact, topics[topic_id], evidence)
        elif today.state in _STOPS and _was_given(was, topic_id):
            earlier = consents.records([was.topics[topic_id].record_id])[was.topics[topic_id].record_id]
            record = ledger.restore(contact, topics[topic_id], earlier, evidence)
        made += [record] if record else []
    return made


def _undo_cadence(contact: Contact, topic: Topic, ids: set[int], was: Stand, evidence: Evidence) -> list[ConsentRecord]:
    last = consents.last_cadence(contact, topic)
    if last is None or last.id not in ids:
        return []
    earlier = was.topics.get(topic.id)
    record = ledger.set_cadence(contact, topic, earlier.cadence if earlier else Cadence.each, evidence)
    return [record] if record else []


def _undo_purposes(contact: Contact, ids: set[int], was: Stand, now: Stand, evidence: Evidence) -> list[ConsentRecord]:
    made = []
    for key, today in now.purposes.items():
        if today.record_id not in ids:
            continue
        earlier = was.purposes.get(key)
        paused = earlier.paused_until if earlier else None
        record = None
        if earlier and earlier.state in _STOPS and today.state is State.open:
            record = ledger.withdraw_all(contact, key, evidence)
        elif today.paused_until != paused:
            still = paused is not None and paused > clock.now()
            record = (
                ledger.pause(contact, key, paused, evidence)
                if still and paused
                else ledger.resume(contact, key, evidence)
            )
        made += [record] if record else []
    return made


def _was_given(stand: Stand, topic_id: int) -> bool:
    return topic_id in stand.topics and stand.topics[topic_id].state is State.given


def _turn_on(contact: Contact, choice: Choice, was: Shown, evidence: Evidence) -> ConsentRecord | None:
    """Consent rests on the text that was shown, in the version that was shown."""
    text = consents.texts([was.wording_id]).get(was.wording_id or 0)
    if text is None or text.topic_id != choice.topic.id or text.shown_on != "form":
        raise Invalid("There is no consent text for this topic in this language.")
    return ledger.grant(
        contact, choice.topic, LegalBasis.consent, replace(evidence, wording_id=text.id, language=text.language)
    )


def _change(record: ConsentRecord | None) -> Change:
    return Change([record] if record else [])


def _is_on(said: Said | None, now: datetime) -> bool:
    return said is not None and said.state is State.given and (said.until is None or said.until > now)
