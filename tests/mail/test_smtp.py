"""smtp.py: kept connections, permission to start, addresses, several connections at once, and what the relay records."""

import socket
import time
from collections.abc import Iterator

import pytest

from preference_center.mail.smtp import Courier, Envelope, Outcome, Phase, Relay, Result, TroubleKind, send_one
from tests.mail.handing import Notes, hand, letter, quick, send, to
from tests.support.relay import FakeRelay


def test_what_was_handed_over_is_what_arrives(relay: FakeRelay) -> None:
    envelopes = to("anna", "ben", "cora")
    with quick(Relay.from_url(relay.url), connections=3) as courier:
        results = hand(courier, envelopes)
    assert {result.outcome for result in results.values()} == {Outcome.accepted}
    arrived = {message.recipient: message for message in relay.wait_for(3)}
    for envelope in envelopes:
        assert arrived[envelope.recipient].data == envelope.data
        assert arrived[envelope.recipient].sender == envelope.sender
        assert arrived[envelope.recipient].message_id == f"<{envelope.key}@sender.example>"
    assert (results[0].code, results[0].phase) == (250, Phase.dot)


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "step by step"])
@pytest.mark.parametrize("connections", [1, 4])
def test_two_thousand_messages_make_two_thousand_results_and_no_copy(connections: int, pipelining: bool) -> None:
    count = 2000 if pipelining else 300
    with (
        FakeRelay(offer_pipelining=pipelining) as relay,
        quick(Relay.from_url(relay.url), connections=connections, messages_per_connection=5000) as courier,
    ):
        results = hand(courier, to(*(f"u{number}" for number in range(count))))
        assert len(results) == count
        assert set(relay.copies().values()) == {1} and len(relay.copies()) == count
        assert len(relay.events("connected")) == connections


def test_mixed_faults_lose_nothing_and_repeat_nothing(relay: FakeRelay) -> None:  # M8 in small
    scripts = ["", "+450x1", "", "+dropafterdotx1", "+550", "", "+lostafterdotx1", "+452dotx1", "+droprcptx1", ""]
    names = [f"u{number}{scripts[number % 10]}" for number in range(200)]
    with quick(Relay.from_url(relay.url), connections=4) as courier:
        open_rows = {envelope.key: envelope for envelope in to(*names)}
        final: dict[int, Result] = {}
        for _ in range(20):
            for key, result in hand(courier, list(open_rows.values())).items():
                if result.outcome in (Outcome.accepted, Outcome.permanent, Outcome.uncertain):
                    final[key] = result
                    del open_rows[key]
        assert not open_rows
    assert max(relay.copies().values()) == 1
    accepted = {envelope.recipient for envelope in to(*names) if final[envelope.key].outcome is Outcome.accepted}
    assert accepted <= set(relay.copies())
    uncertain = sum(result.outcome is Outcome.uncertain for result in final.values())
    assert uncertain == 40


def test_envelopes_are_pulled_as_connections_become_free(relay: FakeRelay) -> None:
    pulled: list[int] = []

    def supply() -> Iterator[Envelope]:
        for envelope in to(*["anna"] * 50):
            pulled.append(envelope.key)
            yield envelope

    with quick(Relay.from_url(relay.url), connections=2) as courier:
        for count, _ in enumerate(courier.hand_over(supply(), lambda _: True), start=1):
            assert len(pulled) <= count + 12
    assert len(pulled) == 50


def test_each_message_is_asked_about_before_its_mail_and_its_body_and_a_no_leaves_no_trace(relay: FakeRelay) -> None:
    asked: list[int] = []

    def may_start(envelope: Envelope) -> bool:
        asked.append(envelope.key)
        return envelope.key % 2 == 0

    with quick(Relay.from_url(relay.url)) as courier:
        results = hand(courier, to("anna", "ben", "cora", "dan"), may_start)
    assert sorted(asked) == [0, 0, 1, 2, 2, 3]
    assert [results[key].outcome for key in range(4)] == [Outcome.accepted, Outcome.not_sent] * 2
    assert results[1].phase is Phase.not_started
    assert [entry["recipient"] for entry in relay.events("rcpt")] == ["anna@c.example", "cora@c.example"]


def test_a_stop_leaves_at_most_what_a_connection_has_begun(relay: FakeRelay) -> None:
    stopped: list[int] = []
    outcomes = []
    with quick(Relay.from_url(relay.url), connections=2) as courier:
        for result in courier.hand_over(to(*["anna"] * 40), lambda _: not stopped):
            outcomes.append(result.outcome)
            if len(outcomes) == 10:
                stopped.append(len(relay.messages))
    assert len(outcomes) == 40
    assert len(relay.messages) - stopped[0] <= 2, "more than one a connection left after the stop"  # P5
    assert outcomes.count(Outcome.accepted) == len(relay.messages)


