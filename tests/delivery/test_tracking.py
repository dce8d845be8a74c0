"""Being seen opening and clicking: only who agreed, only while they agree, and nothing else about the mail is different."""

# ruff: noqa: F811 - the fixtures that this file borrows
import email
import re
from collections.abc import Callable
from datetime import timedelta
from email import policy

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from preference_center import clock, i18n
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, CampaignState, CampaignVersion
from preference_center.campaigns.rendering import following
from preference_center.consent import eligibility, ledger, tracking, traits, wordings
from preference_center.consent.ledger import Evidence
from preference_center.contacts.models import Contact
from preference_center.db import Base, db, transaction
from preference_center.delivery.events.models import DeliveryEvent
from preference_center.delivery.models import Message
from preference_center.delivery.results.tracking import TrackedMessage
from preference_center.errors import Invalid
from preference_center.preferences import choices
from preference_center.privacy import erasure
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from tests.flows.test_send import _campaign, _send, settings  # noqa: F401 - a fixture
from tests.support import links as ways_in
from tests.support import make
from tests.support.relay import FakeRelay
from tests.support.statements import loaded
from tests.web.conftest import client  # noqa: F401 - a fixture

pytestmark = pytest.mark.both_databases
BY_PERSON = Evidence("link", language="en")
BODY = (
    "Hello {{ first_name|default('there') }},\n\n[new things](https://shop.example.com/new?a=1&b=2), "
    "[yours](https://shop.example.com/{{ first_name }}), [plain](http://shop.example.com/), [more](https://other.example.com/).\n"
)
TARGETS = ["https://shop.example.com/new?a=1&b=2", "https://other.example.com/"]


@pytest.fixture
def news(app: Flask) -> Topic:
    with transaction():
        tracking.offer()
        return make.topic()


def agrees(contact: Contact) -> Contact:
    switch = tracking.topic()
    assert switch is not None
    ledger.grant(contact, switch, LegalBasis.consent, BY_PERSON)
    return contact


def sent(news: Topic, relay: FakeRelay, **people: bool) -> Campaign:
    """A campaign to these people; who agreed is True."""
    with transaction():
        for name, agreed in people.items():
            contact = make.follower(news, f"{name}@example.org", attributes={"first_name": "Anna"})
            if agreed:
                agrees(contact)
        campaign = _campaign(news, source=BODY)
    _send(campaign)
    return campaign


def parts(relay: FakeRelay, name: str) -> tuple[email.message.EmailMessage, str, str]:
    (data,) = [message.data for message in relay.messages if message.recipient == f"{name}@example.org"]
    mail: email.message.EmailMessage = email.message_from_bytes(data, policy=policy.default)  # type: ignore[assignment]
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None and html is not None
    return mail, plain.get_content(), html.get_content()


def ways(html: str) -> tuple[str, list[str]]:
    """The paths of image and links."""
    (image,) = re.findall(r'<img src="https://mail\.example\.com(/o/[^"]+\.gif)"', html)
    return image, re.findall(r'href="https://mail\.example\.com(/r/[^"]+)"', html)


def neutral(text_: str) -> str:
    """Without what is each contact's own: signed links and the address."""
    return re.sub(r"/[up]/[\w.-]+", "/x", text_).replace("yes@", "no@")


def test_without_consent_a_mail_has_no_image_and_no_rewritten_link(news: Topic, relay: FakeRelay) -> None:  # S23
    sent(news, relay, no=False)
    _mail, plain, html = parts(relay, "no")
    assert "/o/" not in html + plain and "/r/" not in html + plain and "<img" not in html
    assert 'href="https://shop.example.com/new?a=1&amp;b=2"' in html
    assert db.session.query(TrackedMessage).count() == 0


def test_the_followed_form_differs_in_links_and_image_alone(news: Topic, relay: FakeRelay) -> None:  # S23
    sent(news, relay, yes=True, no=False)
    mail, plain, html = parts(relay, "yes")
    other, other_plain, other_html = parts(relay, "no")
    image, links = ways(html)
    back = re.sub(r'<img src="https://mail\.example\.com/o/[^>]*>', "", html)
    for path, target in zip(links, TARGETS, strict=True):
        back = back.replace(f"https://mail.example.com{path}", target.replace("&", "&amp;"))
    assert neutral(back) == neutral(other_html)
    assert neutral(plain) == neutral(other_plain), "the text part is never rewritten"
    own = {"To", "Date", "Message-ID", "List-Unsubscribe", "DKIM-Signature"}
    assert list(mail) == list(other)
    assert all(mail[name] == other[name] for name in mail if name not in own)
    assert 'href="https://shop.example.com/Anna"' in html, "a link with a field of the contact in it is left alone"
    assert image


