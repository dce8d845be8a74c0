"""Reading what comes back costs little: a burst of bounces is read in seconds."""

import time

from preference_center.mail import refusals
from preference_center.webhooks.reports import reading
from tests.webhooks.test_reports import MAILS
from tests.webhooks.test_reports_unseen import LETTERS


def test_a_thousand_mails_are_read_in_less_than_two_seconds() -> None:
    """S128. Of every kind, each about somebody else, by processor time: whoever else works on this machine counts not."""
    kinds = [raw for raw, _ in MAILS.values()] + [raw for _, raw in LETTERS.values()]
    mails = [kinds[number % len(kinds)].replace(b"anna", b"anna%d" % number) for number in range(1000)]
    reading.read(mails[0])  # the rule book is compiled once in a process
    refusals._judge.cache_clear()
    started = time.process_time()
    for mail in mails:
        reading.read(mail)
    assert time.process_time() - started < 2
