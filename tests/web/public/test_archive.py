"""The public archive with its feed, and a mail in the browser: who sees what, and what never stands there."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from preference_center import clock, signed_links
from preference_center.campaigns import archive, scheduling
from preference_center.campaigns.models import Campaign, CampaignState, CampaignVersion
from preference_center.consent import wordings
from preference_center.consent.models import ConsentRecord
from preference_center.contacts.models import Attribute, AttributeKind, Contact
from preference_center.db import db, transaction
from preference_center.delivery.models import Message, MessageState
from preference_center.errors import Invalid
from preference_center.signed_links import Power
from preference_center.topics.models import Topic
from tests.support import links, make
from tests.support.statements import loaded

pytestmark = pytest.mark.both_databases
SITE = "https://mail.example.com"
SOURCE = "Hello {{ first_name|default('reader') }}, this is for {{ email }}. [Look](https://shop.example.com/)\n\n[here]({{ browser }})"


@pytest.fixture
def topic(app: Flask) -> Topic:
    with transaction():
        db.session.add(Attribute(key="first_name", name="x", kind=AttributeKind.text, created_at=clock.now()))
        return make.topic()


@pytest.fixture
def anna(topic: Topic) -> Contact:
    with transaction():
        return make.follower(topic, "anna@example.org", attributes={"first_name": "Anna"})


def sent(topic: Topic, *, shown: bool = True, name: str = "Autumn", **more: Any) -> Campaign:
    with transaction():
        made = scheduling.create(name, topic, f"{name} & more", "markdown", SOURCE, **more)
        made.state, made.approved_version = CampaignState.sent, 1
        made.started_at = made.finished_at = clock.now()
        if shown:
            archive.put(made)
    return made


def letter(
    campaign: Campaign, to: Contact, state: MessageState = MessageState.delivered, variant: int | None = None
) -> str:
    with transaction():
        record = db.session.scalars(select(ConsentRecord.id).where(ConsentRecord.contact_id == to.id)).first()
        made = Message(campaign_id=campaign.id, contact_id=to.id, record_id=record, changed_at=clock.now())
        made.state, made.variant = state, variant
        db.session.add(made)
        db.session.flush()
        return signed_links.url(Power.view, [to.public_id, to.link_epoch, made.id]).removeprefix(SITE)


def test_what_is_shown_is_listed_and_readable_and_holds_nobodys_details(
    client: FlaskClient, topic: Topic, anna: Contact
) -> None:
    campaign = sent(topic)
    path = f"/archive/news/{campaign.public_id}"
    assert 'href="/archive/news"' in client.get("/archive/").text
    assert f'href="{path}"' in client.get("/archive/news").text
    assert "Autumn &amp; more" in client.get(path).text
    mail = client.get(f"{path}/mail")
    assert "Hello reader, this is for ." in mail.text and "anna" not in mail.text.lower()
    assert 'href="https://mail.example.com/link"' in mail.text, "its links for leaving know nobody"
    assert "/u/" not in mail.text and "/p/" not in mail.text
    assert "This is a public copy of an email" in mail.text


def test_the_mail_runs_nothing_and_its_links_open_beside_the_frame(client: FlaskClient, topic: Topic) -> None:
    campaign = sent(topic)
    page = client.get(f"/archive/news/{campaign.public_id}")
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page.text
    assert "frame-src 'self'" in page.headers["Content-Security-Policy"]
    mail = client.get(f"/archive/news/{campaign.public_id}/mail")
    policy = mail.headers["Content-Security-Policy"]
    assert "sandbox allow-popups" in policy and "script-src" not in policy and "allow-scripts" not in policy
    assert '<base target="_blank">' in mail.text


def test_what_nobody_chose_to_show_or_is_not_sent_or_not_public_is_not_there(client: FlaskClient, topic: Topic) -> None:
    hidden, running = sent(topic, shown=False), sent(topic, name="Running")
    with transaction():
        running.state = CampaignState.sending
    for campaign in (hidden, running):
        assert client.get(f"/archive/news/{campaign.public_id}").status_code == 404
    assert client.get("/archive/news").status_code == client.get("/archive/nothing").status_code == 404
    shown = sent(topic, name="Shown")
    with transaction():
        topic.public = False
    for path in ("/archive/news", f"/archive/news/{shown.public_id}", "/archive/news/feed.xml"):
        assert client.get(path).status_code == 404
    with pytest.raises(Invalid, match="not public"), transaction():
        archive.put(hidden)


def test_only_the_issue_that_is_asked_for_is_read(client: FlaskClient, topic: Topic) -> None:
    """Anybody may ask, as often as they like, and a mail can be large."""
    oldest, *_newer = [sent(topic, name=name).public_id for name in ("Spring", "Summer", "Autumn")]
    with loaded(CampaignVersion) as read:
        assert client.get("/archive/news/aaaaaaaaaaaaaaaa").status_code == 404
        assert read == []
        assert "Spring" in client.get(f"/archive/news/{oldest}").text
        assert len(read) == 1


def test_it_can_be_taken_out_again(client: FlaskClient, topic: Topic) -> None:
    campaign = sent(topic)
    with transaction():
        archive.take_out(campaign)
    assert client.get(f"/archive/news/{campaign.public_id}").status_code == 404


def test_the_newest_mail_stands_as_an_example_beside_its_topic(
    client: FlaskClient, topic: Topic, anna: Contact
) -> None:
    with transaction():
        wordings.publish_defaults(topic)
    pages = [links.manage(anna), "/subscribe"]
    for path in pages:
        assert 'class="example"' not in client.get(path).text, "none in the archive, no link"
    _first, hidden, last = sent(topic), sent(topic, shown=False, name="Hidden"), sent(topic, name="Last")
    client.application.extensions.pop("examples")  # another process would look again after a moment
    for path in pages:
        page = client.get(path).text
        assert re.findall(r'class="example" href="([^"]*)"', page) == [f"/archive/news/{last.public_id}?lang=en"]
        assert hidden.public_id not in page
    assert client.get(f"/archive/news/{last.public_id}?lang=en").status_code == 200
    with transaction():
        topic.public = False  # those who follow it still see it, but the archive shows it to nobody
    client.application.extensions.pop("examples")
    assert "Product news" in (page := client.get(pages[0]).text) and 'class="example"' not in page


def test_the_feed_is_atom_and_names_each_issue_once(client: FlaskClient, topic: Topic) -> None:
    campaigns = [sent(topic, name=name) for name in ("One", "Two")]
    answer = client.get("/archive/news/feed.xml", base_url=SITE)
    assert answer.mimetype == "application/atom+xml"
    feed = ElementTree.fromstring(answer.data)
    atom = "{http://www.w3.org/2005/Atom}"
    entries = feed.findall(f"{atom}entry")
    assert [one.findtext(f"{atom}title") for one in entries] == ["Two & more", "One & more"]
    assert {one.findtext(f"{atom}id") for one in entries} == {
        f"urn:preference-center:campaign:{one.public_id}" for one in campaigns
    }
    for element in (feed, *entries):
        assert all(element.findtext(f"{atom}{name}") for name in ("id", "title", "updated"))
    assert feed.find(f"{atom}author/{atom}name") is not None
    link = entries[0].find(f"{atom}link")
    assert link is not None and link.get("href") == f"{SITE}/archive/news/{campaigns[1].public_id}"


def test_the_archive_speaks_the_readers_language(client: FlaskClient, topic: Topic) -> None:
    campaign = sent(topic)
    text = client.get(f"/archive/news/{campaign.public_id}/mail?lang=pl").text
    assert "To publiczna kopia" in text


def test_the_winner_of_an_experiment_is_what_is_archived(client: FlaskClient, topic: Topic) -> None:
    plan = {"share": 50, "metric": "person", "wait_minutes": 60, "variants": [{"subject": "Better"}]}
    campaign = sent(topic, experiment=plan)
    with transaction():
        campaign.winner = 1
    assert "Better" in client.get("/archive/news").text


def test_a_mail_in_the_browser_is_as_its_reader_got_it(client: FlaskClient, topic: Topic, anna: Contact) -> None:
    path = letter(sent(topic, shown=False), anna)
    page = client.get(path)
    assert page.status_code == 200 and "Autumn &amp; more" in page.text and f'src="{path}/mail"' in page.text
    mail = client.get(f"{path}/mail").text
    assert "Hello Anna, this is for anna@example.org" in mail and "you agreed to Product news" in mail
    leaving = re.search(r'href="https://mail.example.com(/u/[^"]+)"', mail)
    assert leaving and client.get(leaving[1]).status_code == 200
    assert re.search(r'href="https://mail.example.com(/v/[^"]+)"', mail)


def test_who_tried_another_content_sees_that_one(client: FlaskClient, topic: Topic, anna: Contact) -> None:
    plan = {"share": 50, "metric": "person", "wait_minutes": 60, "variants": [{"subject": "Better"}]}
    assert "Better" in client.get(letter(sent(topic, experiment=plan), anna, variant=1)).text


def test_a_link_that_opens_nothing_says_no_more_than_that(client: FlaskClient, topic: Topic, anna: Contact) -> None:
    campaign = sent(topic)
    with transaction():
        bo = make.follower(topic, "bo@example.org")
    never = letter(campaign, anna, MessageState.skipped)
    theirs = letter(campaign, bo)
    number = signed_links.ring().read(Power.view, theirs.removeprefix("/v/"))[2]
    mixed = signed_links.url(Power.view, [anna.public_id, anna.link_epoch, number]).removeprefix(SITE)
    odd = signed_links.url(Power.view, [anna.public_id, anna.link_epoch]).removeprefix(SITE)
    manage = signed_links.url(Power.manage, [bo.public_id, bo.link_epoch]).removeprefix(f"{SITE}/p/")
    with transaction():
        bo.link_epoch += 1  # an address that moved
    answers = [client.get(path) for path in (never, mixed, odd, theirs, f"/v/{manage}", "/v/forged", f"{never}/mail")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({re.sub(r"\?\S*|/v/\S*", "", answer.text) for answer in answers}) == 1


def test_after_erasure_the_mail_is_gone(client: FlaskClient, topic: Topic, anna: Contact) -> None:
    path = letter(sent(topic), anna)
    with transaction():
        anna.forget(clock.now())
    assert client.get(path).status_code == 404


def test_an_issue_that_says_nothing_to_strangers_takes_no_other_along(client: FlaskClient, topic: Topic) -> None:
    sent(topic)
    with transaction():
        bare = scheduling.create("Bare", topic, "{{ first_name }}", "markdown", SOURCE)
        bare.state, bare.approved_version, bare.started_at, bare.finished_at = (
            CampaignState.sent,
            1,
            clock.now(),
            clock.now(),
        )
        archive.put(bare)
    page, feed = client.get("/archive/news", base_url=SITE), client.get("/archive/news/feed.xml", base_url=SITE)
    assert (page.status_code, feed.status_code) == (200, 200)
    assert "Autumn" in page.text and bare.public_id not in page.text
    assert "Autumn" in feed.text and bare.public_id not in feed.text
