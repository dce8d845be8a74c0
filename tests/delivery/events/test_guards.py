"""What keeps reports from doing harm: caps, complaint rates, releases by a person, and marks that mean what they say."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from preference_center import clock, providers
from preference_center.accounts.audit import AuditEntry
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.config import Settings, with_
from preference_center.contacts.models import AddressChange
from preference_center.db import db, transaction
from preference_center.delivery import marks, queries
from preference_center.delivery.composing import Composer
from preference_center.delivery.events import machines, releasing, reputation, waiting
from preference_center.delivery.events import queries as events
from preference_center.delivery.events.machines import Hit, Reason
from preference_center.delivery.events.models import SITE, DeliveryEvent, Effect
from preference_center.delivery.marks import Place
from preference_center.delivery.models import MessageState
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from tests.delivery.events.conftest import Sent, event, tell

pytestmark = pytest.mark.both_databases
ANNA, BO = "anna@example.org", "bo@example.org"
CROWD = [f"person{number}@example.org" for number in range(8)]


@pytest.fixture
def capped(app: Flask) -> None:
    app.extensions["settings"] = with_(app.extensions["settings"], event_cap=3)


def _suppressed(here: Sent) -> list[str]:
    hashes = {person.address_hash: email for email, person in here.people.items() if person.address_hash}
    return sorted(hashes[found] for found in register.standing(hashes))


def test_more_than_the_cap_waits_for_a_person(capped: None, sent: Callable[..., Sent]) -> None:
    here = sent(*CROWD)
    tell(*(event("bounced", email, bounce_class="hard") for email in CROWD[:5]))
    tell(*(event("complained", email) for email in CROWD[5:]))
    assert len(_suppressed(here)) == 3
    assert events.held() == {"example": 5}
    with transaction():
        assert releasing.let_act(kind="bounced") == 2
    assert len(_suppressed(here)) == 5
    with transaction():
        assert releasing.drop() == 3
    assert (len(_suppressed(here)), events.held()) == (5, {})


def test_reports_with_our_mark_are_never_held(capped: None, sent: Callable[..., Sent]) -> None:
    here = sent(*CROWD)
    tell(*(event("bounced", email, bounce_class="hard", mark=here.mark(email)) for email in CROWD))
    assert len(_suppressed(here)) == 8


def test_the_cap_counts_an_hour_and_one_source(capped: None, sent: Callable[..., Sent]) -> None:
    here = sent(*CROWD)
    tell(*(event("complained", email) for email in CROWD[:3]))
    tell(event("complained", CROWD[3]), source="another")
    with time_machine.travel(clock.now() + timedelta(minutes=61), tick=False):
        tell(event("complained", CROWD[4]))
    assert len(_suppressed(here)) == 5


def test_blocks_and_deliveries_are_not_counted(capped: None, sent: Callable[..., Sent]) -> None:
    here = sent(*CROWD)
    tell(
        *(event("bounced", email, bounce_class="block") for email in CROWD),
        *(event("delivered", email) for email in CROWD),
    )
    tell(event("complained", CROWD[0]))
    assert _suppressed(here) == CROWD[:1]


def test_no_report_ever_lifts_anything(sent: Callable[..., Sent]) -> None:  # S118
    here = sent(ANNA)
    tell(
        event("bounced", bounce_class="hard", mark=here.mark(ANNA)),
        event("unsubscribed", mark=here.mark(ANNA), scope_all=True),
    )
    before = here.state(ANNA), _suppressed(here)
    for kind in (
        "delivered",
        "opened",
        "clicked",
        "provider_reactivated",
        "accepted",
        "deferred",
        "auto_replied",
        "unknown",
    ):
        tell(event(kind, mark=here.mark(ANNA)))
    assert (here.state(ANNA), _suppressed(here)) == before == (("bounced", "hard"), [ANNA])


def test_a_forwarder_reports_another_address_and_the_mark_names_the_person(sent: Callable[..., Sent]) -> None:
    here = sent(ANNA, BO)
    tell(event("complained", BO, mark=here.mark(ANNA)))
    assert _suppressed(here) == [ANNA]
    assert (here.state(ANNA)[0], here.state(BO)[0]) == ("complained", "sent")


def test_a_provider_s_number_counts_only_for_the_address_it_was_given_for(sent: Callable[..., Sent]) -> None:
    """One mail to two of three people: the number is the same for both, and the third is left alone."""
    here = sent(ANNA, BO, "jo@example.org")
    tell(event("bounced", ANNA, bounce_class="hard", provider_message_id="0102"))
    tell(event("bounced", BO, bounce_class="hard", provider_message_id="0102"))
    tell(event("delivered", "jo@example.org", provider_message_id="0102"))
    assert [here.state(email)[0] for email in here.people] == ["bounced", "bounced", "delivered"]
    assert _suppressed(here) == [ANNA, BO]


def test_a_bounce_of_the_address_before_the_last_is_no_word_about_the_new_one(sent: Callable[..., Sent]) -> None:
    here = sent(ANNA)
    old = here.people[ANNA].address_hash
    with transaction():
        person, now = here.people[ANNA], clock.now()
        db.session.add(
            AddressChange(
                contact_id=person.id, old_email=ANNA, old_hash=old, new_email="new@example.org", new_hash=b"n" * 16,
                asked_at=now, done_at=now,
            )
        )  # fmt: skip
        person.move_to("new@example.org", b"n" * 16, now)
    tell(event("bounced", ANNA, bounce_class="hard", mark=here.mark(ANNA)))
    assert register.standing([old, b"n" * 16]) == {old: Cause.bounce}


def test_three_in_a_thousand_stop_a_campaign_and_one_warns(sent: Callable[..., Sent]) -> None:  # S89
    here = sent(*CROWD, state=MessageState.delivered)
    tell(*(event("complained", email, mark=here.mark(email)) for email in CROWD[:2]))
    _watch()
    assert _state(here) is CampaignState.sending, "two people are no share"
    assert reputation.lately().warns
    tell(event("complained", CROWD[2], mark=here.mark(CROWD[2])))
    _watch()
    assert _state(here) is CampaignState.paused
    assert "3 of 8 people" in (db.session.get_one(Campaign, here.campaign.id).pause_reason or "")
    assert db.session.scalar(select(AuditEntry.actor).where(AuditEntry.action == "campaign.pause")) == "system"
    with transaction():
        scheduling.resume(db.session.get_one(Campaign, here.campaign.id))
    _watch()
    assert _state(here) is CampaignState.sending, "somebody has looked at it and goes on"
    tell(*(event("complained", email, mark=here.mark(email)) for email in CROWD[3:5]))
    _watch()
    assert _state(here) is CampaignState.paused


def _watch() -> None:
    with transaction():
        reputation.watch()


def _state(here: Sent) -> CampaignState:
    db.session.rollback()
    return db.session.get_one(Campaign, here.campaign.id, populate_existing=True).state


def test_the_rates_are_those_of_the_mailbox_providers() -> None:  # S89
    assert not reputation.Complaints(1, 1000).warns
    assert reputation.Complaints(2, 1999).warns
    assert not reputation.Complaints(2, 2000).warns
    assert not reputation.Complaints(299, 100_000).stops
    assert reputation.Complaints(300, 100_000).stops


def test_the_figures_of_a_campaign_go_on_adding_up(sent: Callable[..., Sent]) -> None:  # P6
    here = sent(*CROWD)
    for kind, email in zip(["delivered", "complained", "rejected", "unsubscribed", "accepted"], CROWD, strict=False):
        tell(event(kind, email, mark=here.mark(email)))
        assert queries.figures(here.campaign).audience == len(CROWD)
    tell(event("bounced", CROWD[5], bounce_class="soft", mark=here.mark(CROWD[5])))
    figures = queries.figures(here.campaign)
    assert (figures.delivered, figures.complained, figures.failed, figures.bounced, figures.sent) == (1, 1, 1, 1, 4)


def test_addresses_are_released_by_cause_day_and_domain(sent: Callable[..., Sent]) -> None:
    here = sent(ANNA, BO, "jo@elsewhere.example", "li@example.org")
    tell(event("bounced", ANNA, bounce_class="hard"), event("bounced", "jo@elsewhere.example", bounce_class="hard"))
    tell(event("bounced", BO, bounce_class="hard"), event("complained", BO), source="another")
    tell(event("complained", "li@example.org"))
    now = clock.now()
    assert len(releasing.suppressed()) == 2, "a complaint is never released"
    assert len(releasing.suppressed(releasing.Bounced.hard, source="example")) == 2
    assert len(releasing.suppressed(releasing.Bounced.soft)) == 0
    assert len(releasing.suppressed(domain="elsewhere.example")) == 1
    assert len(releasing.suppressed(domain="where.example")) == 0
    assert len(releasing.suppressed(since=now + timedelta(hours=1))) == 0
    assert len(releasing.suppressed(until=now - timedelta(hours=1))) == 0
    with transaction():
        assert releasing.let_go(releasing.suppressed(domain="example.org")) == 1
    assert _suppressed(here) == [BO, "jo@elsewhere.example", "li@example.org"]


@pytest.mark.parametrize(
    ("hit", "reason"),
    [
        ({"method": "HEAD"}, Reason.head),
        ({"user_agent": "Mozilla/5.0 (compatible; BarracudaCentral)"}, Reason.gateway),
        ({"links_near": 3}, Reason.all_links),
        ({"links_near": 2, "links_in_all": 2}, Reason.all_links),
        ({"links_near": 1, "links_in_all": 1}, None),
        ({"user_agent": "Mozilla/5.0 (Macintosh) Safari/605.1.15", "links_near": 1}, None),
    ],
)
def test_a_machine_is_known_by_what_it_does(app: Flask, hit: dict[str, object], reason: Reason | None) -> None:
    assert machines.judge(Hit(clock.now(), **hit)) is reason  # type: ignore[arg-type]


def test_a_hit_within_seconds_of_the_delivery_is_no_person(app: Flask) -> None:
    now = clock.now()
    assert machines.judge(Hit(now, delivered_at=now - timedelta(seconds=4))) is Reason.at_delivery
    assert machines.judge(Hit(now, delivered_at=now - timedelta(seconds=40))) is None
    assert machines.judge(Hit(now, delivered_at=now + timedelta(seconds=4))) is None


def test_stored_clicks_of_machines_are_kept_out_of_rates(sent: Callable[..., Sent]) -> None:
    here = sent(ANNA, BO, "jo@example.org")
    then = clock.now() - timedelta(minutes=30)

    def click(email: str, link: str, seconds: float) -> None:
        when = then + timedelta(seconds=seconds)
        tell(event("clicked", email, mark=here.mark(email), url=f"https://example.com/{link}", occurred_at=when))

    for link in "abc":
        click(ANNA, link, 60)  # all of them at once
    tell(event("delivered", BO, mark=here.mark(BO), occurred_at=then))
    click(BO, "a", 2)
    click(BO, "a", 600)
    tell(event("opened", "jo@example.org", mark=here.mark("jo@example.org"), machine=True))
    with time_machine.travel(clock.now() + timedelta(minutes=11), tick=False), transaction():
        waiting.look_again()
    found = events.engagement(here.campaign)
    assert (found.opened, found.clicked) == (0, 1)
    assert found.by_machines == {"all_links": 3, "at_delivery": 1, "provider": 1}


@pytest.mark.parametrize(
    ("source", "agent", "machine"),
    [(SITE, "BarracudaCentral/1.0", "gateway"), (SITE, "Mozilla/5.0 (X11; Linux)", None), ("example", "curl/8", None)],
)
def test_what_fetched_our_own_links_is_judged_by_its_name(
    sent: Callable[..., Sent], source: str, agent: str, machine: str | None
) -> None:
    """A provider's detail is in its own words: no name of a program."""
    here = sent(ANNA)
    tell(event("clicked", ANNA, mark=here.mark(ANNA), url="https://example.com/a", detail=agent), source=source)
    with time_machine.travel(clock.now() + timedelta(minutes=11), tick=False), transaction():
        waiting.look_again()
    assert db.session.scalar(select(DeliveryEvent.machine)) == machine


@pytest.mark.parametrize("name", providers.names())
def test_a_message_carries_its_mark_for_the_provider(
    app: Flask, settings: Settings, sent: Callable[..., Sent], name: str
) -> None:
    app.extensions["settings"] = with_(settings, relay_provider=name)
    composer = Composer.__new__(Composer)
    carried = providers.named(name).correlation("00-" + "0" * 20)
    composer.for_carrier = "".join(f"{header}: {value}\r\n" for header, value in carried).encode()
    lines = composer._for_carrier(7).decode()
    assert [line.partition(":")[0] for line in lines.splitlines()] == [header for header, _ in carried] != []
    assert marks.make(7, Place.metadata) in lines
    assert "0" * 20 not in lines


def test_what_is_held_is_seen_by_a_person(capped: None, sent: Callable[..., Sent]) -> None:
    sent(*CROWD)
    tell(*(event("complained", email) for email in CROWD))
    assert len(events.listed(effect=Effect.held)) == 5
    newest, contact, campaign = events.listed(limit=1)[0]
    assert isinstance(newest, DeliveryEvent)
    assert contact and campaign
