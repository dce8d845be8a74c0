"""The review page in a real browser: ticked by keyboard without script, one person's mail after the other, by axe, at both widths."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page

from preference_center.campaigns import queries, scheduling
from preference_center.campaigns.models import CampaignState
from preference_center.config import Settings
from preference_center.db import db, transaction
from preference_center.topics.models import Topic
from tests.conftest import make_settings
from tests.support import staff
from tests.support.browser import chromium, served
from tests.web.admin.planning.test_campaigns_in_browser import _sign_in

pytestmark = pytest.mark.browser
SHOTS: Path | None = None  # a folder to keep pictures in, for whoever wants to look


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    return make_settings(tmp_path, database, public_url="http://127.0.0.1", ask_number_above=2)


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def test_it_is_let_go_by_keyboard_without_script_and_the_page_is_accessible(
    app: Flask, browser: Browser, people: Topic
) -> None:
    with transaction():
        secret = staff.user().tf_totp_secret
        source = (
            "[DRAFT] ![](https://example.com/a.png)\n\nHello and good day to you all, [here](http://example.com).\n"
        )
        made = scheduling.create("Autumn", people, "Autumn offers for you", "markdown", source)
    with served(app) as site:
        address = f"{site}/admin/campaigns/{made.public_id}/review"
        page = browser.new_context(java_script_enabled=False).new_page()
        _sign_in(page, site, secret)
        page.goto(address)
        _one_person_after_the_other(page)
        page.get_by_role("button", name="Send to 3 people").press("Enter")
        page.get_by_role("alert").get_by_text("Tick each thing that you know of, or mend it.").wait_for()
        state = page.context.storage_state()
        _looks_well(browser.new_context(storage_state=state).new_page(), address)
        boxes = page.get_by_role("group", name="Before it goes").get_by_role("checkbox").all()
        assert len(boxes) >= 3
        for box in boxes:
            box.press("Space")
        page.get_by_label("How many people get it?").fill("3")
        page.get_by_role("button", name="Send to 3 people").press("Enter")
        page.get_by_text("Starts in").first.wait_for()
    db.session.rollback()
    assert queries.by_public_id(made.public_id).state is CampaignState.scheduled


def _one_person_after_the_other(page: Page) -> None:
    """The mail of whom is chosen, and of nobody else."""
    shown = page.locator(".look:visible")
    assert shown.count() == 1 and "cai@example.org" in shown.inner_text()
    page.get_by_label("cai@example.org").press("ArrowRight")
    assert shown.count() == 1 and "bo@example.org" in shown.inner_text()


def _looks_well(page: Page, address: str) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for width in (360, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            for name in ("fresh", "refused"):
                page.goto(address)
                if name == "refused":
                    page.get_by_role("button", name="Send to 3 people").click()
                    page.get_by_role("alert").wait_for()
                assert page.evaluate("document.documentElement.scrollWidth") <= width, f"scrolls sideways at {width}"
                found = [violation["id"] for violation in Axe().run(page).response["violations"]]
                assert found == [], f"{name} {scheme} {width}"
                if SHOTS:
                    page.screenshot(path=SHOTS / f"review-{name}-{scheme}-{width}.png", full_page=True)
