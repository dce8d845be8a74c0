"""The segment pages in a real browser: built by keyboard and buttons, by axe, at both widths and in both themes, without script."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page

from preference_center.config import Settings
from preference_center.db import transaction
from preference_center.segments import named, queries
from preference_center.topics.models import Topic
from tests.conftest import make_settings
from tests.support import staff
from tests.support.browser import RULES_OF_COLOUR, chromium, served

pytestmark = pytest.mark.browser
SHOTS: Path | None = None  # a folder to keep pictures in, for whoever wants to look


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    return make_settings(tmp_path, database, public_url="http://127.0.0.1")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def site(app: Flask) -> Iterator[str]:
    with served(app) as address:
        yield address


def test_a_segment_is_built_without_script_and_every_page_is_accessible(
    browser: Browser, site: str, people: Topic
) -> None:
    with transaction():
        secret = staff.user().tf_totp_secret
        public_id = named.add("Polish", queries.read('language = pl and source = "nowhere"'), "cli").public_id
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site}/admin/")
    page.get_by_label("Email address").fill("maria@example.com")
    page.get_by_label("Password").fill(staff.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Code").fill(staff.code(secret))
    page.get_by_role("button", name="Sign in").click()
    state = context.storage_state()
    context.close()
    context = browser.new_context(storage_state=state, java_script_enabled=False)
    _build(context.new_page(), site)
    context.close()
    [made] = [segment for segment in queries.everything() if segment.name == "English"]
    context = browser.new_context(storage_state=state)
    page = context.new_page()
    for path in ("segments", "segments/new", f"segments/{public_id}", f"segments/{made.public_id}?topic=news"):
        for scheme in ("light", "dark"):
            for width in (360, 1280):
                page.set_viewport_size({"width": width, "height": 900})
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                page.goto(f"{site}/admin/{path}")
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (
                    f"{path} scrolls sideways at {width}"
                )
                if SHOTS:
                    name = path.partition("?")[0].replace("/", "-")
                    page.screenshot(path=SHOTS / f"{name}-{scheme}-{width}.png", full_page=True)
            rules = RULES_OF_COLOUR if scheme == "dark" else {}  # nothing but colour differs
            assert _faults(page, rules) == [], f"{path} in {scheme}"
    context.close()


def _build(page: Page, site: str) -> None:
    page.goto(f"{site}/admin/segments/new")
    page.get_by_label("Name").fill("English")
    page.get_by_label("About").select_option("language")
    page.get_by_label("With").fill("en")
    page.get_by_role("button", name="Add this condition").click()
    page.get_by_text("Add a condition").click()
    page.get_by_label("About").select_option('follows "news"')
    page.get_by_role("button", name="Add this condition").click()
    page.get_by_label("Name").press("Enter")  # looks, and takes nothing away
    assert page.get_by_label("Rule").input_value() == 'language = "en" and follows "news"'
    page.get_by_role("button", name="Save the segment").click()
    page.get_by_text("The segment is kept.").wait_for()
    page.get_by_role("button", name="Show the way from one to the other").click()
    page.get_by_text("Why not more?").wait_for()


def _faults(page: Page, rules: dict[str, Any]) -> list[str]:
    found = Axe().run(page, options=rules | {"resultTypes": ["violations"]}).response["violations"]
    return [f"{violation['id']}: {violation['nodes'][0]['target']}" for violation in found]