def test_names_are_random_and_hold_nothing_of_the_person(news: Topic, relay: FakeRelay) -> None:  # S24
    sent(news, relay, yes=True, too=True, third=True)
    names = sorted(name for (name,) in db.session.query(TrackedMessage.id))
    assert len(set(names)) == 3 and all(re.fullmatch("[0-9a-f]{26}", name) for name in names)
    assert len({name[:6] for name in names}) == 3, "not one after the other"
    for name in ("yes", "too", "third"):
        _mail, _plain, html = parts(relay, name)
        image, links = ways(html)
        assert all("@" not in path and "example" not in path and "http" not in path for path in [image, *links])


@pytest.fixture
def followed(news: Topic, relay: FakeRelay) -> tuple[str, list[str]]:
    sent(news, relay, yes=True)
    return ways(parts(relay, "yes")[2])


def counted() -> list[str]:
    db.session.rollback()
    return [event.kind for event in db.session.query(DeliveryEvent).filter_by(source="site").order_by(DeliveryEvent.id)]


def rows() -> dict[str, list[str]]:
    """Every table's rows."""
    db.session.rollback()
    with db.engine.connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(text(f'SELECT * FROM "{table.name}"'))))
            for table in Base.metadata.sorted_tables
        }


# The one documented exception to "GET writes nothing": the count of those who agreed to be counted.
WRITTEN_BY_GET = {"delivery_events"}


def test_a_hit_is_counted_and_nothing_else_is_written(
    client: FlaskClient, followed: tuple[str, list[str]]
) -> None:  # S34, S36
    image, links = followed
    before = rows()
    answer = client.get(image)
    assert (answer.status_code, answer.mimetype, answer.data[:6]) == (200, "image/gif", b"GIF89a")
    for path, target in zip(links, TARGETS, strict=True):
        answer = client.get(path)
        assert (answer.status_code, answer.location) == (302, target)
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert counted() == ["opened", "clicked", "clicked"]
    after = rows()
    assert {name for name in after if after[name] != before[name]} == WRITTEN_BY_GET
    event = db.session.query(DeliveryEvent).order_by(DeliveryEvent.id).first()
    assert event is not None and event.message_id == db.session.query(Message).one().id
    assert event.contact_id == db.session.query(Contact).one().id


def test_looking_with_head_counts_nothing(client: FlaskClient, followed: tuple[str, list[str]]) -> None:  # S34
    image, links = followed
    before = rows()
    assert client.head(image).status_code == 200
    assert client.head(links[0]).status_code == 302
    assert client.options(image).status_code == 200
    assert rows() == before


@pytest.mark.parametrize(
    "path", ["/r/nothing-0", "/r/nothing", "/r/{name}-", "/r/{name}", "/r/{name}-0123456789ab", "/r/{name}-²"]
)
def test_what_is_no_link_of_ours_leads_to_a_plain_page(
    client: FlaskClient, followed: tuple[str, list[str]], path: str
) -> None:
    name = followed[0].removeprefix("/o/").removesuffix(".gif")
    before = rows()
    answer = client.get(path.format(name=name))
    assert answer.status_code == 404 and "This link no longer works" in answer.text
    assert client.get("/o/nothing.gif").status_code == 200
    assert rows() == before


def test_a_campaign_is_read_once_for_all_its_links_and_again_when_it_has_a_new_version(
    client: FlaskClient, followed: tuple[str, list[str]]
) -> None:
    """Who holds one mail can ask for any number of links that are none; each would read every version of it."""
    junk = followed[1][0][:-12] + "0" * 12
    assert client.get(junk).status_code == 404
    with loaded(CampaignVersion) as read:
        assert client.get(junk).status_code == 404 and client.get(followed[1][0]).location == TARGETS[0]
        assert read == []
    campaign = db.session.query(Campaign).one()
    with transaction():
        campaign.state = CampaignState.draft
        scheduling.save(campaign, on_version=1, actor="cli", source=f"{BODY}[new](https://late.example.com/)")
    late = f"{junk[:-12]}{following.name('https://late.example.com/')}"
    assert client.get(late).location == "https://late.example.com/"
    assert client.get(followed[1][1]).location == TARGETS[1], "a mail of the version before leads on"


def _withdraws(contact: Contact) -> None:
    switch = tracking.topic()
    assert switch is not None
    choices.stop_topic(contact, switch, BY_PERSON)


def _objects(contact: Contact) -> None:
    ledger.object_to(contact, tracking.PURPOSE, BY_PERSON)


def _restricts(contact: Contact) -> None:
    contact.restricted_at = contact.created_at


def _is_taken_away(contact: Contact) -> None:
    tracking.stop()


@pytest.mark.parametrize("act", [_withdraws, _objects, _restricts, _is_taken_away])
def test_taking_it_back_stops_the_count_for_mail_already_sent(
    client: FlaskClient, followed: tuple[str, list[str]], act: Callable[[Contact], None]
) -> None:  # S106
    image, links = followed
    client.get(image)
    with transaction():
        act(db.session.query(Contact).one())
    assert (client.get(image).status_code, client.get(links[0]).location) == (200, TARGETS[0])
    assert counted() == ["opened"]


