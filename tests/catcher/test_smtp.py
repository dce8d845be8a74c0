"""The catcher as an SMTP server: real sockets, pipelined and slow, and nothing it cannot give back byte for byte."""

import asyncio
import smtplib
import socket
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from preference_center.catcher import smtp, store
from preference_center.catcher.store import Inbox
from preference_center.supervisor import free_port


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox")


@pytest.fixture
def port(inbox: Inbox) -> Iterator[int]:
    """A catcher in a thread of its own."""
    port, loop, up = free_port(), asyncio.new_event_loop(), threading.Event()
    stop: list[asyncio.Event] = []

    async def catch() -> None:
        stop.append(asyncio.Event())
        loop.call_later(0.05, up.set)
        await smtp.serve(inbox, "127.0.0.1", port, stop=stop[0])

    thread = threading.Thread(target=lambda: loop.run_until_complete(catch()))
    thread.start()
    up.wait()
    yield port
    loop.call_soon_threadsafe(stop[0].set)
    thread.join()
    loop.close()


def talk(port: int, *parts: bytes, until: bytes = b"221 ") -> bytes:
    """What the server says to these bytes, sent one part after the other."""
    heard = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        for part in parts:
            line.sendall(part)
        while until not in heard and (more := line.recv(65536)):
            heard += more
    return heard


def codes(heard: bytes) -> list[str]:
    return [line[:3].decode() for line in heard.split(b"\r\n") if line[3:4] == b" "]


def test_a_mail_from_smtplib_arrives_byte_for_byte(port: int, inbox: Inbox) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "shop@example.com", "anna@example.org", "Zażółć gęślą jaźń"
    mail.set_content("One line\n.\n..two dots\n.hidden\n")
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
        client.send_message(mail)
    [line] = inbox.lines()
    found = inbox.raw(line.id)
    assert found
    assert (line.recipient, line.subject) == ("anna@example.org", "Zażółć gęślą jaźń")
    assert store.parse(found[1]).get_content().replace("\r\n", "\n") == "One line\n.\n..two dots\n.hidden\n"


def test_what_it_offers(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
        client.ehlo()
        assert {"pipelining", "8bitmime", "smtputf8", "size"} <= set(client.esmtp_features)


def test_a_whole_conversation_in_one_packet_is_answered_in_order(port: int, inbox: Inbox) -> None:
    mail = b"MAIL FROM:<a@b.example> SIZE=20 BODY=8BITMIME\r\nRCPT TO:<%d@c.example>\r\nDATA\r\nSubject: x\r\n\r\nhi\r\n.\r\n"
    heard = talk(port, b"EHLO me\r\n" + b"".join(mail % n for n in range(30)) + b"QUIT\r\n")
    assert codes(heard) == ["220", "250", *["250", "250", "354", "250"] * 30, "221"]
    assert [line.recipient for line in inbox.lines()][:2] == ["29@c.example", "28@c.example"]


def test_bytes_that_come_one_by_one_make_the_same_mail(port: int, inbox: Inbox) -> None:
    text = b"EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<x@c.example>\r\nDATA\r\n..dot first\r\nlast\r\n.\r\nQUIT\r\n"
    heard = talk(port, *(text[i : i + 1] for i in range(len(text))))
    assert codes(heard) == ["220", "250", "250", "250", "354", "250", "221"]
    assert inbox.raw(1) is not None and inbox.raw(1)[1] == b".dot first\r\nlast\r\n"  # type: ignore[index]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (b"MAIL FROM:<a@b.example>", "503"),
        (b"EHLO me\r\nRCPT TO:<a@b.example>", "503"),
        (b"EHLO me\r\nDATA", "503"),
        (b"EHLO me\r\nMAIL TO:<a@b.example>", "501"),
        (b"EHLO me\r\nMAIL FROM:<a@b.example> SIZE=99999999999", "552"),
        (b"EHLO me\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<nobody>", "501"),
        (b"EHLO me\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<a@b.example>\r\nRSET\r\nDATA", "503"),
        (b"BURN", "500"),
        (b"VRFY anna", "252"),
    ],
)
def test_what_is_out_of_order_is_refused_and_the_talk_goes_on(port: int, words: bytes, answer: str) -> None:
    heard = codes(talk(port, words + b"\r\nNOOP\r\nQUIT\r\n"))
    assert heard[-3:] == [answer, "250", "221"]


def test_a_line_without_end_is_cut_off(port: int) -> None:
    assert b"500 5.5.6" in talk(port, b"E" * 5000, until=b"too long")


def test_a_mail_to_two_people_is_kept_for_both(port: int, inbox: Inbox) -> None:
    talk(
        port,
        b"EHLO me\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<One@c.example>\r\nRCPT TO:<two@c.example>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n",
    )
    assert [line.recipient for line in inbox.lines()] == ["two@c.example", "one@c.example"]


def test_only_the_newest_are_kept_and_all_are_counted(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "KEPT", 1500)
    for _ in range(4):
        inbox.keep(store.Caught("", (f"{n}@c.example",), b"Subject: x\r\n\r\nhi") for n in range(500))
    assert inbox.count() == 2000
    assert len(inbox.lines(limit=5000)) == 1500


def test_mails_are_found_by_the_beginning_of_the_address(inbox: Inbox) -> None:
    inbox.keep(store.Caught("", (f"{name}@c.example",), b"\r\n") for name in ("anna", "annika", "bert"))
    assert [line.recipient for line in inbox.lines("ANN")] == ["annika@c.example", "anna@c.example"]
    assert [line.id for line in inbox.lines(before=3)] == [2, 1]


@pytest.mark.parametrize(
    ("head", "subject"),
    [
        (b"Subject: Plain\r\nTo: x", "Plain"),
        (b"To: x\r\nsubject:  =?utf-8?q?Za=C5=BC?=\r\n =?utf-8?q?=C3=B3=C5=82=C4=87?=", "Zażółć"),
        (b"Subject: folded\r\n over\r\n\tthree lines\r\nTo: x", "folded over three lines"),
        (b"To: x", ""),
        ("Subject: Wprost po polsku: łąka".encode(), "Wprost po polsku: łąka"),
        (b"Subject: =?utf-9?q?odd?=", "=?utf-9?q?odd?="),
    ],
)
def test_the_subject_is_read(head: bytes, subject: str) -> None:
    assert store.subject_of(head + b"\r\n\r\nSubject: not me") == subject
