"""A post of each provider that its secrets prove: its own sample, or one signed here with a key made for the test."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from preference_center import providers
from preference_center.providers.base import Post, Provider, Secrets

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


SIGNED_HERE = {"sendgrid": of_sendgrid}
