"""Complaints in the abuse reporting format (RFC 5965) and its later kinds. Nothing in one is verified; what ties it is our own mark."""

from preference_center.webhooks.reports.base import Finding, Meaning, first_address
from preference_center.webhooks.reports.parts import Headers, Mail, Part

TYPES = ("message/feedback-report",)
_NAMES = ("original-rcpt-to", "removal-recipient", "original-recipient")
_RECIPIENTS = 50
_REQUIRED = ("feedback-type", "user-agent", "version")
_MEANINGS = {
    "not-spam": Meaning.none,  # RFC 6430: the person took it out of the spam folder
    "auth-failure": Meaning.none,  # RFC 6591: about signatures, not about a person's wish
    "dmarc": Meaning.none,
    "opt-out": Meaning.unsubscribe,  # never registered, yet sent
    "opt-out-list": Meaning.unsubscribe,
}


def findings(part: Part) -> list[Finding]:
    """One for each recipient named. A kind of report we do not know counts as `other` (RFC 5965 section 7.3), a complaint."""
    head, _, rest = part.content.lstrip(b"\n").partition(b"\n\n")
    fields = Headers(head if b":" in head else rest)
    kind = fields.one("feedback-type").strip().lower()
    if any(not fields.one(name) for name in _REQUIRED):
        return [Finding(Meaning.unknown, feedback_type=kind or None, hint="a complaint without its required fields")]
    named = [value for name in _NAMES for value in fields.all(name)[:_RECIPIENTS]]
    found: list[str | None] = [*dict.fromkeys(filter(None, map(first_address, named)))]
    meaning = _MEANINGS.get(kind, Meaning.complaint)
    return [Finding(meaning, recipient, feedback_type=kind) for recipient in (found or [None])[:_RECIPIENTS]]


_JUNK = "x-hmxmroriginalrecipient"


def is_feedback(mail: Mail) -> bool:
    """Outlook.com's Junk Mail Reporting Program sends the message alone, with the recipient in a field of its own."""
    return _JUNK.encode() in _head(mail).lower()


def feedback(mail: Mail) -> Finding:
    return Finding(Meaning.complaint, first_address(Headers(_head(mail)).one(_JUNK)), feedback_type="abuse")


def _head(mail: Mail) -> bytes:
    part = mail.part("message/rfc822")
    return part.content.lstrip(b"\n").partition(b"\n\n")[0] if part is not None else b""
