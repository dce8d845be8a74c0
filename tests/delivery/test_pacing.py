"""How fast mail leaves: a domain that asks for rest, a relay in trouble, rates, warm-up, and relays by weight."""

import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, update

from preference_center import clock, config, jobs
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.config import BadSettings, Settings, read
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import sending, sweeping
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.delivery.pace import pacing
from preference_center.delivery.pace.domains import Domains, Standing
from preference_center.delivery.pace.paces import Pace
from preference_center.delivery.pace.pacing import Lane
from preference_center.mail.outcomes import RelayTrouble, TroubleKind
from preference_center.mail.relay import Relay
from preference_center.relay_url import WarmUp
from tests.support.bell import WrittenBell
from tests.support.campaigns import filled
from tests.support.relay import FakeRelay

pytestmark = [pytest.mark.both_databases, pytest.mark.relay(relay_connections=1)]
TOO_FAST = "421 4.7.28 Our system has detected an unusual rate of mail from you"


def _filled(*emails: str) -> Campaign:
    return filled(emails)


def _states() -> dict[str | None, str]:
    rows = select(Contact.email, Message.state).join(Message, Message.contact_id == Contact.id)
    db.session.rollback()
    return {email: str(state) for email, state in db.session.execute(rows)}


def _pace(domain: str = "") -> Pace | None:
    db.session.rollback()
    return db.session.scalars(select(Pace).where(Pace.domain == domain)).one_or_none()


def _lane(relay: Relay, run_id: int = 1, rates: dict[str, int] | None = None) -> Lane:
    return Lane(relay, run_id, 4, rates or {})


def test_a_domain_that_asks_for_rest_gets_ten_minutes_and_the_others_their_mail(app: Flask, relay: FakeRelay) -> None:
    # S86: 421 4.7.28 pauses that domain and nobody else; nobody fails
    relay.options.replies["RCPT"], relay.options.reply_times["RCPT"] = TOO_FAST, 1
    big = [f"person{number}@big.example" for number in range(5)]
    campaign = _filled(*big, "anna@small.example")
    sending.run(campaign.id, seconds=20)
    sending.run(campaign.id, seconds=20)
    assert _states() == dict.fromkeys(big, "queued") | {"anna@small.example": "sent"}
    pace = _pace("big.example")
    assert pace is not None and pace.paused_until is not None
    assert timedelta(minutes=9.9) < pace.paused_until - clock.now() < timedelta(minutes=12.1)
    assert "unusual rate" in pace.reason
    assert campaign.state is CampaignState.sending
    with time_machine.travel(clock.now() + timedelta(minutes=14)):
        for _ in range(4):
            sending.run(campaign.id, seconds=20)
        assert set(_states().values()) == {"sent"}
    assert set(relay.copies().values()) == {1}


def test_a_domain_comes_back_with_one_connection_and_gets_one_more_after_each_chunk_that_went_well(app: Flask) -> None:
    # S86
    relay = Relay.from_url("smtp://relay.example.org")
    with transaction():
        _lane(relay)._pace("big.example").rest(clock.now(), "too fast")
    people = [(number, f"p{number}@big.example") for number in range(40)]
    with transaction():
        assert _lane(relay).admit(people) == set()
    allowed = []
    with time_machine.travel(clock.now() + timedelta(minutes=13)):
        lane = _lane(relay)
        for _ in range(4):
            with transaction():
                taken = lane.admit(people)
            allowed.append(len(taken))
            lane._thanks.add("big.example")
            with transaction():
                lane.learned(None, len(taken))
        assert allowed == [1, 2, 3, 4]
        with transaction():
            assert _lane(relay, run_id=2).admit(people) == set(), "two workers try the domain at once"
        for _ in range(12):
            with transaction():
                lane.admit(people)
            lane._thanks.add("big.example")
            with transaction():
                lane.learned(None, 1)
        assert _pace("big.example") is None, "it is as free as any other again"


def test_a_second_complaint_in_a_row_makes_the_rest_longer(app: Flask) -> None:
    relay, waits = Relay.from_url("smtp://relay.example.org"), []
    for _ in range(8):
        lane = _lane(relay)
        lane._complaints["big.example"] = "too fast"
        now = clock.now()
        with transaction():
            lane.learned(None, 0)
        pace = _pace("big.example")
        assert pace is not None and pace.paused_until is not None
        waits.append((pace.paused_until - now) / timedelta(minutes=1))
    assert waits[0] < 12.1 < 19.9 < waits[1] < waits[2]
    assert waits[-1] <= 240 * 1.2


