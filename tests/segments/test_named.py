"""Segments with a name: kept, changed, used, frozen and removed."""

import threading
from dataclasses import replace

import pytest
from flask import Flask

from preference_center import clock
from preference_center.campaigns import audience, scheduling
from preference_center.campaigns import queries as campaigns
from preference_center.consent.eligibility import Reason
from preference_center.db import db, transaction
from preference_center.delivery import outbox
from preference_center.delivery import queries as delivery
from preference_center.errors import Conflict, Invalid, NotFound
from preference_center.segments import named, queries, sizing
from preference_center.segments.models import Segment
from preference_center.topics.models import Topic
from tests.support import databases, make

pytestmark = pytest.mark.both_databases


def keep(name: str, text: str) -> Segment:
    with transaction():
        return named.add(name, queries.read(text), "cli")


def change(segment: Segment, text: str, *, name: str | None = None, on_version: int | None = None) -> Segment:
    with transaction():
        version = on_version or segment.version
        return named.save(segment, name or segment.name, queries.read(text), on_version=version, actor="user:x")


@pytest.fixture
def topic(app: Flask) -> Topic:
    with transaction():
        topic = make.topic()
        for name, language in (("anna", "pl"), ("bea", "pl"), ("carl", "en")):
            make.follower(topic, f"{name}@example.org", language=language)
        make.contact("dora@example.org", language="pl")
    return topic


def test_a_segment_is_kept_and_found_by_its_name_in_any_case(app: Flask) -> None:
    segment = keep("  Polish   speakers ", "language = pl")
    assert (segment.name, segment.version, segment.rule) == (
        "Polish speakers",
        1,
        {"field": "language", "op": "=", "value": "pl"},
    )
    assert queries.by_name("POLISH speakers").id == segment.id
    assert str(queries.rule_of(segment)) == 'language = "pl"'
    assert queries.named_or_text("polish speakers") == 'segment "Polish speakers"'
    with pytest.raises(NotFound):
        queries.by_name("Spanish speakers")


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\0b", "a\u202eb"])
def test_a_name_that_cannot_be_is_refused(app: Flask, name: str) -> None:
    with pytest.raises(Invalid):
        keep(name, "everyone")


def test_a_name_is_given_once(app: Flask) -> None:
    keep("Polish", "language = pl")
    with pytest.raises(Conflict, match="Polish already"):
        keep("POLISH", "language = en")


def test_the_second_to_save_is_told_and_overwrites_nothing(app: Flask) -> None:  # P13
    segment = keep("Polish", "language = pl")
    assert change(segment, "language = en", on_version=1).version == 2
    with pytest.raises(Conflict, match="Somebody else saved"):
        change(segment, "language = es", on_version=1)
    assert str(queries.rule_of(queries.by_name("Polish"))) == 'language = "en"'


def test_a_segment_of_segments(topic: Topic) -> None:
    keep("Polish", "language = pl")
    keep("Not Polish", 'not segment "polish"')
    rule = queries.read('segment "Not Polish" or joined before 2001-01-01')
    assert str(queries.written_out(rule)) == 'not language = "pl" or joined before 2001-01-01'
    assert sizing.count(rule, topic.created_at) == 1


def test_a_circle_is_found_when_it_is_saved(app: Flask) -> None:
    one = keep("One", "language = pl")
    two = keep("Two", 'segment "One"')
    keep("Three", 'not segment "Two"')
    for text in ('segment "One"', 'segment "Two"', 'language = en and not segment "Three"'):
        with pytest.raises(Invalid, match="part of itself"):
            change(one, text)
    assert str(queries.rule_of(queries.by_name("One"))) == 'language = "pl"'
    change(two, "language = es")
    assert change(one, 'segment "Two"').version == 2


@pytest.mark.only_postgresql
def test_two_saved_at_once_do_not_name_each_other(app: Flask) -> None:
    ids = {name: keep(name, "language = pl").id for name in ("One", "Two")}

    def name_the_other(name: str, other: str) -> None:
        rule = queries.read(f'segment "{other}"')
        named.save(db.session.get_one(Segment, ids[name]), name, rule, on_version=1, actor="cli")

    refused: list[Invalid] = []

    def save_the_other() -> None:
        with app.app_context():
            try:
                with transaction():
                    name_the_other("Two", "One")
            except Invalid as fault:
                refused.append(fault)

    thread = threading.Thread(target=save_the_other)
    with transaction():
        name_the_other("One", "Two")
        thread.start()
        databases.until_it_waits(thread, db.session.connection())
    thread.join()
    assert [fault.message for fault in refused] == [
        "With the segments it names: The segment Two would be part of itself."
    ]
    assert queries.predicate('segment "One"', clock.now()) is not None


def test_segments_of_segments_do_not_grow_without_end(app: Flask) -> None:
    first = keep("0", " or ".join(f"source = l{number}" for number in range(10)))
    keep("1", " or ".join(['segment "0"'] * 10))
    keep("2", " or ".join(['segment "1"'] * 4))
    with pytest.raises(Invalid, match="segments it names"):
        keep("3", " or ".join(['segment "2"'] * 10))
    with pytest.raises(Invalid, match="segments it names"):
        change(first, " or ".join(f"source = l{number}" for number in range(50)))


def test_a_chain_ends_after_five_steps(app: Flask) -> None:
    keep("0", "language = pl")
    for number in range(1, 5):
        keep(str(number), f'segment "{number - 1}"')
    with pytest.raises(Invalid, match="5 steps"):
        keep("5", 'not segment "4" or segment "4"')
        keep("6", 'segment "5"')


