"""Resend: its words, and the signature of Standard Webhooks with its odd headers."""

from dataclasses import replace
from datetime import timedelta

import pytest

from preference_center import providers
from preference_center.providers.base import Forged, Secrets
from tests.providers.payloads import all_ours, payload, read, told
from tests.providers.proven import NOW, Proven, proven

MEANT = {
    "sent": "accepted",
    "delivered": "delivered",
    "delayed": "deferred",
    "dead": "bounced hard",
    "full": "bounced soft",
    "refused": "bounced block",
    "suppressed": "rejected",
    "undetermined, dead by its words": "bounced hard",
    "undetermined": "bounced soft",
    "without a type, dead": "bounced hard",
    "without a type, full": "bounced soft",
    "without a type, not tried": "rejected",
    "failed": "rejected",
    "suppressed of its own": "rejected",
    "complained": "complained",
    "opened": "opened",
    "clicked": "clicked",
    "for two people": "complained",
    "received": "unknown",
}


@pytest.fixture(scope="module")
def case() -> Proven:
    return proven("resend")


@pytest.mark.parametrize("name", MEANT)
def test_each_word_becomes_one_of_ours(name: str) -> None:
    events = read("resend", payload("resend/each_kind")[name], **{"svix-id": "msg_77"})
    assert [(told(event), event.key) for event in events] == [(MEANT[name], "resend:msg_77")]
    assert name in ("received", "for two people") or all_ours(events)


def test_the_payloads_are_all_named() -> None:
    assert set(payload("resend/each_kind")) == set(MEANT)


def test_of_two_people_nobody_is_singled_out() -> None:
    (event,) = read("resend", payload("resend/each_kind")["for two people"])
    assert event.recipient is None
    assert event.mark


def test_without_its_header_an_event_is_known_by_all_it_says() -> None:
    sent, delivered = (payload("resend/each_kind")[name] for name in ("sent", "delivered"))
    assert read("resend", sent)[0].key == read("resend", sent)[0].key != read("resend", delivered)[0].key


@pytest.mark.parametrize("off", [timedelta(minutes=5, seconds=1), timedelta(minutes=-5, seconds=-1), timedelta(days=1)])
def test_another_time_is_refused(case: Proven, off: timedelta) -> None:  # W4
    with pytest.raises(Forged, match="timestamp"):
        case.provider.verify(case.post, case.secrets, NOW + off)


@pytest.mark.parametrize("off", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_a_clock_may_be_five_minutes_off(case: Proven, off: timedelta) -> None:
    case.provider.verify(case.post, case.secrets, NOW + off)


@pytest.mark.parametrize(
    "signature",
    ["", " ", ",", "v1", "v1,", "v1,!!!", "v1a,AAAA", "v1,\udcff", "x" * 100_000, " ".join(["v1,AAAA"] * 5000)],
)
def test_a_malformed_signature_is_refused(case: Proven, signature: str) -> None:
    headers = {**case.post.headers, "svix-signature": signature}
    with pytest.raises(Forged):
        case.provider.verify(replace(case.post, headers=headers), case.secrets, NOW)


def test_one_right_signature_among_others_is_enough(case: Proven) -> None:  # S115
    right = case.post.headers["svix-signature"]
    for several in (f"v1,AAAA {right}", f"{right} v1,AAAA", f"v1a,AAAA {right}"):
        headers = {**case.post.headers, "svix-signature": several}
        case.provider.verify(replace(case.post, headers=headers), case.secrets, NOW)


@pytest.mark.parametrize(
    "change", [{"svix-id": "msg_other"}, {"svix-timestamp": "1795176001"}, {"svix-timestamp": "soon"}]
)
def test_a_changed_header_is_refused(case: Proven, change: dict[str, str]) -> None:
    with pytest.raises(Forged):
        case.provider.verify(replace(case.post, headers={**case.post.headers, **change}), case.secrets, NOW)


def test_bytes_that_are_no_text_are_refused(case: Proven) -> None:
    with pytest.raises(Forged):
        case.provider.verify(replace(case.post, body=b"\xff" + case.post.body), case.secrets, NOW)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_AAAA", "whsec_!!", "short", "é" * 40])
def test_a_weak_or_broken_secret_is_named_and_proves_nothing(case: Proven, secret: str) -> None:
    with pytest.raises(ValueError, match="PREFERENCE_CENTER_HOOK_RESEND_SECRETS"):
        providers.settings_from({"RESEND_SECRETS": secret})
    with pytest.raises(Forged):
        case.provider.verify(case.post, Secrets({"SECRETS": (secret,)}), NOW)
