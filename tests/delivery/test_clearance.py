"""S90: a large campaign waits for the DNS to be in order; a small one, and what is not known, does not."""

from collections.abc import Iterator
from pathlib import Path

import dns.resolver
import pytest
from flask import Flask

from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.config import Settings
from preference_center.db import db, transaction
from preference_center.delivery import sending
from preference_center.delivery.pace import clearance
from preference_center.mail.preflight import report
from preference_center.mail.preflight.findings import Finding
from tests.conftest import make_settings
from tests.support.campaigns import filled
from tests.support.name_server import Zone, name_server
from tests.support.relay import FakeRelay

pytestmark = pytest.mark.both_databases
PEOPLE = ["anna@small.example", "ben@small.example", "cora@small.example"]
RIGHT: Zone = {
    "kiosk.shop TXT": ['"v=spf1 a -all"'],
    "kiosk.shop A": ["192.0.2.25"],
    "kiosk.shop MX": ["10 kiosk.shop."],
    "_dmarc.kiosk.shop TXT": ['"v=DMARC1; p=none"'],
    "25.2.0.192.in-addr.arpa PTR": ["kiosk.shop."],
}
WRONG = {name: records for name, records in RIGHT.items() if not name.startswith("_dmarc")}


@pytest.fixture
def relay() -> Iterator[FakeRelay]:
    with FakeRelay() as relay:
        yield relay


@pytest.fixture
def settings(tmp_path: Path, database: str, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(clearance, "LARGE", 2)
    monkeypatch.setattr(clearance, "PATIENCE", 0.5)
    sender = {"mail_from": "Kiosk <news@kiosk.shop>", "sending_addresses": ("192.0.2.25",)}
    return make_settings(tmp_path, database, relay_url=relay.url, **sender)


def run(campaign: Campaign, zone: Zone, monkeypatch: pytest.MonkeyPatch, *, silent: bool = False) -> list[str]:
    """One run while the DNS says this; what it was asked."""
    with name_server(zone, silent=silent) as (resolver, asked):
        monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
        sending.run(campaign.id, seconds=20)
    db.session.rollback()
    return [question for question in asked if "kiosk" in question or "arpa" in question]


def test_a_large_campaign_is_paused_before_its_first_message_and_goes_on_once_the_dns_is_mended(  # S90
    app: Flask, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = filled(PEOPLE)
    run(campaign, WRONG, monkeypatch)
    assert campaign.state is CampaignState.paused and relay.messages == []
    assert campaign.pause_reason is not None and len(campaign.pause_reason) <= 200
    assert "(DMARC; `doctor` tells all)" in campaign.pause_reason and "_dmarc.kiosk.shop" in campaign.pause_reason
    with transaction():
        scheduling.resume(campaign)
    run(campaign, WRONG, monkeypatch)
    assert campaign.state is CampaignState.paused and relay.messages == [], "a resume alone mends no DNS"
    with transaction():
        scheduling.resume(campaign)
    assert run(campaign, RIGHT, monkeypatch)
    assert campaign.state is CampaignState.sent and len(relay.messages) == 3


def test_a_campaign_that_is_not_large_asks_nothing(  # S90
    app: Flask, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = filled(PEOPLE[:2])
    assert run(campaign, WRONG, monkeypatch) == []
    assert campaign.state is CampaignState.sent and len(relay.messages) == 2


def test_a_name_server_that_is_silent_stops_nothing(  # S90
    app: Flask, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = filled(PEOPLE)
    assert run(campaign, WRONG, monkeypatch, silent=True)
    assert campaign.state is CampaignState.sent and len(relay.messages) == 3


def test_only_the_first_run_after_a_start_asks(  # S90
    app: Flask, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay.options.replies["RCPT"] = "451 4.3.0 later"
    campaign = filled(PEOPLE)
    assert run(campaign, RIGHT, monkeypatch)
    assert run(campaign, WRONG, monkeypatch) == []
    assert campaign.state is CampaignState.sending


def test_no_transaction_is_open_while_the_dns_is_asked(  # S90
    app: Flask, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign, seen = filled(PEOPLE), []
    ask = report.look

    def look(settings: Settings, seconds: float) -> list[Finding]:
        seen.append(db.session().in_transaction())
        return ask(settings, seconds)

    monkeypatch.setattr(report, "look", look)
    run(campaign, RIGHT, monkeypatch)
    assert seen == [False]


def test_a_long_reason_fits_and_names_everything_that_failed() -> None:
    failed = [Finding.failed("SPF", "x" * 300), Finding.failed("PTR", "a"), Finding.failed("PTR", "b")]
    words = clearance.reason(failed)
    assert len(words) == 200 and "(SPF, PTR; `doctor` tells all)" in words and words.endswith("…")