def test_stopping_all_mail_says_nothing_on_being_seen_and_the_other_way_round(news: Topic) -> None:
    with transaction():
        contact = agrees(make.follower(news))
    switch = tracking.topic()
    assert switch is not None
    with transaction():
        _withdraws(contact)
    assert eligibility.verdict(news, contact, contact.created_at).allowed
    assert tracking.consenting({contact.id}, contact.created_at) == set()


def test_an_erased_persons_mail_is_nobodys(client: FlaskClient, followed: tuple[str, list[str]]) -> None:  # S97
    image, links = followed
    with transaction():
        erasure.erase(db.session.query(Contact).one(), BY_PERSON)
    assert (client.get(image).status_code, client.get(links[0]).status_code) == (200, 404)
    assert counted() == [] and db.session.query(TrackedMessage).count() == 0


def test_nothing_is_followed_where_it_was_never_offered(app: Flask, relay: FakeRelay) -> None:  # S23
    with transaction():
        news = make.topic()
    sent(news, relay, no=False)
    assert tracking.topic() is None and "/o/" not in parts(relay, "no")[2]


def test_the_switch_has_its_own_text_in_each_language_and_carries_no_mail(news: Topic) -> None:  # S63
    switch = tracking.topic()
    assert switch is not None
    for language in i18n.LANGUAGES:
        wording = wordings.current(switch, language)
        assert wording is not None and switch.text(language).language == language
    assert len({wordings.current(switch, language).text for language in i18n.LANGUAGES}) == 4  # type: ignore[union-attr]
    with pytest.raises(Invalid), transaction():
        _campaign(switch)
    with transaction():
        assert tracking.offer() is switch


def test_a_switch_that_is_offered_again_is_off_for_who_once_said_yes(client: FlaskClient, news: Topic) -> None:  # S55
    """What they agreed to ended when it was taken away (GDPR 7(4), 5(1)(b)): nobody is counted again without a new tick."""
    with transaction():
        contact = agrees(make.follower(news))
    first = tracking.topic()
    assert tracking.consenting({contact.id}, clock.now()) == {contact.id}
    with transaction():
        tracking.stop()
        tracking.stop()
        again = tracking.offer()
    assert tracking.topic() is again and again is not first and wordings.current(again, "en") is not None
    assert tracking.consenting({contact.id}, clock.now()) == set()
    assert db.session.scalar(select(Contact.id).where(traits.may_be_tracked(clock.now()))) is None
    box = re.search(rf'<input type="checkbox"[^>]*value="{again.key}"[^>]*>', client.get(ways_in.manage(contact)).text)
    assert box is not None and "checked" not in box[0]
    with transaction():
        agrees(contact)
    assert tracking.consenting({contact.id}, clock.now()) == {contact.id}


def test_its_box_is_apart_and_never_ticked_before(client: FlaskClient, news: Topic) -> None:  # S46, S55, S63
    with transaction():
        wordings.publish_defaults(news)
        anna = make.contact()
    shown = client.get(ways_in.manage(anna)).text
    box = re.search(r'<input type="checkbox"[^>]*value="tracking"[^>]*>', shown)
    assert box is not None and "checked" not in box[0]
    assert "may count which of its emails I open" in shown
    form = client.get("/subscribe").text
    box = re.search(r'<input type="checkbox"[^>]*value="tracking"[^>]*>', form)
    assert box is not None and "checked" not in box[0]
    alone = client.post("/subscribe", data={"email": "b@example.org", "topic": "tracking"})
    assert alone.status_code == 400, "being seen is no reason to write to anybody"


def test_targets_are_fixed_https_links_of_the_author() -> None:
    html = (
        '<body><a href="https://a.example/?x=1&amp;y">a</a><a class="b" href="http://b.example">b</a><a href="mailto:c@d.e">c</a>'
        '<a href="https://e.example/{{ name }}">e</a><a href="{{ unsubscribe_url }}">u</a><A HREF="https://f.example">f</A></body>'
    )
    assert list(following.targets(html).values()) == ["https://a.example/?x=1&y", "https://f.example"]
    made = following.followed(html)
    assert following.targets(made) == {} and made.count("<img") == 1 and made.endswith("</body>")


def test_one_who_looks_again_and_again_is_counted_once_a_minute(
    client: FlaskClient, followed: tuple[str, list[str]]
) -> None:
    image, links = followed
    start = clock.now().replace(second=0)
    with time_machine.travel(start, tick=False):
        for _ in range(20):
            client.get(image)
            client.get(links[0])
    with time_machine.travel(start + timedelta(minutes=1), tick=False):
        client.get(image)
    assert sorted(counted()) == ["clicked", "opened", "opened"]
