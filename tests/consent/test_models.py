"""What is kept of the enums in tables with millions of rows: a number, the same for ever."""

from enum import StrEnum

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from preference_center.consent.models import BASES, CADENCES, STATES, Standing, State, Subscription
from preference_center.db import SmallEnum, db, transaction
from tests.support import make

NUMBERS = {
    STATES: ["open", "given", "requested", "refused", "withdrawn", "objected", "expired", "invalidated"],
    CADENCES: ["each", "weekly", "monthly"],
    BASES: [
        "double_opt_in",
        "consent",
        "existing_customer",
        "contract",
        "legal_obligation",
        "vital_interest",
        "public_task",
        "legitimate_interest",
    ],
}


@pytest.mark.parametrize("kept", NUMBERS, ids=lambda kept: kept.kind.__name__)
def test_a_number_that_was_written_once_means_the_same_for_ever(kept: SmallEnum) -> None:
    """New members go to the end of these lists; nothing else here may ever change."""
    assert [kept.members[number] for number in range(len(kept.members))] == NUMBERS[kept]


def test_a_member_without_a_number_of_its_own_is_refused() -> None:
    class Size(StrEnum):
        small = "small"
        large = "large"

    for numbers in ({Size.small: 0}, {Size.small: 0, Size.large: 0}):
        with pytest.raises(ValueError, match="Size needs a number"):
            SmallEnum(Size, numbers)


@pytest.mark.both_databases
def test_the_tables_hold_numbers_and_the_house_reads_words(app: Flask) -> None:
    with transaction():
        topic = make.topic()
        contact = make.follower(topic)
        db.session.add(Standing(contact_id=contact.id, purpose_key="phone", state=State.objected, record_id=1))
    assert db.session.execute(text("SELECT state, legal_basis, cadence FROM subscriptions")).one() == (1, 1, 0)
    assert db.session.scalar(text("SELECT state FROM standings WHERE purpose_key = 'phone'")) == 5
    kept = db.session.get_one(Subscription, (contact.id, topic.id))
    assert (kept.state, kept.legal_basis, kept.cadence) == ("given", "consent", "each")


def test_a_word_that_is_no_member_is_refused(app: Flask) -> None:
    with pytest.raises(StatementError):
        db.session.query(Subscription).filter(Subscription.state == "maybe").all()
