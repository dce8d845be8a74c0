"""The mailbox by real TLS: nothing is said, and no password, to a server that does not prove its name."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask

from preference_center.config import BadSettings, environment, read
from preference_center.errors import Unavailable
from preference_center.webhooks import imap
from preference_center.webhooks.imap import Account
from tests.cli.conftest import settings_in
from tests.mail.conftest import Authority
from tests.support.bounces import mails
from tests.support.imap import Mailbox, serving

Serves = Callable[..., Mailbox]


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """One that this machine trusts, as an operator makes it trust a house of their own."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", made.file)
    return made


@contextmanager
def box(certificate: tuple[str, str] | None) -> Iterator[Mailbox]:
    with serving(Mailbox(certificate=certificate)) as made:
        made.put(mails.dsn())
        yield made


def account(made: Mailbox, host: str = "localhost") -> Account:
    return Account.at(f"imaps://bounces%40example.com:right@{host}:{made.port}/INBOX")


def test_mails_are_fetched_from_a_server_whose_certificate_holds(
    app: Flask, authority: Authority, tmp_path: Path
) -> None:
    with box(authority.issue()) as made:
        assert imap.fetch(account(made)) == 1
        assert imap.look(account(made), tmp_path).mails == 1
        assert "LOGIN" in made.heard


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"host": "other.example"}, "mismatch"), ({"expired": True}, "expired"), ({"self_signed": True}, "self-signed")],
    ids=["wrong name", "expired", "self-signed"],
)
def test_one_that_does_not_hold_hears_nothing_at_all(
    app: Flask, authority: Authority, wrong: dict[str, object], words: str
) -> None:
    with box(authority.issue(**wrong)) as made:  # type: ignore[arg-type]
        with pytest.raises(Unavailable, match="certificate does not hold") as told:
            imap.fetch(account(made))
        assert words in told.value.message
        assert made.heard == []


def test_a_good_certificate_is_no_proof_for_another_name(app: Flask, authority: Authority) -> None:
    with box(authority.issue()) as made:
        with pytest.raises(Unavailable, match="certificate does not hold"):
            imap.fetch(account(made, "127.0.0.1"))
        assert made.heard == []


def test_an_authority_that_nobody_here_trusts_is_refused(app: Flask, tmp_path: Path) -> None:
    with box(Authority(tmp_path).issue()) as made:
        with pytest.raises(Unavailable, match="certificate does not hold"):
            imap.fetch(account(made))
        assert made.heard == []


def test_a_server_that_speaks_plainly_where_tls_was_meant_hears_nothing(app: Flask, authority: Authority) -> None:
    with box(None) as made:
        with pytest.raises(Unavailable, match="cannot be reached"):
            imap.fetch(account(made))
        assert not any("LOGIN" in heard for heard in made.heard)


def test_there_is_no_starttls_that_somebody_on_the_way_could_take_out(tmp_path: Path) -> None:
    """TLS begins with the first byte or not at all (RFC 8314), and a plain connection stays on this machine."""
    for host in ("imap.example.com", "10.0.0.1", "localhost.example.com"):
        given = settings_in(tmp_path, PREFERENCE_CENTER_MAILBOX_URL=f"imap://a:secret-word@{host}/INBOX")
        with pytest.raises(BadSettings) as told:
            read(environment(given))
        assert "imap:// is only for this machine" in str(told.value)
        assert "secret-word" not in str(told.value)


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_said(
    app: Flask, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap, "_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        started = time.monotonic()
        with pytest.raises(Unavailable, match="cannot be reached"):
            imap.fetch(account(Mailbox(port=mute.getsockname()[1])))
        assert time.monotonic() - started < 5
