"""Complaints in the abuse reporting format (RFC 5965) and its later kinds. Nothing in one is verified; what ties it is our own mark."""

from preference_center.webhooks.reports.base import Finding, Meaning, first_address
from preference_center.webhooks.reports.parts import Headers, Part

TYPES = ("message/feedback-report",)
_REQUIRED = ("feedback-type", "user-agent", "version")
_MEANINGS = {
    "not-spam": Meaning.none,  # RFC 6430: the person took it out of the spam folder
    "auth-failure": Meaning.none,  # RFC 6591: about signatures, not about a person's wish
    "dmarc": Meaning.none,
    "opt-out": Meaning.unsubscribe,  # never registered, yet sent
    "opt-out-list": Meaning.unsubscribe,
}


def finding(part: Part) -> Finding:
    """A kind of report we do not know counts as `other` (RFC 5965 section 7.3), which is a complaint."""
    head, _, rest = part.content.lstrip(b"\n").partition(b"\n\n")
    fields = Headers(head if b":" in head else rest)
    kind = fields.one("feedback-type").strip().lower()
    if any(not fields.one(name) for name in _REQUIRED):
        return Finding(Meaning.unknown, feedback_type=kind or None, hint="a complaint without its required fields")
    named = [fields.one(name) for name in ("original-rcpt-to", "removal-recipient", "original-recipient")]
    recipient = next(filter(None, map(first_address, named)), None)
    return Finding(_MEANINGS.get(kind, Meaning.complaint), recipient, feedback_type=kind)
