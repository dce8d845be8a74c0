"""Postmark: records told apart by type, a bounce and a complaint under one number, and lifted suppressions."""

import pytest

from tests.providers.payloads import all_ours, payload, read, told

MEANT = {
    "delivery": "delivered",
    "hard": "bounced hard",
    "soft": "bounced soft",
    "transient": "deferred",
    "dns": "deferred",
    "blocked": "bounced block",
    "spam filter": "bounced block",  # a machine said spam, no person
    "dmarc": "bounced block",
    "bad address": "rejected",
    "away": "auto_replied",
    "answered by a challenge": "auto_replied",
    "unsubscribe": "unsubscribed",
    "type of tomorrow, dead": "bounced hard",  # by its words
    "type of tomorrow, wordless": "bounced soft",
    "complaint": "complained",
    "left": "unsubscribed",
    "suppressed for a bounce": "bounced hard",
    "suppressed for a complaint": "complained",
    "lifted": "provider_reactivated",
    "open": "opened",
    "click": "clicked",
    "inbound": "unknown",
}


@pytest.mark.parametrize("name", MEANT)
def test_each_record_becomes_one_of_ours(name: str) -> None:
    events = read("postmark", payload("postmark/each_kind")[name])
    assert [told(event) for event in events] == [MEANT[name]]
    assert MEANT[name] == "unknown" or all_ours(events)


def test_the_payloads_are_all_named() -> None:
    assert set(payload("postmark/each_kind")) == set(MEANT)


def test_a_bounce_and_the_complaint_of_the_same_number_are_two_events() -> None:
    records = payload("postmark/each_kind")
    bounce, complaint = (read("postmark", records[name])[0] for name in ("hard", "complaint"))
    assert records["hard"]["ID"] == records["complaint"]["ID"]
    assert bounce.key != complaint.key


def test_what_carries_no_number_is_told_apart_by_all_it_says() -> None:
    records = payload("postmark/each_kind")
    names = ["delivery", "left", "lifted", "open", "click"]
    later = records["open"] | {"ReceivedAt": "2026-11-20T12:00:01Z"}
    keys = [read("postmark", record)[0].key for record in [*(records[name] for name in names), later]]
    assert len(set(keys)) == len(keys)
    assert not any("@" in key for key in keys)  # keys outlive people


def test_the_time_is_read_with_its_offset() -> None:
    (event,) = read("postmark", payload("postmark/each_kind")["hard"])
    assert event.occurred_at is not None
    assert event.occurred_at.isoformat() == "2026-11-20T12:00:00.123456+00:00"
    assert event.detail == "smtp;550 5.1.1 no mailbox for [address]"


def test_our_mark_is_found_whatever_the_case_of_its_name() -> None:
    record = payload("postmark/each_kind")["delivery"] | {"Metadata": {"other": "x", "PC-Mark": "a1-b2"}}
    assert read("postmark", record)[0].mark == "a1-b2"
