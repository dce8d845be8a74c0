"""Every public page and state × four languages × light and dark in a real browser: axe, width, zoom, targets, policy; and valid HTML.

S57 to S60; `screens.md` 6, checks 1 and 4.
"""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import html5lib
import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page

from preference_center import i18n
from preference_center.app import create_app
from preference_center.db import db, transaction
from preference_center.preferences import branding
from preference_center.web.guards import limiter
from preference_center.web.headers import PUBLIC_POLICY
from preference_center.web.public import look
from tests.conftest import make_settings
from tests.support.bell import WrittenBell
from tests.support.browser import RULES_OF_COLOUR, chromium, served
from tests.web.public import states
from tests.web.public.states import States

pytestmark = pytest.mark.browser

ALL_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
LANGUAGES = list(i18n.LANGUAGES)


@dataclass
class Site:
    app: Flask
    states: States
    address: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Site]:
    """All states, made once and only looked at."""
    folder = tmp_path_factory.mktemp("every_page")
    shutil.copy(sqlite_template, folder / "test.db")
    settings = make_settings(folder, f"sqlite:///{folder / 'test.db'}", privacy_url="https://example.com/privacy")
    app = create_app(replace(settings, public_url="http://127.0.0.1"), bell=WrittenBell())
    limiter.enabled = False
    with app.app_context():
        made = states.build(app)
        with served(app) as address:
            yield Site(app, made, address)
        db.session.remove()
        db.engine.dispose()
    limiter.enabled = True


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def context(browser: Browser, site: Site, **more: Any) -> BrowserContext:
    # axe is put into the page by the test, which the pages' own policy rightly forbids
    made = browser.new_context(base_url=site.address, bypass_csp=True, **more)
    made.set_default_timeout(60_000)
    made.add_init_script(path=AXE_FILE_PATH)
    return made


def go(page: Page, path: str, data: dict[str, list[str]] | None) -> None:
    """Open the address, or post there as a form of the page that is open would."""
    if data is None:
        page.goto(path)
        return
    if page.url == "about:blank":
        page.goto("/healthz")
    with page.expect_navigation():
        page.evaluate(
            """([path, data]) => {
                const form = document.createElement('form');
                Object.assign(form, {method: 'post', action: path});
                for (const [name, values] of Object.entries(data)) for (const value of values) {
                    form.append(Object.assign(document.createElement('input'), {type: 'hidden', name, value}));
                }
                document.body.append(form);
                form.submit();
            }""",
            [path, data],
        )


def faults(page: Page, rules: dict[str, Any]) -> list[str]:
    found = page.evaluate("options => axe.run(document, {...options, resultTypes: ['violations']})", rules)
    return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found["violations"]]


