"""The consent texts in the console: every version, who stands under which, what changed, and where none is written."""

import pytest
from sqlalchemy import update

from preference_center.consent import ledger, wordings
from preference_center.consent.ledger import Evidence
from preference_center.consent.models import Wording
from preference_center.contacts import queries
from preference_center.db import db, transaction
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.support import make
from tests.web.admin.conftest import Console, words

PATH = "/admin/wordings/news/en"


@pytest.fixture
def agreed(news: Topic) -> Topic:
    """Two people agreed to the first text, one to the second; one of the first has left."""
    with transaction():
        for version, names in (("I want the news.", ("anna", "bo")), ("I want the big news.", ("cai",))):
            text = wordings.publish(news, "en", version)
            for name in names:
                contact = make.contact(f"{name}@example.org")
                ledger.grant(contact, news, LegalBasis.consent, Evidence("form", wording_id=text.id))
        bo = queries.by_email("bo@example.org")
        assert bo is not None
        ledger.withdraw(bo, news, Evidence("link"))
    return news


def test_each_version_says_who_is_under_it_since_when_and_what_changed(owner: Console, agreed: Topic) -> None:  # S69
    html = owner.get(PATH).get_data(as_text=True)
    first, second = wordings.versions(agreed, "en")[::-1]
    text = owner.text(PATH)
    assert first.sha256 in text and second.sha256 in text
    assert text.index("Version 2 in force") < text.index("Version 1")
    assert text.count("People under it 1") == 2
    assert "<ins>big</ins>" in html
    assert "1 person agreed under the version in force" in text


def test_a_missing_language_is_named_and_shown(owner: Console, agreed: Topic) -> None:
    overview = owner.text("/admin/wordings")
    assert overview.count("No text") == 3 and "no sign-up" in overview
    assert "Version 2 – Product news, English 1 person" in overview
    assert "nobody can turn this topic on in it" in owner.text("/admin/wordings/news/pl")


def test_a_new_version_is_written_and_none_is_edited(owner: Console, agreed: Topic) -> None:
    owner.get(PATH)
    assert owner.post(PATH, {"text": "I want all news.", "after": "2"}).status_code == 302
    assert [version.text for version in wordings.versions(agreed, "en")] == [
        "I want all news.",
        "I want the big news.",
        "I want the news.",
    ]
    assert "Version 3 is in force now." in owner.text(PATH)


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [
        ({"text": "  ", "after": "2"}, 422, "A consent text cannot be empty."),
        ({"text": "x" * 2001, "after": "2"}, 422, "Keep the text under"),
        ({"text": "Mine.", "after": "1"}, 409, "Somebody wrote a new version meanwhile."),
        ({"text": "Mine.", "after": "x"}, 409, "Somebody wrote a new version meanwhile."),
    ],
)
def test_what_cannot_be_put_in_force_is_said_and_nothing_typed_is_lost(
    owner: Console, agreed: Topic, typed: dict[str, str], status: int, said: str
) -> None:
    owner.get(PATH)
    answer = owner.post(PATH, typed)
    assert answer.status_code == status
    assert said in words(answer) and typed["text"].strip() in answer.get_data(as_text=True)
    assert len(wordings.versions(agreed, "en")) == 2


def test_a_text_altered_in_the_database_is_noticed(owner: Console, agreed: Topic) -> None:
    with transaction():
        db.session.execute(update(Wording).where(Wording.version == 1).values(text="I want everything."))
    assert "the text was altered in the database" in owner.text(PATH)


def test_a_viewer_reads_and_does_not_write(viewer: Console, agreed: Topic) -> None:
    assert "Put this text in force" not in viewer.text(PATH)
    assert viewer.post(PATH, {"text": "Mine.", "after": "2"}).status_code == 403


def test_an_unknown_topic_or_language_is_not_found(owner: Console, agreed: Topic) -> None:
    owner.get(PATH)
    for path in ("/admin/wordings/nothing/en", "/admin/wordings/news/xx"):
        assert owner.get(path).status_code == 404
        assert owner.post(path, {"text": "Mine.", "after": "0"}).status_code == 404
