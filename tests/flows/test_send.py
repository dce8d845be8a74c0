"""From consent to a mail in a mailbox: a campaign through every floor, and the mail that comes out, byte by byte."""

import email
import re
from dataclasses import replace
from email import policy
from email.message import EmailMessage
from urllib.parse import urlsplit

import dkim
import pytest
from flask import Flask
from sqlalchemy import select

from preference_center import clock, jobs
from preference_center.campaigns import scheduling
from preference_center.campaigns.models import Campaign, CampaignState, ContentFormat
from preference_center.config import Settings
from preference_center.consent import ledger
from preference_center.consent.ledger import Evidence
from preference_center.contacts import attributes
from preference_center.contacts.models import Attribute, AttributeKind, Contact
from preference_center.db import db, transaction
from preference_center.delivery import marks, outbox, queries, sending, sweeping
from preference_center.delivery.marks import Place
from preference_center.delivery.models import Message, MessageState
from preference_center.mail import signing
from preference_center.mail.dkim import generate_key
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from preference_center.topics.models import Topic
from preference_center.topics.purposes import LegalBasis
from preference_center.webhooks import mailbox
from tests.conftest import make_settings
from tests.support import database_hash, make
from tests.support.bell import WrittenBell
from tests.support.relay import FakeRelay

pytestmark = pytest.mark.both_databases
BODY = "Hello {{ first_name|default('there') }},\n\nnew [things](https://shop.example.com/new) are here.\n"


@pytest.fixture
def settings(tmp_path, database: str, relay: FakeRelay) -> Settings:  # type: ignore[no-untyped-def]
    (tmp_path / "dkim.pem").write_bytes(generate_key())
    return make_settings(
        tmp_path,
        database,
        relay_url=relay.url,
        dkim_selector="pc1",
        dkim_key_file=str(tmp_path / "dkim.pem"),
    )


def _campaign(topic: Topic, **changes: str) -> Campaign:
    if db.session.get(Attribute, "first_name") is None:
        attributes.declare("first_name", "First name", AttributeKind.text)
    wanted = {"subject": "Nowości, {{ first_name }} 🎉", "source": BODY} | changes
    return scheduling.create(
        "Autumn", topic, wanted.pop("subject"), ContentFormat.markdown, wanted.pop("source"), **wanted
    )


def _send(campaign: Campaign) -> None:
    """What clock and workers would do, in their order, in this process."""
    with transaction():
        scheduling.schedule(campaign, clock.now())
    with transaction():
        assert scheduling.start_due(clock.now()) == [campaign.id]
    more = True
    while more:
        with transaction():
            more = outbox.fill_range(campaign.id)
    sending.run(campaign.id, seconds=20)


def _parsed(relay: FakeRelay, recipient: str = "anna@example.org") -> EmailMessage:
    (data,) = [message.data for message in relay.messages if message.recipient == recipient]
    return email.message_from_bytes(data, policy=policy.default)  # type: ignore[return-value]


def test_a_campaign_reaches_those_who_agreed_and_says_why_the_others_were_left_out(
    app: Flask, relay: FakeRelay
) -> None:  # S83, P1, P6
    with transaction():
        topic = make.topic()
        make.follower(topic, "anna@example.org")
        make.follower(topic, "left@example.org")
        make.contact("nobody-asked@example.org")
        dead = make.follower(topic, "dead@example.org")
        ledger.request(make.contact("asked@example.org"), topic, Evidence(source="form"))
        register.suppress(dead.address_hash or b"", Cause.bounce, "test")
        left = db.session.scalars(select(Contact).where(Contact.email == "left@example.org")).one()
        ledger.withdraw(left, topic, Evidence(source="link"))
        campaign = _campaign(topic)
    _send(campaign)
    figures = queries.figures(campaign)
    assert [message.recipient for message in relay.messages] == ["anna@example.org"]
    assert campaign.state is CampaignState.sent
    assert figures.as_dict() == {
        "audience": 5, "queued": 0, "sending": 0, "sent": 1, "delivered": 0, "bounced": 0, "complained": 0, "failed": 0,
        "uncertain": 0, "skipped": {"no_consent": 1, "not_confirmed": 1, "suppressed_bounce": 1, "withdrawn": 1},
    }  # fmt: skip


