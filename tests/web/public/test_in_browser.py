"""The ways of a person through the public pages in a real browser: by keyboard alone, without script and cookies, at 400 % zoom."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from preference_center.contacts import queries
from preference_center.db import db
from preference_center.privacy.models import DataRequest, RequestKind
from tests.support import links
from tests.support.browser import chromium, served
from tests.web.public.conftest import Scene

pytestmark = pytest.mark.browser

AT_400_PERCENT = {"width": 320, "height": 256}  # what is left of 1280 × 1024


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def site(app: Flask) -> Iterator[str]:
    app.extensions["settings"] = replace(
        app.extensions["settings"], privacy_url="https://example.com/privacy", public_url="http://127.0.0.1"
    )
    with served(app) as address:
        yield address


def opened(browser: Browser, site: str, **context: Any) -> Page:
    page = browser.new_context(base_url=site, **context).new_page()
    page.set_default_timeout(30_000)
    return page


def press(page: Page, role: Any, name: str, key: str) -> None:
    """Go there by Tab and press; what has the focus must be in sight (WCAG 2.4.11)."""
    target = page.get_by_role(role, name=re.compile(name)).first
    for _ in range(60):
        page.keyboard.press("Tab")
        if target.evaluate("e => e === document.activeElement"):
            expect(target).to_be_in_viewport()
            page.keyboard.press(key)
            return
    raise AssertionError(f"{name} cannot be reached by keyboard")


def test_stop_all_is_on_the_first_screen_of_a_phone(browser: Browser, site: str, scene: Scene) -> None:
    """S47: one act, without scrolling, at 360 × 640."""
    page = opened(browser, site, viewport={"width": 360, "height": 640})
    page.goto(links.manage(scene.anna))
    button = page.get_by_role("button", name="Stop all marketing emails")
    box = button.bounding_box()
    assert box is not None and box["y"] + box["height"] < 640 / 2
    button.click()
    expect(page.get_by_role("status")).to_contain_text("You will get no marketing emails from us.")
    assert scene.on() == set()
    page.context.close()


def test_the_whole_way_without_script_or_cookies_by_keyboard(browser: Browser, site: str, scene: Scene) -> None:
    """S49, S59 and `screens.md` 6.2: choose, save, undo, pause, resume, stop, undo."""
    page = opened(browser, site, java_script_enabled=False, viewport=AT_400_PERCENT)
    page.goto(links.manage(scene.anna))

    status = page.get_by_role("status")
    press(page, "checkbox", "Offers", "Space")
    press(page, "button", "Save changes", "Enter")
    expect(status).to_contain_text("Turned off: Offers.")
    assert scene.on() == {"news"}
    press(page, "button", "Undo", "Enter")
    expect(status).to_contain_text("Undone.")
    assert scene.on() == {"news", "offers"}
    press(page, "button", "^Pause$", "Enter")
    expect(page.get_by_text("Paused until")).to_be_visible()
    press(page, "button", "Resume now", "Enter")
    expect(status).to_contain_text("The break is over.")
    press(page, "button", "Stop all", "Enter")
    expect(status).to_contain_text("You will get no marketing emails from us.")
    assert scene.on() == set()
    press(page, "button", "Undo", "Enter")
    expect(status).to_contain_text("Undone.")
    assert scene.on() == {"news", "offers"}
    assert page.context.cookies() == []
    page.context.close()


def test_signing_up_and_confirming_in_a_browser(browser: Browser, site: str, scene: Scene) -> None:
    page = opened(browser, site, java_script_enabled=False, viewport=AT_400_PERCENT)
    page.goto("/subscribe")
    press(page, "button", "Send me the confirmation", "Enter")
    expect(page.get_by_role("alert")).to_contain_text("Tick what you want to get.")
    press(page, "checkbox", "Product news", "Space")
    press(page, "textbox", "Your email address", "End")
    page.keyboard.type("new@example.org")
    press(page, "button", "Send me the confirmation", "Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")
    newcomer = queries.by_email("new@example.org")
    assert newcomer is not None
    page.goto(links.confirm(newcomer, scene.notices()[-1].payload["wish"]))
    press(page, "button", "Yes, send me Product news", "Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirmed. You will get Product news.")
    assert scene.on(newcomer) == {"news"}
    page.context.close()


def test_seeing_downloading_and_deleting_without_script_by_keyboard(browser: Browser, site: str, scene: Scene) -> None:
    """S49, S59, S96: ask, see, take along, read what goes, delete."""
    page = opened(browser, site, java_script_enabled=False, viewport=AT_400_PERCENT)
    page.goto("/data")
    page.get_by_label("Your email address").fill("anna@example.org")
    page.get_by_role("button", name="Email me the link").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Look into your inbox")
    page.goto(links.rights(scene.anna))
    with page.expect_download() as coming:
        page.get_by_role("button", name=re.compile("JSON")).press("Enter")
    assert coming.value.suggested_filename.endswith(".json")
    page.get_by_role("link", name="See what is deleted").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Delete your data?")
    page.get_by_role("button", name="Delete my data").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Deleted. We no longer know who you are.")
    db.session.rollback()
    kinds = [request.kind for request in db.session.query(DataRequest).order_by(DataRequest.id)]
    assert kinds == [RequestKind.access, RequestKind.erasure]
    assert page.context.cookies() == []
    page.context.close()
