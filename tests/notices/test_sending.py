"""Notices: letters that reach a real relay, retries, and nothing lost when a sender dies."""

import email
import email.policy
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import dkim
import pytest
import time_machine
from aiosmtpd.controller import Controller
from flask import Flask

from preference_center.contacts import addresses, queries
from preference_center.db import db, transaction
from preference_center.mail.dkim import Signer, generate_key
from preference_center.notices import sending
from preference_center.notices.models import Kind, Notice, NoticeState
from preference_center.suppressions import register
from preference_center.suppressions.models import Cause
from tests.support import make
from tests.support.bell import WrittenBell
from worker import context
from worker.jobs import notices as job


class Relay:
    """A real SMTP server that keeps what it gets, and answers as it is told."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.answer = "250 OK"

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:
        if self.answer.startswith("250"):
            self.mails.append(envelope.content)  # type: ignore[attr-defined]
        return self.answer

    def last(self) -> EmailMessage:
        message = email.message_from_bytes(self.mails[-1], policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        return message


@pytest.fixture
def relay(app: Flask) -> Iterator[Relay]:
    handler = Relay()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        settings = app.extensions["settings"]
        app.extensions["settings"] = replace(settings, relay_url=f"smtp://127.0.0.1:{port}")
        yield handler
    finally:
        controller.stop()


def owe(kind: Kind, language: str = "en", **payload: object) -> Notice:
    with transaction():
        topic = make.topic("news", "Product news")
        make.topic("offers", "Offers & <b>more</b>")
        contact = make.contact("anna@example.org", language=language)
        assert topic.id
        return sending.owe(kind, contact, payload)


def owe_another(kind: Kind) -> Notice:
    with transaction():
        return sending.owe(kind, make.contact("bo@example.org"), {})


def state(notice: Notice) -> tuple[NoticeState, int]:
    db.session.rollback()
    return notice.state, notice.attempts


def parts(message: EmailMessage) -> tuple[str, str]:
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None and html is not None
    return text.get_content(), html.get_content()


@pytest.mark.both_databases
def test_a_confirmation_reaches_the_relay_once(relay: Relay, bell: WrittenBell) -> None:
    """S25, S26, S28."""
    notice = owe(Kind.confirm_subscription, wish="w" * 16, topics=["news", "offers"])
    assert bell.rung == [("worker.jobs.notices.send", ())]
    assert sending.drain() == 1
    assert sending.drain() == 0
    assert state(notice) == (NoticeState.sent, 1)
    message = relay.last()
    assert message["To"] == "anna@example.org"
    assert message["From"] == "Example Shop <news@example.com>"
    assert message["Subject"] == "Confirm your subscription"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "en"
    assert message["Message-ID"] == notice.message_id
    assert {"Date", "MIME-Version", "Content-Type"} <= set(message.keys())
    marketing = {"List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID"}
    assert not marketing & set(message.keys()), "S93: no stream of marketing is named in service mail"
    text, html = parts(message)
    assert "https://mail.example.com/c/" in text and "https://mail.example.com/c/" in html
    assert "- Product news" in text and "Offers &amp; &lt;b&gt;more" in html
    assert "<img" not in html
    assert "1 Long Street" in text and "1 Long Street" in html


@pytest.mark.parametrize(
    ("kind", "payload", "path"),
    [(Kind.new_link, {}, "/p/"), (Kind.topic_turned_on, {"topics": ["news"]}, "/u/")],
)
def test_every_kind_has_a_letter(relay: Relay, kind: Kind, payload: dict[str, object], path: str) -> None:
    owe(kind, **payload)
    assert sending.drain() == 1
    text, html = parts(relay.last())
    assert f"https://mail.example.com{path}" in text and path in html
    assert "{{" not in text + html and "None" not in text + html


def test_the_letter_opens_the_page_it_promises(relay: Relay, app: Flask) -> None:
    owe(Kind.new_link)
    sending.drain()
    url = parts(relay.last())[0].split("https://mail.example.com")[1].split()[0]
    db.session.remove()
    assert app.test_client().get(url).status_code == 200


def test_it_is_signed_when_a_key_is_set(relay: Relay, app: Flask, tmp_path: object) -> None:
    key = generate_key()
    file = app.extensions["settings"].data_dir / "dkim.pem"
    file.write_bytes(key)
    app.extensions["settings"] = replace(
        app.extensions["settings"], dkim_key_file=str(file), dkim_selector="s1", dkim_domain="example.com"
    )
    owe(Kind.new_link)
    assert sending.drain() == 1
    record = Signer("example.com", "s1", key).dns_record().value.encode()
    assert dkim.verify(relay.mails[-1], dnsfunc=lambda name, timeout=5: record)


def test_a_temporary_no_is_tried_again_later_and_given_up_at_last(relay: Relay) -> None:
    notice = owe(Kind.new_link)
    relay.answer = "451 4.7.1 later"
    start = datetime.now(UTC)
    assert sending.drain() == 0
    assert state(notice) == (NoticeState.queued, 1)
    assert sending.drain() == 0
    assert state(notice) == (NoticeState.queued, 1)
    for tries in range(2, sending.MOST_TRIES + 1):
        start += timedelta(hours=7)
        with time_machine.travel(start, tick=False):
            sending.drain()
        assert state(notice)[1] == tries
    assert state(notice)[0] is NoticeState.failed
    assert notice.trouble == "later"


def test_a_relay_that_is_away_keeps_the_notice(app: Flask) -> None:
    notice = owe(Kind.new_link)
    assert sending.drain() == 0
    assert state(notice)[0] is NoticeState.queued


def test_a_lasting_no_ends_it(relay: Relay) -> None:
    notice = owe(Kind.new_link)
    relay.answer = "550 5.1.1 no such user <anna@example.org>"
    sending.drain()
    assert state(notice)[0] is NoticeState.failed
    assert notice.trouble and "anna" not in notice.trouble


def test_a_notice_left_by_a_dead_sender_goes_out_after_its_lease(relay: Relay) -> None:
    notice = owe(Kind.new_link)
    with transaction():
        assert sending._claim(notice.id)
    assert sending.drain() == 0
    with time_machine.travel(datetime.now(UTC) + sending.LEASE + timedelta(seconds=1)):
        assert sending.drain() == 1
    assert state(notice) == (NoticeState.sent, 2)


@pytest.mark.both_databases
def test_two_senders_cannot_claim_the_same_notice(relay: Relay) -> None:
    notice = owe(Kind.new_link)
    with transaction():
        assert sending._claim(notice.id)
    assert not sending.send(notice.id)
    assert relay.mails == []


@pytest.mark.parametrize("gone", ["erased", "bounce"])
def test_nothing_goes_to_an_address_that_is_gone(relay: Relay, gone: str) -> None:
    notice = owe(Kind.new_link)
    with transaction():
        if gone == "bounce":
            register.suppress(addresses.parse("anna@example.org").hash, Cause.bounce, "test")
        else:
            contact = queries.by_email("anna@example.org")
            assert contact is not None
            contact.email, contact.address_hash, contact.erased_at = None, None, datetime.now(UTC)
    assert sending.drain() == 0
    assert state(notice)[0] is NoticeState.dropped
    assert relay.mails == []


def test_an_address_that_no_mail_can_be_written_to_holds_up_nobody(relay: Relay) -> None:
    with transaction():
        old, anna = make.contact("bela@example.org"), make.contact("anna@example.org")
        old.email = "-b@example.org"  # as an older release kept it
        notices = [sending.owe(Kind.new_link, old, {}), sending.owe(Kind.new_link, anna, {})]
    assert sending.drain() == 1
    assert [notice.state for notice in notices] == [NoticeState.dropped, NoticeState.sent]
    assert relay.last()["To"] == "anna@example.org"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param({"dkim_key_file": "/dev/null"}, "unencrypted private key in PEM form", id="a key that is none"),
        pytest.param({"dkim_key_file": "/nowhere/key"}, "cannot be read (No such file", id="no key"),
        pytest.param({"mail_from": "Shop <news@example..com>"}, "no mail address", id="a sender that is no address"),
        pytest.param({"relay_url": "smtp://h:25?verify=perhaps"}, "must be yes or no", id="a relay that is none"),
    ],
)
def test_settings_that_make_no_mail_cost_no_notice_a_try(
    relay: Relay, app: Flask, wrong: dict[str, str], words: str
) -> None:
    right = app.extensions["settings"]
    app.extensions["settings"] = replace(right, **({"dkim_selector": "s1"} | wrong))
    first, second = owe(Kind.rights_link, opens="data"), owe_another(Kind.new_link)
    start = datetime.now(UTC)
    for minute in range(sending.MOST_TRIES + 1):
        with time_machine.travel(start + timedelta(minutes=2 * minute)):
            assert sending.drain() == 0
        assert (state(first), state(second)) == ((NoticeState.queued, 0), (NoticeState.queued, 0))
        assert first.trouble and words in first.trouble
    app.extensions["settings"] = right
    with time_machine.travel(start + timedelta(hours=2)):
        assert sending.drain() == 2
    assert (state(first), first.trouble) == ((NoticeState.sent, 1), None)


def test_a_notice_that_cannot_be_written_is_given_up_with_the_reason_and_holds_up_nobody(relay: Relay) -> None:
    broken, whole = owe(Kind.receipt, record="r" * 16, topics=["news"], at="no day"), owe_another(Kind.new_link)
    assert sending.drain() == 1
    assert (state(broken), state(whole)[0]) == ((NoticeState.queued, 1), NoticeState.sent)
    assert broken.trouble and "no day" in broken.trouble
    for tries in range(1, sending.MOST_TRIES):
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=7 * tries)):
            sending.drain()
    assert state(broken) == (NoticeState.failed, sending.MOST_TRIES)
    assert "no day" in broken.trouble


def test_a_dropped_notice_rings_the_same_bell(app: Flask, bell: WrittenBell) -> None:
    with transaction():
        sending.drop(Kind.new_link)
    assert bell.rung == [("worker.jobs.notices.send", ())]
    assert sending.drain() == 0


def test_the_job_sends_what_is_due(relay: Relay, app: Flask) -> None:
    owe(Kind.new_link)
    context.load(app)
    job.send()
    assert len(relay.mails) == 1
