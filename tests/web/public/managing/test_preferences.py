"""The preference page: what it shows, what each of its forms does, and what it refuses."""

import html
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from preference_center.consent import eligibility, ledger, wordings
from preference_center.consent.ledger import Evidence
from preference_center.contacts.models import Attribute, AttributeKind
from preference_center.db import db, transaction
from preference_center.notices.models import Kind
from preference_center.preferences import choices
from preference_center.preferences.offer import Offer
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics import catalogue
from preference_center.topics.models import TopicText
from preference_center.web import guards
from preference_center.web.public.managing import preference_page
from tests.support import links, make, shop
from tests.support.database_hash import digest
from tests.web.public.conftest import Scene


class Page:
    """The preference page as a person has it open: its form is sent as it was shown."""

    def __init__(self, client: FlaskClient, path: str) -> None:
        self.client, self.path = client, path
        self.load(client.get(path))

    def load(self, answer: TestResponse) -> None:
        self.answer, self.text = answer, html.unescape(answer.text)
        self.shown = re.findall(r'name="shown" value="([^"]*)"', self.text)
        self.ticked = set(re.findall(r'name="topic" value="([^"]*)" checked', self.text))
        self.receipt = next(iter(re.findall(r'name="receipt" value="([^"]*)"', self.text)), "")
        self.proof = next(iter(re.findall(r'name="proof" type="hidden" value="([^"]*)"', self.text)), "")

    def press(self, act: str, **fields: object) -> TestResponse:
        data = {"proof": self.proof, "act": act, **fields}
        answer = self.client.post(self.path, data=data)
        self.load(self.client.get(answer.location) if answer.status_code == 303 else answer)
        return answer

    def save(self, *ticked: str) -> TestResponse:
        return self.press("save", shown=self.shown, topic=list(ticked))


@pytest.fixture
def page(client: FlaskClient, scene: Scene) -> Page:
    return Page(client, links.manage(scene.anna))


def test_it_shows_what_one_gets_since_when_and_by_what(page: Page) -> None:
    """S46, S48, S49."""
    assert page.ticked == {"news", "offers"}
    assert "for a•••@example.org" in page.text
    assert "anna@" not in page.text
    assert "On since May 3, 2026, by the sign-up form" in page.text
    assert "May 3, 2026, 2:02:00" in page.text
    assert "I want to get Offers from Example Shop Ltd by email." in page.text
    assert "Order messages" in page.text and 'value="orders"' not in page.text
    assert "<script" not in page.text and "Set-Cookie" not in page.answer.headers
    assert 'type="text"' not in page.text and "<textarea" not in page.text


def test_stop_all_comes_before_the_topics(page: Page) -> None:
    """S47; the browser test measures it."""
    assert page.text.index("Stop all marketing emails") < page.text.index("What you get")


def test_saving_changes_what_was_changed_and_names_it(page: Page, scene: Scene) -> None:
    """S50, S55, and the notice to the owner of the address (`security.md` 3.2)."""
    answer = page.save("news", "events")
    assert answer.status_code == 303
    assert scene.on() == {"news", "events"}
    assert "Saved. You will get 2 topics." in re.sub(r"<[^>]+>", "", page.text)
    assert "Turned on: Events." in page.text and "Turned off: Offers." in page.text
    off, on = scene.records()
    assert (off.action, on.action, on.source, on.language) == ("withdrawn", "given", "link", "en")
    shown = wordings.current(scene.topics["events"], "en")
    assert shown is not None and on.wording_id == shown.id
    (notice,) = scene.notices()
    assert (notice.kind, notice.payload) == (Kind.topic_turned_on, {"topics": ["events"]})


