"""Brevo: no number of the event, one clock that can be trusted, and two ways to prove the sender."""

from dataclasses import replace

import pytest

from preference_center import providers
from preference_center.providers.base import Forged, Post, Secrets
from preference_center.providers.parts import logins
from tests.providers.payloads import all_ours, payload, read, told
from tests.providers.proven import NOW

LOGIN, TOKEN = "hook:long%20enough%3A%20to-be-safe%25", "a-token-of-fifty-letters-or-so"
POST = Post("POST", "https://mail.example.com/hooks/brevo", {}, b"{}")


def test_each_word_becomes_one_of_ours() -> None:
    events = read("brevo", payload("brevo/batched"))
    assert [told(event) for event in events] == [
        "accepted",
        "delivered",
        "deferred",
        "bounced hard",
        "bounced soft",
        "rejected",
        "rejected",
        "rejected",
        "complained",
        "complained",
        "unsubscribed",
        "opened",
        "opened",
        "opened by machine",
        "opened by machine",
        "clicked",
        "clicked",
        "unknown",
    ]
    assert all_ours(events)
    assert len({event.key for event in events}) == len(events)
    assert events[2].status is None  # a code beside "deferred" is none of the address
    assert {event.message_id for event in events} == {"k3-77@news.example.net"}


def test_without_the_one_clock_nobody_knows_when_it_was() -> None:
    (one,) = read("brevo", payload("brevo/batched")[1])
    assert one.occurred_at is not None
    assert one.occurred_at.isoformat() == "2026-11-20T11:00:00.123000+00:00"
    other = {key: value for key, value in payload("brevo/batched")[1].items() if key != "ts_epoch"}
    (event,) = read("brevo", other | {"ts": 1795172400, "ts_event": 1795172401, "date": "2026-11-20 12:00:00"})
    assert event.occurred_at is None
    assert event.key != one.key


@pytest.mark.parametrize("given", [1795172400000, "1795172400000", 1795172400])
def test_seconds_where_milliseconds_should_be_are_seconds(given: object) -> None:
    (event,) = read("brevo", payload("brevo/batched")[1] | {"ts_epoch": given})
    assert event.occurred_at is not None
    assert event.occurred_at.isoformat() == "2026-11-20T11:00:00+00:00"


@pytest.mark.parametrize("given", [None, True, -1, 1e999, "soon", 10**20, [], "1" * 30])
def test_what_is_no_time_is_none(given: object) -> None:
    (event,) = read("brevo", payload("brevo/batched")[1] | {"ts_epoch": given})
    assert event.occurred_at is None


@pytest.mark.parametrize("custom", [None, 7, "", "plain", "[]", '{"pc_mark": 7}', '{"pc_mark": "a b"}', "[" * 5000])
def test_a_header_that_is_not_ours_gives_no_mark(custom: object) -> None:
    (event,) = read("brevo", payload("brevo/batched")[1] | {"X-Mailin-custom": custom})
    assert event.mark is None


@pytest.mark.parametrize(
    "given", [logins.basic(LOGIN), logins.basic(LOGIN).replace("Basic", "BASIC"), f"bearer {TOKEN}"]
)
def test_a_login_or_a_token_proves_the_sender(given: str) -> None:
    secrets = Secrets({"LOGINS": (LOGIN,), "TOKENS": (TOKEN,)})
    providers.named("brevo").verify(replace(POST, headers={"authorization": given}), secrets, NOW)


def test_what_is_percent_encoded_in_the_setting_is_plain_in_the_header() -> None:
    """As a browser or provider does with a URL."""
    assert logins.basic(LOGIN) == "Basic aG9vazpsb25nIGVub3VnaDogdG8tYmUtc2FmZSU="


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic " + "A" * 100_000,
        f"Basic {TOKEN}",
        f"Bearer {LOGIN}",
        "Bearer ",
        "Bearer \udcff",
        f"Bearer {TOKEN}x",
        f"Digest {TOKEN}",
        f"{logins.basic(LOGIN)}, {logins.basic(LOGIN)}",
        logins.basic("hook:long enough: to-be-safe"),
    ],
)
def test_any_other_login_is_refused(given: str) -> None:
    secrets = Secrets({"LOGINS": (LOGIN,), "TOKENS": (TOKEN,)})
    with pytest.raises(Forged):
        providers.named("brevo").verify(replace(POST, headers={"authorization": given}), secrets, NOW)


def test_one_kind_of_secret_does_not_open_the_other() -> None:
    with pytest.raises(Forged):
        providers.named("brevo").verify(
            replace(POST, headers={"authorization": "Bearer "}), Secrets({"LOGINS": (LOGIN,)}), NOW
        )
    with pytest.raises(Forged):
        providers.named("brevo").verify(
            replace(POST, headers={"authorization": f"Bearer {LOGIN}"}), Secrets({"LOGINS": (LOGIN,)}), NOW
        )


@pytest.mark.parametrize(
    "value", ["hook", ":password-of-twenty-two-characters", "hook:short", "hook:", "hook:%41%41%41%41%41%41%41%41"]
)
def test_a_weak_or_wrong_login_is_named_at_the_start(value: str) -> None:
    with pytest.raises(ValueError, match="PREFERENCE_CENTER_HOOK_BREVO_LOGINS"):
        providers.settings_from({"BREVO_LOGINS": value})
