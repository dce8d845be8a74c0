"""The one judge: each state of a contact, and the one answer it must give."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask

from preference_center import clock, config
from preference_center.consent import eligibility, ledger, standing
from preference_center.consent.eligibility import Reason
from preference_center.consent.law import cadences, caps
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Cadence
from preference_center.contacts import queries as contacts
from preference_center.contacts.models import AddressStatus, Attribute, AttributeKind, Contact
from preference_center.db import among, db, transaction
from preference_center.prepared import together
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics import catalogue
from preference_center.topics.models import Topic
from preference_center.topics.purposes import PURPOSES, LegalBasis
from tests.support import make

pytestmark = pytest.mark.both_databases
BY_PERSON = Evidence(source="link")


def _given(contact: Contact, topic: Topic) -> None:
    ledger.grant(contact, topic, LegalBasis.consent, BY_PERSON)


def _suppressed(cause: Cause) -> Callable[[Contact, Topic], None]:
    def act(contact: Contact, topic: Topic) -> None:
        _given(contact, topic)
        assert contact.address_hash
        register.suppress(contact.address_hash, cause, "test")

    return act


def _with(**values: object) -> Callable[[Contact, Topic], None]:
    def act(contact: Contact, topic: Topic) -> None:
        _given(contact, topic)
        for name, value in values.items():
            setattr(contact, name, value)

    return act


def _after(*acts: Callable[[Contact, Topic], object]) -> Callable[[Contact, Topic], None]:
    def act(contact: Contact, topic: Topic) -> None:
        for one in acts:
            one(contact, topic)

    return act


def _pause(contact: Contact, topic: Topic) -> None:
    ledger.pause(contact, topic.purpose_key, clock.now() + timedelta(days=30), BY_PERSON)


CASES: dict[str, tuple[Callable[[Contact, Topic], object], Reason | None]] = {
    "nothing was ever said": (lambda contact, topic: None, Reason.no_consent),
    "consent was given": (_given, None),
    "asked but not confirmed": (lambda c, t: ledger.request(c, t, BY_PERSON), Reason.not_confirmed),
    "asked and confirmed": (
        _after(lambda c, t: ledger.request(c, t, BY_PERSON), lambda c, t: ledger.confirm(c, t, BY_PERSON)),
        None,
    ),
    "given then withdrawn": (_after(_given, lambda c, t: ledger.withdraw(c, t, BY_PERSON)), Reason.withdrawn),
    "withdrawn then given again": (_after(_given, lambda c, t: ledger.withdraw(c, t, BY_PERSON), _given), None),
    "stopped everything": (
        _after(_given, lambda c, t: ledger.withdraw_all(c, t.purpose_key, BY_PERSON)),
        Reason.withdrawn,
    ),
    "stopped everything, then started again": (
        _after(_given, lambda c, t: ledger.withdraw_all(c, t.purpose_key, BY_PERSON), _given),
        None,
    ),
    "objected": (_after(_given, lambda c, t: ledger.object_to(c, t.purpose_key, BY_PERSON)), Reason.objected),
    "taking a break": (_after(_given, _pause), Reason.paused_by_contact),
    "a break ended early": (_after(_given, _pause, lambda c, t: ledger.resume(c, t.purpose_key, BY_PERSON)), None),
    "an opt-out outranks a break": (
        _after(_given, _pause, lambda c, t: ledger.withdraw(c, t, BY_PERSON)),
        Reason.withdrawn,
    ),
    "a complaint": (_suppressed(Cause.complaint), Reason.suppressed_complaint),
    "a dead address": (_suppressed(Cause.bounce), Reason.suppressed_bounce),
    "suppressed by hand": (_suppressed(Cause.manual), Reason.suppressed_manual),
    "an erased address that came back": (_suppressed(Cause.erased), Reason.erased),
    "suppression outranks a later consent": (_after(_suppressed(Cause.complaint), _given), Reason.suppressed_complaint),
    "an address nobody can write to": (_with(address_status=AddressStatus.invalid), Reason.invalid_address),
    "a domain without mail": (_with(address_status=AddressStatus.null_mx), Reason.null_mx),
    "restricted": (_with(restricted_at=clock.now()), Reason.restricted),
    "erased": (_with(erased_at=clock.now(), email=None), Reason.erased),
    "consent whose time is over": (
        lambda c, t: ledger.grant(c, t, LegalBasis.consent, BY_PERSON, until=clock.now() - timedelta(seconds=1)),
        Reason.expired,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_judge_says(app: Flask, case: str) -> None:
    act, expected = CASES[case]
    with transaction():
        topic = make.topic()
        contact = make.contact()
        act(contact, topic)
    verdict = eligibility.verdict(topic, contact, clock.now())
    assert verdict.reason == expected
    assert verdict.allowed == (expected is None)


def test_consent_for_one_topic_says_nothing_about_another(app: Flask) -> None:
    with transaction():
        news, offers = make.topic("news"), make.topic("offers")
        contact = make.follower(news)
    assert eligibility.verdict(news, contact, clock.now()).allowed
    assert eligibility.verdict(offers, contact, clock.now()).reason is Reason.no_consent


def test_a_contact_that_is_gone_counts_as_erased(app: Flask) -> None:
    with transaction():
        topic = make.topic()
    assert eligibility.verdicts(topic, [404], clock.now())[404].reason is Reason.erased


def test_a_yes_names_the_record_that_allows_it(app: Flask) -> None:
    with transaction():
        topic = make.topic()
        contact = make.contact()
        record = ledger.grant(contact, topic, LegalBasis.consent, BY_PERSON)
    assert record is not None
    assert eligibility.verdict(topic, contact, clock.now()).record_id == record.id


@pytest.mark.parametrize("basis", [None, LegalBasis.contract])
def test_what_rests_on_nothing_or_on_what_is_not_for_it_is_refused(app: Flask, basis: LegalBasis | None) -> None:  # S77
    with transaction():
        topic = make.topic()
        contact = make.follower(topic)
        standing.subscriptions(contact)[topic.id].legal_basis = basis
    assert eligibility.verdict(topic, contact, clock.now()).reason is Reason.jurisdiction


def test_the_question_holds_nothing_that_nobody_asked_for(app: Flask) -> None:
    with transaction():
        topics = [make.topic(key.replace("_", "-"), purpose=key) for key in PURPOSES]
    for topic in topics:
        asked = eligibility.judge(topic, clock.now()).compile(db.engine, compile_kwargs={"render_postcompile": True})
        assert not re.search(r"WHEN (0|false)|IN \((NULL|SELECT 1)|1 != 1|1 = 1", str(asked)), topic.purpose_key


def _set(app: Flask, **changes: object) -> None:
    app.extensions["settings"] = config.with_(app.extensions["settings"], **changes)


def test_a_question_spelled_once_is_asked_of_each_moment_anew(app: Flask) -> None:
    """Whatever ends or begins with time, what is declared meanwhile, and another topic: each answer is that of a fresh question."""
    begin, day = clock.now(), timedelta(days=1)
    with transaction():
        topic, other = make.topic(), make.topic("offers")
        people = [make.contact(f"person{n}@example.org") for n in range(5)]
        for n, one in enumerate(people):
            ledger.grant(one, topic, LegalBasis.consent, BY_PERSON, until=begin + 2 * day if n == 1 else None)
            one.attributes = {"age": 3}
        suppressed, _ending, resting, weekly, often = people
        assert suppressed.address_hash
        register.suppress(suppressed.address_hash, Cause.bounce, "test", until=begin + day)
        ledger.pause(resting, topic.purpose_key, begin + 3 * day, BY_PERSON)
        ledger.set_cadence(weekly, topic, Cadence.weekly, BY_PERSON)
        cadences.note(topic, {weekly.id}, 1, begin)
        _set(app, frequency_caps=((1, 4),))
        caps.note([often.id], 1, begin)
        db.session.add(Attribute(key="city", name="City", kind=AttributeKind.text, created_at=begin))
    sitting = eligibility.Sitting(lambda judged: judged.where(among(Contact.id, "whom")))
    ids = [one.id for one in people]
    seen: set[tuple[Reason | None, ...]] = set()

    def same(topic: Topic, at: datetime) -> None:
        with transaction():
            (answer,) = together(sitting.asked(topic, at, 2, contacts.declared_attributes(), whom=ids))
            told = {one[0]: (one[1], one[2]) for one in answer.rows}
            fresh = eligibility.verdicts(topic, ids, at, 2)
        assert told == {one.contact_id: (one.record_id, one.reason) for one in fresh.values()}
        seen.add(tuple(fresh[one].reason for one in ids))

    for days in (0.0, 1.5, 2.5, 3.5, 4.5, 7.5):
        same(topic, begin + days * day)
    assert len(seen) == 6
    noon = begin.replace(hour=12) + 10 * day  # within one day the words stay the same, and only their moments move
    with transaction():
        ledger.pause(resting, topic.purpose_key, noon + day / 24, BY_PERSON)
    same(topic, noon)
    same(topic, noon + day / 12)
    told = [eligibility.verdicts(topic, ids, at, 2)[resting.id].reason for at in (noon, noon + day / 12)]
    assert told == [Reason.paused_by_contact, None]
    same(other, begin)
    _set(app, frequency_caps=())
    same(topic, begin)
    with transaction():
        db.session.add(Attribute(key="age", name="Age", kind=AttributeKind.number, created_at=begin))
    same(topic, begin)
    with transaction():
        catalogue.retire(topic)
    same(topic, clock.now() + day)
    assert len(seen) == 11