def test_what_is_used_cannot_be_removed_or_renamed(topic: Topic) -> None:
    polish = keep("Polish", "language = pl")
    with transaction():
        campaign = scheduling.create("Autumn", topic, "Hi", "markdown", "Hello\n", segment='segment "polish"')
    assert str(named.uses(polish)) == "Autumn"
    with pytest.raises(Conflict, match="Autumn"), transaction():
        named.remove(polish)
    with pytest.raises(Conflict, match="Autumn"):
        change(polish, "language = pl", name="Poles")
    with transaction():
        scheduling.save(campaign, on_version=1, actor="cli", segment="")
    other = keep("Others", 'not segment "Polish"')
    assert str(named.uses(polish)) == "Others"
    with pytest.raises(Conflict, match="Others"), transaction():
        named.remove(polish)
    with transaction():
        named.remove(other)
        named.remove(polish)
    assert queries.everything() == []


def test_what_is_scheduled_uses_its_segments_until_it_starts(topic: Topic) -> None:
    polish = keep("Polish", "language = pl")
    with transaction():
        campaign = scheduling.create("Autumn", topic, "Hi", "markdown", "Hello\n", segment='segment "Polish"')
        scheduling.schedule(campaign, clock.now())
    with pytest.raises(Conflict, match="Autumn"), transaction():
        named.remove(polish)
    with pytest.raises(Conflict, match="Autumn"):
        change(polish, "language = pl", name="Poles")
    with transaction():
        scheduling.unschedule(campaign)
        scheduling.schedule(campaign, clock.now())
        scheduling.start_due(clock.now())
    with transaction():
        named.remove(polish)  # it no longer needs the name
    assert audience.rule(campaigns.version(campaign)) == 'language = "pl"'


def test_a_segment_is_used_under_its_name_in_whatever_capitals(topic: Topic) -> None:
    segment = keep('The "VIPs"', "language = pl")
    with transaction():
        scheduling.create("Autumn", topic, "Hi", "markdown", "Hello\n", segment=r'not segment "the \"vips\""')
    change(segment, "language = pl", name='the "Vips"')
    with pytest.raises(Conflict, match="Autumn"), transaction():
        named.remove(segment)


def test_a_text_that_speaks_of_it_is_no_use(topic: Topic) -> None:
    segment = keep("VIPs", "language = pl")
    with transaction():
        scheduling.create("Autumn", topic, "Hi", "markdown", "Hello\n", segment=r'source = "segment \"VIPs\""')
    assert not named.uses(segment)


def test_the_words_of_a_name_are_not_a_pattern(topic: Topic) -> None:
    one, _two = keep("100%", "language = pl"), keep("1000", "language = en")
    with transaction():
        scheduling.create("Autumn", topic, "Hi", "markdown", "Hello\n", segment='segment "1000"')
    assert not named.uses(one)


def test_approval_freezes_the_rule_of_a_segment_by_name(topic: Topic) -> None:  # P7
    polish = keep("Polish", "language = pl")
    with transaction():
        campaign = scheduling.create("Autumn", topic, "Hi", "markdown", "Hello\n", segment='segment "Polish"')
        scheduling.schedule(campaign, topic.created_at.replace(year=topic.created_at.year + 1))
    assert campaign.frozen_segment == 'language = "pl"'
    change(polish, "language = en")
    version = campaigns.version(campaign)
    assert audience.rule(version) == 'language = "pl"'
    with transaction():
        campaign.frozen_segment = "everyone"
    with pytest.raises(Conflict, match="altered"):
        audience.rule(version)
    with transaction():
        scheduling.unschedule(campaign)
    assert audience.rule(campaigns.version(campaign)) == 'segment "Polish"'


def test_a_rule_that_grows_too_long_to_be_read_again_is_not_frozen(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("Europe", "country in (ES, FR, IT, PL, PT)")
    with transaction():
        campaign = scheduling.create("Autumn", topic, "Hi", "markdown", "Hello\n", segment='segment "Europe"')
    monkeypatch.setattr(queries, "WRITTEN_OUT", replace(queries.WRITTEN_OUT, characters=30))
    with pytest.raises(Invalid, match="too long: keep it under 30"), transaction():
        scheduling.schedule(campaign, clock.now())


def test_a_campaign_to_some_segments_and_not_to_others(topic: Topic) -> None:
    keep("Polish", "language = pl")
    keep("Annas", 'source = "none" or language = es')
    assert queries.choose([]) == queries.choose(["", " "]) == ""
    assert queries.choose(["polish"]) == 'segment "Polish"'
    assert queries.choose(["language = en"]) == "language = en"
    assert queries.choose(["Polish", "language = en"], ["Annas"]) == (
        '(segment "Polish" or language = "en") and not segment "Annas"'
    )
    assert queries.choose([], ["Polish", "Annas"]) == 'not (segment "Polish" or segment "Annas")'
    text = queries.choose([], ["Polish"])
    funnel = audience.funnel(topic, text, topic.created_at)
    assert (funnel.matched, funnel.allowed) == (1, 1)


def test_a_campaign_by_name_is_filled_by_its_rule(topic: Topic) -> None:
    keep("Polish", "language = pl")
    with transaction():
        campaign = scheduling.create("Autumn", topic, "Hi", "markdown", "Hello\n", segment='segment "Polish"')
        scheduling.schedule(campaign, clock.now())
        scheduling.start_due(clock.now())
    with transaction():
        outbox.fill_range(campaign.id)
    figures = delivery.figures(campaign)
    assert (figures.audience, figures.queued, figures.skipped) == (3, 2, {Reason.no_consent: 1})
