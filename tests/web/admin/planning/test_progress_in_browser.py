"""The progress page in a real browser: its figures stay true also where somebody has opened a box, or stands on a button."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser

from preference_center import clock
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign
from preference_center.config import Settings
from preference_center.db import db, transaction
from preference_center.delivery import outbox
from preference_center.delivery.models import Message, MessageState
from preference_center.topics.models import Topic
from tests.conftest import make_settings
from tests.support import staff
from tests.support.browser import chromium, served
from tests.web.admin.planning.test_campaigns_in_browser import _sign_in

pytestmark = pytest.mark.browser


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    return make_settings(tmp_path, database, public_url="http://127.0.0.1")


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def _end_all_but(left: int) -> None:
    with transaction():
        for message in db.session.query(Message).filter_by(state=MessageState.queued).offset(left):
            message.state = MessageState.sent


def test_an_open_box_keeps_its_figures_true_and_is_gone_when_it_is_over(
    app: Flask, browser: Browser, people: Topic
) -> None:
    with transaction():
        secret = staff.user().tf_totp_secret
        made = scheduling.create("Autumn", people, "Autumn offers for you", "markdown", "Hello\n")
        scheduling.schedule(made, clock.now())
    with transaction():
        scheduling.start_due(clock.now() + timedelta(seconds=1))
        outbox.fill_range(made.id)
    with served(app) as site:
        page = browser.new_page()
        _sign_in(page, site, secret)
        page.goto(f"{site}/admin/campaigns/{made.public_id}/progress")
        box = page.locator("main details")
        box.locator("summary").click()
        box.get_by_text("0 people have it already; that cannot be undone. 3 do not get it any more.").wait_for()
        button = box.get_by_role("button", name="Cancel the rest")
        button.focus()
        _end_all_but(1)
        box.get_by_text("2 people have it already; that cannot be undone. 1 do not get it any more.").wait_for()
        page.get_by_text("4 of 5 are through, 1 wait.").wait_for()
        assert button.evaluate("button => button === document.activeElement"), "nobody loses their place"
        _end_all_but(0)
        with transaction():
            db.session.query(Campaign).one().finish(clock.now())
        page.get_by_text("3 of 5 were handed to the relay").wait_for()
        assert box.count() == 0, "there is nothing to cancel any more"
