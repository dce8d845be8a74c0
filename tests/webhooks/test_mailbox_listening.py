"""The listener on loopback, talked to as Postfix and Exim do: LMTP and SMTP by Python's own clients, and by hand."""

import asyncio
import smtplib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from preference_center import jobs
from preference_center.app import create_app
from preference_center.config import Settings
from preference_center.db import db
from preference_center.delivery.events.models import DeliveryEvent
from preference_center.delivery.marks import Place
from preference_center.supervisor import free_port
from preference_center.webhooks import listening, processing
from tests.conftest import make_settings
from tests.delivery.events.conftest import Sent, sent  # noqa: F401 - a fixture
from tests.support.bell import WrittenBell
from tests.support.bounces import mails

ANNA = mails.ANNA
CRLF = mails.dsn().replace(b"\n", b"\r\n")


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    return make_settings(tmp_path, database, mailbox_addresses="fbl@example.com Abuse@example.com")


@pytest.fixture
def port(app: Flask) -> Iterator[int]:
    with listener(app) as number:
        yield number


@contextmanager
def listener(app: Flask, limits: listening.Limits = listening.LIMITS) -> Iterator[int]:
    """Running in a thread of its own."""
    number, loop, stop = free_port(), asyncio.new_event_loop(), asyncio.Event()
    serving = listening.serve(app, "127.0.0.1", number, stop, limits)
    thread = threading.Thread(target=loop.run_until_complete, args=(serving,))
    thread.start()
    for _ in range(500):
        if _answers(number):
            break
        time.sleep(0.01)
    yield number
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def _answers(port: int) -> bool:
    try:
        with smtplib.SMTP("127.0.0.1", port):
            return True
    except OSError:
        return False


@pytest.fixture
def path(sent: Callable[..., Sent]) -> str:  # noqa: F811
    return f"bounce+{sent(ANNA).mark(ANNA, Place.return_path)}@news.example.com"


@pytest.mark.parametrize("client", [smtplib.LMTP, smtplib.SMTP], ids=["LMTP", "SMTP"])
def test_a_bounce_is_taken_kept_and_rung_for(
    port: int, path: str, client: type[smtplib.SMTP], bell: WrittenBell
) -> None:
    mail = mails.dsn(to="somebody@example.com", words="w" * 5000).replace(b"\n", b"\r\n")
    with client("127.0.0.1", port) as line:
        assert line.sendmail("<>", [path], mail) == {}
    for _ in range(200):  # it is rung beside the conversation
        if bell.rung:
            break
        time.sleep(0.01)
    assert bell.rung == [(jobs.PROCESS_POSTS.path, ())]
    processing.drain()
    assert db.session.scalars(select(DeliveryEvent.bounce_class)).all() == ["hard"]


@pytest.mark.parametrize(
    "address", ["anna@harbour.example", "bounce+1-00000000000000000000@news.example.com", "bounce@news.example.com"]
)
def test_an_address_without_a_mark_of_ours_is_refused_at_once(port: int, address: str) -> None:
    """S43: neither a relay nor a place to fill."""
    with smtplib.SMTP("127.0.0.1", port) as line:
        line.ehlo()
        line.mail("")
        assert line.rcpt(address)[0] == 550


def test_an_address_of_the_settings_is_taken(port: int) -> None:
    with smtplib.LMTP("127.0.0.1", port) as line:
        assert (
            line.sendmail("feedback@harbour.example", ["abuse@example.com"], mails.complaint().replace(b"\n", b"\r\n"))
            == {}
        )


def test_a_second_recipient_waits_for_a_mail_of_its_own(port: int, path: str) -> None:
    with smtplib.LMTP("127.0.0.1", port) as line:
        line.ehlo()
        line.mail("")
        assert line.rcpt(path)[0] == 250
        assert line.rcpt("fbl@example.com")[0] == 452


def test_while_the_database_is_away_it_asks_for_later(tmp_path: Path, path: str) -> None:
    away = create_app(make_settings(tmp_path, "postgresql+psycopg://a:b@127.0.0.1:1/x"), bell=WrittenBell())
    with listener(away) as port, smtplib.LMTP("127.0.0.1", port) as line:
        line.ehlo()
        line.mail("")
        assert line.rcpt(path)[0] == 250
        assert line.data(CRLF)[0] == 451


def test_a_mail_over_the_limit_is_refused(port: int, path: str) -> None:
    with smtplib.SMTP("127.0.0.1", port) as line:
        line.ehlo()
        assert line.docmd("MAIL", f"FROM:<> SIZE={listening.LARGEST + 1}")[0] == 552
