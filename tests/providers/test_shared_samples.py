"""The shared samples become the events that stand beside them, and the shared cases of authentication end as they say."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from preference_center import providers
from preference_center.providers.base import BounceClass, Event, Forged, Kind, Post, Provider, Secrets
from preference_center.providers.parts import sns
from preference_center.providers.ses import Ses
from tests.providers.shared import FOLDER

EXPECTED: dict[str, list[dict[str, Any]]] = json.loads((FOLDER / "expected.json").read_text())["samples"]
AUTH: dict[str, Any] = json.loads((FOLDER / "auth_vectors.json").read_text())
VECTORS: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in AUTH["vectors"]}
LOGIN = f"{AUTH['basic_auth']['username']}:{AUTH['basic_auth']['password'].replace(' ', '%20')}"
SECRETS = {
    "ses": Secrets({"TOPICS": tuple(AUTH["sns_allowed_topic_arns"])}),
    "sendgrid": Secrets({"KEYS": (AUTH["sendgrid_public_key_base64_der"],)}),
    "mailgun": Secrets({"KEYS": (AUTH["mailgun_signing_key"],)}),
    "resend": Secrets({"SECRETS": (AUTH["standard_webhooks_secret"],)}),
    "standard": Secrets({"SECRETS": (AUTH["standard_webhooks_secret"],)}),
    "mandrill": Secrets({"KEYS": (AUTH["mandrill_key"],)}),
    "brevo": Secrets({"LOGINS": (LOGIN,), "TOKENS": (AUTH["bearer_token"],)}),
    **dict.fromkeys(["postmark", "mailjet", "sparkpost"], Secrets({"LOGINS": (LOGIN,)})),
}


def post_of(sample: str, number: str = "msg_1") -> Post:
    body = (FOLDER / f"{sample}.json").read_bytes()
    if sample.startswith("mandrill/"):
        body = urlencode({"mandrill_events": body.decode()}).encode()
    return Post("POST", f"https://mail.example.org/hooks/{sample.partition('/')[0]}", {"svix-id": number}, body)


def read(sample: str, number: str = "msg_1") -> list[Event]:
    return providers.named(sample.partition("/")[0]).read(post_of(sample, number))


def test_all_samples_are_here() -> None:
    assert len(EXPECTED) == len(list(FOLDER.glob("*/*.json"))) == 54


@pytest.mark.parametrize("sample", EXPECTED)
def test_a_sample_becomes_its_events(sample: str) -> None:  # S108
    expected = [event for event in EXPECTED[sample] if event["type"] != "none"]
    events = read(sample)
    assert len(events) == len(expected)
    for event, wanted in zip(events, expected, strict=True):
        assert event.kind == Kind(wanted["type"])
        assert event.recipient == wanted["recipient"]
        assert moment(event.occurred_at) == moment_of(wanted["occurred_at"])
        assert event.bounce_class == (BounceClass(wanted["bounce_class"]) if "bounce_class" in wanted else None)
        assert event.scope_all == (wanted.get("scope") == "all")
        assert event.machine == wanted.get("machine", False)
        if "status" in wanted:
            assert event.status == wanted["status"]
        if "provider_message_id" in wanted:
            assert event.provider_message_id == wanted["provider_message_id"]


def moment_of(text: str | None) -> datetime | None:
    return moment(datetime.fromisoformat(text)) if text else None


def moment(then: datetime | None) -> datetime | None:
    """To the millisecond, as the samples have it."""
    return then and then.replace(microsecond=then.microsecond // 1000 * 1000)


def test_every_event_has_a_key_of_its_own_and_keeps_it() -> None:  # S109
    keys = [event.key for number, sample in enumerate(EXPECTED) for event in read(sample, f"msg_{number}")]
    again = [event.key for number, sample in enumerate(EXPECTED) for event in read(sample, f"msg_{number}")]
    assert keys == again
    assert (
        len(set(keys)) == len(keys) == sum(len([e for e in some if e["type"] != "none"]) for some in EXPECTED.values())
    )


@dataclass
class Door:
    """What a door makes of a post: the order of its steps, and the tokens it has seen."""

    fetched: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def named(self, name: str) -> Provider:
        return Ses(self.fetch) if name == "ses" else providers.named(name)

    def fetch(self, url: str) -> tuple[int, bytes]:
        self.fetched.append(url)
        return 200, AUTH["sns_certificate_pem"].encode() if url == AUTH["sns_certificate_url"] else b""

    def ends(self, vector: dict[str, Any]) -> str:
        name = vector["provider"].removesuffix("-webhooks")
        provider, secrets, post = self.named(name), SECRETS[name], request_of(vector)
        now = datetime.fromtimestamp(vector["clock"], UTC) if "clock" in vector else datetime(2026, 11, 22, tzinfo=UTC)
        try:
            greeting = provider.greet(post, secrets)
            if greeting is not None:
                return "no-effect" if post.method == "POST" and name == "mandrill" else "accept"
            token = provider.verify(post, secrets, now)
        except Forged:
            return "reject"
        if token in self.tokens:
            return "no-effect"
        self.tokens |= {token} if token else set()
        provider.read(post)
        return "accept"


def request_of(vector: dict[str, Any]) -> Post:
    body = urlencode(vector["form"]).encode() if "form" in vector else vector.get("body", "").encode()
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    url = vector.get("url", f"https://mail.example.org/hooks/{vector['provider']}")
    return Post(vector.get("method", "POST"), url, headers, body)


@pytest.mark.parametrize("vector", VECTORS)
def test_a_case_of_authentication_ends_as_it_says(vector: str) -> None:  # S107, S114, S116
    door = Door()
    if vector in ("mailgun-replayed-token", "mailgun-body-not-covered"):
        assert door.ends(VECTORS["mailgun-valid"]) == "accept"
    assert door.ends(VECTORS[vector]) == VECTORS[vector]["expect"]


def test_there_are_fifty_five_cases() -> None:
    assert len(VECTORS) == 55


def test_one_confirmation_is_one_get_and_a_foreign_one_none() -> None:  # S114
    door = Door()
    assert door.ends(VECTORS["sns-confirm-valid"]) == "accept"
    confirmed = json.loads(VECTORS["sns-confirm-valid"]["body"])["SubscribeURL"]
    assert door.fetched == [AUTH["sns_certificate_url"], confirmed]
    for foreign in ("sns-confirm-foreign-topic", "sns-confirm-ssrf", "sns-foreign-topic"):
        stranger = Door()
        assert stranger.ends(VECTORS[foreign]) == "reject"
        assert stranger.fetched == []


def test_a_validation_notice_holds_no_event() -> None:
    assert providers.named("ses").read(request_of(VECTORS["sns-validation-notice"])) == []


@pytest.mark.parametrize("case", AUTH["sns_cert_url_cases"], ids=lambda case: case["url"][:60] or "empty")
def test_a_certificate_comes_from_sns_alone(case: dict[str, str]) -> None:  # S114
    assert sns.is_certificate_url(case["url"]) == (case["expect"] == "accept")


def test_the_signed_samples_prove_themselves() -> None:
    """SES and Mailgun: the files carry signatures that verify."""
    door = Door()
    ses = door.named("ses")
    for sample in (name for name in EXPECTED if name.startswith("ses/")):
        ses.verify(post_of(sample), SECRETS["ses"], datetime(2026, 11, 22, tzinfo=UTC))
    assert door.fetched == [AUTH["sns_certificate_url"]]  # once for all
    for sample in (name for name in EXPECTED if name.startswith("mailgun/")):
        signed = int(json.loads(post_of(sample).body)["signature"]["timestamp"])
        now = datetime.fromtimestamp(signed, UTC) + timedelta(hours=8)
        assert providers.named("mailgun").verify(post_of(sample), SECRETS["mailgun"], now)