def test_a_relay_in_trouble_rests_and_comes_back_carefully(app: Flask) -> None:  # M4
    relay = Relay.from_url("smtp://relay.example.org")
    trouble = RelayTrouble(TroubleKind.unreachable, "the relay cannot be reached: refused")
    settings = Settings(**(vars(app.extensions["settings"]) | {"relay_url": "smtp://relay.example.org"}))
    with transaction():
        _lane(relay).learned(trouble, 0)
    db.session.rollback()
    assert pacing.choose(settings) is None
    with time_machine.travel(clock.now() + timedelta(seconds=13)):
        db.session.rollback()
        assert pacing.choose(settings) is not None
        at_once = []
        for _ in range(5):
            lane = _lane(relay)
            with transaction():
                at_once.append(lane.at_once())
                lane.learned(None, 10)
        assert at_once == [1, 2, 3, 4, 4]


def test_a_relay_that_says_too_many_is_asked_by_half_the_connections(app: Flask) -> None:  # M14
    relay = Relay.from_url("smtp://relay.example.org")
    with transaction():
        _lane(relay).learned(RelayTrouble(TroubleKind.slow_down, "too many"), 3)
    with transaction():
        assert _lane(relay).at_once() == 2


def test_trouble_with_the_relay_fails_nobody_and_the_campaign_goes_on_after_it(app: Flask, relay: FakeRelay) -> None:
    # M4
    relay.options.replies["MAIL"], relay.options.reply_times["MAIL"] = "421 4.3.2 closing", 1
    people = [f"person{number}@example.org" for number in range(6)]
    campaign = _filled(*people)
    sending.run(campaign.id, seconds=20)
    before = len(relay.events("connected"))
    sending.run(campaign.id, seconds=20)
    assert len(relay.events("connected")) == before, "a resting relay was asked"
    assert set(_states().values()) == {"queued"}
    with time_machine.travel(clock.now() + timedelta(minutes=3)):
        sending.run(campaign.id, seconds=20)
        assert set(_states().values()) == {"sent"}
    assert campaign.state is CampaignState.sent


def test_a_rate_holds_over_all_workers_together(app: Flask) -> None:  # S86
    relay = Relay.from_url("smtp://relay.example.org?rate=100")
    for run_id, wanted, given in ((1, 70, 70), (2, 70, 30), (3, 70, 0)):
        lane = _lane(relay, run_id)
        with transaction():
            room = lane.room(wanted)
            lane.spent(room)
        assert room == given
    with time_machine.travel(clock.now() + timedelta(seconds=61)), transaction():
        assert _lane(relay).room(500) == 100


def test_a_rate_for_one_domain_leaves_the_others_alone(app: Flask) -> None:  # S86
    relay = Relay.from_url("smtp://relay.example.org")
    people = [(number, f"p{number}@{'big' if number % 2 else 'small'}.example") for number in range(40)]
    with transaction():
        first = _lane(relay, 1, {"big.example": 5}).admit(people)
    with transaction():
        second = _lane(relay, 2, {"big.example": 5}).admit(people)
    assert Counter(number % 2 for number in first) == {0: 20, 1: 5}
    assert Counter(number % 2 for number in second) == {0: 20}
    with time_machine.travel(clock.now() + timedelta(seconds=61)), transaction():
        assert len(_lane(relay, 3, {"big.example": 5}).admit(people)) == 25


def test_a_warm_up_grows_by_the_day_and_is_over_after_three_weeks(app: Flask) -> None:
    relay = Relay.from_url("smtp://relay.example.org?warm_up=2026-12-01:50")
    rooms = []
    for day in (1, 1, 2, 3, 10, 30):
        with time_machine.travel(f"2026-12-{day:02}T12:00:00Z", tick=False), transaction():
            lane = _lane(relay)
            rooms.append(lane.room(1000))
            lane.spent(rooms[-1])
    assert rooms == [50, 0, 100, 200, 1000, 1000]
    assert WarmUp(date(2026, 12, 1), 50).limit(date(2026, 11, 30)) == 50


def _used(domain: str = "") -> tuple[int, int]:
    pace = _pace(domain)
    assert pace is not None
    return pace.minute_used, pace.day_used


def test_what_an_outage_kept_back_uses_up_neither_the_day_nor_the_minute(app: Flask, relay: FakeRelay) -> None:
    option = f"rate=10&warm_up={clock.now().date()}:10"
    app.extensions["settings"] = config.with_(app.extensions["settings"], relay_url=f"{relay.url}?{option}")
    relay.options.replies["MAIL"], relay.options.reply_times["MAIL"] = "421 4.3.2 closing", 1
    campaign = _filled(*(f"person{number}@example.org" for number in range(10)))
    sending.run(campaign.id, seconds=20)
    assert _used() == (1, 0), "one was tried, none left"
    with transaction():
        db.session.get_one(Pace, (Relay.from_url(relay.url).name, "")).paused_until = None
        db.session.execute(update(Message).values(next_try_at=None))
    for _ in range(2):
        sending.run(campaign.id, seconds=20)
    assert _used() == (10, 9), "all that this minute takes"
    assert len(relay.copies()) == 9


