"""The preview, its locked frame, and test sends."""

import re
from datetime import timedelta
from unittest.mock import patch

import pytest

from preference_center import clock
from preference_center.accounts.permissions import Role
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import testing
from preference_center.errors import Unavailable
from preference_center.segments import named
from preference_center.segments import queries as segments
from preference_center.topics.models import Topic
from preference_center.web.admin.planning import previews
from tests.support import make
from tests.support.campaigns import fill
from tests.web.admin.conftest import Console, user_named, words

SOURCE = (
    '<p>Hello {{ email }}</p><img src="https://shop.example/x.png" alt="shoes"><a href="https://shop.example/">See</a>'
)


@pytest.fixture
def path(people: Topic) -> str:
    with transaction():
        made: Campaign = scheduling.create("Autumn", people, "Autumn for {{ email }}", "html", SOURCE, actor="cli")
    return f"/admin/campaigns/{made.public_id}"


@pytest.mark.parametrize("view", ["desktop", "phone", "text", "hologram"])
def test_the_preview_shows_mail_subject_and_funnel(viewer: Console, path: str, view: str) -> None:
    text = viewer.text(f"{path}/preview?view={view}")
    assert "Autumn for anna@example.com" in text
    assert "3 people who agreed to Product news" in text
    assert "gave no consent for this topic 2" in text
    assert "all in the segment 5" in text


def test_each_step_of_the_funnel_leads_to_the_people(  # screens.md 4.3
    monkeypatch: pytest.MonkeyPatch, marketer: Console, viewer: Console, path: str
) -> None:
    assert f'href="{path}/refused/no_consent"' in viewer.get(f"{path}/preview").get_data(as_text=True)
    text = marketer.text(f"{path}/refused/no_consent")
    assert "dag@example.org" in text and "eva@example.org" in text and "anna@" not in text
    assert "d•••@example.org" in viewer.text(f"{path}/refused/no_consent")
    monkeypatch.setattr(previews, "PAGE", 1)
    first = marketer.get(f"{path}/refused/no_consent").get_data(as_text=True)
    [following] = re.findall(r"/refused/no_consent\?after=\d+", first)
    assert "eva@" not in first and "eva@example.org" in marketer.text(f"{path}{following}")
    assert "Nobody." in marketer.text(f"{path}/refused/withdrawn")
    assert marketer.get(f"{path}/refused/made_up").status_code == 404


def test_people_who_cannot_be_found_in_time_are_said_to_be_so(
    monkeypatch: pytest.MonkeyPatch, marketer: Console, news: Topic
) -> None:
    with transaction():
        db.session.add_all(Contact(language="pl", created_at=clock.now(), updated_at=clock.now()) for _ in range(3000))
        made = scheduling.create("Autumn", news, "Autumn", "html", SOURCE)
    monkeypatch.setattr(previews, "PATIENCE", 0)
    assert "Finding them took too long" in marketer.text(f"/admin/campaigns/{made.public_id}/refused/withdrawn")


def test_once_it_has_started_the_report_has_them(viewer: Console, people: Topic) -> None:
    made = filled_for(people)
    path = f"/admin/campaigns/{made.public_id}"
    answer = viewer.get(f"{path}/refused/no_consent")
    assert answer.headers["Location"] == f"{path}/people?state=skipped&reason=no_consent"


def filled_for(topic: Topic) -> Campaign:
    with transaction():
        made = scheduling.create("Autumn", topic, "Autumn", "html", SOURCE)
    fill(made)
    return made


def test_the_mail_is_locked_into_its_frame(viewer: Console, path: str) -> None:  # V3.2.1
    frame = viewer.get(f"{path}/preview").get_data(as_text=True)
    assert "sandbox " in frame[frame.index("<iframe") :].partition(">")[0]
    answer = viewer.get(f"{path}/preview/mail")
    policy = answer.headers["Content-Security-Policy"]
    assert "sandbox;" in policy and "script-src" not in policy and "default-src 'none'" in policy
    assert "img-src data:;" in policy
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert 'https://shop.example/"' not in answer.get_data(as_text=True), "links lead nowhere"


