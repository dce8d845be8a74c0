"""A post of each provider that its secrets prove: its own sample, or one signed here with a key made for the test."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from preference_center import providers
from preference_center.providers.base import Post, Provider, Secrets
from preference_center.providers.ses import Ses

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
URL = "https://mail.example.com/hooks/"
MARK = "2rz-00112233445566778899"
RECIPIENT = "anna@example.org"


@dataclass(frozen=True)
class Proven:
    """A post with what proves it, and secrets of the same kind that do not."""

    provider: Provider
    post: Post
    secrets: Secrets
    others: Secrets


def proven(name: str) -> Proven:
    provider = providers.named(name)
    if name in SIGNED_HERE:
        return SIGNED_HERE[name](provider)
    secrets = Secrets({setting.name: (setting.example,) for setting in provider.settings})
    others = Secrets({setting.name: (another(setting.example),) for setting in provider.settings})
    post = provider.sample(secrets, URL + name, MARK, RECIPIENT, NOW)
    return Proven(provider, post, secrets, others)


def another(secret: str) -> str:
    """A secret of the same shape: the next letter or digit in eight places."""
    turned = {**dict(zip("abcdefghijklmnopqrstuvwxyz", "bcdefghijklmnopqrstuvwxyza", strict=True))}
    turned |= {one.upper(): other.upper() for one, other in turned.items()}
    turned |= dict(zip("0123456789", "1234567890", strict=True))
    return secret[:-12] + "".join(turned.get(char, char) for char in secret[-12:])


def of_sendgrid(provider: Provider) -> Proven:
    key, stranger = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    event = {
        "event": "delivered",
        "email": RECIPIENT,
        "timestamp": int(NOW.timestamp()),
        "sg_event_id": "made-up-1",
        "pc_mark": MARK,
    }
    body = json.dumps([event]).encode() + b"\r\n"
    return Proven(provider, sendgrid_post(key, body), sendgrid_secrets(key), sendgrid_secrets(stranger))


def sendgrid_post(key: ec.EllipticCurvePrivateKey, body: bytes, at: datetime = NOW) -> Post:
    timestamp = str(int(at.timestamp()))
    signature = key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
    headers = {
        "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
        "x-twilio-email-event-webhook-timestamp": timestamp,
    }
    return Post("POST", URL + "sendgrid", headers, body)


def sendgrid_secrets(key: ec.EllipticCurvePrivateKey) -> Secrets:
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Secrets({"KEYS": (base64.b64encode(public).decode(),)})


TOPIC = "arn:aws:sns:eu-west-1:000011112222:mail-events"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-00c0ffee.pem"


def of_ses(provider: Provider) -> Proven:
    message = {
        "eventType": "Delivery",
        "mail": {"messageId": "0102-made-up", "destination": [RECIPIENT], "tags": {"pc_mark": [MARK]}},
        "delivery": {"recipients": [RECIPIENT], "timestamp": NOW.isoformat()},
    }
    post = ses_post({"Type": "Notification", "Message": json.dumps(message)})
    return Proven(
        Ses(lambda url: (200, certificate())), post, Secrets({"TOPICS": (TOPIC,)}), Secrets({"TOPICS": (TOPIC + "2",)})
    )


def ses_post(envelope: dict[str, Any], version: str = "2") -> Post:
    """An envelope as SNS posts it, signed with the key of `certificate()`."""
    whole = {
        "MessageId": "made-up-0001",
        "TopicArn": TOPIC,
        "Timestamp": NOW.isoformat(),
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE_URL,
    } | envelope
    signed = {"Message", "MessageId", "Timestamp", "TopicArn", "Type"}
    signed |= {"Subject"} if whole["Type"] == "Notification" else {"SubscribeURL", "Token"}
    text = "".join(f"{name}\n{whole[name]}\n" for name in sorted(signed & set(whole)))
    signature = amazon_key().sign(text.encode(), PKCS1v15(), SHA1() if version == "1" else SHA256())
    whole["Signature"] = base64.b64encode(signature).decode()
    return Post("POST", URL + "ses", {"content-type": "text/plain; charset=UTF-8"}, json.dumps(whole).encode())


@cache
def amazon_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def certificate(until: datetime = NOW + timedelta(days=300)) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    made = made.not_valid_before(NOW - timedelta(days=300)).not_valid_after(until).public_key(amazon_key().public_key())
    return made.sign(amazon_key(), SHA256()).public_bytes(Encoding.PEM)


SIGNED_HERE = {"sendgrid": of_sendgrid, "ses": of_ses}
