"""SparkPost: codes for why a message bounced, some of which are no bounce, in arrays of envelopes."""

from tests.providers.payloads import all_ours, payload, read, told


def test_each_word_and_code_becomes_one_of_ours() -> None:
    events = read("sparkpost", payload("sparkpost/batch"))
    assert [told(event) for event in events] == [  # the ping before them is none
        "accepted",
        "delivered",
        "deferred",
        "bounced hard",
        "bounced hard",
        "bounced soft",
        "bounced block",
        "bounced hard",  # undetermined: by the words
        "rejected",  # their own policy
        "auto_replied",
        "unsubscribed",
        "unknown",  # somebody asks for a subscription: no consent comes this way
        "bounced hard",
        "complained",
        "unknown",  # not spam
        "rejected",
        "rejected",
        "unsubscribed",
        "unsubscribed",
        "opened by machine",
        "clicked",
        "unknown",
    ]
    assert all_ours(events)
    assert events[3].recipient == "Ola@shop.example"  # as it was written
    assert len({event.key for event in events}) == len(events)


def test_a_ping_is_no_event_and_an_odd_envelope_loses_nothing() -> None:  # S113
    assert read("sparkpost", [{"msys": {}}]) == []
    good = payload("sparkpost/batch")[2]
    events = read("sparkpost", [{"msys": None}, {"msys": {"message_event": 7}}, {}, good, {"msys": [good]}])
    assert [told(event) for event in events] == ["unknown", "unknown", "unknown", "delivered", "unknown"]
