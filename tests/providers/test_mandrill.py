"""Mandrill: a signed form, the public URL under the signature, and two greetings when a webhook is made."""

import base64
import hashlib
import hmac
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from preference_center import providers
from preference_center.providers.base import Forged, Post, Secrets
from tests.providers.payloads import all_ours, payload, read, told
from tests.providers.proven import NOW, proven

URL = "https://mail.example.com/hooks/mandrill"


def signed(key: str, url: str, **fields: str) -> Post:
    text = url + "".join(name + fields[name] for name in sorted(fields))
    signature = base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha1).digest()).decode()
    return Post("POST", URL, {"x-mandrill-signature": signature}, urlencode(fields).encode())


def test_each_word_becomes_one_of_ours_and_one_odd_row_loses_nothing() -> None:  # S113
    events = read("mandrill", payload("mandrill/batch"))
    assert [told(event) for event in events] == [
        "accepted",
        "delivered",
        "deferred",
        "bounced hard",
        "bounced block",  # they say hard; the cause says spam
        "bounced soft",
        "rejected",
        "complained",
        "unsubscribed",
        "opened",
        "clicked",
        "clicked",
        "unknown",  # not even an object; the change to their list before it is no event
        "unknown",
    ]
    assert all_ours(events)
    assert len({event.key for event in events}) == len(events)  # the message's number alone would not do


def test_a_head_is_answered_without_any_key() -> None:  # S116
    head = Post("HEAD", URL, {}, b"")
    mandrill = providers.named("mandrill")
    assert mandrill.greet(head, Secrets()) == ""
    assert mandrill.verify(head, Secrets(), NOW) is None
    assert mandrill.read(head) == []


def test_the_test_of_an_empty_list_is_answered_under_the_key_that_all_know() -> None:
    mandrill = providers.named("mandrill")
    assert mandrill.greet(signed("test-webhook", URL, mandrill_events="[]"), Secrets()) == "ok"
    assert mandrill.greet(signed("own", URL, mandrill_events="[]"), Secrets({"KEYS": ("own",)})) == "ok"
    with pytest.raises(Forged):
        mandrill.greet(signed("guess", URL, mandrill_events="[]"), Secrets({"KEYS": ("own",)}))


def test_that_key_opens_nothing_else() -> None:
    events = '[{"event":"spam","_id":"1","ts":1,"msg":{"email":"anna@example.org"}}]'
    post = signed("test-webhook", URL, mandrill_events=events)
    mandrill = providers.named("mandrill")
    assert mandrill.greet(post, Secrets({"KEYS": ("own",)})) is None
    with pytest.raises(Forged):
        mandrill.verify(post, Secrets({"KEYS": ("own",)}), NOW)


def test_fields_are_signed_in_the_order_of_their_names() -> None:
    post = signed("own", URL, mandrill_events="[{}]", a_first="1", z_last="ż & =")
    providers.named("mandrill").verify(post, Secrets({"KEYS": ("own",)}), NOW)


def test_another_url_is_refused() -> None:
    case = proven("mandrill")
    for url in (case.post.url + "/", case.post.url.replace("https", "http"), "http://127.0.0.1:8000/hooks/mandrill"):
        with pytest.raises(Forged):
            case.provider.verify(replace(case.post, url=url), case.secrets, NOW)
