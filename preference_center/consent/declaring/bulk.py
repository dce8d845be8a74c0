"""One batch of declared consent: decided row by row as the ledger would, and written with a few statements.

Facts first, then state: records are inserted, then subscriptions follow from them as `projection.step` says. The contacts are
locked by whoever stored them (`contacts/storing.py`).
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import Table, func, select

from preference_center import clock
from preference_center.consent import ledger, projection, standing, vault
from preference_center.consent.declaring import statuses
from preference_center.consent.declaring.statuses import Status
from preference_center.consent.law import bases, jurisdictions, validity
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import (
    Action,
    ConsentRecord,
    State,
    Subscription,
    Wording,
)
from preference_center.contacts import cells, moving, storing
from preference_center.contacts.models import Contact
from preference_center.contacts.storing import Person
from preference_center.db import db, insert_rows, new_public_ids, reserve_ids
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis, Purpose

EARLIEST = datetime(1995, 1, 1, tzinfo=UTC)
_ZONES_AHEAD = timedelta(hours=14)  # a day written without a zone may have begun where it was written
_NOES = (State.withdrawn, State.objected, State.refused, State.expired, State.invalidated)
_records = cast(Table, ConsentRecord.__table__)
_subscriptions = cast(Table, Subscription.__table__)
_SUPPRESSES = {Status.bounced: Cause.bounce, Status.complained: Cause.complaint, Status.blocked: Cause.manual}


class Outcome(StrEnum):
    """What became of one row's claim on one topic. Every stored row has one; they add up to the rows."""

    given = "given"
    kept = "kept"  # was on already
    not_confirmed = "not_confirmed"
    withdrawn = "withdrawn"
    refused_because_no = "refused_because_no"
    suppressed = "suppressed"
    no_status = "no_status"
    no_date = "no_date"
    bad_date = "bad_date"
    not_here = "not_here"  # this legal basis does not hold in the person's country
    under_age = "under_age"
    expired = "expired"  # so old that it has ended by itself
    invalid_address = "invalid_address"
    row_refused = "row_refused"


_REPORTED = {
    Outcome.refused_because_no: "the person said no, or consent ended; only they can turn it on again",
    Outcome.suppressed: "this address is suppressed; an import does not lift that",
    Outcome.bad_date: "the day of consent cannot be read, or does not lie between 1995 and today",
    Outcome.not_here: "this legal basis does not hold in the person's country",
    Outcome.under_age: "this person is too young to agree alone",
    Outcome.expired: "the consent is so old that it has ended",
}


@dataclass(frozen=True)
class Terms:
    """What was declared for the whole file."""

    import_id: int
    ref: str
    actor: str
    topics: tuple[tuple[int, str, Purpose], ...]
    valid_months: dict[int, int | None]
    basis: LegalBasis | None
    consented_on: datetime | None
    source: str
    wordings: dict[int, int]
    language: str | None
    day_first: bool
    says_no: bool
    soft_opt_in: bool


@dataclass
class Memory:
    """What a batch knows of addresses, by hash. A dry run keeps it from batch to batch, since it stores nothing."""

    states: dict[tuple[bytes, int], State] = field(default_factory=dict)
    stopped: set[tuple[bytes, str]] = field(default_factory=set)
    # with some topics, and the no to all others stands; or under an address they had gone away from
    begun_again: set[tuple[bytes, str]] = field(default_factory=set)
    suppressed: set[bytes] = field(default_factory=set)


@dataclass
class Kept:
    """What a batch came to: outcomes by topic, suppressions by cause, and faults as (line, field, reason)."""

    outcomes: dict[str, Counter[str]]
    suppressions: Counter[str]
    faults: list[tuple[int, str, str]]


def record(terms: Terms, people: list[Person], suppressed: Iterable[bytes], memory: Memory | None = None) -> Kept:
    """Decide and write the consent of these people, in the order of their rows."""
    memory = memory or Memory()
    memory.suppressed.update(suppressed)
    _remember(terms, people, memory)
    kept = Kept({key: Counter() for _, key, _ in terms.topics}, Counter(), [])
    now = clock.now()
    wanted: list[_Wanted] = []
    causes: dict[Cause, list[bytes]] = defaultdict(list)
    unreachable: list[int] = []
    for person in people:
        claim = person.entry.claim
        status = Status.given if claim.status is None else statuses.read(claim.status, says_no=terms.says_no)
        if person.restricted and status not in statuses.NOES:
            continue  # their data is not used; but what they do not want holds when it is used again
        if status is None:
            kept.faults.append((person.entry.line, "status", "we do not know this word; no consent was taken from it"))
            status = Status.none
        at, dated = _when(terms, claim, now)
        for topic_id, key, purpose in terms.topics:
            outcome, action = _decide(terms, person, status, dated, topic_id, purpose, memory)
            until = None
            if action is Action.given and at is not None:
                until = validity.end_of(terms.valid_months[topic_id], terms.basis, person.jurisdiction, at)
                if until is not None and until <= now:
                    outcome, action = Outcome.expired, None
            if not person.restricted:  # whose row was refused, and counts there
                kept.outcomes[key][outcome] += 1
            if outcome in _REPORTED and status in (Status.given, Status.requested):
                kept.faults.append((person.entry.line, f"consent {key}"[:60], _REPORTED[outcome]))
            if action:
                given_at = at if action is Action.given else None
                wanted.append(_Wanted(person, topic_id, purpose, action, given_at, until))
                memory.states[person.address_hash, topic_id] = projection.state_after(action)
        if not terms.topics and status in (Status.withdrawn, Status.complained):
            _leave_all(terms, person)
        if status in _SUPPRESSES:
            causes[_SUPPRESSES[status]].append(person.address_hash)
            memory.suppressed.add(person.address_hash)
        if status is Status.invalid:
            unreachable.append(person.contact_id)
    for cause, hashes in causes.items():
        register.suppress_many(hashes, cause, f"import:{terms.ref}")
        kept.suppressions[cause] += len(set(hashes))
    storing.mark_unreachable(unreachable)
    _write(terms, wanted, now)
    return kept


