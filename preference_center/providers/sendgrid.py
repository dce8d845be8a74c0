"""Twilio SendGrid: the Event Webhook, signed with ECDSA over the timestamp and the raw body. Always a JSON array."""

import json
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from preference_center.providers.base import (
    BounceClass,
    CannotBeMadeUp,
    Event,
    Forged,
    Kind,
    Post,
    Secrets,
    Setting,
)
from preference_center.providers.parts import facts, proofs
from preference_center.providers.parts.json_posts import JsonPosts

# They go on trying for a day; a post caught on its way and sent again a day later is refused.
OLDEST = timedelta(hours=23)

_SIGNATURE = "x-twilio-email-event-webhook-signature"
_TIMESTAMP = "x-twilio-email-event-webhook-timestamp"

_KINDS = {
    "processed": Kind.accepted,
    "delivered": Kind.delivered,
    "deferred": Kind.deferred,
    "bounce": Kind.bounced,
    "dropped": Kind.rejected,
    "spamreport": Kind.complained,
    "unsubscribe": Kind.unsubscribed,
    "group_unsubscribe": Kind.unsubscribed,
    "group_resubscribe": Kind.provider_reactivated,
    "open": Kind.opened,
    "click": Kind.clicked,
}
# `type: bounce` means "given up for good"; what for, says `bounce_classification`
_NOT_THE_ADDRESS = {
    "Reputation": BounceClass.block,
    "Content": BounceClass.block,
    "Frequency or Volume Too High": BounceClass.block,
    "Technical Failure": BounceClass.soft,
    "Technical": BounceClass.soft,
}


def _public_key(value: str) -> EllipticCurvePublicKey | None:
    try:
        key = load_der_public_key(proofs.decoded(value, "the key"))
    except (Forged, ValueError, TypeError):
        return None
    return key if isinstance(key, EllipticCurvePublicKey) else None


def _key_fault(value: str) -> str | None:
    return None if _public_key(value) else "is not the verification key that SendGrid shows (base64, beginning with MF)"


class SendGrid(JsonPosts):
    name = "sendgrid"
    page = "https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event"
    settings = (
        Setting(
            "KEYS",
            "the verification key of the signed Event Webhook",
            many=True,
            example="MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==",
            fault=_key_fault,
        ),
    )

    def verify(self, post: Post, secrets: Secrets, now: datetime) -> str | None:
        keys = [_public_key(value) for value in proofs.needed(secrets, "KEYS")]
        timestamp = post.headers.get(_TIMESTAMP, "")
        signature = proofs.decoded(post.headers.get(_SIGNATURE, ""), "the signature")
        proofs.signed_at(timestamp, now, at_most=OLDEST)
        if not any(_right(key, signature, timestamp.encode() + post.body) for key in keys if key):
            raise Forged("the signature is wrong")
        return None

    def read_one(self, item: dict[str, Any]) -> list[Event]:
        kind = _KINDS.get(facts.words(item.get("event")), Kind.unknown)
        status = facts.status_in(item.get("status"), item.get("reason")) if kind is Kind.bounced else None
        return [
            Event(
                kind,
                facts.key("sendgrid", facts.words(item.get("sg_event_id")) or facts.digest(item)),
                recipient=facts.address(item.get("email")),
                occurred_at=facts.seconds(item.get("timestamp")),
                # their documents show our arguments flat in the event, some newer ones in an object of their own
                mark=facts.mark(item.get(facts.MARK))
                or facts.mark(facts.record(item.get("unique_args")).get(facts.MARK)),
                message_id=facts.message_id(item.get("smtp-id")),
                provider_message_id=facts.words(item.get("sg_message_id")) or None,
                bounce_class=_class(item, status) if kind is Kind.bounced else None,
                scope_all=item.get("event") == "unsubscribe",  # the other one is about a group
                machine=kind is Kind.opened and facts.yes(item.get("sg_machine_open")),
                url=facts.words(item.get("url"), 2000) or None if kind is Kind.clicked else None,
                status=status,
                detail=facts.detail(item.get("reason"), item.get("response")),
            )
        ]

    def correlation(self, mark: str) -> list[tuple[str, str]]:
        return [("X-SMTPAPI", json.dumps({"unique_args": {facts.MARK: mark}}))]

    def sample(self, secrets: Secrets, public_url: str, mark: str, recipient: str, now: datetime) -> Post:
        raise CannotBeMadeUp(
            "Only SendGrid can sign its events: we hold the public half of the key. Press “Test Your Integration” beside the "
            "webhook in its settings; the events it sends are about addresses we never mailed, so they change nothing."
        )


def _right(key: EllipticCurvePublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _class(item: dict[str, Any], status: str | None) -> BounceClass:
    said = facts.words(item.get("type"))
    if said == "blocked":
        return BounceClass.block
    if said == "expired" or (status and status.endswith(".2.2")):
        return BounceClass.soft
    given = _NOT_THE_ADDRESS.get(facts.words(item.get("bounce_classification")))
    if given or said == "bounce":
        return given or BounceClass.hard
    return facts.classed(status, item.get("reason"), otherwise=BounceClass.soft)


provider = SendGrid()
