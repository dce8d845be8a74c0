"""The longer ways through the public pages, with the mail they lead by: keyboard alone, no script, no cookie, 320 px (400 % zoom)."""

# ruff: noqa: F811 - the fixtures that this file borrows
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from playwright.sync_api import Browser, Page, expect

from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.db import db, transaction
from preference_center.notices import sending
from preference_center.preferences import renewal
from preference_center.privacy.models import DataRequest
from preference_center.topics.purposes import LegalBasis
from tests.notices.test_sending import Relay, relay  # noqa: F401 - a fixture
from tests.support import links
from tests.web.public import acted
from tests.web.public.conftest import Scene
from tests.web.public.test_in_browser import AT_400_PERCENT, browser, opened, press, site  # noqa: F401 - fixtures

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    """A person without script; at the end no answer has set a cookie."""
    page, cookies = opened(browser, site, java_script_enabled=False, viewport=AT_400_PERCENT), []
    page.on("response", lambda answer: cookies.append(answer.url) if "set-cookie" in answer.headers else None)
    yield page
    assert (cookies, page.context.cookies()) == ([], [])
    page.context.close()


def headed(page: Page, words: str) -> None:
    """This page is shown, says so in its heading, and is no wider than the screen."""
    expect(page.get_by_role("heading", level=1)).to_have_text(words, timeout=30_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= AT_400_PERCENT["width"]


def write(page: Page, field: str, words: str) -> None:
    press(page, "textbox", field, "Control+A")
    page.keyboard.type(words)


def mailed(relay: Relay, to: str) -> str:
    """The path of the link in the one mail that is owed now, read from what the relay got."""
    before = len(relay.mails)
    db.session.rollback()
    assert sending.drain() == 1 and len(relay.mails) == before + 1
    mail = relay.last()
    body = mail.get_body(("plain",))
    assert mail["To"] == to and body is not None
    found = re.search(r"http://127\.0\.0\.1(/[cdpu]/\S+)", body.get_content())
    assert found, body.get_content()
    return found[1]


def path_of(url: str | None) -> str:
    """The site of this test has a port of its own, which the addresses in its mail and pages do not know."""
    assert url is not None and url.startswith("http://127.0.0.1/")
    return url.removeprefix("http://127.0.0.1")


def test_a_new_address_is_asked_for_confirmed_told_and_taken_back(page: Page, scene: Scene, relay: Relay) -> None:
    """S49, S59, S99."""
    page.goto(links.manage(scene.anna))
    press(page, "button", "Change your address", "Enter")
    headed(page, "Look into your inbox")
    page.goto(mailed(relay, "anna@example.org"))
    headed(page, "Change your address")
    write(page, "Your new email address", "nobody")
    press(page, "button", "Send the confirmation there", "Enter")
    expect(page.get_by_role("alert")).to_contain_text("Enter an address like name@example.com.")
    headed(page, "Change your address")
    write(page, "Your new email address", "anna@new.example.org")
    press(page, "button", "Send the confirmation there", "Enter")
    headed(page, "Look into the inbox of your new address")

    page.goto(mailed(relay, "anna@new.example.org"))
    headed(page, "Is this your new address?")
    press(page, "button", "Yes, use this address", "Enter")
    headed(page, "Confirmed. Our emails come here from now on.")
    press(page, "link", "Open your preferences", "Shift")
    page.goto(path_of(page.get_by_role("link", name="Open your preferences").get_attribute("href")))
    headed(page, "Your email preferences")
    expect(page.get_by_text("for a•••@new.example.org")).to_be_visible()

    page.goto(mailed(relay, "anna@example.org"))
    headed(page, "Take back the change of address?")
    press(page, "button", "This was not me: take it back", "Enter")
    headed(page, "Taken back. Our emails come here again.")
    db.session.rollback()
    assert scene.anna.email == "anna@example.org" and scene.on() == {"news", "offers"}


def test_leaving_by_the_link_of_a_mail_and_coming_back(page: Page, scene: Scene, relay: Relay) -> None:
    """S35, S42, S45, S49, S59."""
    page.goto(links.unsub(scene.anna, scene.topics["offers"]))
    headed(page, "Stop Offers?")
    press(page, "button", "Stop Offers", "Enter")
    headed(page, "Stopped. You will no longer get Offers.")
    assert scene.on() == {"news"}
    press(page, "button", "Undo", "Enter")
    headed(page, "Undone. Everything is as it was before.")
    assert scene.on() == {"news", "offers"}
    press(page, "button", "Stop all marketing emails", "Enter")
    headed(page, "Stopped. You will get no marketing emails from us.")
    assert scene.on() == set()
    page.goto(links.unsub(scene.anna, scene.topics["offers"]))
    headed(page, "You no longer get these emails.")


def test_a_dead_link_leads_to_a_new_one_and_on_to_a_receipt(page: Page, scene: Scene, relay: Relay) -> None:
    """S49, S56, S59."""
    page.goto("/p/nothing")
    headed(page, "This link no longer works")
    write(page, "Your email address", "anna@example.org")
    press(page, "button", "Email me a new link", "Enter")
    headed(page, "Look into your inbox")
    page.goto(mailed(relay, "anna@example.org"))
    headed(page, "Your email preferences")
    press(page, "link", "Your consents", "Enter")
    headed(page, "Your consents")
    press(page, "link", "Offers: turned on", "Enter")
    headed(page, "Offers: turned on")
    with page.expect_download() as coming:
        press(page, "link", "Download as a file", "Enter")
    assert coming.value.suggested_filename.startswith("receipt-")
    press(page, "button", "Mail me this receipt", "Enter")
    expect(page.get_by_role("status")).to_contain_text("On its way to your mailbox.")
    mailed(relay, "anna@example.org")


def test_a_sign_up_with_a_typing_mistake_is_corrected(page: Page, scene: Scene, relay: Relay) -> None:
    """S49, S59, S60, S65: and what was ticked stays ticked."""
    page.goto("/subscribe")
    press(page, "checkbox", "Product news", "Space")
    write(page, "Your email address", "new@exmaple.org")
    press(page, "button", "Send me the confirmation", "Enter")
    headed(page, "Check your inbox")
    press(page, "button", "Change the address", "Enter")
    expect(page.get_by_role("checkbox", name="Product news")).to_be_checked()
    write(page, "Your email address", "new@example.org")
    press(page, "button", "Send me the confirmation", "Enter")
    headed(page, "Check your inbox")
    db.session.rollback()
    assert sending.drain() == 2
    body = relay.last().get_body(("plain",))
    found = body and re.search(r"http://127\.0\.0\.1(/c/\S+)", body.get_content())
    assert found and relay.last()["To"] == "new@example.org"
    page.goto(found[1])
    press(page, "button", "Yes, send me Product news", "Enter")
    headed(page, "Confirmed. You will get Product news.")
    page.goto(found[1])
    headed(page, "This is confirmed already")


def test_restricting_ending_it_and_objecting(page: Page, scene: Scene, relay: Relay) -> None:
    """S49, S53, S59, S100."""
    steps = {
        "Restrict the use": "Restricted. We keep your data and do nothing with it.",
        "End the restriction": "The restriction has ended. Your choices are in force again.",
        "Object to marketing": "Stopped. We no longer use your data for advertising.",
    }
    start = datetime.now(UTC)
    for number, (pressed, done) in enumerate(steps.items()):
        with time_machine.travel(start + timedelta(minutes=6 * number)):  # one link in five minutes
            page.goto("/data")
            write(page, "Your email address", "anna@example.org")
            press(page, "button", "Email me the link", "Enter")
            headed(page, "Look into your inbox")
            page.goto(mailed(relay, "anna@example.org"))
            press(page, "button", pressed, "Enter")
            headed(page, done)
    assert scene.on() == set()
    kinds = [request.kind for request in db.session.query(DataRequest).order_by(DataRequest.id)]
    assert kinds == ["restriction", "restriction_lifted", "objection"]


def test_language_and_time_zone_are_chosen(page: Page, scene: Scene) -> None:
    """S46, S49, S57, S59."""
    page.goto(links.manage(scene.anna))
    unfold_languages(page)
    press(page, "button", "Polski", "Enter")
    headed(page, "Ustawienia wiadomości e-mail")
    unfold_languages(page)
    press(page, "link", "Wybierz strefę czasową", "Enter")
    headed(page, "Twoja strefa czasowa")
    press(page, "combobox", "Kraj i miasto", "Tab")
    page.get_by_role("combobox").select_option("Europe/Lisbon")
    press(page, "button", "Zapisz strefę czasową", "Enter")
    expect(page.get_by_role("status")).to_contain_text("według Twojej strefy czasowej")
    db.session.rollback()
    assert (scene.anna.language, scene.anna.time_zone) == ("pl", "Europe/Lisbon")


def unfold_languages(page: Page) -> None:
    """By Tab to the list that is folded, which is no button to a browser without script."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.languages summary')"):
            page.keyboard.press("Enter")
            return
    raise AssertionError("the languages cannot be reached by keyboard")


def test_a_consent_that_ends_soon_is_extended_once_and_can_be_taken_back(
    page: Page, scene: Scene, relay: Relay
) -> None:
    """S49, S59, S74: from the mail that tells of it to the one that tells of the press."""
    with transaction():
        until = datetime.now(UTC) + timedelta(days=20)
        ledger.grant(scene.anna, scene.topics["events"], LegalBasis.consent, Evidence("link"), until=until)
        assert renewal.ask() == 1
    path = mailed(relay, "anna@example.org")
    page.goto(path)
    headed(page, "What ends soon")
    expect(page.get_by_text("I want to get Events from Example Shop Ltd by email.")).to_be_visible()
    stale = page.context.new_page()
    stale.goto(path)
    press(page, "button", "Keep sending me Events", "Enter")
    expect(page.get_by_role("status")).to_contain_text("Saved. You go on getting it.")
    headed(page, "What ends soon")
    press(stale, "button", "Keep sending me Events", "Enter")
    expect(stale.get_by_role("alert")).to_contain_text("This does not end soon any more")
    headed(stale, "What ends soon")
    assert [record.action for record in scene.records()] == ["given", "renewed"]
    page.goto(mailed(relay, "anna@example.org"))
    press(page, "button", "Stop Events", "Enter")
    headed(page, "Stopped. You will no longer get Events.")
    assert scene.on() == {"news", "offers"}


def test_the_archive_is_read_and_leads_to_the_sign_up_in_the_language_chosen(page: Page, scene: Scene) -> None:
    """S49, S57, S59: from the example beside a topic to the mail in its frame, the topic, all topics, and the form."""
    issue = acted.published(scene.topics["news"])["a mail of the archive"]
    page.goto(links.manage(scene.anna))
    press(page, "link", "Example ?: Product news", "Enter")
    headed(page, "Autumn & more")
    assert page.frame_locator("iframe").get_by_role("heading", name="Hello").text_content() == "Hello"
    page.goto(f"{issue}?lang=pl")
    press(page, "link", "Product news", "Enter")
    headed(page, "Product news")
    press(page, "link", "Wcześniejsze wiadomości e-mail", "Enter")
    headed(page, "Wcześniejsze wiadomości e-mail")
    press(page, "link", "Product news", "Enter")
    press(page, "link", "Autumn & more", "Enter")
    headed(page, "Autumn & more")
    assert "?lang=pl" in page.url
    page.go_back()
    press(page, "link", "Otrzymuj je e-mailem", "Enter")
    expect(page.locator("html")).to_have_attribute("lang", "pl")
