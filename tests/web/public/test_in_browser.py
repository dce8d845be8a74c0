"""The public pages in a real browser: both themes, phone and desktop, without script, by keyboard, and by axe."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from preference_center.consent import wordings
from preference_center.consent.ledger import Evidence
from preference_center.contacts import addresses, moving, queries
from preference_center.db import db, transaction
from preference_center.notices.models import Notice
from preference_center.preferences import choices, confirmation
from preference_center.privacy import links as rights
from preference_center.privacy.models import DataRequest, Opens, RequestKind
from preference_center.signed_links import Power, ring
from preference_center.topics import catalogue
from tests.support import links, shop
from tests.support.browser import chromium, served
from tests.web.public.conftest import Scene

pytestmark = pytest.mark.browser


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


@dataclass
class Places:
    """Every public page and state, by name."""

    paths: dict[str, str]


@pytest.fixture
def places(scene: Scene) -> Places:
    by_link = Evidence(source="link", language="en")
    paths = {
        "preferences": links.manage(scene.anna),
        "sign-up": "/subscribe",
        "get a link": "/link",
        "nothing": "/nope",
    }
    paths |= {"unsubscribe": links.unsub(scene.anna, scene.topics["offers"]), "stop all": links.unsub(scene.anna)}
    paths |= {"dead link": "/p/nope", "sign-up in Spanish": "/subscribe?lang=es"}
    with transaction():
        paused = shop.customer(scene.topics, "news", email="b@example.org")
        choices.pause(paused, datetime.now(UTC) + timedelta(days=40), by_link)
        stopped = shop.customer(scene.topics, "news", email="c@example.org")
        choices.stop_all(stopped, by_link)
        polish = shop.customer(scene.topics, "news", email="p@example.org", language="pl")
        nothing = shop.customer(scene.topics, email="d@example.org")
        wanted = [(scene.topics[key], wordings.current(scene.topics[key], "en")) for key in ("news", "events")]
        wish = [(topic, text) for topic, text in wanted if text]
        confirmation.ask(addresses.parse("e@example.org"), wish, "form:subscribe", Evidence("form", language="en"))
        newcomer = queries.by_email("e@example.org")
        assert newcomer is not None
        asked = db.session.query(Notice).filter_by(contact_id=newcomer.id).one()
        paths |= {"paused": links.manage(paused), "stopped": links.manage(stopped), "nothing on": links.manage(nothing)}
        paths |= {"in Polish": links.manage(polish), "leaving in Polish": links.unsub(polish, scene.topics["news"])}
        paths |= {"already off": links.unsub(stopped, scene.topics["news"])}
        catalogue.offer_cadence(scene.topics["offers"], True)
        record = choices.for_contact(scene.anna, "en").topics[0].record
        assert record is not None
        own = links.manage(scene.anna) + "/consents"
        paths |= {"consents": own, "receipt": f"{own}/{record.public_id}"}
        paths |= {"confirm": links.confirm(newcomer, asked.payload["wish"])}
        rights.ask(scene.anna, Opens.data)
        rights.ask(scene.anna, Opens.address)
        rights.ask(polish, Opens.data)
        change = moving.note(scene.anna, addresses.parse("anna@new.example.com"))
        carried = [scene.anna.public_id, "address", change.public_id]
        paths |= {
            "new address": f"/c/{ring().sign(Power.confirm, carried)}",
            "ask for data": "/data",
            "dead data": "/d/no",
        }
    data = links.rights(scene.anna)
    paths |= {"data": data, "delete": f"{data}?show=delete", "change address": links.rights(scene.anna, "address")}
    paths |= {"data in Polish": links.rights(polish), "delete in Polish": f"{links.rights(polish)}?show=delete"}
    return Places(paths)


def opened(browser: Browser, site: str, **context: Any) -> Page:
    """A page that notes everything it loads or complains about."""
    page = browser.new_context(base_url=site, **context).new_page()
    page.set_default_timeout(5000)
    return page


def faults_by_axe(page: Page) -> list[str]:
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    found = Axe().run(page, options=rules).response["violations"]
    return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found]


def test_axe_would_find_a_fault(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content(
        "<html lang=en><title>x</title><main><h1>x</h1><p style='color:#999;background:#fff'>faint</p></main>"
    )
    assert any(fault.startswith("color-contrast") for fault in faults_by_axe(page))
    page.close()


@pytest.mark.parametrize(("width", "theme"), [(320, "light"), (1280, "dark")])
def test_every_page_is_accessible_and_fits(browser: Browser, site: str, places: Places, theme: Any, width: int) -> None:
    """S58, S59 and `screens.md` 6.1, 6.4: axe finds nothing, nothing is cut off, nothing comes from elsewhere."""
    # axe is put into the page by the test, which the pages' own policy rightly forbids
    page = opened(browser, site, viewport={"width": width, "height": 640}, color_scheme=theme, bypass_csp=True)
    elsewhere: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(site) else elsewhere.append(request.url))
    for name, path in places.paths.items():
        page.goto(path)
        for opening in page.locator("summary").all():
            opening.click()
        assert faults_by_axe(page) == [], (name, theme, width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, theme, width)
    assert elsewhere == []
    page.context.close()


def test_no_page_breaks_its_own_policy(browser: Browser, site: str, places: Places) -> None:
    """`screens.md` 6.4: no console error, and looking changes nothing."""
    page = opened(browser, site, viewport={"width": 360, "height": 640})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    for path in places.paths.values():
        page.goto(path)
    assert [text for text in said if "404" not in text] == []
    page.context.close()


def test_stop_all_is_on_the_first_screen_of_a_phone(browser: Browser, site: str, places: Places, scene: Scene) -> None:
    """S47: one act, without scrolling, at 360 × 640."""
    page = opened(browser, site, viewport={"width": 360, "height": 640})
    page.goto(places.paths["preferences"])
    button = page.get_by_role("button", name="Stop all marketing emails")
    box = button.bounding_box()
    assert box is not None and box["y"] + box["height"] < 640 / 2
    button.click()
    expect(page.get_by_role("status")).to_contain_text("You will get no marketing emails from us.")
    assert scene.on() == set()
    page.context.close()


def test_all_targets_are_large_enough(browser: Browser, site: str, places: Places) -> None:
    """WCAG 2.5.8; we want 44 px for what one presses, and 24 px for links in running text."""
    page = opened(browser, site, viewport={"width": 360, "height": 640})
    for path in places.paths.values():
        page.goto(path)
        heights = page.evaluate(
            "[...document.querySelectorAll('button, summary, label.tick, a.button')].filter(e => e.checkVisibility())"
            ".map(e => [e.textContent.trim(), e.getBoundingClientRect().height])"
        )
        assert [pair for pair in heights if pair[1] < 40] == []
    page.context.close()


def test_the_whole_way_without_script_or_cookies_by_keyboard(
    browser: Browser, site: str, places: Places, scene: Scene
) -> None:
    """S49, S59 and `screens.md` 6.2: choose, save, undo, pause, resume, stop, undo."""
    page = opened(browser, site, java_script_enabled=False, viewport={"width": 360, "height": 640})
    page.goto(places.paths["preferences"])

    def press(role: Any, name: str, key: str) -> None:
        target = page.get_by_role(role, name=re.compile(name)).first
        for _ in range(60):
            page.keyboard.press("Tab")
            if target.evaluate("e => e === document.activeElement"):
                page.keyboard.press(key)
                return
        raise AssertionError(f"{name} cannot be reached by keyboard")

    status = page.get_by_role("status")
    press("checkbox", "Offers", "Space")
    press("button", "Save changes", "Enter")
    expect(status).to_contain_text("Turned off: Offers.")
    assert scene.on() == {"news"}
    press("button", "Undo", "Enter")
    expect(status).to_contain_text("Undone.")
    assert scene.on() == {"news", "offers"}
    press("button", "^Pause$", "Enter")
    expect(page.get_by_text("Paused until")).to_be_visible()
    press("button", "Resume now", "Enter")
    expect(status).to_contain_text("The break is over.")
    press("button", "Stop all", "Enter")
    expect(status).to_contain_text("You will get no marketing emails from us.")
    assert scene.on() == set()
    press("button", "Undo", "Enter")
    expect(status).to_contain_text("Undone.")
    assert scene.on() == {"news", "offers"}
    assert page.context.cookies() == []
    page.context.close()


def test_signing_up_and_confirming_in_a_browser(browser: Browser, site: str, scene: Scene) -> None:
    page = opened(browser, site, java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page.goto("/subscribe")
    page.get_by_role("button", name="Send me the confirmation").click()
    expect(page.get_by_role("alert")).to_contain_text("Tick what you want to get.")
    page.get_by_label("Product news").check()
    page.get_by_label("Your email address").fill("new@example.org")
    page.get_by_role("button", name="Send me the confirmation").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox")
    newcomer = queries.by_email("new@example.org")
    assert newcomer is not None
    page.goto(links.confirm(newcomer, scene.notices()[-1].payload["wish"]))
    page.get_by_role("button", name="Yes, send me Product news").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirmed. You will get Product news.")
    assert scene.on(newcomer) == {"news"}
    page.context.close()


def test_seeing_downloading_and_deleting_without_script_by_keyboard(browser: Browser, site: str, scene: Scene) -> None:
    """S49, S59, S96: ask, see, take along, read what goes, delete."""
    page = opened(browser, site, java_script_enabled=False, viewport={"width": 320, "height": 640})
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
