"""Segment and judge in one statement: who is meant, who of them may be mailed, and why the others may not."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import event

from preference_center import clock
from preference_center.campaigns import audience, queries, scheduling
from preference_center.consent import ledger
from preference_center.consent.eligibility import Reason
from preference_center.consent.ledger import Evidence
from preference_center.db import db, transaction
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics.models import Topic
from tests.support import make

pytestmark = pytest.mark.both_databases
BY_PERSON = Evidence(source="link")


@pytest.fixture
def topic(app: Flask) -> Topic:
    with transaction():
        topic = make.topic()
        for name in ("anna", "bea", "carl"):
            make.follower(topic, f"{name}@example.org", language="pl")
        make.follower(topic, "dora@example.org", language="es")
        make.contact("eve@example.org", language="pl")
        left = make.follower(topic, "fritz@example.org", language="pl")
        ledger.withdraw(left, topic, BY_PERSON)
        dead = make.follower(topic, "gina@example.org", language="pl")
        assert dead.address_hash
        register.suppress(dead.address_hash, Cause.bounce, "test")
        erased = make.contact("hugo@example.org", language="pl")
        erased.erased_at, erased.email = clock.now(), None
    return topic


def test_the_funnel_adds_up_in_one_statement(topic: Topic) -> None:
    assert topic.id  # read before the statements are counted
    with db.session.no_autoflush:
        statements: list[str] = []
        event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        funnel = audience.funnel(topic, "language = pl", clock.now())
    assert funnel.matched == 6
    assert funnel.allowed == 3
    assert funnel.reasons == {Reason.no_consent: 1, Reason.withdrawn: 1, Reason.suppressed_bounce: 1}
    assert funnel.matched == funnel.allowed + sum(funnel.reasons.values())
    assert len([statement for statement in statements if "FROM contacts" in statement]) == 1


def test_the_funnel_of_everyone_and_of_nobody(topic: Topic) -> None:
    assert audience.funnel(topic, "", clock.now()).matched == 7  # an erased contact is nobody
    nobody = audience.funnel(topic, "language = en", clock.now())
    assert (nobody.matched, nobody.allowed, nobody.reasons) == (0, 0, {})


def test_everybody_in_the_segment_gets_one_verdict(topic: Topic) -> None:
    with transaction():
        campaign = scheduling.create("News", topic, "News", "markdown", "Hello", segment="language = pl")
    version = queries.version(campaign)
    rows = db.session.execute(audience.verdicts(version, topic, clock.now())).all()
    assert len({row.contact_id for row in rows}) == len(rows) == 6
    assert sorted(row.reason or "" for row in rows) == ["", "", "", "no_consent", "suppressed_bounce", "withdrawn"]
    assert all(row.record_id for row in rows if row.reason is None)


def test_a_segment_never_lets_anybody_past_the_judge(topic: Topic) -> None:
    for text in ("everyone", "not language = es", "language = pl or everyone"):
        assert audience.funnel(topic, text, clock.now()).allowed <= 4
    assert audience.funnel(topic, "joined in the last 2 days", clock.now() + timedelta(days=30)).matched == 0
