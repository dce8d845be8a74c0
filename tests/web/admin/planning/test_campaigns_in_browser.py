"""The campaign's form in a real browser: segments chosen by keyboard without script, by axe, at both widths and in both themes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page

from preference_center.campaigns import queries
from preference_center.campaigns.models import Campaign
from preference_center.config import Settings
from preference_center.db import db, transaction
from preference_center.segments import named
from preference_center.segments import queries as segments
from preference_center.topics.models import Topic
from tests.conftest import make_settings
from tests.support import staff
from tests.support.browser import chromium, served

pytestmark = pytest.mark.browser
SHOTS: Path | None = None  # a folder to keep pictures in, for whoever wants to look


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    return make_settings(tmp_path, database, public_url="http://127.0.0.1")


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def test_segments_are_chosen_by_keyboard_without_script_and_the_form_is_accessible(
    app: Flask, browser: Browser, people: Topic
) -> None:
    with transaction():
        secret = staff.user().tf_totp_secret
        for name in ("Bought in 2026", "Kraków", "Newcomers of the last three months", "Staff"):
            named.add(name, segments.read("language = pl"), "cli")
    with served(app) as site:
        page = browser.new_context(java_script_enabled=False).new_page()
        _sign_in(page, site, secret)
        _write(page, site)
        state = page.context.storage_state()
        db.session.rollback()
        made = db.session.query(Campaign).one()
        assert queries.version(made).segment == 'segment "Kraków" and not segment "Staff"'
        page = browser.new_context(storage_state=state).new_page()
        for scheme in ("light", "dark"):
            for width in (360, 1280):
                page.set_viewport_size({"width": width, "height": 900})
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                page.goto(f"{site}/admin/campaigns/{made.public_id}")
                assert page.evaluate("document.documentElement.scrollWidth") <= width, f"scrolls sideways at {width}"
                if SHOTS:
                    page.screenshot(path=SHOTS / f"campaign-{scheme}-{width}.png", full_page=True)
            assert [violation["id"] for violation in Axe().run(page).response["violations"]] == [], scheme


def _sign_in(page: Page, site: str, secret: str | None) -> None:
    page.goto(f"{site}/admin/")
    page.get_by_label("Email address").fill("maria@example.com")
    page.get_by_label("Password").fill(staff.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Code").fill(staff.code(secret))
    page.get_by_role("button", name="Sign in").click()


def _write(page: Page, site: str) -> None:
    page.goto(f"{site}/admin/campaigns/new")
    page.get_by_label("Name").fill("Autumn")
    page.get_by_label("Subject", exact=True).fill("Autumn is here")
    page.get_by_label("Content", exact=True).fill("Hello.")
    page.get_by_text("Send to a part of them only").press("Enter")
    wanted, unwanted = (
        page.get_by_role("group", name="Only who is in"),
        page.get_by_role("group", name="Nobody who is in"),
    )
    wanted.get_by_label("Kraków").press("Space")
    unwanted.get_by_label("Staff").press("Space")
    page.get_by_role("button", name="Save the draft").press("Enter")
    page.get_by_text("Saved as a draft.").wait_for()
    assert wanted.get_by_label("Kraków").is_checked() and unwanted.get_by_label("Staff").is_checked()
    assert wanted.get_by_label("Kraków").is_visible(), "what is chosen is shown, not folded away"
