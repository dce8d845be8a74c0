"""Mails that somebody made to break a reader (S127): each ends soon, in little memory, and never in an error."""

import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preference_center.webhooks.reports import parts, reading
from tests.support.bounces import mails

MB = 1024 * 1024


def nested(depth: int) -> bytes:
    opened = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(depth))
    return f"From: x@harbour.example\n{opened}Content-Type: text/plain\n\nhello\n".encode()


def messages_in_messages(depth: int) -> bytes:
    return ("Subject: x\nContent-Type: message/rfc822\n\n" * depth).encode() + b"\nhello"


HOSTILE: dict[str, Callable[[], bytes]] = {
    "10 MB of text": lambda: mails.head("failure").encode() + b"\n" + b"user unknown " * (10 * MB // 13),
    "10 MB on one line": lambda: mails.head("failure").encode() + b"\n" + b"a" * 10 * MB,
    "10 MB of header": lambda: b"X-A: b\n" * (10 * MB // 7),
    "one header line of 10 MB": lambda: b"Subject: " + b"=?utf-8?q?a?= " * (10 * MB // 14),
    "1,000 nested parts": lambda: nested(1000),
    "10,000 nested parts": lambda: nested(10_000),
    "1,000 parts side by side": lambda: b'Content-Type: multipart/mixed; boundary="b"\n\n' + b"--b\n\nhello\n" * 1000,
    "500,000 boundary lines": lambda: b'Content-Type: multipart/mixed; boundary="b"\n\n' + b"--b\n" * 500_000,
    "a boundary inside itself": lambda: b'Content-Type: multipart/mixed; boundary="b"\n\n'
    + b'--b\nContent-Type: multipart/mixed; boundary="b"\n\n' * 5000,
    "1,000 messages in messages": lambda: messages_in_messages(1000),
    "a status part of 100,000 recipients": lambda: mails.dsn(
        more="".join(f"\nFinal-Recipient: rfc822; a{n}@b.example\nAction: failed\nStatus: 5.1.1\n" for n in range(100_000))
    ),
    "100,000 failed recipients": lambda: mails.exim(*[(f"a{n}@b.example", "550 no") for n in range(20_000)]),
    "a charset that is none": lambda: mails.reply("x").replace(b"utf-8", b"punycode") + b"a-" * MB,
    "a charset with a null": lambda: mails.reply("x").replace(b"utf-8", b'"u\x00f"'),
    "bytes of no charset": lambda: mails.reply("x") + bytes(range(256)) * 4000,
    "broken base64": lambda: mails.head("x", Content_Transfer_Encoding="base64").encode() + b"\n" + b"=A=" * MB,
    "HTML of open brackets": lambda: mails.head("x", Content_Type="text/html").encode() + b"\n" + b"<" * MB,
    "HTML of comments": lambda: mails.head("x", Content_Type="text/html").encode() + b"\n" + b"<!-- <style " * 80_000,
    "brackets in a comment": lambda: mails.dsn(status="5.1.1 " + "(" * 100_000, action="failed " + "(" * 100_000),
    "addresses without end": lambda: mails.letter("<a@" * 100_000),
    "a sender in 100,000 comments": lambda: b"From: " + b"(" * 100_000 + b"\n\nhello",
    "1,000 recipients, each with words that nearly fit": lambda: mails.dsn(
        more="".join(
            f"\nFinal-Recipient: rfc822; a{n}@b.example\nAction: failed\nStatus: 5.0.0\n"
            f"Diagnostic-Code: smtp; {n} {'invalid illegal or unknown ' * 75}\n"
            for n in range(1000)
        )
    ),
    "escapes without end": lambda: mails.dsn(original="utf-8; " + "\\x{FFFFFF}" * 50_000 + "@b.example"),
    "a recipient and then only spaces": lambda: mails.letter("recipient" + " " * 11_900 + "x"),
    "a recipient and then only line ends": lambda: mails.letter("recipient" + "\n" * 11_900 + "x"),
    "nothing": lambda: b"",
    "line ends alone": lambda: b"\r\n\r" * MB,
}  # fmt: skip


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_mail_ends_soon_and_in_little_memory(make: Callable[[], bytes]) -> None:
    """S127"""
    raw = make()
    started = time.process_time()
    reading.read(raw)
    assert time.process_time() - started < 2
    tracemalloc.start()
    try:
        reading.read(raw)
        assert tracemalloc.get_traced_memory()[1] < 40 * MB
    finally:
        tracemalloc.stop()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes_are_read(raw: bytes) -> None:
    """S127"""
    assert reading.read(raw).findings


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([mails.dsn(), mails.complaint(), mails.qmail((mails.ANNA, "550 no")), mails.reply("x")]), st.data()
)
def test_a_mail_with_pieces_torn_out_is_read(raw: bytes, data: st.DataObject) -> None:
    """S127"""
    for _ in range(3):
        at = data.draw(st.integers(0, len(raw)))
        to = data.draw(st.integers(at, min(len(raw), at + 80)))
        raw = raw[:at] + data.draw(st.binary(max_size=12)) + raw[to:]
    assert reading.read(raw).findings


def test_no_more_parts_are_kept_than_the_limit() -> None:
    assert len(parts.take_apart(HOSTILE["1,000 parts side by side"]()).parts) <= parts.PARTS_LIMIT
