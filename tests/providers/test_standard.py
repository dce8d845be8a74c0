"""Standard Webhooks in our own words: single events, batches, and what docs/providers/standard.md shows."""

import json
import re

import pytest

from preference_center.providers.base import Kind, Unreadable
from tests.providers.payloads import MARK, RECIPIENT, payload, read, told
from tests.support.sources import ROOT

PAGE = (ROOT / "docs" / "providers" / "standard.md").read_text(encoding="utf-8")


def test_a_batch_is_read_and_each_event_has_its_own_number() -> None:  # S113
    events = read("standard", payload("standard/batch"), **{"webhook-id": "w-1"})
    assert [told(event) for event in events] == [
        "accepted",
        "bounced block",
        "bounced hard",  # by its words
        "unsubscribed all",
        "clicked by machine",
        "unknown",
        "unknown",
        "opened",
    ]
    assert [event.key for event in events[:3]] == ["standard:s-1", "standard:s-2", "standard:s-3"]
    assert len({event.key for event in events}) == len(events)
    assert (events[0].mark, events[0].recipient) == (MARK, RECIPIENT)
    assert events[1].detail == "554 5.7.1 listed [address]"
    assert events[3].occurred_at is not None
    assert events[3].occurred_at.isoformat() == "2026-11-20T12:00:03+00:00"
    assert (events[4].url, events[4].message_id) == ("https://shop.example/a", "k3-77@news.example.net")


def test_a_numbered_event_is_the_same_in_another_post() -> None:
    batch = payload("standard/batch")
    first, again = (read("standard", batch, **{"webhook-id": number})[0].key for number in ("w-1", "w-2"))
    assert first == again


@pytest.mark.parametrize("prefix", ["webhook-", "svix-"])
def test_a_single_event_is_known_by_its_header(prefix: str) -> None:
    (event,) = read("standard", {"type": "mail.delivered"}, **{f"{prefix}id": "w-9"})
    assert event.key == "standard:w-9"


def test_a_batch_without_a_list_is_said_to_be_unreadable() -> None:
    with pytest.raises(Unreadable, match=r"data\.events"):
        read("standard", {"type": "mail.events", "data": {"events": {}}})


def test_what_the_page_shows_is_understood() -> None:
    one, batch = (json.loads(shown) for shown in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    (event,) = read("standard", one)
    assert told(event) == "bounced hard"
    assert None not in (event.recipient, event.mark, event.message_id, event.provider_message_id, event.status)
    assert [told(event) for event in read("standard", batch)] == ["delivered", "deferred"]


def test_the_page_names_every_kind_that_a_sender_may_use() -> None:
    ours = {kind for kind in Kind if kind not in (Kind.unknown, Kind.provider_reactivated)}
    assert [kind for kind in ours if f"`{kind}`" not in PAGE] == []