def test_a_message_that_waited_long_behind_another_is_asked_about_again(relay: FakeRelay) -> None:
    asked: list[int] = []

    def may_start(envelope: Envelope) -> bool:
        asked.append(envelope.key)
        return asked.count(1) < 2

    with quick(Relay.from_url(relay.url)) as courier:
        results = hand(courier, to("anna+slow1.2", "ben"), may_start)
    assert results[0].outcome is Outcome.accepted
    assert (results[1].outcome, results[1].phase) == (Outcome.not_sent, Phase.data)
    assert asked == [0, 0, 1, 1]
    assert relay.copies() == {"anna+slow1.2@c.example": 1}


@pytest.mark.parametrize("connections", [1, 3])
def test_each_reply_is_in_the_journal_before_its_result_counts(relay: FakeRelay, connections: int) -> None:
    notes = Notes()
    with quick(Relay.from_url(relay.url), connections=connections, journal=notes) as courier:
        for result in courier.hand_over(to("anna", "ben+452dot", *["cora"] * 20), lambda _: True):
            assert ("reply", result.key, result.code) in notes.lines


@pytest.mark.parametrize("seconds", [0, 0.003], ids=["quick", "slow"])
def test_ends_that_may_leave_at_once_are_one_note_of_the_journal_and_none_waits_for_mail_that_is_slow_to_write(
    relay: FakeRelay, seconds: float
) -> None:
    class Watched(Notes):
        def dot(self, *keys: int) -> None:
            super().dot(*keys)
            together.append(keys)
            time.sleep(0.02)  # what left before would have arrived by now
            early.extend(key for key in keys if f"u{key}@c.example" in relay.copies())

    def supply() -> Iterator[Envelope]:
        for envelope in to(*(f"u{number}" for number in range(12))):
            time.sleep(seconds)
            yield envelope

    together: list[tuple[int, ...]] = []
    early: list[int] = []
    with quick(Relay.from_url(relay.url), connections=3, journal=Watched()) as courier:
        for result in courier.hand_over(supply(), lambda _: True):
            assert result.outcome is Outcome.accepted
            time.sleep(0.03)  # meanwhile the other connections are answered, too
    assert sorted(key for keys in together for key in keys) == list(range(12))
    assert early == []
    if seconds:
        assert len(together) >= 8, "they wait for each other"
    else:
        assert 1 < max(map(len, together)) <= 3


def test_a_failing_supply_takes_no_reply_from_the_journal(relay: FakeRelay) -> None:
    def supply() -> Iterator[Envelope]:
        anna, ben = to("anna", "ben")
        yield from (anna, ben)
        relay.wait_for(1)
        raise KeyError("template")

    notes = Notes()
    with quick(Relay.from_url(relay.url), journal=notes) as courier, pytest.raises(KeyError):
        hand(courier, supply())
    assert ("reply", 0, 250) in notes.lines


def test_connections_are_kept_between_hand_overs_and_closed_politely(relay: FakeRelay) -> None:
    with quick(Relay.from_url(relay.url)) as courier:
        for _ in range(3):
            hand(courier, to("anna", "ben"))
        assert len(relay.events("connected")) == 1
    relay.wait_for_event("quit")
    assert len(relay.messages) == 6


def test_a_connection_the_relay_closed_at_rest_harms_no_message(relay: FakeRelay) -> None:
    with quick(Relay.from_url(relay.url), connections=3) as courier:
        hand(courier, to(*["anna"] * 30))
        assert relay.hang_up() >= 1
        results = hand(courier, to(*["ben"] * 30))
        assert {result.outcome for result in results.values()} == {Outcome.accepted}
        assert courier.trouble is None
    assert relay.copies() == {"anna@c.example": 30, "ben@c.example": 30}


def test_a_goodbye_at_rest_is_no_trouble() -> None:
    with FakeRelay(idle_timeout=0.1) as relay, quick(Relay.from_url(relay.url)) as courier:
        hand(courier, to("anna"))
        relay.wait_for_event("hung_up")
        assert hand(courier, to("ben"))[0].outcome is Outcome.accepted
        assert courier.trouble is None


def test_a_connection_that_dies_as_its_first_message_begins_is_replaced_in_silence() -> None:
    # The relay hangs up at MAIL, on the second message of its first connection only: it was dead and we did not see it.
    with FakeRelay(max_messages_per_connection=1) as relay, quick(Relay.from_url(relay.url)) as courier:
        hand(courier, to("anna"))
        assert hand(courier, to("ben"))[0].outcome is Outcome.accepted
        assert courier.trouble is None
        assert relay.copies() == {"anna@c.example": 1, "ben@c.example": 1}


