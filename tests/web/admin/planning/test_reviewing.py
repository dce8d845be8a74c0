"""What must be looked at before a campaign goes: each thing ticked one by one, real people's mail, and the number typed."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from preference_center import clock, config
from preference_center.accounts.audit import AuditEntry
from preference_center.campaigns import queries, scheduling
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.consent import ledger, tracking
from preference_center.consent.ledger import Evidence
from preference_center.contacts.models import Attribute, AttributeKind, Contact
from preference_center.db import db, transaction
from preference_center.delivery.models import Message, MessageState
from preference_center.delivery.results import foretelling
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from preference_center.web.admin.planning import reviewing
from tests.support import make
from tests.web.admin.conftest import Console, words

GOOD = "Hello, and good news from all of us at the shop.\n"


def written(topic: Topic, source: str = GOOD, subject: str = "Autumn", **more: Any) -> str:
    with transaction():
        made = scheduling.create("Autumn", topic, subject, "markdown", source, **({"preheader": "See"} | more))
        return f"/admin/campaigns/{made.public_id}"


def form_of(console: Console, path: str) -> dict[str, Any]:
    """What the form holds, nothing ticked; under `checks` the keys that may be."""
    html = console.get(f"{path}/review").get_data(as_text=True)
    [stamp] = re.findall(r'name="stamp" value="([^"]*)"', html)
    return {"stamp": stamp, "checks": re.findall(r'name="known" value="([^"]+)"', html)}


def state_of(path: str) -> CampaignState:
    db.session.rollback()
    return queries.by_public_id(path.rpartition("/")[2]).state


def test_nothing_goes_before_each_thing_is_ticked(marketer: Console, people: Topic) -> None:  # screens.md 4.4
    path = written(people, "[DRAFT] ![](https://example.com/a.png)\n\nHello and good day to you all.\n", preheader="")
    found = form_of(marketer, path)
    checks = found.pop("checks")
    assert {key.partition("-")[0] for key in checks} >= {"draft", "no_preheader"}
    for known in ([], checks[1:], checks[:-1], ["made-up"]):
        for verb, when in (("send", {}), ("schedule", _tomorrow())):
            answer = marketer.post(f"{path}/{verb}", found | {"known": known} | when)
            assert answer.status_code == 422
            assert "Tick each thing that you know of, or mend it." in words(answer)
            html = answer.get_data(as_text=True)
            assert "<title>Error:" in " ".join(html.split())
            missing = next(key for key in checks if key not in known)
            assert f'<a href="#known-{missing}">' in html, "the summary leads to the first that is missing"
            for key in set(known) & set(checks):
                assert re.search(rf'value="{key}" checked', html), "what was ticked stays ticked"
    assert state_of(path) is CampaignState.draft
    assert marketer.post(f"{path}/send", found | {"known": checks}).status_code == 302
    assert state_of(path) is CampaignState.scheduled
    [noted] = db.session.query(AuditEntry).filter_by(action="campaign.scheduled")
    assert noted.detail["known"] == sorted(checks)


def _tomorrow() -> dict[str, str]:
    day = (clock.now() + timedelta(days=1)).strftime("%Y-%m-%d")
    return {"day": day, "time": "09:00", "zone": "Europe/Warsaw"}


def test_what_was_typed_for_later_stays_while_things_are_ticked(marketer: Console, people: Topic) -> None:
    path = written(people, preheader="")
    found = form_of(marketer, path)
    answer = marketer.post(f"{path}/schedule", {"stamp": found["stamp"]} | _tomorrow())
    html = answer.get_data(as_text=True)
    assert answer.status_code == 422 and f'value="{_tomorrow()["day"]}"' in html and "<details open>" in html


def test_a_mail_without_fault_asks_for_no_tick(marketer: Console, people: Topic) -> None:
    path = written(people)
    assert "The checks found nothing to fix and nothing to know." in marketer.text(f"{path}/review")
    found = form_of(marketer, path)
    assert found.pop("checks") == []
    assert marketer.post(f"{path}/send", found).status_code == 302


def test_who_has_an_empty_field_is_to_be_known_with_a_sample(marketer: Console, people: Topic) -> None:
    with transaction():
        db.session.add(Attribute(key="city", name="City", kind=AttributeKind.text, created_at=clock.now()))
    path = written(people, GOOD + "\nGreetings to {{ city }}.\n")
    text = marketer.get(f"{path}/review").get_data(as_text=True)
    assert "city is empty for 3 people who get it." in text and re.search(r"/preview\?as=\w{16}", text)
    assert form_of(marketer, path)["checks"] == ["empty-city"]


def test_the_mail_is_shown_as_three_real_people_get_it(marketer: Console, viewer: Console, people: Topic) -> None:
    with transaction():
        for number in range(3):
            make.follower(people, f"late{number}@example.org")
    path = written(people)
    html = marketer.get(f"{path}/review").get_data(as_text=True)
    assert re.findall(r"<span>(late\d@example.org)</span>", html) == [
        f"late{number}@example.org" for number in (2, 1, 0)
    ]
    frames = re.findall(r'<iframe src="([^"]+)"', html)
    assert len(frames) == 3 and all(marketer.get(frame).status_code == 200 for frame in frames)


def test_above_a_set_size_the_number_is_typed(app: Flask, marketer: Console, people: Topic) -> None:
    path = written(people)
    assert "How many people get it?" not in marketer.text(f"{path}/review")
    app.extensions["settings"] = config.with_(app.extensions["settings"], ask_number_above=2)
    assert "How many people get it?" in marketer.text(f"{path}/review")
    found = form_of(marketer, path)
    del found["checks"]
    for typed in ({}, {"number": ""}, {"number": "4"}, {"number": "three"}, {"people": "1", "number": "1"}):
        answer = marketer.post(f"{path}/send", found | typed)
        assert answer.status_code == 422 and "Type how many people get it, as the page says it." in words(answer)
    assert state_of(path) is CampaignState.draft
    assert marketer.post(f"{path}/send", found | {"number": " 3 "}).status_code == 302


def test_the_number_is_counted_again_when_it_is_sent(app: Flask, marketer: Console, people: Topic) -> None:
    app.extensions["settings"] = config.with_(app.extensions["settings"], ask_number_above=2)
    path = written(people)
    found = form_of(marketer, path)
    del found["checks"]
    with transaction():  # an import, between the page and the button
        make.follower(people, "imported@example.org")
    answer = marketer.post(f"{path}/send", found | {"people": "3", "number": "3"})
    assert answer.status_code == 422 and "Send to 4 people" in words(answer)
    assert state_of(path) is CampaignState.draft
    assert marketer.post(f"{path}/send", found | {"number": "4"}).status_code == 302


@pytest.mark.parametrize(
    ("people", "typed", "wrong"),
    [
        (1_000_000, "5", True),
        (1_000_000, "989,999", True),
        (1_000_000, "990 000", False),
        (1_000_000, "1.010.000", False),
        (1_000_000, "1010001", True),
        (1_000_000, "", True),
        (1_000_000, "-1000000", True),
        (1_000_000, "\u0661\u0660\u0660\u0660\u0660\u0660\u0660", True),
        (1_000_000, "9" * 5000, True),
        (10_000, "", False),
    ],
)
def test_a_few_who_came_or_left_meanwhile_are_no_other_number(app: Flask, people: int, typed: str, wrong: bool) -> None:
    with app.test_request_context(method="POST", data={"people": typed, "number": typed}):
        assert reviewing.number_is_wrong(people, 10_000) is wrong


def ended(topic: Topic, people: int, seconds: int = 60, days_ago: float = 10) -> Campaign:
    """A campaign that was handed over to so many."""
    with transaction():
        made = scheduling.create("Before", topic, "Before", "markdown", GOOD)
        begun = clock.now() - timedelta(days=days_ago)
        made.state, made.approved_version, made.started_at = CampaignState.sent, 1, begun
        made.finished_at = begun + timedelta(seconds=seconds)
        rows = ({"campaign_id": made.id, "contact_id": number, "changed_at": begun} for number in range(people))
        db.session.add_all(Message(**row, state=MessageState.sent) for row in rows)
    return made


def test_many_more_than_usual_is_to_be_known(app: Flask, marketer: Console, people: Topic) -> None:
    path = written(people)
    for size in (1, 0, 1):
        assert form_of(marketer, path)["checks"] == []
        ended(people, size)
    with transaction():
        make.follower(people, "one-more@example.org")
    assert "More than 3 times as many people as usual on this topic" in marketer.text(f"{path}/review")


def test_the_same_people_within_a_day_is_to_be_known(app: Flask, marketer: Console, people: Topic) -> None:
    path = written(people)
    before = ended(people, 3, days_ago=0.5)
    assert "“Before” on the same topic began within the last day" in marketer.text(f"{path}/review")
    again = written(people, made_from=f"correction {before.public_id} v1")
    assert form_of(marketer, again)["checks"] == [], "a correction is for the same people on purpose"


@pytest.mark.parametrize(
    ("relays", "sent", "said"),
    [
        ("smtp://127.0.0.1:1?rate=60", 0, timedelta(minutes=2)),
        ("smtp://127.0.0.1:1", 0, None),
        ("smtp://127.0.0.1:1", foretelling.TELLING, timedelta(seconds=72)),
    ],
)
def test_how_long_it_takes_is_told_where_it_is_known(
    app: Flask, news: Topic, relays: str, sent: int, said: timedelta | None
) -> None:
    app.extensions["settings"] = config.with_(app.extensions["settings"], relay_url=relays)
    if sent:
        ended(news, sent)
    assert foretelling.takes(120) == said


@pytest.mark.both_databases
@pytest.mark.parametrize("metric", ["clicked", "opened", "delivered", "person"])
def test_a_trial_that_no_figures_can_decide_is_told(marketer: Console, people: Topic, metric: str) -> None:
    tries = {"share": 50, "metric": metric, "wait_minutes": 60, "variants": [{"subject": "Winter"}]}
    page, found = f"{written(people, experiment=tries)}/review", "Without figures A goes to everybody else"
    needs = metric in ("clicked", "opened")
    text = marketer.text(page)
    assert ("nobody is asked to agree to it" in text) == (found in text) == needs
    with transaction():
        switch = tracking.offer()
        agrees = db.session.query(Contact).filter_by(email="dag@example.org").one()  # does not get it
        ledger.grant(agrees, switch, LegalBasis.consent, Evidence("link", language="en"))
    text = marketer.text(page)
    assert ("nobody who gets it has agreed to be counted" in text) == (found in text) == needs
    with transaction():
        agrees = db.session.query(Contact).filter_by(email="anna@example.org").one()
        ledger.grant(agrees, switch, LegalBasis.consent, Evidence("link", language="en"))
    assert found not in marketer.text(page)


def test_every_content_that_is_tried_is_looked_at_before_it_goes(marketer: Console, people: Topic) -> None:
    other = {"source": "[DRAFT] The other one says hello to all of you.\n", "subject": "Winter"}
    tries = {"share": 20, "metric": "clicked", "wait_minutes": 60, "variants": [other]}
    path = written(people, experiment=tries)
    page = marketer.text(f"{path}/review")
    assert "20 percent of them try 2 contents first" in page
    assert "B: " in page and any(key.startswith("draft-") for key in form_of(marketer, path)["checks"])
    for asked, subject, says in (
        ("", "Autumn", "good news"),
        ("?content=B", "Winter", "The other one"),
        ("?content=Z", "Autumn", "good news"),
    ):
        assert says in marketer.text(f"{path}/preview/mail{asked}")
        assert f"<strong>{subject}</strong>" in marketer.get(f"{path}/preview{asked}").get_data(as_text=True)
    assert (
        "content=B"
        in re.findall(r'<iframe src="([^"]+)"', marketer.get(f"{path}/preview?content=B").get_data(as_text=True))[0]
    )