def test_how_often_is_asked_where_it_is_offered_and_kept(page: Page, scene: Scene) -> None:
    """S46; that the judge keeps it: tests/consent/test_cadences.py and tests/delivery/test_chunks.py."""
    assert "How often" not in page.text
    with transaction():
        catalogue.offer_cadence(scene.topics["offers"], True)
    page.load(page.client.get(page.path))
    page.press("save", **{"shown": page.shown, "topic": ["news", "offers"], "often-offers": "weekly"})
    assert "Offers: at most once a week." in page.text
    assert 'name="often-offers" value="weekly" checked' in page.text and 'name="often-news"' not in page.text
    assert [record.action for record in scene.records()] == ["weekly"]
    page.press("undo", receipt=page.receipt)
    assert 'name="often-offers" value="each" checked' in page.text
    assert scene.on() == {"news", "offers"}


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (Cause.bounce, "Our emails to this address came back"),
        (Cause.complaint, "reported as unwanted"),
        (Cause.manual, "We hold back all emails"),
        (None, "The use of your data is restricted."),
    ],
)
def test_it_does_not_promise_mail_that_is_held_back(page: Page, scene: Scene, cause: Cause | None, said: str) -> None:
    with transaction():
        assert scene.anna.address_hash is not None
        if cause:
            register.suppress(scene.anna.address_hash, cause, "test")
        else:
            scene.anna.restricted_at = datetime.now(UTC)
    page.load(page.client.get(page.path))
    assert said in page.text and "You get nothing at the moment." in page.text
    page.save("news")
    assert "You will get" not in page.text and scene.on() == {"news"}


def test_a_stale_tab_does_not_undo_how_often(client: FlaskClient, scene: Scene) -> None:
    """S61."""
    with transaction():
        catalogue.offer_cadence(scene.topics["offers"], True)
    stale, fresh = Page(client, links.manage(scene.anna)), Page(client, links.manage(scene.anna))
    fresh.press("save", **{"shown": fresh.shown, "topic": ["news", "offers"], "often-offers": "monthly"})
    stale.press("save", **{"shown": stale.shown, "topic": ["offers"], "often-offers": "each"})
    assert scene.on() == {"offers"}
    assert 'name="often-offers" value="monthly" checked' in stale.text


def test_who_is_too_young_is_told_on_the_page_and_nothing_is_turned_on(page: Page, scene: Scene) -> None:  # S79
    with transaction():
        db.session.add(Attribute(key="age", name="Age", kind=AttributeKind.number, created_at=datetime.now(UTC)))
        scene.anna.attributes = {"age": 9}
    assert page.save("news", "offers", "events").status_code == 400
    assert "This person is too young to agree alone." in page.text and "<title>Error:" in page.text
    assert 'href="#topic"' not in page.text, "there is no such place on the page"
    assert scene.on() == {"news", "offers"} and scene.records() == []


def test_saving_without_a_change_says_so(page: Page, scene: Scene) -> None:
    page.save("news", "offers")
    assert "No changes to save." in page.text
    assert scene.records() == []


def test_undo_takes_a_save_back_once(page: Page, scene: Scene) -> None:
    page.save("events")
    receipt = page.receipt
    page.press("undo", receipt=receipt)
    assert scene.on() == {"news", "offers"}
    assert "Undone." in page.text
    assert page.press("undo", receipt=receipt).status_code == 409
    assert page.press("undo", receipt="forged").status_code == 409


def test_undo_ends_after_half_an_hour(page: Page, scene: Scene) -> None:
    page.save("news")
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=31)):
        assert page.press("undo", receipt=page.receipt).status_code == 409
    assert scene.on() == {"news"}


def test_a_stale_tab_never_undoes_an_opt_out(client: FlaskClient, scene: Scene) -> None:
    """S61."""
    stale, fresh = Page(client, links.manage(scene.anna)), Page(client, links.manage(scene.anna))
    fresh.save("news")
    stale.save("news", "offers", "events")
    assert scene.on() == {"news", "events"}
    plain = re.sub(r"<[^>]+>|\s+", " ", stale.text)
    assert "Now: Off since" in re.sub(" +", " ", plain) and "On the page you saved: on" in re.sub(" +", " ", plain)
    assert stale.ticked == {"news", "events"}, "nothing is ticked that was not granted"
    stale.save("news", "events", "offers")
    assert scene.on() == {"news", "events", "offers"}, "the person, told of it, may say so again"
    assert "On the page you saved" not in stale.text


def test_one_press_stops_everything_and_undo_brings_it_back(page: Page, scene: Scene) -> None:
    """S45, S47, S54."""
    page.press("stop_all")
    assert scene.on() == set()
    assert "You will get no marketing emails from us." in page.text
    assert "To start again, tick what you want and save." in page.text
    page.press("undo", receipt=page.receipt)
    assert scene.on() == {"news", "offers"}
    assert "To start again" not in page.text


