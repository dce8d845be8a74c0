"""Every provider found in its folder keeps the contract (S107, S110, S112, S113, S115)."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preference_center import providers
from preference_center.errors import NotFound
from preference_center.providers.parts import facts
from tests.providers import contract
from tests.support.sources import ROOT

NAMES = providers.names()


@pytest.mark.parametrize("promise", contract.ALL, ids=lambda promise: promise.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_the_contract(name: str, promise: Callable[[str], None]) -> None:
    promise(name)


@pytest.mark.parametrize("name", NAMES)
def test_its_page_in_the_docs_names_every_setting(name: str) -> None:
    page = (ROOT / "docs" / "providers" / f"{name}.md").read_text(encoding="utf-8")
    provider = providers.named(name)
    for setting in provider.settings:
        assert f"`PREFERENCE_CENTER_HOOK_{name.upper()}_{setting.name}`" in page
    for header, _ in provider.correlation("mark"):
        assert f"`{header}`" in page
    assert f"/hooks/{name}" in page
    assert f"pc events test {name}" in page
    assert provider.page in page
    assert "smtp" in page.lower()


# names and values that providers use, so that chance finds its way into the deeper steps
WORDS = """
event type email to recipient timestamp time ts ts_epoch created_at msys message_event data bounce subType bounce_class
RecordType Type ID MessageID Metadata Email BouncedAt SuppressSending event-data signature token delivery-status code message
headers message-id user-variables severity reason msg _id metadata diag url link sg_event_id status rcpt_meta error
hard_bounce CustomID X-Mailin-custom eventType notificationType mail tags bouncedRecipients emailAddress complaint delivery
Message MessageId TopicArn Type events mark
"""
HEADER_NAMES = """
authorization svix-id svix-timestamp svix-signature webhook-id webhook-timestamp webhook-signature x-mandrill-signature
x-twilio-email-event-webhook-signature x-twilio-email-event-webhook-timestamp
"""
KEYS = st.sampled_from(WORDS.split())
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.text(max_size=30),
    st.sampled_from(
        ["bounce", "delivered", "click", "open", "Bounce", "hard_bounce", "failed", "a@b", "\ud800", "\0", "1" * 40]
    ),
    st.sampled_from(["email.bounced", "mail.bounced", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "5.1.1"]),
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=20
)
HEADERS = st.dictionaries(
    st.sampled_from(HEADER_NAMES.split()),
    st.text(max_size=40) | st.sampled_from(["Basic eDp5", "Bearer x", "v1,AAAA", "1795176000"]),
    max_size=4,
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=st.one_of(st.binary(max_size=200), TREES.map(lambda tree: json.dumps(tree).encode())), headers=HEADERS)
def test_any_bytes_are_refused_or_read(name: str, body: bytes, headers: dict[str, str]) -> None:  # S110
    contract.it_stands_anything(name, body, headers)


ODD_BODIES = {
    "deep lists": b"[" * 200_000 + b"]" * 200_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "nearly too deep": b"[" * 900 + b"]" * 900,
    "nearly too deep in an event": b'[{"event":' + b"[" * 900 + b"]" * 900 + b"}]",
    "a number of 10,000 digits": b'[{"timestamp":' + b"9" * 10_000 + b"}]",
    "a number of 4,000 digits": b'[{"event":"bounce","timestamp":' + b"9" * 4_000 + b',"ID":' + b"8" * 4_000 + b"}]",
    "infinity": b'[{"event":"bounce","timestamp":1e999,"ts":-1e999,"time":NaN,"ts_epoch":Infinity}]',
    "half a character": b'[{"event":"bounce","email":"\\ud800@b","reason":"\\udfff","sg_event_id":"\\ud800"}]',
    "NUL": b'[{"event":"bounce","email":"a\\u0000@b","reason":"a\\u0000","sg_event_id":"\\u0000"}]',
    "NUL and half characters in a click": b'[{"event":"click","email":"a@b","url":"https://x/\\u0000\\ud800","link":"\\u0000",'
    b'"smtp-id":"<\\u0000@\\ud800>","message-id":"\\ud800","sg_message_id":"\\u0000","MessageID":"\\ud800","_id":"\\u0000"}]',
    "long words everywhere": b'[{"event":"click","email":"a@b","url":"'
    + b"u" * 9000
    + b'","smtp-id":"'
    + b"s" * 9000
    + b'","sg_message_id":"'
    + b"m" * 9000
    + b'","MessageID":"'
    + b"i" * 9000
    + b'","sg_event_id":"'
    + b"e" * 9000
    + b'"}]',
    "names twice": b'[{"event":"delivered","event":"bounce","email":"a@b","email":["c@d"]}]',
    "ten thousand events": b"[" + b",".join([b'{"event":"bounce","email":"a@b"}'] * 10_000) + b"]",
    "too many events": b"[" + b",".join([b"{}"] * 10_001) + b"]",
    "long words": b'[{"event":"bounce","reason":"' + b"x" * 500_000 + b'@","email":"' + b"y" * 300_000 + b'@b"}]',
    "many fields": b"&".join([b"a=1"] * 10_000),
    "utf-16": '[{"event":"bounce"}]'.encode("utf-16"),
}


@pytest.mark.parametrize("body", ODD_BODIES.values(), ids=ODD_BODIES.keys())
@pytest.mark.parametrize("name", NAMES)
def test_odd_bodies_are_refused_or_read(name: str, body: bytes) -> None:  # S110, S112
    contract.it_stands_anything(name, body, {"svix-id": "msg_1", "webhook-id": "msg_1"})


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("anna@harbour.example", "anna@harbour.example"),
        (" Anna <anna@harbour.example>", "anna@harbour.example"),
        ('"<b@x.example>" <anna@harbour.example>', "anna@harbour.example"),
        ("(" * 900 + "<anna@harbour.example>", "anna@harbour.example"),
        ("<" * 1000, None),
        ("Anna <>", None),
    ],
)
def test_an_address_is_read_out_of_whatever_stands_around_it(written: str, found: str | None) -> None:
    assert facts.address(written) == found


def test_a_name_that_is_none_is_not_found() -> None:
    for name in ("", "base", "parts", "nobody", "../ses", "ses.x", "SES", "__init__", "ses\n", "x" * 10_000):
        with pytest.raises(NotFound):
            providers.named(name)


def test_settings_that_are_none_and_values_that_are_wrong_are_all_named_at_once() -> None:
    wrong: dict[str, Any] = {
        "MAILGUN_KEY": "a",
        "NOBODY_KEYS": "b",
        "MAILGUN___KEYS": "c",
        "MAILGUN__A_NAME_THAT_NO_COLUMN_HOLDS_KEYS": "d",
        "POSTMARK_LOGINS": "no-colon-in-this-secret",
        "BREVO_TOKENS": "short-secret",
        "RESEND__SHOP_SECRETS": "whsec_???",
    }
    with pytest.raises(ValueError, match="PREFERENCE_CENTER_HOOK_") as told:
        providers.settings_from(wrong)
    lines = str(told.value).splitlines()
    assert len(lines) == len(wrong)
    assert all(any(line.startswith(f"PREFERENCE_CENTER_HOOK_{name} ") for line in lines) for name in wrong)
    assert not [value for value in wrong.values() if len(value) > 1 and value in str(told.value)]


def test_several_values_stand_side_by_side_and_empty_ones_are_none() -> None:
    read = providers.settings_from(
        {"MAILGUN_KEYS": " new \n old ", "MAILGUN__SHOP_KEYS": "other", "MANDRILL_KEYS": " "}
    )
    assert read["mailgun"].all("KEYS") == ("new", "old")
    assert read["mailgun/shop"].one("KEYS") == "other"
    assert set(read) == {"mailgun", "mailgun/shop"}
