"""S90: a large campaign waits for the DNS to be in order; a small one, and what is not known, does not."""

from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import dns.resolver
import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import select

from preference_center.accounts import audit
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.commands import desk
from preference_center.commands.sending.campaigns import campaigns
from preference_center.config import Settings
from preference_center.db import db, transaction
from preference_center.delivery import sending
from preference_center.delivery.pace import clearance
from preference_center.mail.preflight import report
from preference_center.mail.preflight.findings import Finding
from preference_center.topics.models import Topic
from tests.conftest import make_settings
from tests.support.campaigns import fill, filled
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
def settings(tmp_path: Path, database: str, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(clearance, "LARGE", 2)
    monkeypatch.setattr(clearance, "PATIENCE", 0.5)
    sender = {"mail_from": "Kiosk <news@kiosk.shop>", "sending_addresses": ("192.0.2.25",)}
    return make_settings(tmp_path, database, relay_url=relay.url, **sender)


def by_a_person(campaign: Campaign) -> None:
    """The command, on the app that is open."""
    with patch.object(desk, "app", nullcontext):
        done = CliRunner().invoke(campaigns, ["resume", campaign.public_id])
    assert done.exit_code == 0, done.output
    db.session.rollback()


def run(campaign: Campaign, zone: Zone, monkeypatch: pytest.MonkeyPatch, *, silent: bool = False) -> list[str]:
    """One run while the DNS says this; what it was asked."""
    with name_server(zone, silent=silent) as (resolver, asked):
        monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
        sending.run(campaign.id, seconds=20)
    db.session.rollback()
    return [question for question in asked if "kiosk" in question or "arpa" in question]


def test_a_large_campaign_is_paused_before_its_first_message_until_a_person_resumes_it(  # S90
    app: Flask, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = filled(PEOPLE)
    run(campaign, WRONG, monkeypatch)
    assert campaign.state is CampaignState.paused and relay.messages == []
    assert campaign.pause_reason is not None and len(campaign.pause_reason) <= 200
    assert "(DMARC; `doctor` tells all)" in campaign.pause_reason and "_dmarc.kiosk.shop" in campaign.pause_reason
    assert campaign.pause_reason.endswith("Mend it, or resume to send all the same.")
    assert run(campaign, WRONG, monkeypatch) == [] and relay.messages == [], "nobody has resumed it"
    by_a_person(campaign)
    assert run(campaign, WRONG, monkeypatch) == []
    assert campaign.state is CampaignState.sent and len(relay.messages) == 3


def test_a_resume_after_another_pause_does_not_pass_over_the_dns(  # S90
    app: Flask, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = filled(PEOPLE)
    with transaction():
        scheduling.pause(campaign)
    by_a_person(campaign)
    run(campaign, WRONG, monkeypatch)
    assert campaign.state is CampaignState.paused and relay.messages == []


def test_the_next_campaign_is_looked_at_anew(app: Flask, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch) -> None:
    first = filled(PEOPLE)  # S90
    with transaction():
        topic = db.session.get_one(Topic, first.topic_id)
        second = scheduling.create("Winter", topic, "Hello", "markdown", "Hello.")
    fill(second)
    run(first, WRONG, monkeypatch)
    by_a_person(first)
    run(second, WRONG, monkeypatch)
    assert (first.state, second.state) == (CampaignState.sending, CampaignState.paused) and relay.messages == []


def test_the_pause_and_the_resume_stand_in_the_audit_trail(  # S90
    app: Flask, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = filled(PEOPLE)
    run(campaign, WRONG, monkeypatch)
    by_a_person(campaign)
    entries = db.session.scalars(
        select(audit.AuditEntry).where(audit.AuditEntry.object_id == campaign.public_id).order_by(audit.AuditEntry.id)
    )
    assert [(entry.actor, entry.action, entry.detail) for entry in entries] == [
        ("system", "campaign.dns_not_ready", {"failed": ["DMARC"]}),
        ("cli", "campaign.resume", {}),
    ]


def test_a_run_that_still_asks_while_a_person_resumes_does_not_pause_it_again(  # S90
    app: Flask, relay: FakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign, asked = filled(PEOPLE), []

    def look(settings: Settings, seconds: float) -> list[Finding]:
        asked.append(seconds)
        if len(asked) == 1:  # another worker is faster, and so is the person
            assert clearance.refused(campaign.id)
            by_a_person(campaign)
        return [Finding.failed("SPF", "no record.")]

    monkeypatch.setattr(report, "look", look)
    assert not clearance.refused(campaign.id)
    assert len(asked) == 2 and campaign.state is CampaignState.sending


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
    assert len(words) == 200 and "(SPF, PTR; `doctor` tells all)" in words
    assert words.endswith("… Mend it, or resume to send all the same.")