def test_starting_again_after_stop_all_is_fresh_consent_for_that_topic_only(page: Page, scene: Scene) -> None:
    page.press("stop_all")
    page.save("news")
    assert scene.on() == {"news"}
    with transaction():
        assert eligibility.verdict(scene.topics["news"], scene.anna, datetime.now(UTC)).allowed


@pytest.mark.parametrize(("fields", "days"), [({"length": "30"}, 30), ({"length": "90"}, 90)])
def test_a_break_ends_by_itself_and_is_no_withdrawal(
    page: Page, scene: Scene, fields: dict[str, str], days: int
) -> None:
    """S62."""
    page.press("pause", **fields)
    assert "Paused until" in page.text
    now, news = datetime.now(UTC), scene.topics["news"]
    assert scene.on() == {"news", "offers"}
    assert eligibility.verdict(news, scene.anna, now).reason == "paused_by_contact"
    assert eligibility.verdict(news, scene.anna, now + timedelta(days=days + 1)).allowed
    page.press("stop_all")
    assert scene.on() == set()
    assert eligibility.verdict(news, scene.anna, now + timedelta(days=days + 1)).reason == "withdrawn"


def test_a_break_can_end_early_or_be_taken_back(page: Page, scene: Scene) -> None:
    until = (datetime.now(UTC) + timedelta(days=10)).date().isoformat()
    page.press("pause", length="until", until=until)
    page.press("resume")
    assert "Paused until" not in page.text
    page.press("undo", receipt=page.receipt)
    assert "Paused until" in page.text


@pytest.mark.parametrize("until", ["", "yesterday", "2020-02-30", "2020-02-29", "9999-12-31", "-1", "1" * 500])
def test_a_break_needs_a_day_within_a_year(page: Page, scene: Scene, until: str) -> None:
    answer = page.press("pause", length="until", until=until)
    assert answer.status_code == 400
    assert "<title>Error:" in page.text
    assert 'href="#until"' in page.text and 'id="until-fault"' in page.text
    assert scene.records() == []


def test_a_language_is_saved_for_the_contact(page: Page, scene: Scene) -> None:
    page.press("speak", language="pl")
    assert '<html lang="pl">' in page.text
    assert '<html lang="pl">' in page.client.get(page.path, headers={"Accept-Language": "es"}).text
    assert page.press("speak", language="../../etc").status_code == 400


def test_a_time_zone_is_kept_only_when_it_was_chosen(page: Page, scene: Scene) -> None:
    zones = page.client.get(f"{page.path}/zone")
    assert 'value="Europe/Warsaw">Warsaw<' in zones.text and 'label="Poland"' in zones.text
    assert "selected" not in zones.text and scene.anna.time_zone is None
    for wrong in ("", "Mars/Base", "../../etc/passwd", "Etc/GMT+25"):
        assert page.press("live_in", zone=wrong).status_code == 400
    page.press("live_in", zone="Europe/Warsaw")
    assert "now told for your time zone" in page.text and "Time zone: Warsaw" in page.text
    assert "May 3, 2026, 4:02:00" in page.text
    assert 'value="Europe/Warsaw" selected' in page.client.get(f"{page.path}/zone").text


def test_without_a_text_in_ones_language_a_topic_can_be_left_but_not_joined(page: Page, scene: Scene) -> None:
    """Consent is given to a text one can read; leaving needs no text."""
    page.press("speak", language="pl")
    assert [shown.split(":")[0] for shown in page.shown] == ["news", "offers"]
    page.save("news")
    assert scene.on() == {"news"}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"shown": ["news:1:1"], "topic": ["nothing"]}, id="unknown topic"),
        pytest.param({"shown": ["secret:0:1"], "topic": ["secret"]}, id="topic not offered"),
        pytest.param({"shown": ["orders:0:1"], "topic": ["orders"]}, id="service mail"),
        pytest.param({"shown": ["news:1:1"], "topic": ["events"]}, id="topic not shown"),
        pytest.param({"shown": ["events:0:1"], "topic": ["events"]}, id="text of another topic"),
        pytest.param({"shown": ["events:0:999"], "topic": ["events"]}, id="text that does not exist"),
        pytest.param({"shown": ["events:0:"], "topic": ["events"]}, id="no text"),
        pytest.param({"shown": ["events:maybe:3"]}, id="wrong type"),
        pytest.param({"shown": ["events:0:-3"]}, id="negative"),
        pytest.param({"shown": ["news:1:1"] * 3, "topic": ["x"] * 500}, id="five hundred ids"),
        pytest.param({"shown": ["news:1:1:daily"], "topic": ["news"]}, id="a cadence there is not"),
        pytest.param({"shown": ["news:1:1:each"], "topic": ["news"], "often-news": "daily"}, id="choosing one"),
    ],
)
def test_a_form_that_the_page_did_not_make_changes_nothing(page: Page, scene: Scene, fields: dict[str, object]) -> None:
    with transaction():
        text = TopicText(language="en", name="Secret")
        catalogue.add("secret", {"en": text}, public=False)
    before = digest()
    assert page.press("save", **fields).status_code == 400
    assert digest() == before