def test_what_a_relay_refuses_for_good_uses_up_its_warm_up(app: Flask, relay: FakeRelay) -> None:
    option = f"warm_up={clock.now().date()}:10"
    app.extensions["settings"] = config.with_(app.extensions["settings"], relay_url=f"{relay.url}?{option}")
    relay.options.replies["RCPT"], relay.options.reply_times["RCPT"] = "550 5.1.1 no such user", 2
    campaign = _filled(*(f"person{number}@example.org" for number in range(5)))
    sending.run(campaign.id, seconds=20)
    assert len(relay.copies()) == 3 and _used()[1] == 5


@pytest.mark.only_postgresql
def test_with_rates_of_domains_the_row_of_the_relay_is_held_before_them(app: Flask) -> None:
    """Else a run that gives back to domains, and one that holds people already, could wait for each other."""
    relay, rates = Relay.from_url("smtp://relay.example.org"), {"big.example": 20}
    with transaction():
        _lane(relay, rates=rates).at_once()
    free = select(Pace.domain).with_for_update(skip_locked=True)
    with transaction(), db.engine.connect() as other:
        assert other.scalars(free).all() == [""]
        other.rollback()
        _lane(relay, run_id=2, rates=rates).at_once()
        assert other.scalars(free).all() == []


def test_what_a_run_skipped_or_held_back_is_given_back_to_the_relay_and_the_domain(
    app: Flask, relay: FakeRelay
) -> None:
    rates = tuple((f"{name}.example", 20) for name in ("big", "none", "other"))
    app.extensions["settings"] = config.with_(
        app.extensions["settings"], relay_url=f"{relay.url}?rate=50", domain_rates=rates
    )
    app.extensions["domains"] = known = Domains()
    known._keep("none.example", Standing.null_mx, time.monotonic())
    names = ("none", "big", "other", "small")
    campaign = _filled(*(f"p{number}@{name}.example" for name in names for number in range(5)))
    sending.run(campaign.id, seconds=20, stop=lambda: len(relay.copies()) >= 7)
    ends = Counter((str(email).partition("@")[2], state) for email, state in _states().items())
    left = {domain: ends[domain, "sent"] for domain in (f"{name}.example" for name in names)}
    assert left["none.example"] == 0 and ends["none.example", "skipped"] == 5
    assert 7 <= sum(left.values()) < 15
    assert _used() == (sum(left.values()),) * 2
    for domain, _ in rates:
        assert _used(domain) == (left[domain],) * 2


def test_nothing_is_given_back_to_a_minute_or_day_that_did_not_count_it(app: Flask) -> None:
    relay = Relay.from_url("smtp://relay.example.org?rate=50&warm_up=2026-12-01:500")
    first, second = _lane(relay), _lane(relay, run_id=2)
    for moment, lane, size in (("00", first, 40), ("02", second, 5)):
        with time_machine.travel(f"2026-12-01T12:{moment}:00Z", tick=False), transaction():
            lane.room(size)
            lane.spent(size)
    with time_machine.travel("2026-12-01T12:02:01Z", tick=False), transaction():
        for key in range(30):
            first.unsent(key)
        first.learned(None, 10)
    assert _used() == (5, 15)
    with time_machine.travel("2026-12-02T00:00:01Z", tick=False), transaction():
        third = _lane(relay)
        third.room(8)
        third.spent(8)
        second.unsent(1)
        second.learned(None, 4)
    assert _used() == (8, 8)


def test_relays_are_chosen_by_weight_and_one_that_rests_is_left_out(app: Flask) -> None:
    own = Settings(
        **(
            vars(app.extensions["settings"])
            | {"relay_url": "smtp://a.example.org?weight=3", "relays": ("smtp://b.example.org", "smtp://c.example.org")}
        )
    )
    with transaction():
        _lane(Relay.from_url("smtp://c.example.org"))._pace("").rest(clock.now(), "down")
    db.session.rollback()
    chosen = Counter(relay.host for relay in (pacing.choose(own) for _ in range(400)) if relay is not None)
    assert set(chosen) == {"a.example.org", "b.example.org"}
    assert 0.6 < chosen["a.example.org"] / 400 < 0.9