def test_a_connection_carries_no_more_than_its_limit(relay: FakeRelay) -> None:
    with quick(Relay.from_url(relay.url), messages_per_connection=3) as courier:
        results = hand(courier, to(*["anna"] * 10))
    assert {result.outcome for result in results.values()} == {Outcome.accepted}
    assert len(relay.events("connected")) == 4
    per_connection = [entry["connection"] for entry in relay.events("accepted")]
    assert max(per_connection.count(number) for number in per_connection) == 3


def test_when_one_connection_fails_the_others_go_on(relay: FakeRelay) -> None:
    with quick(Relay.from_url(relay.url), connections=3) as courier:
        results = hand(courier, to("ben+421dot", *["anna"] * 30))
        assert courier.trouble is not None and courier.trouble.kind is TroubleKind.slow_down
    assert results[0].outcome is Outcome.temporary
    assert [results[key].outcome for key in range(1, 31)] == [Outcome.accepted] * 30


def test_a_relay_that_takes_fewer_connections_still_takes_everything() -> None:
    with FakeRelay(max_connections=2) as relay, quick(Relay.from_url(relay.url), connections=6) as courier:
        results = hand(courier, to(*["anna+slow0.01"] * 30))
        assert {result.outcome for result in results.values()} == {Outcome.accepted}
        assert courier.trouble is not None and courier.trouble.kind is TroubleKind.slow_down


def test_an_unreachable_relay_leaves_everything_unsent_and_says_so() -> None:
    with FakeRelay() as gone:
        url = gone.url
    results, courier = send(Relay.from_url(url), "anna", "ben", "cora", connections=2)
    assert {(result.outcome, result.phase) for result in results} == {(Outcome.not_sent, Phase.not_started)}
    assert courier.trouble is not None and courier.trouble.kind is TroubleKind.unreachable
    assert "refused" in courier.trouble.text


def test_a_name_that_does_not_resolve_is_an_unreachable_relay() -> None:
    results, courier = send(Relay("relay.invalid", 25, tls="none"), "anna")
    assert results[0].outcome is Outcome.not_sent
    assert courier.trouble is not None and courier.trouble.kind is TroubleKind.unreachable


def test_a_relay_that_comes_back_is_used_again_by_the_same_courier() -> None:
    with FakeRelay() as first:
        port = first.port
        courier = quick(Relay.from_url(first.url))
        assert hand(courier, to("anna"))[0].outcome is Outcome.accepted
    assert hand(courier, to("ben"))[0].outcome is Outcome.not_sent
    with FakeRelay(port) as second, courier:
        assert hand(courier, to("ben"))[0].outcome is Outcome.accepted
        assert courier.trouble is None
        assert second.copies() == {"ben@c.example": 1}