def test_each_mail_carries_every_field_that_mailbox_providers_and_the_law_want(app: Flask, relay: FakeRelay) -> None:
    with transaction():
        topic = make.topic()
        make.follower(topic, "anna@example.org", attributes={"first_name": "Zoë"}, language="pl")
        campaign = _campaign(topic)
    _send(campaign)
    mail = _parsed(relay)
    (message,) = db.session.scalars(select(Message))
    assert mail["Subject"] == "Nowości, Zoë 🎉"  # S16
    assert mail["From"].addresses[0].addr_spec == "news@example.com"  # S13
    assert mail["To"].addresses[0].addr_spec == "anna@example.org"
    assert [len(mail.get_all(name, [])) for name in _ONCE] == [1] * len(_ONCE)
    uris = re.findall(r"<([^>]+)>", mail["List-Unsubscribe"])
    assert [urlsplit(uri).scheme for uri in uris] == ["https", "mailto"]  # S1, S4
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"  # S2
    assert "anna" not in mail["List-Unsubscribe"]  # S3
    assert mail["List-Id"].endswith("<news.example.com>")  # S9
    assert (mail["List-Help"][:9], mail["List-Post"]) == ("<https://", "NO")  # S10
    feedback = mail["Feedback-ID"].split(":")
    assert len(feedback) == 4 and 5 <= len(feedback[3]) <= 15  # S11
    assert marks.read(mail["Message-ID"][1:].partition("@")[0], Place.message_id) == message.id  # S14
    assert (mail["Content-Language"], 'lang="pl"' in _html(mail)) == ("pl", True)  # S28
    (accepted,) = relay.messages
    local, _, domain = accepted.sender.rpartition("@")
    assert (marks.read(local.partition("+")[2], Place.return_path), domain) == (message.id, "example.com")  # S22


_ONCE = (
    "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "List-Unsubscribe",
    "List-Unsubscribe-Post", "List-Id", "List-Help", "List-Post", "Feedback-ID", "Content-Language", "DKIM-Signature",
)  # fmt: skip


def test_both_parts_say_who_sends_why_and_how_to_leave(app: Flask, relay: FakeRelay) -> None:  # S18, S20, S21
    with transaction():
        topic = make.topic()
        make.follower(topic)
        campaign = _campaign(topic)
    _send(campaign)
    mail = _parsed(relay)
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None and html is not None
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    for content in (text.get_content(), html.get_content()):
        assert "1 Long Street" in content
        assert "Example Shop Ltd" in content
        assert "https://mail.example.com/u/" in content
        assert "https://mail.example.com/p/" in content
        assert "you agreed to Product news on" in content
    assert "Hello there," in text.get_content()


def test_the_signature_verifies_and_covers_the_unsubscribe_fields(app: Flask, relay: FakeRelay) -> None:  # S5, S6
    with transaction():
        topic = make.topic()
        make.follower(topic)
        campaign = _campaign(topic)
    _send(campaign)
    (accepted,) = relay.messages
    own = signing.signers(app.extensions["settings"])
    assert own is not None
    (record,) = own.dns_records()
    assert dkim.verify(accepted.data, dnsfunc=lambda name, timeout=5: record.value.encode())
    signed = str(_parsed(relay)["DKIM-Signature"]).lower()
    assert "list-unsubscribe:" in signed and "list-unsubscribe-post" in signed
    assert "d=example.com" in signed