def _at_the_limit(bell: WrittenBell, app: Flask, relay: FakeRelay, *others: str, option: str = "rate=2") -> Campaign:
    """Five people, a relay that takes two now, and the bell as it rang in the last of two turns."""
    own = Settings(**(vars(app.extensions["settings"]) | {"relay_url": f"{relay.url}?{option}", "relays": others}))
    app.extensions["settings"] = own
    campaign = _filled(*(f"person{number}@example.org" for number in range(5)))
    sending.run(campaign.id, seconds=20)
    bell.rung.clear()
    sending.run(campaign.id, seconds=20)
    return campaign


@pytest.mark.parametrize("option", ["rate=2", "warm_up={today}:2"])
def test_a_relay_whose_limit_is_used_up_rings_no_bell_before_there_is_room(
    app: Flask, bell: WrittenBell, relay: FakeRelay, option: str
) -> None:
    # else each turn would ring for the next at once, and fork without end until the minute or the day is over
    campaign = _at_the_limit(bell, app, relay, option=option.format(today=clock.now().date()))
    assert Counter(_states().values()) == {"sent": 2, "queued": 3}
    assert bell.rung == []
    with transaction():
        sweeping.tend(campaign.id)
    assert [path for path, _ in bell.rung] == [jobs.DELIVER.path], "nobody would ever go on"
    runs = db.session.scalar(select(func.count()).select_from(Run))
    sending.run(campaign.id, seconds=20)
    assert db.session.scalar(select(func.count()).select_from(Run)) == runs, "a turn was begun that can send nothing"
    with transaction():
        db.session.get_one(Campaign, campaign.id).not_after = clock.now() + timedelta(days=3)
    with time_machine.travel(clock.now() + timedelta(days=1)):
        sending.run(campaign.id, seconds=20)
        assert Counter(_states().values())["sent"] > 2


def test_where_one_relay_has_reached_its_limit_another_goes_on_at_once(
    app: Flask, bell: WrittenBell, relay: FakeRelay
) -> None:
    with FakeRelay() as other:
        campaign = _at_the_limit(bell, app, relay, f"{other.url}?weight=1")
        for _ in range(3):
            sending.run(campaign.id, seconds=20)
        assert set(_states().values()) == {"sent"}
        assert len(relay.copies()) <= 2


def test_a_message_put_off_for_its_domain_stays_queued_with_its_time(app: Flask, relay: FakeRelay) -> None:
    campaign = _filled("anna@big.example", "ben@small.example")
    with transaction():
        _lane(Relay.from_url(relay.url))._pace("big.example").rest(clock.now(), "too fast")
    sending.run(campaign.id, seconds=20)
    db.session.rollback()
    waiting = db.session.scalars(select(Message).where(Message.state == MessageState.queued)).one()
    assert waiting.next_try_at is not None and waiting.next_try_at > clock.now() + timedelta(minutes=9)
    assert waiting.attempt == 0, "nothing was tried"


ENVIRONMENT = {
    "PUBLIC_URL": "https://mail.example.com",
    "RELAY_URL": "smtp://127.0.0.1:25",
    "MAIL_FROM": "news@example.com",
    "ORGANISATION": "Example",
    "POSTAL_ADDRESS": "1 Long Street",
}


def test_relays_and_rates_are_settings_and_wrong_ones_are_named(tmp_path: Path, app: Flask) -> None:
    given = ENVIRONMENT | {"DATA_DIR": str(tmp_path / "own")}
    more = {
        "PREFERENCE_CENTER_RELAYS": "smtp://b.example.org?weight=2  smtps://c.example.org",
        "PREFERENCE_CENTER_DOMAIN_RATES": "Gmail.com=600 outlook.com=300",
    }
    settings = read(given | more)
    assert settings.relays == ("smtp://b.example.org?weight=2", "smtps://c.example.org")
    assert dict(settings.domain_rates) == {"gmail.com": 600, "outlook.com": 300}
    wrong = {"PREFERENCE_CENTER_RELAYS": "http://x smtp://ok.example", "PREFERENCE_CENTER_DOMAIN_RATES": "gmail.com=0"}
    with pytest.raises(BadSettings) as refused:
        read(given | wrong)
    assert len(refused.value.faults) == 2
    assert "number 1" in str(refused.value) and "DOMAIN_RATES" in str(refused.value)


@pytest.mark.parametrize("option", ["weight=0", "rate=x", "warm_up=tomorrow:5", "warm_up=2026-12-01", "connections=65"])
def test_options_of_a_relay_that_make_no_sense_are_refused_in_words(app: Flask, option: str) -> None:
    with pytest.raises(ValueError, match=option.partition("=")[0]):
        Relay.from_url(f"smtp://relay.example.org?{option}")
