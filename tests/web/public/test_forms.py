"""Sign-up forms of the owner's own: here, on other sites, in each language, with limits; and the mail sent once more."""

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from preference_center.consent import standing, vault, wordings
from preference_center.contacts import queries as contacts
from preference_center.db import db, transaction
from preference_center.errors import Conflict, Invalid
from preference_center.notices import letters
from preference_center.notices.models import Kind
from preference_center.preferences import forms
from preference_center.preferences.models import SignUpForm
from preference_center.web.guards import limiter
from preference_center.web.public import snippets
from tests.support import links
from tests.support.database_hash import digest
from tests.web.public.conftest import Scene

NEW = "new@example.org"


@pytest.fixture(autouse=True)
def no_limits(app: Flask) -> Iterator[None]:
    limiter.enabled = False
    yield
    limiter.enabled = True


@pytest.fixture
def shop_form(scene: Scene) -> SignUpForm:
    with transaction():
        words = {"title": "Letters from the shop", "lead": "Two kinds.", "thanks": "See you soon."}
        return forms.add("shop", ["offers", "news"], {"en": words}, asks_name=True)


def fields(text: str) -> dict[str, list[str]]:
    """The fields of the first form of a page, as a browser would send them unticked."""
    found: dict[str, list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", text):
        named = dict(re.findall(r'([a-z]+)="([^"]*)"', tag))
        if named.get("type") != "checkbox" and "name" in named:
            found.setdefault(named["name"], []).append(html.unescape(named.get("value", "")))
    return found


def test_a_form_offers_its_own_topics_in_its_own_words_and_order(client: FlaskClient, shop_form: SignUpForm) -> None:
    """S63."""
    text = client.get("/subscribe/shop").text
    assert re.findall(r'name="topic" value="([^"]*)"', text) == ["offers", "news"]
    assert "checked" not in text and "<h1>Letters from the shop</h1>" in text and "Two kinds." in text
    assert "I want to get Offers from Example Shop Ltd by email." in text
    assert 'autocomplete="given-name"' in text and 'autocomplete="given-name"' not in client.get("/subscribe").text
    answer = client.post("/subscribe/shop", data={"email": NEW, "topic": "events"})
    assert answer.status_code == 400, "a topic that is not of this form"


@pytest.mark.both_databases
def test_what_was_shown_where_and_the_name_are_kept_apart_until_confirmed(
    client: FlaskClient, scene: Scene, shop_form: SignUpForm
) -> None:
    """S64, S68; and no submitted text stands in the confirmation mail (`security.md` 3.8)."""
    data = {"email": NEW, "topic": ["offers"], "name": "Buy at\r\nhttp://evil.example \u202eNora"}
    answer = client.post("/subscribe/shop?lang=en", data=data, headers={"Origin": "https://shop.example"})
    assert "Check your inbox" in answer.text and "See you soon." in answer.text
    newcomer = contacts.by_email(NEW)
    assert newcomer is not None and newcomer.source == "form:shop" and newcomer.attributes == {}
    (notice,) = scene.notices()
    letter = letters.write(notice, newcomer)
    assert "Nora" not in letter.text + letter.html + letter.subject and "evil" not in letter.text + letter.html
    (record,) = standing.all_records(newcomer)
    detail = vault.open(newcomer.id)[record.id]
    assert (detail["form"], detail["site"]) == ("/subscribe/shop", "https://shop.example")
    client.post(links.confirm(newcomer, notice.payload["wish"]))
    db.session.rollback()
    assert newcomer.attributes == {"first_name": "Buy at http://evil.example Nora"}


def test_a_name_never_replaces_the_one_we_have(client: FlaskClient, scene: Scene, shop_form: SignUpForm) -> None:
    with transaction():
        scene.anna.attributes = {"first_name": "Anna"}
        forms.change(shop_form, ["events"], {}, asks_name=True, most=10)
    client.post("/subscribe/shop", data={"email": "anna@example.org", "topic": "events", "name": "Eve"})
    client.post(links.confirm(scene.anna, scene.notices()[-1].payload["wish"]))
    assert scene.on() == {"news", "offers", "events"} and scene.anna.attributes == {"first_name": "Anna"}


def test_no_text_in_a_language_no_form_in_it(client: FlaskClient, scene: Scene, shop_form: SignUpForm) -> None:
    """And the page names the languages there are."""
    for answer in (client.get("/subscribe/shop?lang=pl"), client.post("/subscribe/shop?lang=pl", data={"email": NEW})):
        assert answer.status_code == 404
        assert 'href="/subscribe/shop?lang=en"' in html.unescape(answer.text) and "<form" not in answer.text
    with transaction():
        wordings.publish(scene.topics["news"], "pl", "Chcę dostawać nowości.")
    assert client.get("/subscribe/shop?lang=pl").status_code == 404, "the form itself has no Polish words"
    with transaction():
        forms.change(shop_form, shop_form.topics, {}, asks_name=False, most=10)
    text = client.get("/subscribe/shop?lang=pl").text
    assert 'value="news"' in text and 'value="offers"' not in text, "each topic for itself"


def test_a_closed_and_an_unknown_form_are_not_there(client: FlaskClient, scene: Scene, shop_form: SignUpForm) -> None:
    with transaction():
        forms.close(shop_form)
    answers = [client.get("/subscribe/shop"), client.get("/subscribe/other"), client.post("/subscribe/shop")]
    assert {answer.status_code for answer in answers} == {404}
    assert answers[0].text.replace("shop", "other") == answers[1].text.replace("shop", "other")


def test_the_snippet_posts_here_and_consent_rests_on_the_text_it_showed(
    client: FlaskClient, scene: Scene, shop_form: SignUpForm
) -> None:
    """S69: the page of another site may be older than our newest text."""
    with client.application.test_request_context():
        text = snippets.html(shop_form, "en")
    assert "<script" not in text and "style" not in text and "checked" not in text
    assert 'action="https://mail.example.com/subscribe/shop?lang=en" method="post"' in text
    first = wordings.current(scene.topics["offers"], "en")
    assert first is not None
    labels = re.findall(r"<label><input type=\"checkbox\".*?</label>", text, re.S)
    assert len(labels) == 2 and first.text in labels[0], "the text belongs to its box, also to who cannot see them"
    with transaction():
        wordings.publish(scene.topics["offers"], "en", "A newer text.")
    sent = fields(text) | {"email": [NEW], "topic": ["offers"]}
    answer = client.post("/subscribe/shop?lang=en", data=sent, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200 and "Set-Cookie" not in answer.headers
    newcomer = contacts.by_email(NEW)
    assert newcomer is not None
    assert [record.wording_id for record in standing.all_records(newcomer)] == [first.id]
    with pytest.raises(Invalid, match="does not exist in es"):
        snippets.html(shop_form, "es")


@pytest.mark.parametrize(
    "shown", ["offers:999999", "offers:-1", "offers:x", "offers", "news:{offers}", "offers:{news}"]
)
def test_a_text_the_form_did_not_show_is_not_believed(
    client: FlaskClient, scene: Scene, shop_form: SignUpForm, shown: str
) -> None:
    ids = {key: wording.id for key in ("news", "offers") if (wording := wordings.current(scene.topics[key], "en"))}
    client.post("/subscribe/shop", data={"email": NEW, "topic": "offers", "shown": shown.format(**ids)})
    newcomer = contacts.by_email(NEW)
    own = [] if newcomer is None else [record.wording_id for record in standing.all_records(newcomer)]
    assert own in ([], [ids["offers"]])


def test_a_program_that_fills_in_everything_gets_the_same_page_and_nothing_is_stored(
    client: FlaskClient, shop_form: SignUpForm
) -> None:
    """S66: the field that people do not see."""
    before = digest()
    answer = client.post("/subscribe/shop", data={"email": NEW, "topic": "news", "website": "http://x.example"})
    assert (answer.status_code, digest()) == (200, before)
    assert "Check your inbox" in answer.text


def test_a_form_takes_only_so_many_an_hour_over_all_networks(
    client: FlaskClient, scene: Scene, shop_form: SignUpForm
) -> None:
    """S67: limits by form, besides those by address and by network."""
    limiter.enabled = True
    with transaction():
        forms.change(shop_form, ["news"], {}, asks_name=False, most=3)

    def answers(count: int, network: str) -> list[int]:
        posts = [
            client.post(
                "/subscribe/shop",
                data={"email": f"{network}.{n}@example.org", "topic": "news"},
                environ_base={"REMOTE_ADDR": f"192.0.2.{network}"},
            )
            for n in range(count)
        ]
        return [post.status_code for post in posts]

    assert client.post("/subscribe/shop", data={"email": "wrong"}).status_code == 400, "which does not count"
    assert answers(2, "1") + answers(2, "2") == [200, 200, 200, 429]
    assert client.post("/subscribe", data={"email": NEW, "topic": "news"}).status_code == 200, "another form goes on"


def test_the_mail_is_sent_once_more_after_a_minute_and_three_times_at_most(client: FlaskClient, scene: Scene) -> None:
    """`screens.md` 3.3; S67: 3 confirmation mails to one address in a day."""
    now = datetime.now(UTC)
    with time_machine.travel(now, tick=False) as clock:
        page = client.post("/subscribe", data={"email": NEW, "topic": "news"}).text
        assert "sent again after 60 seconds" in page
        again = lambda text: client.post("/subscribe", data=fields(text) | {"act": "again"}).text  # noqa: E731
        clock.shift(20)
        page = again(page)
        assert "sent again after 40 seconds" in page and len(scene.notices()) == 1
        for mails in (2, 3):
            clock.shift(61)
            page = again(page)
            assert len(scene.notices()) == mails
        assert "Send it again" not in page and "We send no more to this address today." in page
        clock.shift(61)
        again(page)
        client.post("/subscribe", data={"email": NEW, "topic": "news", "sent": "forged", "act": "again"})
        assert len(scene.notices()) == 3
    wishes = {notice.payload["wish"] for notice in scene.notices()}
    assert len(wishes) == 1 and {notice.kind for notice in scene.notices()} == {Kind.confirm_subscription}


def test_asking_again_tells_nothing_of_an_address(client: FlaskClient, scene: Scene) -> None:
    """S66: the same for somebody who follows it already, and for one nobody knows."""
    pages = []
    for email in ("anna@example.org", "nobody@example.org"):
        with time_machine.travel(datetime.now(UTC), tick=False) as clock:
            first = client.post("/subscribe", data={"email": email, "topic": "news"}).text
            clock.shift(timedelta(seconds=61))
            second = client.post("/subscribe", data=fields(first) | {"act": "again"}).text
        pages.append([re.sub(r'name="sent" value="[^"]*"', "", p.replace(email, "-")) for p in (first, second)])
    assert pages[0] == pages[1]


def test_the_address_can_be_corrected_with_everything_else_kept(client: FlaskClient, shop_form: SignUpForm) -> None:
    page = client.post("/subscribe/shop", data={"email": "typo@example.org", "topic": "news", "name": "Nora"}).text
    before = digest()
    back = client.post("/subscribe/shop", data=fields(page) | {"act": "change"})
    assert back.status_code == 200 and digest() == before
    assert 'value="typo@example.org"' in back.text and 'value="Nora"' in back.text
    assert re.findall(r'value="(\w+)" checked', back.text) == ["news"]


@pytest.mark.parametrize(
    ("key", "topics", "most"),
    [("Shop!", ["news"], 9), ("again", ["news"], 9), ("x" * 31, ["news"], 9), ("b", [], 9), ("b", ["nothing"], 9),
     ("b", ["orders"], 9), ("b", ["news"], 0), ("b", ["news"], 100_001)],
)  # fmt: skip
def test_a_form_that_cannot_be_is_refused(scene: Scene, key: str, topics: list[str], most: int) -> None:
    with pytest.raises(Invalid), transaction():
        forms.add(key, topics, most=most)
    with pytest.raises(Invalid), transaction():
        forms.add("c", ["news"], {"xx": {"title": "?"}})
    with transaction():
        forms.add("a", ["news"])
    with pytest.raises(Conflict), transaction():
        forms.add("a", ["news"])
    assert [form.key for form in forms.everything()] == ["a"]
