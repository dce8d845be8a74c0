"""Consent declared with a file: what each row comes to, on both databases, and that an import is weaker than a person."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from preference_center import clock
from preference_center.accounts.audit import AuditEntry
from preference_center.consent import eligibility, ledger, projection, tracking, vault, wordings
from preference_center.consent.eligibility import Reason
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Action, ConsentEvidence, ConsentRecord, State, Subscription, Wording
from preference_center.contacts import queries
from preference_center.db import db, transaction
from preference_center.errors import Invalid
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause, Suppression
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.contacts import files
from tests.support import make

pytestmark = pytest.mark.both_databases
TERMS = {"basis": "consent", "topics": ["news"], "consented_on": "2024-05-31"}
BY_PERSON = Evidence(source="link")


@pytest.fixture
def topic(app: Flask) -> Topic:
    with transaction():
        topic = make.topic()
    return topic


def _state(email: str, topic: Topic) -> State | None:
    contact = queries.by_email(email)
    assert contact is not None
    return db.session.scalar(
        select(Subscription.state).where(Subscription.contact_id == contact.id, Subscription.topic_id == topic.id)
    )


def _reason(email: str, topic: Topic) -> Reason | None:
    contact = queries.by_email(email)
    assert contact is not None
    return eligibility.verdict(topic, contact, clock.now()).reason


def test_declared_people_may_be_mailed_and_the_record_names_file_line_source_and_day(topic: Topic) -> None:  # S75
    import_ = files.imported("email\nanna@example.org\n", **TERMS, wording="I want news.")
    record = db.session.scalars(select(ConsentRecord)).one()
    assert (record.action, record.legal_basis) == (Action.given, LegalBasis.consent)
    assert (record.source, record.source_ref, record.actor) == ("import", f"{import_.public_id}:2", "user:abc")
    assert record.happened_at.date().isoformat() == "2024-05-31"
    wording = db.session.get(Wording, record.wording_id)
    assert wording is not None
    assert (wording.text, wording.shown_on) == ("I want news.", "import")
    assert vault.open(record.contact_id)[record.id]["source"] == "shop checkout"
    assert _reason("anna@example.org", topic) is None


def test_without_a_date_the_person_is_stored_and_may_not_be_mailed(topic: Topic) -> None:  # S75
    import_ = files.imported("email\nanna@example.org\n", basis="consent", topics=["news"])
    assert import_.figures["consent"]["news"] == {"no_date": 1}
    assert _reason("anna@example.org", topic) is Reason.no_consent


def test_a_rows_own_day_comes_before_the_files(topic: Topic) -> None:
    files.imported("email,consent date\na@example.org,01/02/2023\nb@example.org,\n", **TERMS)
    days = [r.happened_at.date().isoformat() for r in db.session.scalars(select(ConsentRecord).order_by("id"))]
    assert days == ["2023-02-01", "2024-05-31"]


@pytest.mark.parametrize("day", ["2999-01-01", "1994-12-31", "soon", "2024-02-30"])
def test_a_day_that_cannot_be_is_a_fault_and_no_consent(topic: Topic, day: str) -> None:
    import_ = files.imported(f"email,consent date\na@example.org,{day}\n", **TERMS)
    assert import_.figures["consent"]["news"] == {"bad_date": 1}
    assert _reason("a@example.org", topic) is Reason.no_consent
    assert files.reasons(import_) == [(2, "consent news")]


STATUSES = {
    "subscribed": (State.given, None, None),
    "Confirmed": (State.given, None, None),
    "TAK": (State.given, None, None),
    "Sí": (State.given, None, None),
    "sim": (State.given, None, None),
    "1": (State.given, None, None),
    "unconfirmed": (State.requested, None, Reason.not_confirmed),
    "oczekujący": (State.requested, None, Reason.not_confirmed),
    "pendente": (State.requested, None, Reason.not_confirmed),
    "Unsubscribed": (State.withdrawn, None, Reason.withdrawn),
    "nie": (State.withdrawn, None, Reason.withdrawn),
    "dado de baja": (State.withdrawn, None, Reason.withdrawn),
    "não": (State.withdrawn, None, Reason.withdrawn),
    "opt-out": (State.withdrawn, None, Reason.withdrawn),
    "cleaned": (None, Cause.bounce, Reason.suppressed_bounce),
    "Hard bounced": (None, Cause.bounce, Reason.suppressed_bounce),
    "spam": (State.withdrawn, Cause.complaint, Reason.suppressed_complaint),
    "blocklisted": (None, Cause.manual, Reason.suppressed_manual),
    "invalid": (None, None, Reason.invalid_address),
    "nonsubscribed": (None, None, Reason.no_consent),
    "": (None, None, Reason.no_consent),
    "gold": (None, None, Reason.no_consent),
}


def test_who_left_everything_and_began_again_with_one_topic_gets_no_other_by_a_file(topic: Topic) -> None:  # S76
    with transaction():
        offers = make.topic("offers", "Offers")
        anna = make.follower(topic, "anna@example.org")
        ledger.withdraw_all(anna, topic.purpose_key, BY_PERSON)
        ledger.grant(anna, topic, LegalBasis.consent, BY_PERSON)
    import_ = files.imported("email\nanna@example.org\nben@example.org\n", **TERMS | {"topics": ["offers"]})
    assert import_.figures["consent"]["offers"] == {"refused_because_no": 1, "given": 1}
    assert _state("anna@example.org", offers) is None and _reason("anna@example.org", topic) is None
    assert _state("ben@example.org", offers) is State.given


def test_each_word_of_a_status_column_means_what_it_says(topic: Topic) -> None:
    rows = "".join(f"a{number}@example.org,{word}\n" for number, word in enumerate(STATUSES))
    import_ = files.imported(f"email,status\n{rows}", **TERMS)
    for number, (word, (state, cause, reason)) in enumerate(STATUSES.items()):
        email = f"a{number}@example.org"
        contact = queries.by_email(email)
        assert contact is not None
        assert contact.address_hash
        suppressed = register.standing([contact.address_hash]).get(contact.address_hash)
        assert (word, _state(email, topic), suppressed, _reason(email, topic)) == (word, state, cause, reason)
    assert files.reasons(import_) == [(len(STATUSES) + 1, "status")]  # only the word nobody knows
    assert sum(import_.figures["consent"]["news"].values()) == len(STATUSES)
    assert import_.figures["suppressed"] == {"bounce": 2, "complaint": 1, "manual": 1}
    assert not list(projection.differences())


@pytest.mark.parametrize("terms", [TERMS, {}], ids=["on a topic", "without topics"])
@pytest.mark.parametrize("word", ["unsubscribed", "complained", "blocked", "bounced", "invalid", "subscribed", "gold"])
def test_of_the_row_of_a_restricted_person_only_a_no_is_taken(topic: Topic, word: str, terms: dict[str, Any]) -> None:
    with transaction():
        make.follower(topic, "a@example.org", restricted_at=clock.now())
    import_ = files.imported(f"email,status,language\na@example.org,{word},pl\n", **terms)
    assert import_.figures["refused_because"] == {"restricted": 1}
    assert import_.figures["consent"].get("news", {"row_refused": 1}) == {"row_refused": 1}
    with transaction():
        anna = queries.by_email("a@example.org")
        assert anna is not None and anna.language == "en"
        anna.lift_restriction(clock.now())
    says_no = word not in ("subscribed", "gold")
    assert (_reason("a@example.org", topic) is not None) is says_no
    assert says_no or db.session.query(ConsentRecord).count() == 1
    assert not list(projection.differences())


def test_yes_in_a_column_that_speaks_of_leaving_is_a_no(topic: Topic) -> None:
    content = "email,Opted out of email\na@example.org,true\nb@example.org,false\nc@example.org,\n"
    files.imported(content, **TERMS)
    assert [_state(f"{name}@example.org", topic) for name in "abc"] == [State.withdrawn, None, None]


NOES = {
    "left the topic": lambda contact, topic: ledger.withdraw(contact, topic, BY_PERSON),
    "left everything": lambda contact, topic: ledger.withdraw_all(contact, topic.purpose_key, BY_PERSON),
    "objected": lambda contact, topic: ledger.object_to(contact, topic.purpose_key, BY_PERSON),
    "complained": lambda contact, topic: register.suppress(contact.address_hash, Cause.complaint, "test"),
    "bounced": lambda contact, topic: register.suppress(contact.address_hash, Cause.bounce, "test"),
    "bounced softly for now": lambda contact, topic: register.suppress(
        contact.address_hash, Cause.bounce, "test", until=clock.now() + timedelta(days=1)
    ),
    "was blocked": lambda contact, topic: register.suppress(contact.address_hash, Cause.manual, "test"),
    "asked and never confirmed": lambda contact, topic: ledger.request(contact, topic, BY_PERSON),
}


@pytest.mark.parametrize("no", NOES.values(), ids=NOES.keys())
@pytest.mark.parametrize("word", ["subscribed", "pending", ""])
def test_an_import_never_turns_a_no_into_a_yes(topic: Topic, no: object, word: str) -> None:  # S76, C5
    with transaction():
        contact = make.contact()
        assert callable(no)
        no(contact, topic)
    with transaction():
        before = (_reason("anna@example.org", topic), _state("anna@example.org", topic))
    day = (clock.now() + timedelta(hours=1)).date().isoformat()  # later than the no: it does not matter
    content = f"email,status,consent date\nAnna@example.org,{word},{day}\nanna@example.org,{word},2001-01-01\n"
    import_ = files.imported(content, **TERMS)
    assert (_reason("anna@example.org", topic), _state("anna@example.org", topic)) == before
    assert "given" not in import_.figures["consent"]["news"]
    assert sum(import_.figures["consent"]["news"].values()) == 2
    assert not list(projection.differences())


def test_a_refused_yes_is_reported_by_line_and_reason(topic: Topic) -> None:
    with transaction():
        ledger.withdraw(make.contact(), topic, BY_PERSON)
    import_ = files.imported("email\nb@example.org\nanna@example.org\n", **TERMS)
    assert files.reasons(import_) == [(3, "consent news")]
    assert import_.figures["consent"]["news"] == {"given": 1, "refused_because_no": 1}


def test_a_no_in_the_file_is_carried_over_to_who_was_on(topic: Topic) -> None:
    with transaction():
        make.follower(topic)
    files.imported("email,status\nanna@example.org,unsubscribed\n", **TERMS)
    assert _reason("anna@example.org", topic) is Reason.withdrawn
    assert not list(projection.differences())


def test_who_is_on_stays_on_without_a_second_record(topic: Topic) -> None:
    with transaction():
        make.follower(topic)
    content = "email,status\nanna@example.org,{}\n"
    for word in ("subscribed", "pending", ""):
        assert files.imported(content.format(word), **TERMS).figures["consent"]["news"] == {"kept": 1}
    assert db.session.scalar(select(func.count()).select_from(ConsentRecord)) == 1
    assert _reason("anna@example.org", topic) is None


def test_a_lighter_cause_in_a_file_does_not_replace_a_weightier_one(topic: Topic) -> None:
    with transaction():
        contact = make.contact()
        assert contact.address_hash
        register.suppress(contact.address_hash, Cause.complaint, "test")
    files.imported("email,status\nanna@example.org,bounced\n", **TERMS)
    assert db.session.scalars(select(Suppression.cause)).one() is Cause.complaint


def test_the_last_word_of_a_person_who_stands_twice_in_a_file_is_not_a_yes_after_a_no(topic: Topic) -> None:
    files.imported("email,status\na@example.org,yes\na@example.org,no\na@example.org,yes\n", **TERMS)
    assert _state("a@example.org", topic) is State.withdrawn
    assert [r.action for r in db.session.scalars(select(ConsentRecord).order_by(ConsentRecord.id))] == [
        Action.given,
        Action.withdrawn,
    ]
    assert not list(projection.differences())


def test_existing_customers_are_declared_with_an_affirmation_and_not_in_poland(topic: Topic) -> None:  # S77
    terms = TERMS | {"basis": "existing_customer", "soft_opt_in": True}
    content = "email,country\na@example.org,PL\nb@example.org,Germany\n"
    import_ = files.imported(content, **terms)
    assert import_.figures["consent"]["news"] == {"not_here": 1, "given": 1}
    assert _reason("a@example.org", topic) is Reason.no_consent
    assert _reason("b@example.org", topic) is None
    with pytest.raises(Invalid) as refused:
        files.brought(content, **terms | {"soft_opt_in": False})
    assert list(refused.value.faults) == ["soft_opt_in"]


def test_the_country_whose_rules_were_applied_is_kept_with_the_record(topic: Topic) -> None:  # S78
    files.imported("email,country\na@example.org,Brasil\n", **TERMS)
    (detail,) = vault.open(db.session.scalars(select(ConsentEvidence.contact_id)).one()).values()
    assert (detail["jurisdiction"], detail["jurisdiction_source"]) == ("BR", "import")


def test_several_topics_each_have_their_own_outcome(topic: Topic) -> None:
    with transaction():
        make.topic("offers", "Offers")
        ledger.withdraw(make.contact(), topic, BY_PERSON)
    import_ = files.imported("email\nanna@example.org\n", **TERMS | {"topics": ["news", "offers"]})
    assert import_.figures["consent"] == {"news": {"refused_because_no": 1}, "offers": {"given": 1}}
    assert not list(projection.differences())


def test_a_file_without_topics_makes_no_consent_and_still_carries_its_noes(topic: Topic) -> None:
    with transaction():
        make.follower(topic)
    import_ = files.imported("email,status\nanna@example.org,no\nb@example.org,yes\nc@example.org,bounced\n")
    assert import_.figures["consent"] == {}
    assert _reason("anna@example.org", topic) is Reason.withdrawn
    assert _reason("b@example.org", topic) is Reason.no_consent
    assert _reason("c@example.org", topic) is Reason.suppressed_bounce
    assert not list(projection.differences())


def test_all_that_is_wrong_with_the_terms_is_said_at_once(topic: Topic) -> None:
    with pytest.raises(Invalid) as refused:
        files.brought(
            "email,x\na@example.org,1\n",
            source=" ",
            basis="hope",
            topics=["news", "nothing"],
            consented_on="tomorrow",
            mapping={"status": "y"},
        )
    assert set(refused.value.faults) == {"source", "basis", "topics", "consented_on", "status"}


def test_a_legal_basis_the_purpose_does_not_allow_is_refused(topic: Topic) -> None:
    with pytest.raises(Invalid, match="cannot rest on contract"):
        files.brought("email\na@example.org\n", **TERMS | {"basis": "contract"})


def test_no_file_agrees_to_tracking_that_is_offered_again_after_a_no(topic: Topic) -> None:  # S76
    with transaction():
        anna, first = make.contact("anna@example.org"), tracking.offer()
        ledger.grant(anna, first, LegalBasis.consent, BY_PERSON)
        ledger.withdraw(anna, first, BY_PERSON)
        tracking.stop()
        again = tracking.offer()
    with pytest.raises(Invalid, match="No file can agree to tracking"):
        files.imported("email\nanna@example.org\n", **TERMS | {"topics": ["news", again.key]})
    assert tracking.consenting({anna.id}, clock.now()) == set()


def test_the_same_declared_text_is_one_version_and_never_the_forms(topic: Topic) -> None:
    for _ in range(2):
        files.imported("email\na@example.org\n", **TERMS, wording="I want news.")
    wording = db.session.scalars(select(Wording)).one()
    assert wordings.current(topic, "en") is None
    assert wording.version == 1


def test_what_an_import_writes_is_noted_in_the_audit_trail(topic: Topic) -> None:
    import_ = files.imported("email\na@example.org\n", **TERMS)
    entries = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(entry.action, entry.actor, entry.object_id) for entry in entries] == [
        ("import.declared", "user:abc", import_.public_id),
        ("import.finished", "user:abc", import_.public_id),
    ]
