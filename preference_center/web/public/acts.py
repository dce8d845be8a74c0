"""What an act on a public page leaves behind: evidence for the ledger, and a receipt by which it is shown and taken back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer

from preference_center import i18n
from preference_center.consent.ledger import Evidence
from preference_center.preferences.choices import Change
from preference_center.web.guards import Link

LIFE = 30 * 60  # seconds in which an act can be taken back from its page


@dataclass(frozen=True)
class Receipt:
    """Which act it was, the consent records it wrote, and the topics it left alone: [key, whether the page had it on]."""

    act: str
    records: list[str]
    elsewhere: list[list[Any]]


def evidence(
    source: str, source_ref: str = "", environ: Mapping[str, Any] | None = None, language: str = ""
) -> Evidence:
    """Who says so, from where, in which language; by Flask's request, or by a bare one that came no further than its door."""
    said = request.environ if environ is None else environ
    detail = {"network": said.get("REMOTE_ADDR") or "", "agent": said.get("HTTP_USER_AGENT", "")[:200]}
    return Evidence(source=source, source_ref=source_ref, language=language or i18n.current_language(), detail=detail)


def receipt(link: Link, act: str, change: Change) -> str:
    """Signed, short-lived, and worth nothing on another person's page."""
    left_alone = [[topic.key, had] for topic, had in change.elsewhere]
    payload = [act, [record.public_id for record in change.records], left_alone]
    return str(_serializer(link.contact.public_id).dumps(payload))


def read_receipt(public_id: str, text: str | None) -> Receipt | None:
    if not text:
        return None
    try:
        return Receipt(*_serializer(public_id).loads(text, max_age=LIFE))
    except (BadData, TypeError):
        return None


def _serializer(public_id: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt=f"pc.receipt.v1.{public_id}")
