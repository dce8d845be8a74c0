"""Amazon SES: what its events mean, whom they are about, and the envelope of SNS that anybody could have signed."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from preference_center.errors import Unavailable
from preference_center.providers.base import Event, Forged, Post, Secrets
from preference_center.providers.parts import sns
from preference_center.providers.ses import Ses
from tests.providers.payloads import all_ours, payload, told
from tests.providers.proven import CERTIFICATE_URL, NOW, TOPIC, certificate, ses_post

SECRETS = Secrets({"TOPICS": (TOPIC,)})
SUBSCRIBE = f"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=0123abcd"
MEANT = {
    "send": ["accepted"],
    "delivery": ["delivered"],
    "delivery of the identity": ["delivered"],
    "delay": ["deferred"],
    "dead": ["bounced hard"],
    "dead, as the identity says it": ["bounced hard"],
    "two of three": ["bounced hard", "bounced hard"],
    "full": ["bounced soft"],
    "too large": ["bounced block"],
    "suppressed": ["rejected"],
    "undetermined, dead by its words": ["bounced hard"],
    "undetermined": ["bounced soft"],
    "complaint": ["complained"],
    "not spam": ["unknown"],
    "reject": ["rejected"],
    "left one topic": ["unsubscribed"],
    "left all": ["unsubscribed all"],
    "came back": ["provider_reactivated"],
    "open": ["opened"],
    "click": ["clicked"],
    "kind of tomorrow": ["unknown"],
}


@pytest.mark.parametrize(
    "host",
    [
        "sns.s3.amazonaws.com",
        "sns.s3-eu-west-1.amazonaws.com",
        "sns.s3-website-eu-west-1.amazonaws.com",
        "sns.x.amazonaws.com",
    ],
)
def test_a_bucket_called_sns_is_not_sns(host: str) -> None:  # S114
    assert not sns.is_certificate_url(f"https://{host}/SimpleNotificationService-0123abcd.pem")
    assert not sns.is_subscribe_url(SUBSCRIBE.replace("sns.eu-west-1.amazonaws.com", host), TOPIC)


@pytest.mark.parametrize("region", ["us-gov-west-1", "us-iso-east-1", "ap-southeast-5", "mx-central-1", "me-central-1"])
def test_every_region_is_known_by_its_shape(region: str) -> None:
    assert sns.is_certificate_url(f"https://sns.{region}.amazonaws.com/SimpleNotificationService-0123abcd.pem")


@pytest.fixture
def stopped_clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


class Amazon:
    """Answers like Amazon, and writes down who was asked for what."""

    def __init__(self, answer: Callable[[str], tuple[int, bytes]] | None = None) -> None:
        self.asked: list[str] = []
        self.answer = answer or (lambda url: (200, certificate() if url.endswith(".pem") else b"<ok/>"))

    def __call__(self, url: str) -> tuple[int, bytes]:
        self.asked.append(url)
        return self.answer(url)


def notification(message: Any, **more: Any) -> Post:
    return ses_post(
        {"Type": "Notification", "Message": message if isinstance(message, str) else json.dumps(message)} | more
    )


def read(name: str, **more: Any) -> list[Event]:
    return Ses(Amazon()).read(notification(payload("ses/messages")[name], **more))


@pytest.mark.parametrize("name", MEANT)
def test_each_kind_becomes_one_of_ours(name: str) -> None:
    events = read(name)
    assert [told(event) for event in events] == MEANT[name]
    if name not in ("two of three", "kind of tomorrow", "not spam", "delivery of the identity"):
        assert all_ours(events)
    assert {event.message_id for event in events} == {"k3-77@news.example.net"}


def test_the_payloads_are_all_named() -> None:
    assert set(payload("ses/messages")) == set(MEANT)


def test_only_those_it_names_bounced() -> None:
    events = read("two of three")
    assert [event.recipient for event in events] == ["ola@shop.example", "jan@shop.example"]
    assert events[0].key != events[1].key


@pytest.mark.parametrize(
    ("one", "other"), [("dead", "dead, as the identity says it"), ("delivery", "delivery of the identity")]
)
def test_one_event_that_comes_both_ways_is_one(one: str, other: str) -> None:  # W1
    first, second = read(one, MessageId="sns-1"), read(other, MessageId="sns-2")
    assert [event.key for event in first] == [event.key for event in second]


def test_two_clicks_are_two() -> None:
    assert read("click", MessageId="sns-1")[0].key != read("click", MessageId="sns-2")[0].key


def test_the_mark_is_found_in_a_header_too() -> None:
    message = payload("ses/messages")["dead"]
    del message["mail"]["tags"]
    message["mail"]["headers"].append({"name": "X-SES-MESSAGE-TAGS", "value": "a=b, pc_mark=k3-00ff"})
    assert Ses(Amazon()).read(notification(message))[0].mark == "k3-00ff"


def test_a_notice_in_plain_words_is_no_event() -> None:
    assert Ses(Amazon()).read(notification("Successfully validated SNS topic for Amazon SES event publishing.")) == []


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [{}, {"Subject": "Amazon SES Email Event Notification"}])
def test_both_versions_are_believed_with_and_without_a_subject(version: str, subject: dict[str, str]) -> None:  # S114
    post = ses_post({"Type": "Notification", "Message": "{}"} | subject, version)
    Ses(Amazon()).verify(post, SECRETS, NOW)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Message", '{"eventType":"Complaint"}'),
        ("MessageId", "other"),
        ("Timestamp", "2026-11-20T12:00:01Z"),
        ("Subject", "added"),
        ("Type", "SubscriptionConfirmation"),
        ("Type", "Gossip"),
        ("Type", None),
        ("SignatureVersion", "1"),
        ("SignatureVersion", "3"),
        ("SignatureVersion", None),
        ("Signature", ""),
        ("Signature", "!!!"),
        ("Signature", "AAAA"),
        ("Signature", ["x"]),
        ("Message", None),
        ("TopicArn", "arn:aws:sns:eu-west-1:999999999999:attacker"),
        ("TopicArn", None),
        ("SigningCertURL", CERTIFICATE_URL.replace("https", "http")),
        ("SigningCertURL", CERTIFICATE_URL.replace(".com/", ".com.evil.example/")),
        ("SigningCertURL", CERTIFICATE_URL.replace("sns.", "sns.@evil.example/")),
        ("SigningCertURL", CERTIFICATE_URL + "\n"),
        ("SigningCertURL", CERTIFICATE_URL + "?x"),
        ("SigningCertURL", None),
    ],
)
def test_a_changed_field_is_refused(field: str, value: object) -> None:
    whole = json.loads(notification("{}").body)
    whole[field] = value
    with pytest.raises(Forged):
        Ses(Amazon()).verify(replace(notification("{}"), body=json.dumps(whole).encode()), SECRETS, NOW)


def test_a_foreign_topic_makes_us_ask_nobody() -> None:  # S114
    amazon = Amazon()
    foreign = {"TopicArn": "arn:aws:sns:eu-west-1:999999999999:attacker"}
    confirmation = {"Type": "SubscriptionConfirmation", "Message": "x", "Token": "t", "SubscribeURL": SUBSCRIBE}
    for post in (notification("{}", **foreign), ses_post(confirmation | foreign)):
        with pytest.raises(Forged, match="TOPICS"):
            Ses(amazon).verify(post, SECRETS, NOW)
    with pytest.raises(Forged, match="TOPICS"):
        Ses(amazon).greet(ses_post(confirmation | foreign), SECRETS)
    assert amazon.asked == []


def test_a_confirmation_is_one_get_after_all_checks(stopped_clock: None) -> None:
    amazon = Amazon()
    post = ses_post({"Type": "SubscriptionConfirmation", "Message": "x", "Token": "t", "SubscribeURL": SUBSCRIBE})
    assert Ses(amazon).greet(post, SECRETS) == "confirmed"
    assert amazon.asked == [CERTIFICATE_URL, SUBSCRIBE]


@pytest.mark.parametrize(
    "url",
    [
        "https://internal.example/metadata",
        "http://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
        SUBSCRIBE.replace("ConfirmSubscription", "DeleteTopic"),
        SUBSCRIBE.replace("mail-events", "other-events"),
        SUBSCRIBE.replace("amazonaws.com/", "amazonaws.com:8443/"),
        SUBSCRIBE.replace("amazonaws.com/", "amazonaws.com@10.0.0.1/"),
        SUBSCRIBE.replace("amazonaws.com/?", "amazonaws.com/path?"),
        SUBSCRIBE + "&Action=DeleteTopic",
        SUBSCRIBE + "\r\nHost: evil.example",
        SUBSCRIBE + "#x y",
        "",
        None,
    ],
)
def test_a_confirmation_never_leads_elsewhere(url: object, stopped_clock: None) -> None:  # S114
    amazon = Amazon()
    whole = {"Type": "SubscriptionConfirmation", "Message": "x", "Token": "t", "SubscribeURL": url}
    with pytest.raises(Forged, match="SubscribeURL"):
        Ses(amazon).greet(ses_post(whole), SECRETS)
    assert amazon.asked == []


@pytest.mark.parametrize("status", [301, 403, 500])
def test_a_confirmation_that_is_not_taken_may_come_again(status: int, stopped_clock: None) -> None:
    amazon = Amazon(lambda url: (200, certificate()) if url.endswith(".pem") else (status, b""))
    post = ses_post({"Type": "SubscriptionConfirmation", "Message": "x", "Token": "t", "SubscribeURL": SUBSCRIBE})
    with pytest.raises(Unavailable):
        Ses(amazon).greet(post, SECRETS)


def test_a_certificate_is_fetched_once() -> None:  # S114
    amazon = Amazon()
    ses = Ses(amazon)
    for _ in range(3):
        ses.verify(notification("{}"), SECRETS, NOW)
    assert amazon.asked == [CERTIFICATE_URL]


@pytest.mark.parametrize("answer", [(404, b""), (302, b""), (200, b""), (200, b"-----BEGIN CERTIFICATE-----\nAAAA\n")])
def test_what_is_no_certificate_proves_nothing(answer: tuple[int, bytes]) -> None:
    with pytest.raises(Forged):
        Ses(Amazon(lambda url: answer)).verify(notification("{}"), SECRETS, NOW)


def test_a_certificate_that_has_run_out_proves_nothing() -> None:
    old = certificate(NOW - timedelta(days=1))
    with pytest.raises(Forged, match="run out"):
        Ses(Amazon(lambda url: (200, old))).verify(notification("{}"), SECRETS, NOW)


def no_answer(url: str) -> tuple[int, bytes]:
    raise TimeoutError


@pytest.mark.parametrize("answer", [no_answer, lambda url: (503, b"")])
def test_while_amazon_does_not_answer_a_post_is_neither_believed_nor_refused(answer: Any) -> None:
    """SNS gives up at once on a 4xx: a genuine bounce would be lost."""
    with pytest.raises(Unavailable):
        Ses(Amazon(answer)).verify(notification("{}"), SECRETS, NOW)


def test_a_flood_of_invented_certificates_stops_at_our_door() -> None:
    amazon = Amazon(lambda url: (404, b""))
    ses = Ses(amazon)
    refused = 0
    for number in range(100):
        post = notification("{}", SigningCertURL=CERTIFICATE_URL.replace("00c0ffee", f"{number:08x}"))
        with pytest.raises((Forged, Unavailable)) as told_so:
            ses.verify(post, SECRETS, NOW)
        refused += isinstance(told_so.value, Unavailable)
    assert len(amazon.asked) == 10
    assert refused == 90


def test_only_a_few_certificates_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sns, "_FETCHES", 1000)
    amazon = Amazon()
    kept = sns.Certificates(amazon)
    for number in range(50):
        kept.key_of(CERTIFICATE_URL.replace("00c0ffee", f"{number:08x}"), NOW)
    assert len(kept._kept) == 8


def test_a_farewell_of_a_topic_is_no_event() -> None:
    whole = {"Type": "UnsubscribeConfirmation", "Message": "x", "Token": "t", "SubscribeURL": SUBSCRIBE}
    post = ses_post(whole)
    ses = Ses(Amazon())
    ses.verify(post, SECRETS, NOW)
    assert ses.greet(post, SECRETS) is None
    assert ses.read(post) == []