def test_ten_thousand_fields_are_too_many(page: Page, scene: Scene) -> None:
    assert page.press("save", shown=["news:1:1"], topic=["news"] * 10_000).status_code in (400, 413)
    assert scene.on() == {"news", "offers"}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        pytest.param({"proof": ""}, 400, id="no anti-forgery value"),
        pytest.param({"proof": "0" * 32}, 400, id="a wrong one"),
        pytest.param({"act": ""}, 400, id="no act"),
        pytest.param({"act": "erase"}, 400, id="an unknown act"),
    ],
)
def test_a_forged_post_changes_nothing(page: Page, scene: Scene, change: dict[str, str], status: int) -> None:
    """S50."""
    before = digest()
    answer = page.client.post(page.path, data={"proof": page.proof, "act": "stop_all"} | change)
    assert answer.status_code == status
    assert digest() == before


def test_a_post_from_another_site_or_with_another_links_proof_changes_nothing(page: Page, scene: Scene) -> None:
    """S50."""
    with transaction():
        other = make.contact("other@example.org")
        proof = guards.proof(links.manage(other).removeprefix("/p/"))
    data = {"proof": page.proof, "act": "stop_all"}
    before = digest()
    assert page.client.post(page.path, data=data, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert page.client.post(page.path, data=data | {"proof": proof}).status_code == 400
    assert digest() == before


def test_an_expired_link_and_one_of_an_earlier_epoch_offer_a_new_one(client: FlaskClient, scene: Scene) -> None:
    path = links.manage(scene.anna)
    with time_machine.travel(datetime.now(UTC) + timedelta(days=181)):
        expired = client.get(path)
    with transaction():
        scene.anna.link_epoch += 1
    ended = client.get(path)
    assert (expired.status_code, ended.status_code) == (404, 404)
    assert expired.text == ended.text
    assert "Email me a new link" in expired.text
    assert client.post(path, data={"act": "stop_all"}).status_code == 404


@pytest.mark.parametrize("count", [0, 1, 12])
def test_any_number_of_topics_fits(client: FlaskClient, app: object, count: int) -> None:
    with transaction():
        for number in range(count):
            topic = make.topic(f"t{number}", f"Topic {number} " + "with a very long name " * 3)
            wordings.publish_defaults(topic)
        anna = make.contact()
        path = links.manage(anna)
    page = Page(client, path)
    assert page.answer.status_code == 200
    assert len(page.shown) == count
    assert len(page.answer.data) < 30_000


def test_hostile_texts_are_shown_as_text(client: FlaskClient, app: object) -> None:
    with transaction():
        topic = make.topic("x", "<script>alert(1)</script>{{ 7*7 }}\"'")
        wordings.publish(topic, "en", "<img src=x onerror=alert(1)>")
        anna = make.follower(topic, time_zone="Etc/<b>", language="xx")
        path = links.manage(anna)
    text = client.get(path).text
    assert "<script" not in text and "<img" not in text and "49" not in text.split("alert(1)")[1][:40]


def test_a_topic_retired_while_the_page_was_open_holds_up_no_opt_out(page: Page, scene: Scene) -> None:
    """S61; and its follower is told that it has ended."""
    with transaction():
        catalogue.retire(scene.topics["news"])
    assert page.save("news").status_code == 303
    assert scene.on() == {"news"}, "offers is off; the retired one stays as it was"
    assert "Product news" in page.text and "Has ended." in page.text


def test_more_than_eight_topics_stand_in_the_owners_groups(client: FlaskClient, app: object) -> None:
    with transaction():
        for number in range(9):
            topic = make.topic(f"t{number}", f"Topic {number}")
            catalogue.reword(topic, "en", f"Topic {number}", heading="Shop" if number < 5 else "Magazine")
            wordings.publish_defaults(topic)
        catalogue.arrange(["t8", "t0"])
        path = links.manage(make.contact())
    page = Page(client, path)
    assert re.findall(r'class="group">([^<]*)<', page.text) == ["Magazine", "Shop", "Magazine"]
    assert [shown.split(":")[0] for shown in page.shown][:3] == ["t8", "t0", "t1"]
    with transaction():
        catalogue.retire(catalogue.by_key("t3"))
    assert 'class="group"' not in Page(client, path).text, "eight need no groups"


def test_a_retired_topic_is_not_offered_and_a_hidden_one_only_to_its_followers(
    client: FlaskClient, scene: Scene
) -> None:
    with transaction():
        catalogue.retire(scene.topics["news"])
        scene.topics["offers"].public = False
    assert Page(client, links.manage(scene.anna)).ticked == {"offers"}
    with transaction():
        other = shop.customer(scene.topics, email="other@example.org")
        path = links.manage(other)
    assert [shown.split(":")[0] for shown in Page(client, path).shown] == ["events"]


def test_consent_rests_on_the_version_that_was_shown(page: Page, scene: Scene) -> None:
    """S69."""
    first = wordings.current(scene.topics["events"], "en")
    assert first is not None
    with transaction():
        wordings.publish(scene.topics["events"], "en", "A new text.")
    page.save("news", "offers", "events")
    assert scene.records()[0].wording_id == first.id


@pytest.mark.both_databases
def test_the_choices_are_judged_at_once(scene: Scene) -> None:
    with transaction():
        choices.stop_topic(scene.anna, scene.topics["news"], Evidence(source="link", language="en"))
        assert eligibility.verdict(scene.topics["news"], scene.anna, datetime.now(UTC)).reason == "withdrawn"
        assert ledger.withdraw(scene.anna, scene.topics["news"], Evidence(source="link")) is None


def test_whoever_toggles_a_topic_for_ever_does_not_flood_the_mailbox(page: Page, scene: Scene) -> None:
    for _ in range(8):
        page.save("news", "offers", "events")
        page.save("news", "offers")
    assert len(scene.notices()) == choices.MOST_TOLD_A_DAY
    assert scene.on() == {"news", "offers"}


def test_names_in_another_language_say_so(page: Page, scene: Scene) -> None:
    """WCAG 3.1.2: the topics are named in English alone."""
    text = page.client.get(page.path + "?lang=pl").text
    assert '<span class="name" lang="en">Order messages</span>' in text
    assert (
        '<span lang="en">Confirmations, invoices' in text and '<span class="name" lang="en">Product news</span>' in text
    )


def test_what_is_sent_besides_the_choices_is_not_kept_by_the_page(page: Page, scene: Scene, app: Flask) -> None:
    page.press("nothing we know")
    before = len(app.extensions["stencils"])
    for number in range(5):
        page.press("nothing we know", **{"often-offers": f"{number}" * 1000})
    assert len(app.extensions["stencils"]) == before


def test_breaks_that_end_on_one_day_are_shown_on_one_page(app: Flask, scene: Scene) -> None:
    """What is kept for everybody is kept once for a day, not once for each moment of it."""
    seen, drawn = choices.look_up(scene.anna.public_id), list[int]()
    noon = datetime(2040, 5, 3, 12, tzinfo=UTC)
    with app.test_request_context():
        offered = Offer(catalogue.everything())
        today = choices.among(offered, seen, "en")
        for until in (noon, noon + timedelta(minutes=1), noon + timedelta(days=1)):
            page = preference_page.html("1.link", seen, "en", offered, replace(today, paused_until=until))
            assert f"May {until.day}, 2040" in page
            drawn.append(len(offered._drawn))
    assert drawn == [1, 1, 2]
