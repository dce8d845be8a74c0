"""The owner's look on the public pages: a stylesheet of its own, kept by browsers, found by its content."""

import html
import re

from flask.testing import FlaskClient

from preference_center.db import transaction
from preference_center.preferences import branding
from preference_center.web.public import look
from tests.web.public.conftest import Scene


def test_the_pages_wear_the_owners_name_and_colours(client: FlaskClient, scene: Scene) -> None:
    assert "/look/" not in client.get("/subscribe").text
    with transaction():
        branding.save("<Green> Shop", {"accent": "#00694a"})
    look.forget()
    page = client.get("/subscribe")
    assert '<span class="brand"><Green> Shop</span>' in html.unescape(page.text) and "<Green>" not in page.text
    (href,) = re.findall(r'href="(/look/[0-9a-f]{16}\.css)"', page.text)
    style = client.get(href)
    assert style.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "immutable" in style.headers["Cache-Control"] and "#00694a" in style.text
    assert "unsafe" not in page.headers["Content-Security-Policy"] and "Example Shop Ltd" in page.text
    assert client.get("/look/0000000000000000.css").status_code == 404
    with transaction():
        told = branding.save("", {"accent": "#ffd34d"})
    brand = branding.current()
    assert brand is not None and brand.css == told.css and told.corrections and "#ffd34d" not in brand.css


def test_another_process_finds_a_look_saved_a_moment_ago(client: FlaskClient, scene: Scene) -> None:
    client.get("/subscribe")  # this process now knows that there is none
    with transaction():
        branding.save("", {"accent": "#00694a"})
    brand = branding.current()
    assert brand is not None
    assert client.get(f"/look/{brand.digest}.css").status_code == 200
