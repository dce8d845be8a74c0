"""The topic pages: adding, wording, retiring."""

import pytest

from preference_center.consent import wordings
from preference_center.db import db
from preference_center.topics import catalogue
from preference_center.topics.models import Topic
from tests.web.admin.conftest import Console, words

OFFERS = {
    "key": "offers",
    "name": "Offers",
    "description": "Discounts.",
    "cadence": "At most weekly.",
    "language": "en",
    "purpose": "email_marketing",
    "public": "y",
}


def test_a_topic_is_added_with_its_consent_text(owner: Console) -> None:
    owner.get("/admin/topics/new")
    assert owner.post("/admin/topics/new", OFFERS).headers["Location"] == "/admin/topics/offers"
    text = owner.text("/admin/topics/offers")
    assert "I want to get Offers from Example Shop Ltd by email. I can stop at any time." in text
    assert "Offers offers Marketing by email" in owner.text("/admin/topics")


@pytest.mark.parametrize(
    "change",
    [
        {"key": ""},
        {"key": "Offers!"},
        {"key": "x" * 40},
        {"name": ""},
        {"name": "x" * 81},
        {"purpose": "world_domination"},
        {"language": "xx"},
        {"key": "news"},
    ],
)
def test_a_topic_that_cannot_be_is_said_beside_its_field_and_nothing_is_lost(
    owner: Console, news: Topic, change: dict[str, str]
) -> None:
    answer = owner.post("/admin/topics/new", OFFERS | {"description": "Kept words."} | change)
    assert answer.status_code == 422
    assert "Something needs changing" in words(answer)
    assert "Kept words." in answer.get_data(as_text=True)
    assert [topic.key for topic in catalogue.everything()] == ["news"]


def test_texts_are_written_per_language(owner: Console, news: Topic) -> None:
    owner.get("/admin/topics/news")
    path = "/admin/topics/news/texts/pl"
    assert owner.post(path, {"pl-name": "", "pl-description": "Nowe."}).status_code == 422
    assert (
        owner.post(path, {"pl-name": "Nowości", "pl-description": "Nowe rzeczy.", "pl-cadence": ""}).status_code == 302
    )
    db.session.expire_all()
    assert catalogue.by_key("news").text("pl").name == "Nowości"
    assert catalogue.by_key("news").text("en").name == "Product news"
    assert owner.post("/admin/topics/news/texts/xx", {"xx-name": "?"}).status_code == 422


def test_a_new_consent_text_leaves_the_old_one_on_file(owner: Console, news: Topic) -> None:
    path = "/admin/topics/news/wordings/en"
    for text in ("First words.", "Second words."):
        owner.get("/admin/topics/news")
        assert owner.post(path, {"text": text}).status_code == 302
    now = wordings.current(catalogue.by_key("news"), "en")
    assert now is not None and (now.version, now.text) == (2, "Second words.")
    owner.post(path, {"text": "   "})
    assert wordings.current(catalogue.by_key("news"), "en") == now
    assert owner.post("/admin/topics/news/wordings/xx", {"text": "?"}).status_code == 404


def test_how_often_is_offered_and_taken_back(owner: Console, news: Topic) -> None:
    owner.get("/admin/topics/news")
    assert owner.post("/admin/topics/news/cadence", {"offered": "yes"}).status_code == 302
    assert catalogue.by_key("news").cadence_choice
    assert "People may choose how often." in owner.text("/admin/topics/news")
    owner.post("/admin/topics/news/cadence")
    assert not catalogue.by_key("news").cadence_choice
    assert owner.post("/admin/topics/nothing/cadence").status_code == 404


def test_a_retired_topic_says_so_and_is_no_longer_offered(owner: Console, news: Topic) -> None:
    owner.get("/admin/topics/news")
    assert owner.post("/admin/topics/news/retire").status_code == 302
    assert "Retired for good: nobody can choose it" in owner.text("/admin/topics/news")
    assert "Add a topic first" in owner.text("/admin/campaigns")


def test_a_viewer_reads_topics_and_changes_none(viewer: Console, news: Topic) -> None:
    html = viewer.get("/admin/topics/news").get_data(as_text=True)
    assert "Product news" in html
    assert "Save the texts" not in html and "Retire" not in html
    assert viewer.post("/admin/topics/news/retire").status_code == 403


def test_an_unknown_topic_is_not_found(owner: Console) -> None:
    assert owner.get("/admin/topics/nothing").status_code == 404


def test_the_owner_arranges_groups_and_hides_topics(owner: Console, news: Topic) -> None:
    owner.get("/admin/topics/new")
    owner.post("/admin/topics/new", OFFERS | {"heading": "Shop"})
    owner.get("/admin/topics")
    assert owner.post("/admin/topics/offers/place", {}).status_code == 302
    assert owner.post("/admin/topics/offers/place", {}).status_code == 302, "the first stays the first"
    db.session.expire_all()
    assert [topic.key for topic in catalogue.live()] == ["offers", "news"]
    owner.post("/admin/topics/offers/texts/en", {"en-name": "Offers", "en-heading": "Sale"})
    owner.post("/admin/topics/offers/public", {})
    db.session.expire_all()
    offers = catalogue.by_key("offers")
    assert (offers.text("en").heading, offers.text("en").description, offers.public) == ("Sale", "Discounts.", False)