def test_a_dead_first_address_of_the_relay_is_passed_over(relay: FakeRelay, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeRelay() as gone:
        dead = ("127.0.0.1", gone.port)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (dead, ("127.0.0.1", relay.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    results, courier = send(Relay("relay.example", relay.port, tls="none"), "anna")
    assert results[0].outcome is Outcome.accepted and courier.trouble is None


@pytest.mark.parametrize(
    ("sender", "recipient", "enhanced"),
    [
        ("b@sender.example", "a@c.example\r\nRCPT TO:<x@y.example>", "5.1.3"),
        ("b@sender.example\r\nDATA", "a@c.example", "5.1.7"),
        ("b@sender.example", "a b@c.example", "5.1.3"),
        ("b@sender.example", "<a@c.example>", "5.1.3"),
        ("b@sender.example", "-oQ/tmp@c.example", "5.1.3"),
        ("b@sender.example", "", "5.1.3"),
        ("b@sender.example", "a\0@c.example", "5.1.3"),
        ("nobody", "a@c.example", "5.1.7"),
    ],
)
def test_a_broken_address_never_reaches_the_relay(relay: FakeRelay, sender: str, recipient: str, enhanced: str) -> None:
    result = send_one(Relay.from_url(relay.url), Envelope(1, sender, recipient, letter()))
    assert (result.outcome, result.phase, result.code) == (Outcome.permanent, Phase.not_started, None)
    assert result.enhanced == enhanced
    assert "@c.example" not in result.text
    assert not relay.events("connected")


def test_the_null_return_path_is_allowed(relay: FakeRelay) -> None:
    result = send_one(Relay.from_url(relay.url), Envelope(1, "", "anna@c.example", letter()))
    assert result.outcome is Outcome.accepted
    assert relay.messages[0].sender == ""


def test_an_international_domain_travels_as_a_labels(relay: FakeRelay) -> None:  # S92
    results, _ = send(Relay.from_url(relay.url), "anna@żółw.example")
    assert results[0].outcome is Outcome.accepted
    assert relay.messages[0].recipient == "anna@xn--w-uga1v8h.example"


def test_an_international_local_part_needs_a_relay_that_offers_smtputf8(relay: FakeRelay) -> None:  # S92
    results, _ = send(Relay.from_url(relay.url), "zoë@c.example", "anna")
    assert (results[0].outcome, results[0].code, results[0].enhanced) == (Outcome.permanent, None, "5.6.7")
    assert results[1].outcome is Outcome.accepted
    with FakeRelay(offer_smtputf8=True) as able:
        results, _ = send(Relay.from_url(able.url), "zoë@żółw.example", "anna")
        assert [result.outcome for result in results] == [Outcome.accepted] * 2
        assert able.messages[0].recipient == "zoë@xn--w-uga1v8h.example"
        assert able.messages[0].options == "BODY=8BITMIME SMTPUTF8"
        assert able.messages[1].options == ""


@pytest.mark.parametrize(
    "data",
    [
        b"Subject: x\r\n\r\n.\r\n..two\r\nend\r\n",
        b"Subject: x\r\n\r\nno end",
        b"Subject: x\r\n\r\na\n.\nMAIL FROM:<evil@e.example>\n",
        b"Subject: x\r\n\r\na\r.\rMAIL FROM:<evil@e.example>\r",
        b".Subject: x\r\n\r\n",
    ],
    ids=["dots", "no end", "bare LF", "bare CR", "first dot"],
)
def test_no_data_ends_its_message_early(relay: FakeRelay, data: bytes) -> None:
    with quick(Relay.from_url(relay.url)) as courier:
        results = hand(courier, [Envelope(1, "b@s.example", "a@c.example", data), *to("ben")])
    assert {result.outcome for result in results.values()} == {Outcome.accepted}
    assert len(relay.messages) == 2
    whole = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    assert relay.messages[0].data == (whole if whole.endswith(b"\r\n") else whole + b"\r\n")


def test_leaving_early_drops_what_was_on_its_way_and_the_courier_works_on(relay: FakeRelay) -> None:
    notes = Notes()
    with quick(Relay.from_url(relay.url), journal=notes) as courier:
        results = courier.hand_over(to("anna", "ben+slow3", "cora"), lambda _: True)
        assert next(results).key == 0
        results.close()  # type: ignore[attr-defined]
        assert hand(courier, to("dan"))[0].outcome is Outcome.accepted
    assert "cora@c.example" not in relay.copies()


def test_an_error_in_the_callers_supply_comes_through(relay: FakeRelay) -> None:
    def supply() -> Iterator[Envelope]:
        yield from to("anna")
        raise KeyError("template")

    with quick(Relay.from_url(relay.url)) as courier, pytest.raises(KeyError):
        hand(courier, supply())


def test_one_hand_over_at_a_time(relay: FakeRelay) -> None:
    with quick(Relay.from_url(relay.url)) as courier:
        first = courier.hand_over(to("anna", "ben"), lambda _: True)
        next(first)
        with pytest.raises(RuntimeError, match="one hand-over at a time"):
            next(courier.hand_over(to("cora"), lambda _: True))
        assert len(list(first)) == 1


def test_nothing_to_hand_over_opens_nothing(relay: FakeRelay) -> None:
    with quick(Relay.from_url(relay.url)) as courier:
        assert hand(courier, []) == {}
    assert not relay.events("connected")


def test_fewer_connections_from_the_next_hand_over_on(relay: FakeRelay) -> None:
    with quick(Relay.from_url(relay.url), connections=4) as courier:
        hand(courier, to(*["anna+slow0.02"] * 20))
        assert relay.connected == 4
        courier.connections = 1
        hand(courier, to(*["anna+slow0.02"] * 3))
        relay.wait_for_event("quit", 3)
        assert relay.connected == 1


def test_the_caller_is_reminded_of_life_while_the_relay_is_slow(relay: FakeRelay) -> None:
    beats: list[float] = []
    with quick(Relay.from_url(relay.url), pulse=lambda: beats.append(time.monotonic())) as courier:
        hand(courier, to("anna+slow1.1"))
    assert len(beats) >= 2


def test_a_late_reader_of_results_loses_nothing_to_the_deadlines(relay: FakeRelay) -> None:
    outcomes = []
    with quick(Relay.from_url(relay.url), command_timeout=0.2, final_dot_timeout=0.2) as courier:
        for result in courier.hand_over(to("anna", "ben", "cora"), lambda _: True):
            outcomes.append(result.outcome)
            time.sleep(0.3)
    assert outcomes == [Outcome.accepted] * 3


def test_a_courier_may_be_closed_twice_and_unused(relay: FakeRelay) -> None:
    courier = Courier(Relay.from_url(relay.url), journal=Notes())
    courier.close()
    courier.close()
