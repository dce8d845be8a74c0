"""Mailgun: its words, its signature that covers a token alone, and what follows from that."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from preference_center.providers.base import Forged
from tests.providers.payloads import all_ours, payload, read, told
from tests.providers.proven import NOW, proven

MEANT = {
    "accepted": "accepted",
    "delivered": "delivered",
    "temporary": "deferred",
    "dead": "bounced hard",
    "full": "bounced soft",
    "filter": "bounced block",
    "wordless": "bounced hard",  # all they say is "permanent"
    "suppressed complaint": "rejected",
    "suppressed by code": "rejected",
    "rejected": "rejected",
    "complained": "complained",
    "unsubscribed": "unsubscribed",
    "opened": "opened",
    "opened by a proxy": "opened by machine",
    "clicked": "clicked",
    "list_member_uploaded": "unknown",
}


@pytest.mark.parametrize("name", MEANT)
def test_each_word_becomes_one_of_ours(name: str) -> None:
    events = read("mailgun", payload("mailgun/each_kind")[name])
    assert [told(event) for event in events] == [MEANT[name]]
    assert events[0].message_id == events[0].provider_message_id == "k3-77@news.example.net"
    assert MEANT[name] == "unknown" or all_ours(events)


def test_the_payloads_are_all_named() -> None:
    assert set(payload("mailgun/each_kind")) == set(MEANT)


def test_the_token_comes_back_so_that_it_is_good_once() -> None:
    """Any event can be put beside a signature that was caught: it verifies, with the same token."""
    case = proven("mailgun")
    token = case.provider.verify(case.post, case.secrets, NOW)
    forged = json.loads(case.post.body)
    forged["event-data"] = {"event": "complained", "recipient": "victim@example.org"}
    other = replace(case.post, body=json.dumps(forged).encode())
    assert token
    assert case.provider.verify(other, case.secrets, NOW) == token


def test_a_retry_with_a_new_token_is_the_same_event() -> None:  # W1
    first = payload("mailgun/each_kind")["dead"]
    again = first | {"signature": first["signature"] | {"token": "another"}}
    assert read("mailgun", first)[0].key == read("mailgun", again)[0].key


@pytest.mark.parametrize("off", [timedelta(hours=11), timedelta(days=1), timedelta(minutes=-6)])
def test_an_old_signature_is_refused(off: timedelta) -> None:  # W4
    case = proven("mailgun")
    with pytest.raises(Forged, match="timestamp"):
        case.provider.verify(case.post, case.secrets, NOW + off)


def test_the_last_try_after_eight_hours_is_believed() -> None:
    case = proven("mailgun")
    assert case.provider.verify(case.post, case.secrets, NOW + timedelta(hours=8, minutes=30))


@pytest.mark.parametrize("part", ["timestamp", "token", "signature"])
@pytest.mark.parametrize("value", [None, 7, "", [], "ü" * 64, "0" * 64])
def test_a_broken_signature_is_refused(part: str, value: object) -> None:
    case = proven("mailgun")
    body = json.loads(case.post.body)
    body["signature"][part] = value
    with pytest.raises(Forged):
        case.provider.verify(replace(case.post, body=json.dumps(body).encode()), case.secrets, NOW)