def test_images_of_other_sites_load_only_when_asked(viewer: Console, path: str) -> None:
    policy = viewer.get(f"{path}/preview/mail?images=on").headers["Content-Security-Policy"]
    assert "img-src https: data:;" in policy


@pytest.mark.parametrize("language", ["pl", "xx", "../../etc", ""])
def test_an_unknown_language_falls_back(viewer: Console, path: str, language: str) -> None:
    assert viewer.get(f"{path}/preview", query_string={"language": language}).status_code == 200


def test_a_test_goes_to_the_chosen_colleagues_alone(marketer: Console, path: str) -> None:
    marketer.get(f"{path}/preview")
    mine = user_named("marketer@example.com").public_id
    with patch.object(testing, "send_test") as sent:
        marketer.post(f"{path}/test", {"to": [mine, "anna@example.org", "aaaaaaaaaaaaaaaa"], "language": "en"})
    assert [call.args[1] for call in sent.call_args_list] == ["marketer@example.com"]
    assert "The test is on its way to marketer@example.com." in marketer.text(f"{path}/preview")


def test_a_test_to_nobody_says_so(marketer: Console, path: str) -> None:
    marketer.get(f"{path}/preview")
    marketer.post(f"{path}/test", {"to": ["anna@example.org"]})
    assert "Nobody was chosen" in marketer.text(f"{path}/preview")


def test_a_relay_that_is_away_is_said_in_its_words(marketer: Console, path: str) -> None:
    marketer.get(f"{path}/preview")
    mine = user_named("marketer@example.com").public_id
    with patch.object(testing, "send_test", side_effect=Unavailable("The relay does not answer.")):
        assert marketer.post(f"{path}/test", {"to": mine}).status_code == 302
    assert "The relay does not answer." in marketer.text(f"{path}/preview")


def test_a_viewer_sends_no_tests(viewer: Console, path: str) -> None:
    assert "Send the test" not in viewer.text(f"{path}/preview")
    assert viewer.post(f"{path}/test", {"to": user_named(f"{Role.viewer}@example.com").public_id}).status_code == 403


def test_a_campaign_that_does_not_exist_has_no_preview(viewer: Console) -> None:
    assert viewer.get("/admin/campaigns/aaaaaaaaaaaaaaaa/preview").status_code == 404
    assert words(viewer.get("/admin/campaigns/aaaaaaaaaaaaaaaa/preview/mail"))


def test_a_scheduled_campaign_shows_whom_its_frozen_rule_means(viewer: Console, people: Topic) -> None:  # P7
    with transaction():
        make.follower(people, "zofia@example.org", language="pl")
        segment = named.add("Nearby", segments.read("language = pl"), "cli")
        made = scheduling.create("Autumn", people, "Autumn", "markdown", "Hello", segment='segment "Nearby"')
        scheduling.schedule(made, clock.now() + timedelta(days=1))
    path = f"/admin/campaigns/{made.public_id}/preview"
    before = viewer.text(path)
    assert "all in the segment 1 " in before and "1 person who agreed" in before
    with transaction():
        named.save(segment, "Nearby", segments.read("everyone"), on_version=1, actor="cli")
    assert viewer.text(path) == before
    assert 'language = "pl"' in before, "the rule as it was written out"


def test_a_frozen_rule_that_was_altered_is_said(viewer: Console, people: Topic) -> None:  # P7
    with transaction():
        made = scheduling.create("Autumn", people, "Autumn", "markdown", "Hello", segment="language = pl")
        scheduling.schedule(made, clock.now() + timedelta(days=1))
        made.frozen_segment = "everyone"
    assert "altered in the database" in viewer.text(f"/admin/campaigns/{made.public_id}/preview")