@pytest.mark.parametrize(
    "added", ["From: bank@evil.example", "Subject: You won", "List-Unsubscribe: <https://evil.example>"]
)
def test_nothing_that_decides_can_be_added_to_a_mail(app: Flask, relay: FakeRelay, added: str) -> None:  # S7
    with transaction():
        topic = make.topic()
        make.follower(topic)
        campaign = _campaign(topic)
    _send(campaign)
    (accepted,) = relay.messages
    assert _verifies(app, accepted.data)
    head, _, body = accepted.data.partition(b"\r\n\r\n")
    line = added.encode()
    for changed in (line + b"\r\n" + accepted.data, head + b"\r\n" + line + b"\r\n\r\n" + body):
        assert not _verifies(app, changed)


def _verifies(app: Flask, data: bytes) -> bool:
    own = signing.signers(app.extensions["settings"])
    assert own is not None
    (record,) = own.dns_records()
    try:
        return bool(dkim.verify(data, dnsfunc=lambda name, timeout=5: record.value.encode()))
    except dkim.DKIMException:
        return False


def test_complaints_are_asked_for_where_the_owner_wants_them(app: Flask, relay: FakeRelay) -> None:  # S12
    app.extensions["settings"] = replace(app.extensions["settings"], complaints_to="fbl@mail.example.com")
    with transaction():
        topic = make.topic()
        make.follower(topic)
        campaign = _campaign(topic)
    _send(campaign)
    (accepted,) = relay.messages
    mail = _parsed(relay)
    assert mail.get_all("CFBL-Address") == ["fbl@mail.example.com; report=arf"]
    assert "cfbl-address" in re.sub(r"\s", "", str(mail["DKIM-Signature"]).lower()).partition("h=")[2].partition(";")[
        0
    ].split(":")
    assert not _verifies(app, accepted.data.replace(b"fbl@mail", b"fbl@evil")) and _verifies(app, accepted.data)
    assert mailbox.is_ours("FBL@mail.example.com"), "what comes there is read"


def test_nothing_is_said_of_complaints_unless_it_is_switched_on(app: Flask, relay: FakeRelay) -> None:  # S12
    with transaction():
        topic = make.topic()
        make.follower(topic)
        campaign = _campaign(topic)
    _send(campaign)
    assert _parsed(relay)["CFBL-Address"] is None


def test_looking_at_every_address_of_a_mail_changes_nothing(app: Flask, relay: FakeRelay) -> None:  # S34
    with transaction():
        topic = make.topic()
        make.follower(topic)
        campaign = _campaign(topic)
    _send(campaign)
    addresses = set(re.findall(r"https://mail\.example\.com(/[^\s\"'<>)]+)", _everything(_parsed(relay))))
    assert {path.split("/")[1] for path in addresses} >= {"u", "p", "link"}
    client = app.test_client(use_cookies=False)
    before = database_hash.digest()
    for path in addresses:
        for method in ("GET", "HEAD", "OPTIONS", "PROPFIND", "TRACE", "GET"):
            answer = client.open(path, method=method, headers={"Sec-Purpose": "prefetch"})
            assert answer.status_code < 500
    assert database_hash.digest() == before


def test_one_click_from_a_mail_is_obeyed_by_the_next_campaign(app: Flask, relay: FakeRelay, bell: WrittenBell) -> None:
    # S30, S39, S44: the queue of this test does not exist
    with transaction():
        topic = make.topic()
        make.follower(topic)
        first, second = _campaign(topic), _campaign(topic)
    _send(first)
    (url,) = re.findall(r"<(https://[^>]+)>", _parsed(relay)["List-Unsubscribe"])
    answer = app.test_client(use_cookies=False).post(urlsplit(url).path, data={"List-Unsubscribe": "One-Click"})
    assert (answer.status_code, answer.mimetype, answer.headers.get("Location")) == (200, "text/plain", None)
    _send(second)
    assert queries.figures(second).skipped == {"withdrawn": 1}
    assert len(relay.messages) == 1


