"""How many a rule means: estimated near the truth, within its time whatever the rule, and said in words that hold."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from preference_center import clock
from preference_center.contacts.models import Contact
from preference_center.db import TimeUp, at_most, db, is_postgresql, transaction
from preference_center.segments import queries, sizing
from preference_center.segments.rules import Rule
from preference_center.topics.models import Topic
from tests.support import make

pytestmark = pytest.mark.both_databases


@pytest.fixture
def topic(app: Flask) -> Topic:
    with transaction():
        for name, language in (("anna", "pl"), ("bea", "pl"), ("carl", "en"), ("dora", "pl")):
            make.contact(f"{name}@example.org", language=language)
        return make.topic()


@pytest.fixture
def many(app: Flask) -> Rule:
    """Twice as many contacts as an estimate looks at; the rule means a seventh of them."""
    total = sizing.RANGES * sizing.IDS_IN_A_RANGE * 2
    now = clock.now()
    rows = [
        {"id": number, "public_id": f"{number:016}", "language": "pl" if number % 7 == 0 else "en", "created_at": now}
        | {"updated_at": now, "attributes": {}}
        for number in range(1000, 1000 + total)
    ]
    with transaction():
        db.session.execute(Contact.__table__.insert(), rows)
    return queries.read("language = pl")


def test_the_estimate_of_many_is_near_the_truth_and_says_its_doubt(many: Rule) -> None:
    now = clock.now()
    exact, estimate = sizing.count(many, now), sizing.estimate(many, now, seconds=600)
    assert not estimate.exact and not estimate.cut
    assert 0 < estimate.margin < exact / 5
    assert abs(estimate.number - exact) <= estimate.margin
    nobody = sizing.estimate(queries.read("language = es"), now, seconds=600)
    assert nobody.number == 0 and nobody.margin > 0
    assert len(sizing.sample(many, now, seconds=600) or []) == sizing.SHOWN


@contextmanager
def slow(seconds: float) -> Iterator[None]:
    """A database that takes so long before it looks at contacts."""

    def wait(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "BETWEEN" in statement:
            time.sleep(seconds)

    event.listen(db.engine, "before_cursor_execute", wait)
    try:
        yield
    finally:
        event.remove(db.engine, "before_cursor_execute", wait)


def test_an_estimate_ends_with_its_time_and_says_what_it_rests_on(many: Rule) -> None:
    now, truth = clock.now(), sizing.count(many, clock.now())
    assert sizing.estimate(many, now, seconds=0) == sizing.Estimate(0, 0, exact=False, cut=True), "nothing is known"
    with slow(0.5):
        cut = sizing.estimate(many, now, seconds=2)  # five rounds take two and a half
    assert cut.cut and not cut.exact
    whole = sizing.estimate(many, now, seconds=600)
    if cut.margin:  # a round or more came in time
        assert abs(cut.number - truth) <= cut.margin * 2 and cut.margin > whole.margin
    assert sizing.count(many, now) == truth, "the transaction goes on, without a limit"


def test_few_people_are_not_counted_beyond_the_time_either(topic: Topic) -> None:
    assert sizing.estimate(queries.read("language = pl"), topic.created_at, seconds=0).cut


def test_a_statement_that_takes_too_long_is_cut_off_by_the_database_itself(topic: Topic) -> None:
    endless = (
        "SELECT pg_sleep(600)"
        if is_postgresql()
        else "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    )
    before = db.session.scalar(select(Topic.id))
    with pytest.raises(TimeUp), at_most(0.01):
        db.session.execute(text(endless))
    assert db.session.scalar(select(Topic.id)) == before
    if is_postgresql():
        assert db.session.scalar(text("SHOW statement_timeout")) == "0"
    with pytest.raises(ProgrammingError if is_postgresql() else OperationalError, match="nowhere"), at_most(600):
        db.session.execute(text("SELECT * FROM nowhere"))


def test_what_was_changed_before_a_cut_off_statement_is_kept(topic: Topic) -> None:
    with transaction():
        carl = db.session.scalars(select(Contact).where(Contact.language == "en")).one()
        carl.language = "fr"
        with at_most(600):
            assert db.session.scalar(select(Contact.language).where(Contact.id == carl.id)) == "fr"
    assert db.session.scalars(select(Contact.language).where(Contact.id == carl.id)).one() == "fr"


def test_of_few_people_every_one_is_counted(topic: Topic) -> None:
    counted = sizing.estimate(queries.read("language = pl"), topic.created_at, seconds=600)
    assert counted == sizing.Estimate(3, 0, exact=True)
