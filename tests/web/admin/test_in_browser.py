"""The console in a real browser: one journey from signing in to the report, every main page by axe, and no word on the console."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page

from preference_center import clock, config
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign
from preference_center.config import Settings
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import outbox
from preference_center.delivery.models import Message, MessageState
from preference_center.topics.models import Topic
from tests.conftest import make_settings
from tests.support import staff
from tests.support.browser import RULES_OF_COLOUR, chromium, served

pytestmark = pytest.mark.browser


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    """On http, so that the browser keeps the cookie of this machine's site."""
    return make_settings(tmp_path, database, public_url="http://127.0.0.1")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def site(app: Flask) -> Iterator[str]:
    with served(app) as address:
        yield address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab; whatever the browser complains about fails the test."""
    context = browser.new_context()
    tab = context.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    yield tab
    context.close()
    assert said == []


def _sign_in(page: Page, site: str, secret: str | None) -> None:
    page.goto(f"{site}/admin/")
    page.get_by_label("Email address").fill("maria@example.com")
    page.get_by_label("Password").fill(staff.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Code").fill(staff.code(secret))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Home", level=1).wait_for()


def _fill() -> None:
    """What clock and worker do once a campaign is due."""
    with transaction():
        started = scheduling.start_due(clock.now() + timedelta(seconds=1))
    for campaign_id in started:
        with transaction():
            outbox.fill_range(campaign_id)


def test_from_signing_in_to_the_report(app: Flask, page: Page, site: str, people: Topic) -> None:
    app.extensions["settings"] = config.with_(app.extensions["settings"], hold_seconds=0)
    with transaction():
        secret = staff.user().tf_totp_secret
    _sign_in(page, site, secret)
    page.get_by_role("link", name="Write a campaign").first.click()
    page.get_by_label("Name").fill("Autumn offers")
    page.get_by_label("Subject", exact=True).fill("Autumn is here")
    page.get_by_label("Content", exact=True).fill("# Hello\n\nThe collection is **here**.")
    page.get_by_role("button", name="Save and preview").click()
    frame = page.frame_locator("iframe")
    frame.get_by_role("heading", name="Hello").wait_for()
    page.get_by_role("link", name="Review and send").click()
    for box in page.get_by_role("group", name="Before it goes").get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Send to 3 people").click()
    page.get_by_text("It starts now.").wait_for()
    _fill()
    page.get_by_text("2 of 5 are through, 3 wait.").wait_for(timeout=15_000)
    assert page.title().startswith("40 %"), "the page kept itself up to date"
    with transaction():
        for message in db.session.query(Message).filter_by(state=MessageState.queued):
            message.state = MessageState.sent
        db.session.query(Campaign).one().finish(clock.now())
    page.get_by_text("3 of 5 were handed to the relay").wait_for(timeout=15_000)


@pytest.mark.parametrize("width", [360, 1280])
def test_every_main_page_is_accessible_in_both_themes_and_fits(
    page: Page, site: str, people: Topic, width: int
) -> None:
    with transaction():
        secret = staff.user().tf_totp_secret
        made = [scheduling.create(name, people, "Autumn", "markdown", "Hello\n") for name in ("Draft", "On its way")]
        scheduling.schedule(made[1], clock.now())
        draft, sent = (campaign.public_id for campaign in made)
        anna = db.session.query(Contact).filter_by(email="anna@example.org").one().public_id
    _fill()
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{site}/admin/sign-in")
    assert _faults(page) == []
    _sign_in(page, site, secret)
    for path in (
        "", "contacts", f"contacts/{anna}", "topics", "topics/new", "topics/news", "campaigns", "campaigns/new",
        f"campaigns/{draft}", f"campaigns/{draft}/preview", f"campaigns/{draft}/preview?view=text",
        f"campaigns/{draft}/review", f"campaigns/{sent}/progress", f"campaigns/{sent}/people", "imports", "imports/new",
        "users", "account", "events",
    ):  # fmt: skip
        page.goto(f"{site}/admin/{path}")
        assert _faults(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} scrolls sideways"


def _faults(page: Page) -> list[str]:
    found = {}
    for scheme, rules in (("light", {}), ("dark", RULES_OF_COLOUR)):  # nothing but colour differs
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        found[scheme] = Axe().run(page, options=rules | {"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{scheme}: {violation['id']}: {violation['nodes'][0]['target']}"
        for scheme, violations in found.items()
        for violation in violations
    ]