def test_refused_and_deferred_messages_end_as_the_relay_said(app: Flask, relay: FakeRelay) -> None:  # M1, M2
    with transaction():
        topic = make.topic()
        for name in ("anna", "bo+550rcpt", "cy+554dot", "di+450rcpt", "eve+dropafterdot", "flo+dropdata"):
            make.follower(topic, f"{name}@example.org")
        campaign = _campaign(topic)
    _send(campaign)
    rows = {contact.email: message for message, contact in queries.rows(campaign)}
    states = {str(address).partition("@")[0]: message.state for address, message in rows.items()}
    assert states == {
        "anna": MessageState.sent,
        "bo+550rcpt": MessageState.failed,
        "cy+554dot": MessageState.failed,
        "di+450rcpt": MessageState.queued,
        "eve+dropafterdot": MessageState.uncertain,
        "flo+dropdata": MessageState.queued,
    }
    assert rows["di+450rcpt@example.org"].next_try_at > clock.now()  # type: ignore[operator]
    assert campaign.state is CampaignState.sending, "two are still waiting"
    assert queries.figures(campaign).audience == 6


def test_a_refused_login_pauses_the_campaign_and_fails_nobody(app: Flask, relay: FakeRelay) -> None:  # M13
    relay.options.replies["MAIL"] = "530 5.7.0 authentication required"
    with transaction():
        topic = make.topic()
        make.follower(topic)
        campaign = _campaign(topic)
    _send(campaign)
    assert campaign.state is CampaignState.paused
    assert "relay" in (campaign.pause_reason or "")
    assert queries.figures(campaign).queued == 1


def test_an_unreachable_relay_loses_nothing(app: Flask, relay: FakeRelay, bell: WrittenBell) -> None:  # M10
    relay.close()
    with transaction():
        topic = make.topic()
        make.follower(topic)
        campaign = _campaign(topic)
    _send(campaign)
    assert queries.figures(campaign).queued == 1
    bell.rung.clear()
    with transaction():
        db.session.execute(Message.__table__.update().values(next_try_at=None))
        sweeping.tend(campaign.id)
    assert (jobs.DELIVER.path, (campaign.id,)) in bell.rung


def test_content_altered_in_the_database_is_not_sent(app: Flask, relay: FakeRelay) -> None:  # P7
    with transaction():
        topic = make.topic()
        make.follower(topic)
        campaign = _campaign(topic)
    with transaction():
        scheduling.schedule(campaign, clock.now())
        db.session.execute(scheduling.CampaignVersion.__table__.update().values(subject="Something else"))
    with transaction():
        scheduling.start_due(clock.now())
    with transaction():
        outbox.fill_range(campaign.id)
    sending.run(campaign.id, seconds=5)
    assert campaign.state is CampaignState.paused
    assert relay.messages == []


def test_contacts_who_come_later_are_not_in_a_frozen_audience(app: Flask, relay: FakeRelay) -> None:
    with transaction():
        topic = make.topic()
        make.follower(topic)
        campaign = _campaign(topic)
    _send(campaign)
    with transaction():
        make.follower(topic, "later@example.org")
        assert outbox.fill_range(campaign.id) is False
    assert queries.figures(campaign).audience == 1


def test_a_mail_may_rest_on_an_existing_customer(app: Flask, relay: FakeRelay) -> None:
    with transaction():
        topic = make.topic()
        contact = make.contact("anna@example.org", jurisdiction="ES")
        ledger.grant(contact, topic, LegalBasis.existing_customer, Evidence("import", "orders:1", detail=make.SALE))
        campaign = _campaign(topic)
    _send(campaign)
    assert len(relay.messages) == 1


def _html(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content())


def _everything(mail: EmailMessage) -> str:
    headers = " ".join(str(value) for value in mail.values())
    return headers + " ".join(str(part.get_content()) for part in mail.walk() if not part.is_multipart())
