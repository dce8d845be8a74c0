"""Headers, error pages and health, over every address the site has."""

import math
import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from preference_center.db import db
from preference_center.errors import Conflict, DomainError, Invalid, NotAllowed, NotFound, Unavailable
from preference_center.web.headers import CONSOLE_POLICY, PUBLIC_POLICY
from tests.support import links, shop

HERE = Path(__file__).parent.parent.parent


def every_path(app: Flask) -> list[str]:
    """Each route once, with something in place of its parts."""
    rules = [rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())]
    return [re.sub(r"<[^>]+>", "1", rule.rule) for rule in rules] + ["/no-such-page", "/static/css/tokens.css"]


def test_every_answer_carries_the_headers(app: Flask, client: FlaskClient) -> None:
    """S51, V3.4.1, V3.4.3 to V3.4.6."""
    for path in every_path(app):
        with client.get(path) as answer:
            headers = answer.headers
        console = path == "/admin" or path.startswith("/admin/")
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors" in policy and "unsafe" not in policy, path
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Strict-Transport-Security"].startswith("max-age=31536000"), path
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", path
        if not console:
            assert policy == PUBLIC_POLICY, path
            assert headers["Referrer-Policy"] == "no-referrer", path
        if not path.startswith("/static/"):
            assert headers["Cache-Control"] == "no-store", path


def test_the_policies_allow_no_inline_code_and_no_other_host() -> None:
    for policy in (PUBLIC_POLICY, CONSOLE_POLICY):
        assert "require-trusted-types-for 'script'" in policy
        assert "base-uri 'none'" in policy and "form-action 'self'" in policy
        assert "http" not in policy and "*" not in policy
    assert "script-src" not in PUBLIC_POLICY


def test_personal_pages_are_not_for_search_engines(app: Flask, client: FlaskClient) -> None:
    """S51."""
    made = shop.topics()
    anna = shop.customer(made, "news")
    db.session.commit()
    for path in (links.manage(anna), links.unsub(anna), "/link"):
        assert client.get(path).headers["X-Robots-Tag"] == "noindex"
    assert "X-Robots-Tag" not in client.get("/subscribe").headers


def test_static_files_are_named_by_their_content(client: FlaskClient) -> None:
    page = client.get("/subscribe").text
    (address,) = re.findall(r'href="(/static/css/tokens\.css\?v=[0-9a-f]{10})"', page)
    with client.get(address) as named, client.get("/static/css/tokens.css") as plain:
        assert "immutable" in named.headers["Cache-Control"]
        assert "immutable" not in plain.headers["Cache-Control"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("There is no such thing."), 404),
        (NotAllowed("Not you."), 403),
        (Invalid("Not so."), 400),
        (Conflict("Too late."), 409),
        (Unavailable("Not now."), 503),
    ],
)
def test_an_error_of_the_house_becomes_a_page(app: Flask, client: FlaskClient, error: DomainError, status: int) -> None:
    def refuse() -> str:
        raise error

    app.view_functions["public.sign_up"] = refuse
    answer = client.get("/subscribe")
    assert answer.status_code == status
    # why something is not there is no sentence for people
    assert ("There is nothing here" if status == 404 else error.message) in answer.text
    assert ("Retry-After" in answer.headers) == (status == 503)


@pytest.mark.parametrize(
    ("method", "path", "data", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("POST", "/healthz", None, 405),
        ("POST", "/subscribe", b"x" * 70_000, 413),
    ],
)
def test_an_error_of_the_web_becomes_a_page(
    client: FlaskClient, method: str, path: str, data: bytes | None, status: int
) -> None:
    form = "application/x-www-form-urlencoded"
    answer = client.open(path, method=method, data=data, content_type=form if data else None)
    assert answer.status_code == status
    assert "<h1>" in answer.text
    assert ("Allow" in answer.headers) == (status == 405)


def test_a_database_that_is_away_says_that_nothing_changed(app: Flask, client: FlaskClient) -> None:
    def fail() -> str:
        raise OperationalError("SELECT secret", {"email": "anna@example.org"}, Exception("down"))

    app.view_functions["health.ready"] = fail
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "Nothing was changed" in answer.text and "anna" not in answer.text and "secret" not in answer.text


def test_alive_and_ready(client: FlaskClient) -> None:
    assert client.get("/healthz").text == "alive\n"
    assert client.get("/readyz").text == "ready\n"


def test_the_public_pages_are_light(client: FlaskClient) -> None:
    """Page and styles stay under 30 kB, with three topics, each with an example (`screens.md` 3.6)."""
    made = shop.topics()
    client.application.extensions["examples"] = (math.inf, dict.fromkeys(made, "a" * 16))
    anna = shop.customer(made, "news", "offers")
    db.session.commit()
    styles = sum((HERE / f"static/css/{name}.css").stat().st_size for name in ("tokens", "base", "public"))
    page = client.get(links.manage(anna))
    assert page.text.count('class="example"') == 3
    assert len(page.data) + styles < 30_000


FORBIDDEN = re.compile(r"\b(please|sorry|invalid|oops|submit|click here)\b", re.IGNORECASE)


def test_no_page_says_a_forbidden_word() -> None:
    """`screens.md` 3.5 and check 7 of section 6: in the words for people, not in attributes of tags."""
    folders = ("public", "email", "errors")
    files = [file for folder in folders for file in HERE.glob(f"templates/{folder}/**/*") if file.is_file()]
    assert len(files) > 20
    for file in files:
        for words in re.findall(r'_\("([^"]*)"', file.read_text()):
            assert not FORBIDDEN.search(words), (file.name, words)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_the_tokens_reach_aa_in_both_themes(theme: int) -> None:
    """WCAG 1.4.3 and 1.4.11."""
    css = (HERE / "static/css/tokens.css").read_text()
    tokens = {
        name: (light, dark)[theme]
        for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", css)
    }
    grounds = ("paper", "card")
    texts = [(text, ground) for text in ("ink", "ink-soft", "accent", "good", "warn", "bad") for ground in grounds]
    texts += [("accent-ink", "accent"), ("accent-ink", "accent-strong"), ("accent-strong", "accent-soft")]
    texts += [("ink", f"{kind}-soft") for kind in ("accent", "good", "warn", "bad")]
    texts += [(kind, f"{kind}-soft") for kind in ("accent", "good", "warn", "bad")]
    for text, ground in texts:
        assert contrast(tokens[text], tokens[ground]) >= 4.5, (text, ground)
    for edge in ("edge", "focus"):
        for ground in grounds:
            assert contrast(tokens[edge], tokens[ground]) >= 3, (edge, ground)
    assert contrast(tokens["focus"], tokens["focus-halo"]) >= 3


def test_browsers_without_light_dark_get_the_light_theme() -> None:
    css = (HERE / "static/css/tokens.css").read_text()
    plain = css.split("@supports not")[1]
    for name, light in re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6})", css):
        assert f"--{name}: {light};" in plain, name