def _decide(
    terms: Terms, person: Person, status: Status, dated: Outcome | None, topic_id: int, purpose: Purpose, memory: Memory
) -> tuple[Outcome, Action | None]:
    """What the claim comes to on one topic, and the fact to be written, if any. `dated`: what is wrong with its date."""
    state = memory.states.get((person.address_hash, topic_id))
    if status in (Status.withdrawn, Status.complained):
        ended = state in (State.withdrawn, State.objected)
        outcome = Outcome.withdrawn if status is Status.withdrawn else Outcome.suppressed
        return outcome, None if ended else Action.withdrawn
    if status in _SUPPRESSES:
        return Outcome.suppressed, None
    if status is Status.invalid:
        return Outcome.invalid_address, None
    whole = (person.address_hash, purpose.key)
    if state in _NOES or whole in memory.stopped or (state is None and whole in memory.begun_again):
        return (Outcome.no_status if status is Status.none else Outcome.refused_because_no), None
    if status is Status.none:
        return (Outcome.kept if state is State.given else Outcome.no_status), None
    if person.address_hash in memory.suppressed:
        return Outcome.suppressed, None
    if state is State.given:
        return Outcome.kept, None
    if state is State.requested:
        return Outcome.not_confirmed, None
    if status is Status.requested:
        return Outcome.not_confirmed, Action.requested
    if terms.basis and not all(rules.allows(terms.basis, purpose) for rules in _rules(person)):
        return Outcome.not_here, None
    if _is_too_young(person):
        return Outcome.under_age, None
    if dated:
        return dated, None
    return Outcome.given, Action.given


def _rules(person: Person) -> list[jurisdictions.Rules]:
    """Those of every country a person may be in: as we know it, as the file says, else as we assume."""
    known = {person.jurisdiction, person.entry.profile.get("country")} - {None}
    return [jurisdictions.of(country) for country in known or {None}]


def _is_too_young(person: Person) -> bool:
    attributes = dict(person.entry.attributes)
    return jurisdictions.is_too_young(attributes, person.jurisdiction, clock.now().date())


def _when(terms: Terms, claim: storing.Claim, now: datetime) -> tuple[datetime | None, Outcome | None]:
    """When the consent was given, or what is wrong with that. The row's own day comes before the file's."""
    if not claim.consented_at:
        return terms.consented_on, None if terms.consented_on else Outcome.no_date
    found = cells.moment(claim.consented_at, terms.day_first)
    latest = now if found and found.zoned else now + _ZONES_AHEAD
    if found is None or not EARLIEST <= found.moment <= latest:
        return None, Outcome.bad_date
    return min(found.moment, now), None


def _remember(terms: Terms, people: list[Person], memory: Memory) -> None:
    """Where the people who were there already stand today. What a dry run remembers of them is newer, and stays."""
    if not terms.topics:
        return
    topics, purposes = {t for t, _, _ in terms.topics}, {p.key for _, _, p in terms.topics}
    if bases.ends_by_a_no(terms.basis):
        for address_hash in _histories_lost(people):
            memory.begun_again.update((address_hash, key) for key in purposes)
    there, now = {person.contact_id: person.address_hash for person in people if not person.is_new}, clock.now()
    if not there:
        return
    own = (Subscription.contact_id.in_(there), Subscription.topic_id.in_(topics))
    for row in db.session.scalars(select(Subscription).where(*own)):
        memory.states.setdefault((there[row.contact_id], row.topic_id), row.state_at(now))
    for contact_id, key, begun_again in standing.stops(there, purposes):
        (memory.begun_again if begun_again else memory.stopped).add((there[contact_id], key))


