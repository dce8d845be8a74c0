"""Settings with which no mail can be written: the campaign pauses and says why, and no address is blamed."""

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import func, select

from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.db import db
from preference_center.delivery import outcomes, sending
from preference_center.delivery.models import Message, MessageState, Run
from preference_center.mail.outcomes import Outcome, Phase, Result
from preference_center.suppressions.models import Suppression
from tests.support.campaigns import filled

pytestmark = pytest.mark.both_databases


def _paused_by_a_run() -> str:
    """Why; nothing may have happened to anybody."""
    campaign = filled([f"person{number}@example.org" for number in range(3)])
    sending.run(campaign.id, seconds=10)
    db.session.rollback()
    now = db.session.get_one(Campaign, campaign.id)
    assert now.state is CampaignState.paused
    assert set(db.session.scalars(select(Message.state))) == {MessageState.queued}
    assert db.session.scalar(select(func.count()).select_from(Suppression)) == 0
    assert db.session.scalar(select(func.count()).select_from(Run)) == 0
    return now.pause_reason or ""


@pytest.mark.parametrize("wrong", ["bounce.example.com.", "bounces@example.com", "https://bounce.example.com"])
def test_a_return_path_that_is_no_domain_pauses_and_suppresses_nobody(app: Flask, wrong: str) -> None:
    settings = app.extensions["settings"]
    app.extensions["settings"] = replace(settings, bounce_domain=wrong)
    assert "cannot be written" in _paused_by_a_run()


@pytest.mark.parametrize("wrong", ["Shop <news@żółw.example>", "news@example..com", "Shop <-news@example.com>"])
def test_a_sender_that_no_header_can_hold_pauses(app: Flask, wrong: str) -> None:
    settings = app.extensions["settings"]
    app.extensions["settings"] = replace(settings, mail_from=wrong)
    assert "cannot be written" in _paused_by_a_run()


def test_a_journal_that_cannot_be_written_pauses_and_names_the_machine(app: Flask) -> None:
    journals = app.extensions["settings"].journals
    journals.write_text("no folder", encoding="ascii")
    assert "DATA_DIR" in _paused_by_a_run()


@pytest.mark.parametrize(("status", "dead"), [("5.1.7", False), ("5.1.3", True), ("5.6.7", False)])
def test_of_our_own_words_only_no_address_speaks_of_the_address(status: str, dead: bool) -> None:
    words = "sender: this is no mail address: the domain is missing or holds a forbidden character"
    said = Result(1, Outcome.permanent, Phase.not_started, None, status, words)
    assert outcomes.is_dead(said) is dead
