"""SendGrid: what its words mean, and its signature over time and raw body."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from preference_center import providers
from preference_center.providers.base import Forged, Secrets
from tests.providers.payloads import all_ours, payload, read, told
from tests.providers.proven import NOW, Proven, proven, sendgrid_post, sendgrid_secrets


@pytest.fixture(scope="module")
def case() -> Proven:
    return proven("sendgrid")


def test_each_word_becomes_one_of_ours() -> None:  # S112
    events = read("sendgrid", payload("sendgrid/each_kind"))
    assert [told(event) for event in events] == [
        "accepted",
        "delivered",
        "deferred",
        "bounced hard",
        "bounced block",  # given up, but for the content
        "bounced block",
        "bounced soft",  # expired
        "bounced soft",  # over quota
        "bounced hard",  # without a type: by the words
        "rejected",
        "complained",
        "unsubscribed all",
        "unsubscribed",  # of a group
        "provider_reactivated",
        "opened",
        "opened by machine",
        "clicked",
        "unknown",
    ]
    assert all_ours(events)
    assert {event.message_id for event in events} == {"k3-77@news.example.net"}
    assert len({event.key for event in events}) == len(events)
    assert events[16].url == "https://shop.example/spring?a=1"
    assert events[3].detail == "550 5.1.1 [address]: no such user"


def test_arguments_in_an_object_of_their_own_are_found_too() -> None:
    (event,) = read("sendgrid", [{"event": "open", "sg_event_id": "1", "unique_args": {"pc_mark": "a1-b2"}}])
    assert event.mark == "a1-b2"


@pytest.mark.parametrize("body", [b"[]", b'[{"event":"delivered"}]'])
def test_another_body_is_refused(case: Proven, body: bytes) -> None:
    signed = case.post
    with pytest.raises(Forged, match="signature is wrong"):
        case.provider.verify(type(signed)(signed.method, signed.url, signed.headers, body), case.secrets, NOW)


def test_the_trailing_line_break_is_signed_too(case: Proven) -> None:
    post = case.post
    with pytest.raises(Forged):
        case.provider.verify(type(post)(post.method, post.url, post.headers, post.body.rstrip()), case.secrets, NOW)


@pytest.mark.parametrize("off", [timedelta(days=1), timedelta(days=-1)])
def test_a_post_of_another_day_is_refused(case: Proven, off: timedelta) -> None:  # W4
    with pytest.raises(Forged, match="timestamp"):
        case.provider.verify(case.post, case.secrets, NOW + off)


def test_a_late_try_of_the_same_day_is_believed(case: Proven) -> None:
    case.provider.verify(case.post, case.secrets, NOW + timedelta(hours=22))


def test_a_key_of_another_kind_proves_nothing() -> None:
    """The setting is checked when it is read; should one slip through, it is no crash."""
    key = ec.generate_private_key(ec.SECP256R1())
    post = sendgrid_post(key, b"[]")
    for broken in ("", "%%%", "AAAA", "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="):
        with pytest.raises(Forged):
            providers.named("sendgrid").verify(post, Secrets({"KEYS": (broken,)}), NOW)
        with pytest.raises(ValueError, match="verification key"):
            providers.settings_from({"SENDGRID_KEYS": broken or "x"})
    both = Secrets({"KEYS": ("AAAA", *sendgrid_secrets(key).all("KEYS"))})
    providers.named("sendgrid").verify(post, both, NOW)