def _histories_lost(people: list[Person]) -> set[bytes]:
    """Addresses that somebody went away from, unless it is who is there now: what they had said no to is known no more."""
    away = register.went_away(person.address_hash for person in people)
    gone = {address_hash for address_hash, _source in away}
    there = {p.contact_id: p.address_hash for p in people if p.address_hash in gone and not p.is_new}
    came_back = {(there[contact_id], f"{register.AWAY}{name}") for contact_id, name in moving.names(there)}
    return {address_hash for address_hash, _source in away - came_back}


@dataclass(slots=True)
class _Wanted:
    """A fact to be written."""

    person: Person
    topic_id: int
    purpose: Purpose
    action: Action
    at: datetime | None
    until: datetime | None


def _write(terms: Terms, wanted: list[_Wanted], now: datetime) -> None:
    if not wanted:
        return
    ids = reserve_ids(_records, len(wanted))
    names = new_public_ids(len(wanted))
    safe = vault.enclose(one.person.contact_id for one in wanted)
    kept = [safe.digest(one.person.contact_id, _detail(terms, one)) for one in wanted]
    insert_rows(
        _records,
        ("id", "public_id", *_RECORD, "evidence_digest"),
        [
            (id_, name, *_record(terms, one, now), detail and detail[0])
            for id_, name, one, detail in zip(ids, names, wanted, kept, strict=True)
        ],
    )
    safe.keep(
        [(id_, one.person.contact_id, detail[1]) for id_, one, detail in zip(ids, wanted, kept, strict=True) if detail]
    )
    latest = {
        (one.person.contact_id, one.topic_id): (
            projection.state_after(one.action),
            id_,
            one.until,
            _basis(terms, one),
            False,
        )
        for id_, one in zip(ids, wanted, strict=True)
    }
    insert_rows(
        _subscriptions,
        ("contact_id", "topic_id", "state", "record_id", "until", "legal_basis", "by_guardian"),
        [(*key, *latest[key]) for key in sorted(latest)],
        "replace",
    )


_RECORD = (
    "contact_id",
    "purpose_key",
    "topic_id",
    "channel",
    "action",
    "legal_basis",
    "wording_id",
    "language",
    "source",
    "source_ref",
    "actor",
    "until",
    "happened_at",
    "recorded_at",
    "rules",
)


def _record(terms: Terms, one: _Wanted, now: datetime) -> tuple[Any, ...]:
    given = one.action is Action.given
    return (
        one.person.contact_id,
        one.purpose.key,
        one.topic_id,
        one.purpose.channel,
        one.action,
        _basis(terms, one),
        terms.wordings.get(one.topic_id) if given else None,
        terms.language if given else None,
        "import",
        f"{terms.ref}:{one.person.entry.line}",
        terms.actor,
        one.until,
        one.at or now,
        now,
        jurisdictions.applied(one.person.jurisdiction, one.person.jurisdiction_source),
    )


def _basis(terms: Terms, one: _Wanted) -> LegalBasis | None:
    if one.action is Action.given:
        return terms.basis
    asked = one.action is Action.requested and LegalBasis.double_opt_in in bases.allowed_for(one.purpose)
    return LegalBasis.double_opt_in if asked else None


def _detail(terms: Terms, one: _Wanted) -> dict[str, Any]:
    """The row's claim as it was written, and the country whose rules were applied."""
    claim, person = one.person.entry.claim, one.person
    said = {
        "email": person.entry.address.email if person.entry.address else None,
        "status": claim.status,
        "consented_at": claim.consented_at,
        "consent_source": claim.source,
        "source": terms.source,
        "jurisdiction": person.jurisdiction,
        "jurisdiction_source": person.jurisdiction_source,
        **(
            bases.declared(terms.basis, claim.source or terms.source, affirmed=terms.soft_opt_in) if terms.basis else {}
        ),
    }
    return {name: value for name, value in said.items() if value}


def _leave_all(terms: Terms, person: Person) -> None:
    """A "no" in a file without topics is a no to all mail of ours."""
    contact = db.session.get(Contact, person.contact_id)
    if contact:
        evidence = Evidence("import", f"{terms.ref}:{person.entry.line}", terms.actor)
        ledger.withdraw_all(contact, "email_marketing", evidence)


def wording(topic: Topic, language: str, text: str) -> int:
    """The declared text as a version of its own that no form shows. The same text is kept once."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    own = select(Wording.id).where(Wording.topic_id == topic.id, Wording.language == language)
    there = db.session.scalar(own.where(Wording.sha256 == digest, Wording.shown_on == "import").limit(1))
    if there:
        return there
    last = db.session.scalar(
        select(func.max(Wording.version)).where(Wording.topic_id == topic.id, Wording.language == language)
    )
    now = clock.now()
    made = Wording(
        topic_id=topic.id,
        language=language,
        version=(last or 0) + 1,
        text=text,
        sha256=digest,
        shown_on="import",
        effective_from=now,
        superseded_at=now,
    )
    db.session.add(made)
    db.session.flush()
    return made.id
