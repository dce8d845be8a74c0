"""Choices as verbs, on both databases: what they write, and that taking back leads exactly to where one stood."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from preference_center import clock
from preference_center.consent import ledger, projection, standing, wordings
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Cadence, ConsentRecord, State
from preference_center.db import db, transaction
from preference_center.errors import Conflict, Invalid
from preference_center.preferences import choices
from preference_center.preferences.choices import Change, Shown
from preference_center.topics import catalogue
from preference_center.topics.purposes import LegalBasis
from tests.support import make, shop

BY_LINK = Evidence(source="link", language="en")

pytestmark = pytest.mark.both_databases


def names(change: Change) -> list[str]:
    return [record.public_id for record in change.records]


def test_taking_back_leads_to_where_one_stood(app: Flask) -> None:
    with transaction():
        topics = shop.topics()
        anna = shop.customer(topics, "news", "offers")
        text = wordings.current(topics["events"], "en")
        assert text is not None
        shown = {"news": Shown(True, None), "events": Shown(False, text.id)}
        acts = [
            lambda: choices.stop_topic(anna, topics["news"], BY_LINK),
            lambda: choices.stop_all(anna, BY_LINK),
            lambda: choices.pause(anna, datetime.now(UTC) + timedelta(days=9), BY_LINK),
            lambda: choices.apply(anna, shown, {"events"}, BY_LINK),
        ]
        for act in acts:
            before = {key: one.state for key, one in projection.today(anna.id).topics.items()}
            change = act()
            assert choices.can_be_undone(anna, change.records)
            choices.undo(anna, names(change), BY_LINK)
            after = {key: one.state for key, one in projection.today(anna.id).topics.items()}
            assert {key for key, state in before.items() if state == State.given} == {
                key for key, state in after.items() if state == State.given
            }
            assert choices.for_contact(anna, "en").paused_until is None
    assert list(projection.differences()) == []


def test_what_was_said_later_is_not_taken_back(app: Flask) -> None:
    with transaction():
        topics = shop.topics()
        anna = shop.customer(topics, "news")
        change = choices.stop_topic(anna, topics["news"], BY_LINK)
        ledger.grant(anna, topics["news"], LegalBasis.consent, BY_LINK)
        ledger.withdraw(anna, topics["news"], BY_LINK)
        with pytest.raises(Conflict):
            choices.undo(anna, names(change), BY_LINK)
        assert standing.subscriptions(anna)[topics["news"].id].state is State.withdrawn


def test_how_often_is_kept_where_it_is_offered_and_can_be_taken_back(app: Flask) -> None:
    with transaction():
        topics = shop.topics()
        anna = shop.customer(topics, "news")
        weekly = {"news": Cadence.weekly}
        asked = {"news": Shown(True, None, Cadence.each)}
        assert choices.apply(anna, asked, {"news"}, BY_LINK, weekly).records == []
        catalogue.offer_cadence(topics["news"], True)
        change = choices.apply(anna, asked, {"news"}, BY_LINK, weekly)
        assert [record.action for record in change.records] == ["weekly"]
        assert choices.for_contact(anna, "en").topics[0].cadence is Cadence.weekly
        assert choices.can_be_undone(anna, change.records)
        choices.undo(anna, names(change), BY_LINK)
        assert choices.for_contact(anna, "en").topics[0].cadence is Cadence.each
        with pytest.raises(Conflict):
            choices.undo(anna, names(change), BY_LINK)
        assert choices.for_contact(anna, "en").topics[0].on
    assert list(projection.differences()) == []


def test_how_often_says_nothing_for_a_topic_that_is_off_or_was_not_asked_about(app: Flask) -> None:
    with transaction():
        topics = shop.topics()
        anna = shop.customer(topics, "news")
        catalogue.offer_cadence(topics["news"], True)
        monthly = {"news": Cadence.monthly}
        with pytest.raises(Invalid):
            choices.apply(anna, {"news": Shown(True, None)}, {"news"}, BY_LINK, monthly)
        change = choices.apply(anna, {"news": Shown(True, None, Cadence.each)}, set(), BY_LINK, monthly)
        assert [record.action for record in change.records] == ["withdrawn"]


def test_nobody_takes_back_the_act_of_another(app: Flask) -> None:
    with transaction():
        topics = shop.topics()
        anna = shop.customer(topics, "news")
        change = choices.stop_topic(anna, topics["news"], BY_LINK)
        with pytest.raises(Conflict):
            choices.undo(make.contact("eve@example.org"), names(change), BY_LINK)


def test_taking_back_brings_back_what_was_with_its_basis_its_text_and_its_end(app: Flask) -> None:
    """Undoing is no new consent: nobody read a text for it."""
    with transaction():
        topics = shop.topics()
        anna = make.contact(jurisdiction="ES")
        until = clock.now() + timedelta(days=9)
        sale = Evidence(source="import", detail=make.SALE)
        ledger.grant(anna, topics["news"], LegalBasis.existing_customer, sale, until=until)
        choices.undo(anna, names(choices.stop_all(anna, BY_LINK)), BY_LINK)
        last = db.session.scalars(select(ConsentRecord).order_by(ConsentRecord.id.desc()).limit(1)).one()
        assert (last.action, last.legal_basis, last.until) == ("given", "existing_customer", until)


def test_a_topic_is_not_turned_on_without_its_own_text(app: Flask) -> None:
    with transaction():
        topics = shop.topics()
        anna = shop.customer(topics)
        other = wordings.current(topics["news"], "en")
        for wording_id in (None, 0, 999, other.id if other else None):
            with pytest.raises(Invalid):
                choices.apply(anna, {"offers": Shown(False, wording_id)}, {"offers"}, BY_LINK)
        assert standing.subscriptions(anna) == {}
