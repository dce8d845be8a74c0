"""What every provider must keep, whatever it is called. A file dropped into the folder is held to the same."""

import json
import re
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from preference_center import providers
from preference_center.mail import mime
from preference_center.providers.base import CannotBeMadeUp, Event, Forged, Kind, Post, Provider, Secrets, Unreadable
from preference_center.providers.parts import facts
from tests.providers.proven import MARK, NOW, RECIPIENT, URL, proven

LONGEST_MARK = "zzzzzzzzzzzzz-" + "f" * 20


def it_says_what_it_is(name: str) -> None:
    provider = providers.named(name)
    assert provider.name == name
    assert provider.page.startswith("https://")
    assert provider.settings
    for setting in provider.settings:
        assert re.fullmatch(r"[A-Z][A-Z_]*[A-Z]", setting.name)
        assert setting.help
        assert setting.example
        assert setting.fault is None or setting.fault(setting.example) is None


def its_settings_are_read(name: str) -> None:
    """By their names in the environment, for the hook itself and for a named one."""
    for setting in providers.named(name).settings:
        given = {f"{name.upper()}_{setting.name}": setting.example, f"{name.upper()}__SHOP_{setting.name}": "x"}
        given[f"{name.upper()}__SHOP_{setting.name}"] = setting.example
        read = providers.settings_from(given)
        assert read[name].all(setting.name) == (setting.example,)
        assert read[f"{name}/shop"].all(setting.name) == (setting.example,)


def it_believes_its_secret(name: str) -> None:
    case = proven(name)
    case.provider.verify(case.post, case.secrets, NOW)
    assert case.provider.greet(case.post, case.secrets) is None


def it_refuses_a_wrong_secret(name: str) -> None:
    case = proven(name)
    with pytest.raises(Forged):
        case.provider.verify(case.post, case.others, NOW)


def it_accepts_nothing_without_a_secret(name: str) -> None:
    """And says which setting is missing."""
    case = proven(name)
    with pytest.raises(Forged) as told:
        case.provider.verify(case.post, Secrets(), NOW)
    assert any(setting.name in str(told.value) for setting in case.provider.settings)


def it_believes_two_secrets_at_once(name: str) -> None:  # S115, W6
    case = proven(name)
    for first, second in ((case.secrets, case.others), (case.others, case.secrets)):
        both = Secrets({key: (*first.all(key), *second.all(key)) for key in first.values})
        case.provider.verify(case.post, both, NOW)


def it_refuses_a_post_without_proof(name: str) -> None:
    case = proven(name)
    bodies = (b"", b"{}", b"[]", b"\xff\xfe", b"[" * 100_000)
    for post in (_bare(case.post), *(Post("POST", URL + name, {}, body) for body in bodies)):
        with pytest.raises(Forged) as told:
            case.provider.verify(post, case.secrets, NOW)
        assert RECIPIENT not in str(told.value)


def _bare(post: Post) -> Post:
    """The same without anything that could prove it: no headers, and no signature in the body."""
    body = post.body
    if b'"signature"' in body.lower():
        body = re.sub(rb'"signature":', b'"other":', body, flags=re.IGNORECASE)
    return Post(post.method, post.url, {}, body)


def its_sample_comes_back(name: str) -> None:
    """As a delivered event with our mark; or it says why there can be no sample and what to do instead."""
    provider = providers.named(name)
    case = proven(name)
    (event,) = provider.read(case.post)
    assert (event.kind, event.recipient) == (Kind.delivered, RECIPIENT)
    assert event.mark == MARK
    assert event.occurred_at is not None
    assert abs(event.occurred_at - NOW) < timedelta(seconds=1)
    try:
        provider.sample(case.secrets, URL + name, MARK, RECIPIENT, NOW)
    except CannotBeMadeUp as told:
        assert len(told.message) > 80
        assert RECIPIENT not in told.message


def a_repeat_has_the_same_key(name: str) -> None:  # W1
    case = proven(name)
    assert [event.key for event in case.provider.read(case.post)] == [
        event.key for event in case.provider.read(case.post)
    ]


def its_correlation_headers_stand_in_a_message(name: str) -> None:
    """Pure ASCII, one line or folded at a space, and nothing that a mail program would decode."""
    provider = providers.named(name)
    headers = provider.correlation(LONGEST_MARK)
    assert headers
    assert any(LONGEST_MARK in value for _, value in headers)
    lines = mime.header_lines(headers)
    assert b"=?" not in lines
    assert lines.replace(b"\r\n ", b" ").decode("ascii").splitlines() == [f"{name}: {value}" for name, value in headers]
    assert all(len(line) <= 78 for line in lines.split(b"\r\n"))


def it_stands_anything(name: str, body: bytes, headers: dict[str, str]) -> None:  # S110
    """Any bytes: refused or read, never another failure; and what is read can be stored."""
    case = proven(name)
    provider = case.provider
    post = Post("POST", URL + name, headers, body)
    for secrets in (Secrets(), case.secrets):
        with suppress(Forged):
            provider.verify(post, secrets, NOW)
        with suppress(Forged):
            provider.greet(post, secrets)
    try:
        events = provider.read(post)
    except Unreadable:
        return
    assert len(events) <= facts.MOST_EVENTS
    for event in events:
        can_be_stored(event)


def can_be_stored(event: Event) -> None:
    assert re.fullmatch(r"[!-~]{1,200}", event.key)
    assert event.occurred_at is None or event.occurred_at.utcoffset() == timedelta(0)
    assert (event.bounce_class is not None) == (event.kind is Kind.bounced)
    assert not event.scope_all or event.kind is Kind.unsubscribed
    assert not event.machine or event.kind in (Kind.opened, Kind.clicked)
    limits = {
        "recipient": 320,
        "mark": 100,
        "message_id": 300,
        "provider_message_id": 200,
        "url": 2000,
        "status": 11,
        "detail": 500,
    }
    for field, limit in limits.items():
        value: Any = getattr(event, field)
        if value is not None:
            assert 0 < len(value) <= limit, field
            assert "\0" not in value
            value.encode()  # no half characters
    if event.detail:
        assert "@" not in event.detail


def one_bad_event_does_not_lose_the_others(name: str) -> None:  # S113
    """Something odd before and behind a good one; what is sent as a form has a test of its own."""
    provider: Provider = providers.named(name)
    case = proven(name)
    if not case.post.body.startswith((b"{", b"[")):
        return
    good = json.loads(case.post.body)
    batches = isinstance(good, list)
    good = good if batches else [good]
    odd: list[Any] = [None, 7, "x", [], {}, {"event": ["x"], "email": 5, "timestamp": {"a": []}}]
    body = json.dumps([*odd, *good, *reversed(odd)]).encode()
    try:
        events = provider.read(Post("POST", URL + name, case.post.headers, body))
    except Unreadable:
        assert not batches  # it posts one object at a time, and a list is nothing it knows
        return
    assert sum(event.kind is Kind.delivered and event.recipient == RECIPIENT for event in events) == 1
    assert {event.kind for event in events} <= {Kind.delivered, Kind.unknown}


ALL = [
    it_says_what_it_is,
    its_settings_are_read,
    it_believes_its_secret,
    it_refuses_a_wrong_secret,
    it_accepts_nothing_without_a_secret,
    it_believes_two_secrets_at_once,
    it_refuses_a_post_without_proof,
    its_sample_comes_back,
    a_repeat_has_the_same_key,
    its_correlation_headers_stand_in_a_message,
    one_bad_event_does_not_lose_the_others,
]
