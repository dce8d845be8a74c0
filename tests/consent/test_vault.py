"""The vault: detail is unreadable without the keys, readable with them, and gone for good once a contact's key is destroyed."""

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from preference_center.config import with_
from preference_center.consent import ledger, vault
from preference_center.consent.chain import rows, seal, verifying
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import ConsentEvidence, ConsentRecord, ContactKey
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.errors import Unavailable
from preference_center.topics.purposes import LegalBasis
from tests.support import make

pytestmark = pytest.mark.both_databases
DETAIL = {"network": "192.0.2.77", "said": "zażółć"}


@pytest.fixture
def anna(app: Flask) -> Contact:
    with transaction():
        topic, contact = make.topic(), make.contact()
        ledger.grant(contact, topic, LegalBasis.consent, Evidence("form", detail=DETAIL))
        ledger.withdraw(contact, topic, Evidence("one_click", detail={"network": "192.0.2.78"}))
        make.follower(topic, "ben@example.org")
    return contact


def test_what_is_locked_is_opened_with_the_address_the_person_had(anna: Contact) -> None:
    assert list(vault.open(anna.id).values()) == [
        {"email": "anna@example.org", **DETAIL},
        {"email": "anna@example.org", "network": "192.0.2.78"},
    ]


def test_nothing_readable_lies_in_the_tables(anna: Contact) -> None:
    for table in ("consent_evidence", "contact_keys", "consent_records"):
        for row in db.session.execute(text(f"SELECT * FROM {table}")):
            for value in row:
                plain = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                assert b"192.0.2" not in plain and b"anna@" not in plain


def test_one_contact_has_one_key_and_another_has_another(anna: Contact) -> None:
    wrapped = list(db.session.scalars(select(ContactKey.wrapped)))
    assert len(wrapped) == 2 and wrapped[0] != wrapped[1]


def test_erasure_takes_the_key_and_the_detail_leaves_the_chain_valid_and_lets_nothing_new_in(
    anna: Contact,
) -> None:  # P11
    with transaction():
        seal.seal_all()
    before = db.session.execute(select(ConsentEvidence.__table__).where(ConsentEvidence.contact_id == anna.id)).all()
    with transaction():
        vault.destroy(anna.id)
    assert vault.open(anna.id) == {}
    with transaction():  # as an old backup would give it back
        db.session.execute(ConsentEvidence.__table__.insert(), [row._asdict() for row in before])  # type: ignore[attr-defined]
    assert vault.open(anna.id) == {}
    with transaction():
        db.session.query(ConsentEvidence).filter_by(contact_id=anna.id).delete()
        record = ledger.object_to(anna, "email_marketing", Evidence("link", detail=DETAIL))
        assert record is not None and record.evidence_digest is None
        seal.seal_all()
    assert vault.open(anna.id) == {}
    assert vault.missing() == []
    with rows.snapshot() as connection:
        assert verifying.verify(connection).faults == []


def test_who_was_erased_before_any_detail_came_stays_closed(app: Flask) -> None:
    with transaction():
        contact = make.contact()
        vault.destroy(contact.id)
    with transaction():
        ledger.withdraw_all(contact, "email_marketing", Evidence("link", detail=DETAIL))
    assert db.session.scalars(select(ConsentEvidence)).all() == []


def test_evidence_that_vanished_without_an_erasure_is_named(anna: Contact) -> None:
    with transaction():
        db.session.execute(text("DELETE FROM consent_evidence WHERE record_id = 2"))
    assert vault.missing() == [db.session.scalar(select(ConsentRecord.public_id).where(ConsentRecord.id == 2))]


def test_evidence_moved_to_another_record_or_changed_is_refused(anna: Contact) -> None:
    first, second = db.session.scalars(
        select(ConsentEvidence.detail).where(ConsentEvidence.contact_id == anna.id).order_by(ConsentEvidence.record_id)
    )
    for wrong in (second, first[:-1] + bytes([first[-1] ^ 1]), b"cut"):
        with transaction():
            db.session.execute(
                text("UPDATE consent_evidence SET detail = :wrong WHERE record_id = 1"), {"wrong": wrong}
            )
        with pytest.raises(Unavailable, match="record number 1 was changed"):
            vault.open(anna.id)
    assert "cannot be opened" in str(next(vault.verified()))


def test_another_address_key_opens_nothing(anna: Contact, app: Flask) -> None:
    contact_id = anna.id
    db.session.rollback()
    app.extensions["settings"] = with_(app.extensions["settings"], address_key="another secret " * 3)
    with pytest.raises(Unavailable, match="ADDRESS_KEY"):
        vault.open(contact_id)


def test_the_same_detail_has_another_digest_each_time(anna: Contact) -> None:
    safe = vault.enclose([anna.id])
    found = {(safe.digest(anna.id, DETAIL) or (b"",))[0] for _ in range(20)}
    assert len(found) == 20


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(max_size=20), st.none() | st.booleans() | st.integers() | st.text(), max_size=6))
def test_any_detail_comes_back_as_it_was_and_fits_its_digest(anna: Contact, detail: dict[str, object]) -> None:
    with transaction():
        record = ledger.pause(
            anna, "email_marketing", make.clock.now().replace(year=2100), Evidence("link", detail=detail)
        )
    salt, opened = vault.open_salted(anna.id)[record.id]
    assert opened == {"email": "anna@example.org", **detail}
    from preference_center.consent.chain import signed

    assert vault.digest_of(salt + signed.canonical(opened)) == record.evidence_digest


def test_verifying_opens_every_detail_and_names_the_record_that_is_wrong(anna: Contact) -> None:  # S70
    assert list(vault.verified()) == [None, None, None]
    first, second, third = db.session.scalars(select(ConsentRecord).order_by(ConsentRecord.id)).all()
    with transaction():
        one, two = db.session.get_one(ConsentEvidence, first.id), db.session.get_one(ConsentEvidence, second.id)
        one.detail, two.detail = two.detail, one.detail
        db.session.get_one(ConsentRecord, third.id).evidence_digest = bytes(32)
    found = list(vault.verified())
    assert [
        told is not None and record.public_id in told
        for told, record in zip(found, (first, second, third), strict=True)
    ] == [True] * 3
    assert "cannot be opened" in str(found[0]) and "not the one that was sealed" in str(found[2])
    with transaction():
        vault.destroy(anna.id)
    assert len(list(vault.verified())) == 1, "what was erased is not missed"
