"""The rules of countries: complete, with their sources, and obeyed by ledger, import and judge."""

from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from preference_center import clock
from preference_center.consent import eligibility, ledger, projection, vault
from preference_center.consent.eligibility import Reason
from preference_center.consent.law import jurisdictions
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import ConsentRecord
from preference_center.contacts import attributes, queries
from preference_center.contacts.models import AttributeKind, Contact
from preference_center.db import db, transaction
from preference_center.errors import Invalid
from preference_center.topics.models import Topic
from preference_center.topics.purposes import PURPOSES, LegalBasis
from tests.contacts import files
from tests.support import make

BY_PERSON = Evidence("link")
BY_GUARDIAN = Evidence("admin", actor=projection.GUARDIAN, detail={"guardian": "form signed by a parent"})
MAIL = PURPOSES["email_marketing"]


def test_every_section_is_complete_and_names_its_law() -> None:
    rules = jurisdictions.in_force()
    date.fromisoformat(rules.version)
    assert {"EU", "PL", "ES", "PT", "BR", "MX", "US", "CA"} == {one.key for one in rules.sections}
    countries = [country for one in rules.sections for country in one.countries]
    assert len(countries) == len(set(countries)) == 34
    for one in (*rules.sections, rules.other):
        assert one.soft_opt_in == (LegalBasis.existing_customer in one.bases["email"]), one.key
        assert one.double_opt_in in ("optional", "recommended", "required")
        assert (one.double_opt_in == "required") == (LegalBasis.consent not in one.bases["email"])
        assert all(LegalBasis.double_opt_in in one.bases[channel] for channel in jurisdictions.CHANNELS)
        assert bool(one.answer.months) != bool(one.answer.days)
        assert one.sources or one is rules.other
        assert all(source.url.startswith("https://") and source.article and source.law for source in one.sources)
        copies = [source for source in one.sources if source.copy]
        assert all(source.read and source.copy != source.url for source in copies), (
            "a copy says where it was read instead"
        )


@pytest.mark.parametrize(
    ("country", "soft_opt_in", "age"),
    [("PL", False, 16), ("ES", True, 14), ("PT", True, 13), ("BR", True, 12), ("US", True, 13), ("DE", True, 16), (None, False, 16),
     ("JP", False, 16)],
)  # fmt: skip
def test_the_figures_people_ask_for(app: Flask, country: str | None, soft_opt_in: bool, age: int) -> None:
    rules = jurisdictions.of(country)
    assert (rules.allows(LegalBasis.existing_customer, MAIL), rules.age) == (soft_opt_in, age)


@pytest.fixture
def topic(app: Flask) -> Topic:
    with transaction():
        return make.topic()


def reason(topic: Topic, contact: Contact) -> Reason | None:
    return eligibility.verdict(topic, contact, clock.now()).reason


@pytest.mark.both_databases
def test_a_customer_who_moves_to_poland_is_not_mailed_on_the_sale_any_more(topic: Topic) -> None:  # S77, S78
    with transaction():
        contact = make.contact(jurisdiction="ES", jurisdiction_source="declared")
        ledger.grant(contact, topic, LegalBasis.existing_customer, Evidence("admin", detail=make.SALE))
    assert reason(topic, contact) is None
    for country, expected in (
        ("PL", Reason.jurisdiction),
        ("DE", None),
        (None, Reason.jurisdiction),
        ("JP", Reason.jurisdiction),
    ):
        with transaction():
            db.session.execute(update(Contact).values(jurisdiction=country))
        assert reason(topic, contact) is expected, country


@pytest.mark.both_databases
def test_consent_itself_holds_in_every_country(topic: Topic) -> None:
    for number, country in enumerate(("PL", "ES", "US", "CA", "BR", "JP", None)):
        with transaction():
            assert reason(topic, make.follower(topic, f"p{number}@example.org", jurisdiction=country)) is None


