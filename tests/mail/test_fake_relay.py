"""The fake relay itself, asked by the standard library's client, and as a process that outlives a killed client."""

import json
import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.mail.handing import letter
from tests.support.relay import FakeRelay

ROOT = Path(__file__).parents[2]


@contextmanager
def client(relay: FakeRelay) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=5) as smtp:
        yield smtp


def test_a_client_of_another_make_is_served(relay: FakeRelay) -> None:
    data = b"Message-ID: <1@x.example>\r\n\r\n.dot\r\n..\r\n"
    with client(relay) as smtp:
        smtp.sendmail("a@b.example", ["c@d.example", "e@f.example"], data)
    assert [(message.recipient, message.message_id) for message in relay.wait_for(2)] == [
        ("c@d.example", "<1@x.example>"),
        ("e@f.example", "<1@x.example>"),
    ]
    assert relay.messages[0].data == data


def test_scripts_apply_as_often_as_they_say(relay: FakeRelay) -> None:
    with client(relay) as smtp:
        for _ in range(2):
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                smtp.sendmail("a@b.example", ["anna+450x2@c.example"], letter())
            assert refused.value.recipients["anna+450x2@c.example"][0] == 450
        smtp.sendmail("a@b.example", ["anna+450x2@c.example"], letter())
        for _ in range(3):
            with pytest.raises(smtplib.SMTPDataError) as failed:
                smtp.sendmail("a@b.example", ["ben+554dot@c.example"], letter())
            assert failed.value.smtp_code == 554
    assert relay.copies() == {"anna+450x2@c.example": 1}
    assert [entry["code"] for entry in relay.events("refused")] == [450, 450, 554, 554, 554]


@pytest.mark.parametrize(
    ("deed", "taken"), [("dropafterdot", 1), ("lostafterdot", 0), ("droprcpt", 0), ("dropmail", 0)]
)
def test_hanging_up_is_told_apart_by_what_was_taken(relay: FakeRelay, deed: str, taken: int) -> None:
    sender = f"a+{deed}@b.example" if deed == "dropmail" else "a@b.example"
    with pytest.raises(smtplib.SMTPServerDisconnected), client(relay) as smtp:
        smtp.sendmail(sender, [f"anna+{deed}@c.example"], letter())
    assert len(relay.messages) == taken
    relay.wait_for_event("hung_up")


def test_one_in_n_is_held(relay: FakeRelay) -> None:
    relay.options.hold = (3, 0.2)
    with client(relay) as smtp:
        started = time.monotonic()
        for _ in range(6):
            smtp.sendmail("a@b.example", ["anna@c.example"], letter())
    assert 0.4 <= time.monotonic() - started < 1.5
    assert [entry["seq"] for entry in relay.history] == list(range(1, len(relay.history) + 1))
    assert len(relay.events("holding")) == 2


def test_the_relay_may_put_its_own_message_id(relay: FakeRelay) -> None:
    relay.options.rewrite_message_id = True
    with client(relay) as smtp:
        smtp.mail("a@b.example")
        smtp.rcpt("anna@c.example")
        code, text = smtp.data(letter())
    assert code == 250 and b"<1@rewritten.relay.example>" in text


def test_what_a_killed_client_handed_over_is_in_the_log_and_nothing_else(tmp_path: Path) -> None:
    log = tmp_path / "relay.jsonl"
    relay = subprocess.Popen(
        [sys.executable, "-m", "tests.support.relay", "--log", str(log), "--hold", "40:30"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert relay.stdout is not None
        port = int(relay.stdout.readline())
        sender = subprocess.Popen(
            [sys.executable, "-c", SENDER, str(port), str(tmp_path / "journal")], cwd=ROOT, stdout=subprocess.DEVNULL
        )
        until(lambda: log.exists() and b'"holding"' in log.read_bytes())
        os.kill(sender.pid, signal.SIGKILL)
        sender.wait(5)
    finally:
        relay.send_signal(signal.SIGTERM)
        assert relay.wait(10) == 0
        if relay.stdout:
            relay.stdout.close()
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    accepted = [entry["recipient"] for entry in entries if entry["event"] == "accepted"]
    journal = [line.split() for line in (tmp_path / "journal").read_text().splitlines()]
    answered = {f"u{words[1]}@c.example" for words in journal if words[0] == "reply"}
    dotted = {f"u{words[1]}@c.example" for words in journal if words[0] == "dot"}
    # P2 in small: every reply stands in the relay's log, and only one message of the connection is in doubt
    assert len(accepted) == len(set(accepted)) == 40
    assert answered <= set(accepted) <= dotted
    assert len(dotted - answered) == 1


def until(true: Callable[[], bool], timeout: float = 10) -> None:
    """Wait for a condition."""
    end = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


SENDER = """
import os, sys
from preference_center.mail.smtp import Courier, Relay
from tests.mail.handing import hand, to

class Journal:
    def __init__(self): self.file = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    def dot(self, *keys): os.write(self.file, "".join(f"dot {key}\\n" for key in keys).encode())
    def reply(self, key, code): os.write(self.file, f"reply {key} {code}\\n".encode())
    def write(self): pass

relay = Relay("127.0.0.1", int(sys.argv[1]), tls="none")
hand(Courier(relay, connections=1, journal=Journal()), to(*(f"u{number}" for number in range(100))))
"""
