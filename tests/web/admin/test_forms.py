"""Sign-up forms in the console."""

from preference_center.consent import wordings
from preference_center.db import db, transaction
from preference_center.preferences import forms
from preference_center.topics.models import Topic
from tests.web.admin.conftest import Console, words

SHOP = {"key": "shop", "topics": "news", "en-title": "Letters from the shop", "most": "50"}


def test_a_form_is_added_shown_changed_and_closed(owner: Console, news: Topic) -> None:
    with transaction():
        wordings.publish_defaults(news)
    owner.get("/admin/forms/new")
    assert owner.post("/admin/forms/new", SHOP).headers["Location"] == "/admin/forms/shop"
    text = owner.text("/admin/forms/shop")
    assert 'action="https://mail.example.com/subscribe/shop?lang=en"' in text
    assert "shop Product news en" in owner.text("/admin/forms")
    owner.get("/admin/forms/shop")
    assert owner.post("/admin/forms/shop", SHOP | {"asks_name": "yes", "en-title": "News"}).status_code == 302
    db.session.rollback()
    form = forms.by_key("shop")
    assert (form.asks_name, form.most_an_hour, form.texts) == (True, 50, {"en": {"title": "News"}})
    owner.get("/admin/forms/shop")
    assert owner.post("/admin/forms/shop/close").status_code == 302
    assert "Closed: nobody can sign up here any more." in owner.text("/admin/forms/shop")


def test_what_cannot_be_is_said_and_nothing_typed_is_lost(owner: Console, news: Topic) -> None:
    owner.get("/admin/forms/new")
    for change in ({"key": "Shop!"}, {"topics": "nothing"}, {"most": "none"}, {"en-title": "x" * 121}):
        answer = owner.post("/admin/forms/new", SHOP | {"en-lead": "Kept words."} | change)
        assert answer.status_code == 422
        assert "Something needs changing" in words(answer)
        assert "Kept words." in answer.get_data(as_text=True)
    assert forms.everything() == []