def test_each_record_keeps_country_how_it_is_known_and_the_version_of_the_rules(topic: Topic) -> None:  # S78
    version = jurisdictions.in_force().version
    with transaction():
        make.follower(topic, "a@example.org", jurisdiction="PL", jurisdiction_source="form")
        make.follower(topic, "b@example.org")
    files.imported("email,country\nc@example.org,Brasil\n", basis="consent", topics=["news"], consented_on="2024-05-31")
    kept = db.session.scalars(select(ConsentRecord.rules).order_by(ConsentRecord.id)).all()
    assert kept == [f"PL/form/{version}", f"--/assumed/{version}", f"BR/import/{version}"]


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("country", "years", "allowed"),
    [("PL", 15, False), ("PL", 16, True), ("ES", 13, False), ("ES", 14, True), ("PT", 13, True), ("BR", 11, False), ("BR", 12, True),
     ("JP", 15, False)],
)  # fmt: skip
def test_who_is_too_young_to_agree_alone_is_refused_and_not_mailed(
    topic: Topic, country: str, years: int, allowed: bool
) -> None:  # S79
    today = clock.now().date()
    born = date(today.year - years, 1, 1) if years else today
    with transaction():
        attributes.declare("birth_date", kind=AttributeKind.date)
        contact = make.contact(jurisdiction=country, attributes={"birth_date": born.isoformat()})
    if allowed:
        with transaction():
            assert ledger.grant(contact, topic, LegalBasis.consent, BY_PERSON)
    else:
        with pytest.raises(Invalid, match="too young"), transaction():
            ledger.grant(contact, topic, LegalBasis.consent, BY_PERSON)
    with transaction():  # the same consent, given before the day of birth was known
        contact.attributes = {}
        ledger.grant(contact, topic, LegalBasis.consent, BY_PERSON)
        contact.attributes = {"birth_date": born.isoformat()}
    assert reason(topic, contact) == (None if allowed else Reason.under_age)


@pytest.mark.both_databases
def test_on_the_birthday_itself_one_is_old_enough_and_the_day_before_not(topic: Topic) -> None:  # S79
    today = clock.now().date()
    birthday = date(today.year - 16, today.month, today.day)
    with transaction():
        attributes.declare("birth_date", kind=AttributeKind.date)
        old = make.follower(
            topic, "old@example.org", jurisdiction="PL", attributes={"birth_date": birthday.isoformat()}
        )
        young = make.follower(topic, "young@example.org", jurisdiction="PL")
        young.attributes = {"birth_date": (birthday + timedelta(days=1)).isoformat()}
    assert reason(topic, old) is None
    assert reason(topic, young) is Reason.under_age


@pytest.mark.both_databases
def test_a_guardian_may_agree_and_that_is_kept(topic: Topic) -> None:  # S79
    with transaction():
        attributes.declare("age", kind=AttributeKind.number)
        child = make.contact(jurisdiction="PL", attributes={"age": 11})
        record = ledger.grant(child, topic, LegalBasis.consent, BY_GUARDIAN)
        assert record is not None and vault.open(child.id)[record.id]["guardian"]
    assert reason(topic, child) is None
    assert list(projection.differences()) == []
    with transaction():  # a guardian's yes does not make the child's own next one count
        ledger.withdraw(child, topic, BY_PERSON)
    with pytest.raises(Invalid, match="too young"), transaction():
        ledger.grant(child, topic, LegalBasis.consent, BY_PERSON)


def test_an_age_that_nobody_declared_to_keep_is_not_looked_at(topic: Topic) -> None:
    with transaction():
        contact = make.follower(topic)
        contact.attributes = {"birth_date": 7, "age": "old"}
    assert reason(topic, contact) is None


def test_a_file_makes_no_consent_for_a_child(topic: Topic) -> None:  # S79
    with transaction():
        attributes.declare("birth_date", kind=AttributeKind.date)
    rows = "email,country,birth_date\nkid@example.org,PL,2020-05-01\nadult@example.org,PL,1980-05-01\n"
    import_ = files.imported(rows, basis="consent", topics=["news"], consented_on="2024-05-31")
    assert import_.figures["consent"]["news"] == {"under_age": 1, "given": 1}
    kid = queries.by_email("kid@example.org")
    assert kid is not None and reason(topic, kid) is Reason.no_consent


def test_other_rules_can_be_written_without_touching_the_program() -> None:
    text = (jurisdictions._FILE).read_text(encoding="utf-8")
    strict = text.replace('email = ["consent", "double_opt_in"]', 'email = ["double_opt_in"]')
    assert not jurisdictions.read(strict).of("PL").allows(LegalBasis.consent, MAIL)
    assert jurisdictions.read(strict).of("PL").allows(LegalBasis.double_opt_in, MAIL)
