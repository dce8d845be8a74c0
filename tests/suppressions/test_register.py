"""Suppressions: the weightiest cause stands, each fact is kept, nothing is lifted by accident."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from preference_center import clock
from preference_center.db import db, transaction
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause, Suppression, SuppressionRecord

pytestmark = pytest.mark.both_databases
HASH = b"h" * 16


@pytest.mark.parametrize(
    ("causes", "stands"),
    [
        ((Cause.bounce,), Cause.bounce),
        ((Cause.bounce, Cause.complaint), Cause.complaint),
        ((Cause.complaint, Cause.bounce), Cause.complaint),
        ((Cause.erased, Cause.complaint, Cause.manual), Cause.erased),
        ((Cause.manual, Cause.manual), Cause.manual),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else str(value),
)
def test_the_weightiest_cause_stands(app: Flask, causes: tuple[Cause, ...], stands: Cause) -> None:
    for cause in causes:
        with transaction():
            register.suppress(HASH, cause, "test")
    assert register.standing([HASH]) == {HASH: stands}
    assert list(db.session.scalars(select(SuppressionRecord.cause).order_by(SuppressionRecord.id))) == list(causes)


def test_a_temporary_suppression_ends_by_itself_and_then_gives_way(app: Flask) -> None:
    now = clock.now()
    with transaction():
        register.suppress(HASH, Cause.complaint, "test", until=now - timedelta(seconds=1))
    assert register.standing([HASH]) == {}
    with transaction():
        register.suppress(HASH, Cause.bounce, "test")
    assert register.standing([HASH]) == {HASH: Cause.bounce}


def test_a_lasting_suppression_is_not_made_temporary(app: Flask) -> None:
    with transaction():
        register.suppress(HASH, Cause.bounce, "test")
    with transaction():
        register.suppress(HASH, Cause.bounce, "test", until=clock.now() + timedelta(days=1))
    assert register.standing([HASH]) == {HASH: Cause.bounce}


def test_a_lasting_cause_outlives_a_weightier_one_that_ends(app: Flask) -> None:
    with transaction():
        register.suppress(HASH, Cause.complaint, "test", until=clock.now() + timedelta(days=1))
    with transaction():
        register.suppress(HASH, Cause.bounce, "test")
    row = db.session.get_one(Suppression, HASH)
    assert (row.cause, row.until) == (Cause.complaint, None)


def test_lifting_one_suppression_leaves_what_was_said_before_it(app: Flask) -> None:
    with transaction():
        register.suppress(HASH, Cause.bounce, "smtp:1")
    with transaction():
        register.suppress(HASH, Cause.manual, "moved:abc")
    with transaction():
        assert register.lift(HASH, Cause.manual, "moved:")
    assert register.standing([HASH]) == {HASH: Cause.bounce}


def test_lifting_the_only_suppression_frees_the_address(app: Flask) -> None:
    with transaction():
        register.suppress(HASH, Cause.manual, "moved:abc")
    with transaction():
        assert register.lift(HASH, Cause.manual, "moved:")
    assert register.standing([HASH]) == {}


def test_lifting_a_suppression_leaves_the_end_of_what_was_said_before_it(app: Flask) -> None:
    ends = clock.now() + timedelta(days=3)
    with transaction():
        register.suppress(HASH, Cause.bounce, "provider:any", until=ends)
    with transaction():
        register.suppress(HASH, Cause.manual, "moved:abc")
    with transaction():
        assert register.lift(HASH, Cause.manual, "moved:")
    row = db.session.get_one(Suppression, HASH)
    assert (row.cause, row.until) == (Cause.bounce, ends)


@pytest.mark.parametrize("days", [3, None], ids=["for a time", "for good"])
@pytest.mark.parametrize("cause", [Cause.complaint, Cause.manual, Cause.bounce])
def test_who_comes_back_is_still_held_by_what_was_said_beneath(app: Flask, cause: Cause, days: int | None) -> None:
    ends = clock.now() + timedelta(days=days) if days else None
    with transaction():
        register.suppress(HASH, Cause.erased, "erasure:abc")
    with transaction():
        register.suppress(HASH, Cause.bounce, "provider:any", until=clock.now() + timedelta(hours=1))
        register.suppress(HASH, cause, "provider:any", until=ends)
    with transaction():
        register.let_back(HASH)
    row = db.session.get_one(Suppression, HASH)
    assert (row.cause, row.until) == (cause, ends)
    assert register.blocks_return(HASH)