OPEN_ALL = "document.querySelectorAll('details').forEach((one, at) => { one.open = at < 12 })"  # the whole of one's data is long
SMALL = """[...document.querySelectorAll('button, summary, label.tick, a.button, .often label, .chip label')]
    .filter(one => one.checkVisibility()).map(one => [one.textContent.trim(), one.getBoundingClientRect().height])
    .filter(([, height]) => height < 24)"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_accessible_in_both_themes_and_fits(browser: Browser, site: Site, language: str) -> None:
    """S58, S59: axe finds nothing; nothing is cut off at 320 px, which is also 1280 px at 400 % zoom; nothing comes from elsewhere."""
    here = context(browser, site, viewport={"width": 320, "height": 256}, color_scheme="light")
    page, wrong, elsewhere = here.new_page(), {}, []
    page.on("request", lambda asked: None if asked.url.startswith(site.address) else elsewhere.append(asked.url))
    for name, (path, data) in site.states.at(language).items():
        page.emulate_media(color_scheme="light")
        go(page, path, data)
        page.evaluate(OPEN_ALL)
        found: list[Any] = faults(page, ALL_RULES)
        page.emulate_media(color_scheme="dark")  # nothing but colour differs
        found += faults(page, RULES_OF_COLOUR)
        found += [f"wide: {w}" for w in [page.evaluate("document.documentElement.scrollWidth")] if w > 320]
        found += page.evaluate(SMALL)
        if found:
            wrong[name] = found
    here.close()
    assert (wrong, elsewhere) == ({}, [])


def test_axe_would_find_a_fault(browser: Browser, site: Site) -> None:
    here = context(browser, site, color_scheme="dark")
    page = here.new_page()
    page.goto("/healthz")
    page.evaluate("document.body.innerHTML = '<p style=\"color:#999;background:#fff\">faint</p>'")
    assert [fault for fault in faults(page, RULES_OF_COLOUR) if fault.startswith("color-contrast")]
    assert faults(page, ALL_RULES)
    here.close()


def test_no_page_breaks_its_own_policy(browser: Browser, site: Site) -> None:
    """`screens.md` 6, check 4: nothing on the console, no script, no font, no cookie."""
    here = browser.new_context(base_url=site.address, viewport={"width": 1280, "height": 900})
    here.set_default_timeout(60_000)
    page, said, loaded = here.new_page(), [], set()
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda asked: loaded.add(asked.resource_type))
    for path, data in site.states.at("en").values():
        if data is None:
            page.goto(path)
    assert [text for text in said if not re.search(r"status of (404|410|429|500|503)", text)] == []
    assert loaded <= {"document", "stylesheet", "image", "other"} and here.cookies() == []
    here.close()


def test_pages_are_printed_dark_on_white_without_what_only_a_screen_can_do(browser: Browser, site: Site) -> None:
    """`screens.md` 3.4: also for somebody whose screen is dark."""
    here = context(browser, site, viewport={"width": 700, "height": 900}, color_scheme="dark")
    page = here.new_page()
    page.emulate_media(media="print")
    states_ = site.states.at("pl")
    for name in ("preferences, two on", "receipt", "data"):
        page.goto(states_[name][0])
        assert faults(page, RULES_OF_COLOUR) == [], name
        ground = page.evaluate("getComputedStyle(document.documentElement).colorScheme")
        assert ground == "light", name
        assert not page.locator(".languages, .break, .save button").filter(visible=True).count(), name
    here.close()


def test_pages_can_be_read_in_the_owners_colours(browser: Browser, site: Site) -> None:
    """Issue 3.14: a look whose colours had to be corrected, in both themes."""
    with transaction():
        branding.save("Żółty Sklep", {"accent": "#ffd400", "paper": "#fffbe6", "ink": "#777777"})
    look.forget()
    here = context(browser, site, viewport={"width": 360, "height": 640})
    page, wrong = here.new_page(), {}
    shown = site.states.at("pl")
    for name in ("saved", "preferences, paused", "sign-up, nothing filled in"):
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            go(page, *shown[name])
            page.evaluate(OPEN_ALL)
            if found := faults(page, RULES_OF_COLOUR):
                wrong[name, theme] = found
            assert page.locator(".brand").text_content() == "Żółty Sklep"
    here.close()
    with transaction():
        branding.save("", {})
    look.forget()
    assert wrong == {}


def test_help_stands_in_the_same_place_on_every_page_and_nothing_is_asked_twice(site: Site) -> None:
    """S60: WCAG 3.2.6 and 3.3.7."""
    client = site.app.test_client(use_cookies=False)
    places, asked = Counter[tuple[str, ...]](), {}
    for name, (path, data) in site.states.at("en").items():
        answer = client.get(path.partition("#")[0]) if data is None else client.post(path, data=data)
        foot = answer.text.partition("<footer")[2]
        places[tuple(re.findall(r">(Privacy notice|Your data|Help: [^<]*)<", foot))] += 1
        fields = re.findall(r'<input[^>]*name="(email|name)"(?![^>]*type="hidden")[^>]*>', answer.text)
        if len(fields) != len(set(fields)):
            asked[name] = fields
    assert len(places) == 1 and len(next(iter(places))) == 3, places
    assert asked == {}


LARGE = (
    "time zone",
    "data",
    "preferences, fifteen topics in groups",
)  # 400 zones; all one holds; five times the topics


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_light_and_holds_nothing_of_others(site: Site, language: str) -> None:
    """S51; `screens.md` 6, check 4: under 30 kB with its styles in every state, no script, no font, no other host, no `unsafe`."""
    client = site.app.test_client(use_cookies=False)
    styles: dict[str, int] = {}
    wrong = {}
    for name, (path, data) in site.states.at(language).items():
        answer = client.get(path.partition("#")[0]) if data is None else client.post(path, data=data)
        weight = len(answer.data)
        for style in re.findall(r'<link rel="stylesheet" href="([^"]+)"', answer.text):
            if style not in styles:
                with client.get(style) as css:
                    styles[style] = len(css.data)
                    assert not re.search(rb"@import|@font-face|url\((?!.?data:)", css.data), style
            weight += styles[style]
        found = re.findall(r"<script|<style|<img[^>]*//|\sstyle=|\son\w+=|<link[^>]*//", answer.text)
        headers = answer.headers
        policy = headers["Content-Security-Policy"].removesuffix(
            "; frame-src 'self'"
        )  # a mail in the archive is framed
        said = (policy, headers["Referrer-Policy"], headers["Cache-Control"])
        if found or said != (PUBLIC_POLICY, "no-referrer", "no-store") or (weight >= 30_000 and name not in LARGE):
            wrong[name] = (weight, found, said)
    assert wrong == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_valid_html(site: Site, language: str) -> None:
    """Parsed strictly; each id once; each label, description and fragment leads somewhere; one h1; the language is said, and kept."""
    client = site.app.test_client(use_cookies=False)
    wrong = {}
    for name, (path, data) in site.states.at(language).items():
        answer = client.get(path.partition("#")[0]) if data is None else client.post(path, data=data)
        if found := invalid(answer.text, language) + forgotten(answer.text, language):
            wrong[name] = found
    assert wrong == {}


def invalid(text: str, language: str) -> list[str]:
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    tree = parser.parse(text)
    found = [f"{place}: {code}" for place, code, _ in parser.errors]
    ids = Counter(one.get("id") for one in tree.iter() if one.get("id"))
    found += [f"{id_} stands {count} times" for id_, count in ids.items() if count > 1]
    for one in tree.iter():
        if not isinstance(one.tag, str):
            continue
        for attribute in ("for", "aria-describedby", "aria-labelledby"):
            found += [f"{attribute}={id_} leads nowhere" for id_ in one.get(attribute, "").split() if id_ not in ids]
        if one.tag == "a" and one.get("href", "").startswith("#") and one.get("href", "")[1:] not in ids:
            found.append(f"{one.get('href')} leads nowhere")
    labelled = {one.get("for") for one in tree.iter("label")}
    within = {id(field) for label in tree.iter("label") for field in label.iter()}
    for one in [field for tag in ("input", "select", "textarea") for field in tree.iter(tag)]:
        if one.get("type") not in ("hidden", "submit") and one.get("id") not in labelled and id(one) not in within:
            found.append(f"the field {one.get('name')} has no label")
    heads = [len(list(tree.iter("h1"))), len(list(tree.iter("main"))), len(list(tree.iter("title")))]
    root = tree if tree.tag == "html" else tree.find("html")
    found += [f"h1, main, title: {heads}"] if heads != [1, 1, 1] else []
    return found + ([] if root is not None and root.get("lang") == language else ["the language is not said"])


def forgotten(text: str, language: str) -> list[str]:
    """Forms whose answer would not be in the language chosen for the page. The preference page writes it down instead."""
    actions = re.findall(r'<form [^>]*action="([^"]*)"', text)
    kept = re.compile(rf"/p/[^/?]+(/data)?|.*[?;]lang={language}")
    return [f"{action} forgets the language" for action in actions if not kept.fullmatch(action)]


@pytest.mark.parametrize(
    "broken",
    ["<p><div></p></div>", '<a href="#no">', '<i id="a"></i><i id="a"></i>', '<label for="x">', '<input name="n">'],
)
def test_a_fault_in_html_is_found(broken: str) -> None:
    page = '<!doctype html><html lang="en"><head><title>x</title></head><body><main><h1>x</h1>{}</main></body></html>'
    assert invalid(page.format(""), "en") == []
    assert invalid(page.format(broken), "en") != []
