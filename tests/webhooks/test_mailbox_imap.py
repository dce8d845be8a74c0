"""Fetching what came back by IMAP, from a real server on loopback: stored first, marked afterwards, nothing ever deleted."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from flask import Flask
from sqlalchemy import func, select

from preference_center.config import Settings
from preference_center.consent.models import ConsentRecord
from preference_center.db import db
from preference_center.delivery.events.models import DeliveryEvent
from preference_center.delivery.marks import Place
from preference_center.errors import Unavailable
from preference_center.webhooks import imap, processing
from preference_center.webhooks.imap import KEYWORD, Account
from preference_center.webhooks.models import InboundPost
from preference_center.webhooks.reports import reading
from preference_center.webhooks.reports.base import Report
from tests.delivery.events.conftest import Sent, sent  # noqa: F401 - a fixture
from tests.support.bounces import mails
from tests.support.imap import Mailbox, serving

ANNA = mails.ANNA


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with serving(Mailbox()) as made:
        yield made


@pytest.fixture
def bounce(sent: Callable[..., Sent]) -> bytes:  # noqa: F811
    here = sent(ANNA)
    return mails.dsn(to=f"bounce+{here.mark(ANNA, Place.return_path)}@news.example.com")


def account(box: Mailbox, password: str = "right") -> Account:
    return Account.at(f"imap://bounces%40example.com:{password}@127.0.0.1:{box.port}/Returned%20mail")


def stored() -> int:
    return db.session.scalar(select(func.count()).select_from(InboundPost)) or 0


def test_what_is_new_is_stored_marked_and_read(app: Flask, box: Mailbox, bounce: bytes) -> None:
    number, letter = box.put(bounce), box.put(mails.reply("Do you have it in blue?"))
    assert imap.fetch(account(box)) == 2
    assert box.flags[number] == {KEYWORD}
    assert box.flags[letter] == {KEYWORD, "\\Flagged"}  # a person should see it
    assert 'SELECT "Returned mail"' in box.heard
    assert {word for command in box.heard for word in command.split()}.isdisjoint(
        {"DELETE", "EXPUNGE", "MOVE", "COPY", "\\Deleted", "CLOSE"}
    )
    processing.drain()
    assert db.session.scalars(select(DeliveryEvent.bounce_class)).all() == ["hard"]
    assert imap.fetch(account(box)) == 0


def test_a_crash_between_storing_and_marking_repeats_harmlessly(app: Flask, box: Mailbox, bounce: bytes) -> None:
    box.put(bounce)
    box.die_before = "UID STORE"
    with pytest.raises(Unavailable):
        imap.fetch(account(box))
    assert stored() == 1
    box.die_before = ""
    assert imap.fetch(account(box)) == 1
    processing.drain()
    assert stored() == 1
    assert len(db.session.scalars(select(DeliveryEvent)).all()) == 1


def test_a_mail_that_a_fault_of_ours_cannot_read_is_kept_for_a_person_and_the_others_go_on(
    app: Flask, box: Mailbox, bounce: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, good = box.put(mails.reply("Something odd")), box.put(bounce)
    with monkeypatch.context() as fault:

        def breaks_at_the_odd(raw: bytes, read: Callable[[bytes], Report] = reading.read) -> Report:
            if b"Something odd" in raw:
                raise IndexError
            return read(raw)

        fault.setattr(reading, "read", breaks_at_the_odd)
        assert imap.fetch(account(box)) == 2
    assert (box.flags[odd], box.flags[good], stored()) == ({KEYWORD, "\\Flagged"}, {KEYWORD}, 2)


def test_numbers_that_are_none_are_left_out(app: Flask, box: Mailbox, bounce: bytes) -> None:
    box.put(bounce)
    box.invents = b"1:* \xff"
    assert imap.fetch(account(box)) == 1


def test_where_no_keywords_are_kept_a_fetched_mail_counts_as_read(app: Flask, box: Mailbox, bounce: bytes) -> None:
    box.keywords = False
    number = box.put(bounce)
    assert imap.fetch(account(box)) == 1
    assert box.flags[number] == {"\\Seen"}
    assert imap.fetch(account(box)) == 0


def _leaves(sent: Callable[..., Sent]) -> bytes:  # noqa: F811
    mark = sent(ANNA).mark(ANNA, Place.unsubscribe)
    return f"From: {ANNA}\r\nTo: unsubscribe+{mark}@news.example.com\r\nSubject: unsubscribe\r\n\r\n".encode()


def _has_left() -> bool:
    processing.drain()
    left = db.session.scalar(select(func.count()).where(ConsentRecord.action == "withdrawn"))
    db.session.rollback()
    return bool(left)


@pytest.mark.parametrize("how", ["fetch refused", "fetch hangs up", "mark refused", "mark forgotten"])
def test_no_mail_stands_in_the_way_of_who_leaves(
    app: Flask,
    settings: Settings,
    box: Mailbox,
    sent: Callable[..., Sent],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    monkeypatch.setattr(imap, "AT_A_TIME", 2)
    monkeypatch.setattr(imap, "AGAIN", 1)
    bad = [box.put(mails.reply(f"Letter {number}")) for number in range(2)]
    box.put(_leaves(sent))
    match how:
        case "fetch refused":
            box.refuses = f"UID FETCH {bad[0]} "
        case "fetch hangs up":
            box.die_before = f"UID FETCH {bad[0]} "
        case "mark refused":
            box.refuses = f"UID STORE {bad[0]} "
        case _:
            box.forgets = True
    for _ in range(3):
        with suppress(Unavailable):
            imap.fetch(account(box))
    assert _has_left()
    there = imap.look(account(box), settings.data_dir)
    assert there == (3, 3 if box.forgets else 1), "the doctor names those that stay"
    box.refuses, box.die_before, box.forgets = "", "", False
    for _ in range(4):
        imap.fetch(account(box))
    assert all(KEYWORD in flags for flags in box.flags.values()), "they are tried again"
    assert imap.look(account(box), settings.data_dir) == (3, 0)
    assert stored() == 3


def test_in_a_mailbox_that_was_made_anew_all_is_new(
    app: Flask, settings: Settings, box: Mailbox, bounce: bytes
) -> None:
    box.put(bounce)
    assert imap.fetch(account(box)) == 1
    box.flags[1].clear()
    assert imap.look(account(box), settings.data_dir).tried == 1
    box.validity = 2
    assert imap.look(account(box), settings.data_dir).tried == 0
    (settings.data_dir / "mailbox.json").write_text("{torn")
    assert imap.fetch(account(box)) == 1


def test_a_huge_mail_is_fetched_in_part(app: Flask, box: Mailbox, bounce: bytes) -> None:
    box.put(bounce + b"x" * 3 * 1024 * 1024)
    assert imap.fetch(account(box)) == 1
    assert (db.session.scalar(select(InboundPost.size)) or 0) <= 1024 * 1024


def test_a_refused_login_is_told_without_the_password(app: Flask, box: Mailbox) -> None:
    with pytest.raises(Unavailable) as refused:
        imap.fetch(account(box, "wrong-secret"))
    assert "PREFERENCE_CENTER_MAILBOX_URL" in refused.value.message
    assert "wrong-secret" not in refused.value.message
    assert "wrong-secret" not in repr(account(box, "wrong-secret"))


def test_a_server_that_is_away_is_told_in_plain_words(app: Flask, box: Mailbox) -> None:
    gone = Account.at("imap://a:right@127.0.0.1:1/INBOX")
    with pytest.raises(Unavailable, match="cannot be reached"):
        imap.fetch(gone)


def test_a_server_without_tls_gets_no_password(app: Flask, box: Mailbox) -> None:
    with pytest.raises(Unavailable):
        imap.fetch(Account.at(f"imaps://a:right@127.0.0.1:{box.port}/INBOX"))
    assert not any(command.startswith("LOGIN") for command in box.heard)
