"""Mailjet: one object or many, numbers too large for a float, and causes that say more than `hard_bounce`."""

from tests.providers.payloads import all_ours, payload, read, told


def test_each_word_and_cause_becomes_one_of_ours() -> None:
    events = read("mailjet", payload("mailjet/group"))
    assert [told(event) for event in events] == [
        "delivered",
        "bounced hard",
        "bounced soft",  # over quota, though they call it hard
        "bounced soft",
        "deferred",  # greylisted
        "bounced block",
        "bounced block",
        "bounced hard",  # no mail host
        "rejected",
        "complained",
        "unsubscribed",
        "opened",
        "clicked",
        "clicked",
        "unknown",
    ]
    assert all_ours(events)
    assert len({event.key for event in events}) == len(events)
    assert events[1].status == "5.1.1"


def test_a_single_object_is_read_like_a_group_of_one() -> None:
    group = payload("mailjet/group")
    assert read("mailjet", group[0]) == read("mailjet", group[:1])


def test_a_large_number_keeps_all_its_digits() -> None:
    first = payload("mailjet/group")[0]
    event, neighbour = read("mailjet", [first, first | {"MessageID": first["MessageID"] + 1}])
    assert event.provider_message_id == "1152921510000000007"
    assert event.key != neighbour.key


def test_two_people_of_one_message_are_two_events_and_no_key_holds_an_address() -> None:
    first = payload("mailjet/group")[0]
    events = read("mailjet", [first, first | {"email": "jan@shop.example"}, first | {"email": "OLA@shop.example"}])
    assert events[0].key != events[1].key
    assert events[0].key == events[2].key  # another spelling of the same
    assert not any("@" in event.key or "ola" in event.key for event in events)
