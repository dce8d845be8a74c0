"""What came back by mail, and to whom it applies. Nothing acts without a mark of ours: anybody can write a mail, nobody a mark.

The mark stands in the address the mail was sent to (our return path or unsubscribe mailbox), or in the returned message. What has
none changes nothing; it is counted, and kept for a person to read as long as posts are kept. Nothing here ever answers a mail.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from flask import current_app
from sqlalchemy import select

from preference_center.config import Settings
from preference_center.contacts import addresses
from preference_center.db import db
from preference_center.delivery import marks, queries
from preference_center.delivery.marks import Place
from preference_center.errors import Invalid, NotFound
from preference_center.mail.header_lines import header_text
from preference_center.providers.base import BounceClass, Event, Kind, Post
from preference_center.webhooks import inbox, mailbox_cap
from preference_center.webhooks.models import InboundPost
from preference_center.webhooks.reports import reading
from preference_center.webhooks.reports.base import Finding, Meaning, Report
from preference_center.webhooks.reports.parts import SIZE_LIMIT

log = structlog.get_logger()

SOURCE = "mailbox"
PLACES = (Place.return_path, Place.unsubscribe)
_ENVELOPE = "x-envelope-to"
_KINDS = {
    Meaning.hard: (Kind.bounced, BounceClass.hard),
    Meaning.soft: (Kind.bounced, BounceClass.soft),
    Meaning.block: (Kind.bounced, BounceClass.block),
    Meaning.deferred: (Kind.deferred, None),
    Meaning.complaint: (Kind.complained, None),
    Meaning.unsubscribe: (Kind.unsubscribed, None),
    Meaning.auto_reply: (Kind.auto_replied, None),
    Meaning.none: (Kind.accepted, None),
}
# when one mail tells several things of one message, the mildest is believed: one of many it was passed on to may be gone
_MILDEST_FIRST = [
    Meaning.none, Meaning.auto_reply, Meaning.deferred, Meaning.unknown, Meaning.soft, Meaning.block, Meaning.hard,
    Meaning.unsubscribe, Meaning.complaint,
]  # fmt: skip


@dataclass(frozen=True)
class Tie:
    """The message of ours that a mail is about, and the mark that proves it."""

    number: int
    mark: str | None  # in an address; none: it stood in our Message-ID
    message_id: str | None = None
    leaving: bool = False  # it was sent to the unsubscribe mailbox


@dataclass(frozen=True)
class Reading:
    """What one mail says and leads to. `note` says why a person should look at it; none: nobody needs to."""

    findings: list[Finding]
    tie: Tie | None
    events: list[Event] = field(default_factory=list)
    note: str | None = None


@dataclass(frozen=True)
class Kept:
    """What became of a mail that was handed over."""

    stored: bool  # no: enough that say the same of the same message were kept today
    reading: Reading | None  # none: by a fault of ours it could not be read yet

    @property
    def for_a_person(self) -> bool:
        return self.reading is None or self.reading.note is not None


def keep(raw: bytes, sent_to: Sequence[str], now: datetime, *, way: str) -> Kept:
    """Store a mail as it came, once for each whom it was sent to; it is read by whoever reads the inbox."""
    found = _understood(raw, sent_to)
    post = _enveloped(raw, sent_to)
    if found is None or found.tie is None:
        inbox.keep(SOURCE, way, post, now)
        return Kept(True, found)
    each = mailbox_cap.EACH if found.events else mailbox_cap.LETTERS
    stored = mailbox_cap.keep(SOURCE, way, post, now, about=_about_what(found, found.tie), each=each)
    return Kept(stored, found)


def _understood(raw: bytes, sent_to: Sequence[str]) -> Reading | None:
    try:
        return understand(raw, sent_to)
    except Exception as fault:  # one of ours: the mail is kept all the same, and read again once the program is mended
        log.error("mail.not_understood", fault=type(fault).__name__)
        return None


def _about_what(found: Reading, tie: Tie) -> str:
    """Which message and in which sense."""
    senses = [f"{event.kind} {event.bounce_class or ''}".strip() for event in found.events]
    return " ".join([str(tie.number), *(senses or [Meaning.unknown])])


def _enveloped(raw: bytes, sent_to: Sequence[str]) -> Post:
    """What is stored is told apart by its bytes: without the envelope one letter to two of our addresses would be one."""
    envelope = " ".join(sent_to)[:1900]
    line = f"{_ENVELOPE}: {envelope}\r\n".encode("utf-8", "surrogatepass") if envelope else b""
    return Post("MAIL", "", {_ENVELOPE: envelope}, line + raw[:SIZE_LIMIT])


def _opened(post: Post) -> tuple[bytes, str]:
    """The mail as it came, and whom it was sent to."""
    envelope = post.headers.get(_ENVELOPE, "")
    return post.body.removeprefix(f"{_ENVELOPE}: {envelope}\r\n".encode("utf-8", "surrogatepass")), envelope


def read(post: Post) -> Reading:
    """What a stored mail leads to."""
    raw, envelope = _opened(post)
    return understand(raw, envelope.split())


def understand(raw: bytes, sent_to: Sequence[str] = ()) -> Reading:
    """What a mail leads to, when it was handed over for these addresses. Nothing is stored."""
    report = reading.read(raw)
    tie = _tie([*sent_to, *report.sent_to], report)
    # writing to the unsubscribe mailbox is the wish, whatever the mail says (RFC 2369; Apple marks it as an automatic reply)
    leaving = tie is not None and tie.leaving
    findings = [Finding(Meaning.unsubscribe, report.sender)] if leaving else report.findings
    finding = _about(tie, findings)
    if tie is None:
        return Reading(findings, None, note=f"without a mark of ours: {finding.meaning}")
    if finding.meaning is Meaning.unknown:
        return Reading(findings, tie, note=finding.hint or "a letter")
    kind, bounce_class = _KINDS[finding.meaning]
    event = Event(
        kind,
        f"{_digest(raw, report)}:{tie.number}",
        recipient=finding.recipient if kind is Kind.bounced else None,
        mark=tie.mark,
        message_id=tie.message_id,
        bounce_class=bounce_class,
        status=finding.status,
        detail=header_text(finding.hint or finding.detail, 500) or None,
    )
    return Reading(findings, tie, [event])


def for_a_person(limit: int) -> list[InboundPost]:
    """Mails of which nothing came, the newest first: letters, and reports without a mark of ours."""
    noted = select(InboundPost).where(InboundPost.provider == SOURCE, InboundPost.trouble.is_not(None))
    return list(db.session.scalars(noted.order_by(InboundPost.id.desc()).limit(limit)))


def raw_of(public_id: str) -> bytes:
    """A stored mail as it came, up to what is kept of it."""
    wanted = select(InboundPost).where(InboundPost.provider == SOURCE, InboundPost.public_id == public_id)
    post = db.session.scalar(wanted)
    if post is None:
        raise NotFound("There is no such mail, or it is kept no longer.")
    return _opened(inbox.open_sealed(post))[0]


def is_ours(address: str) -> bool:
    """Whether mail to this address may be for us: it holds a mark of ours, or the settings name it."""
    settings: Settings = current_app.extensions["settings"]
    named = f"{settings.mailbox_addresses} {settings.complaints_to}".lower().split()
    return address.lower() in named or _in_address(address) is not None


def _tie(sent_to: Sequence[str], report: Report) -> Tie | None:
    """The address it was sent to proves most; then what came back of the message itself."""
    for address in sent_to:
        found = _in_address(address)
        if found is not None:
            return found
    for message_id in report.returned_ids:
        number = marks.read(message_id.partition("@")[0], Place.message_id)
        if number is not None:
            return Tie(number, None, message_id)
    for address in report.returned_marks:
        found = _in_address(address)
        if found is not None:
            return Tie(found.number, found.mark)
    return None


def _in_address(address: str) -> Tie | None:
    """`bounce+MARK@…` or `unsubscribe+MARK@…`, wherever a mail server has put it."""
    mark = address.rpartition("@")[0].rpartition("+")[2]
    for place in PLACES:
        number = marks.read(mark, place) if mark else None
        if number is not None:
            return Tie(number, mark, leaving=place is Place.unsubscribe)
    return None


def _about(tie: Tie | None, findings: list[Finding]) -> Finding:
    """The finding that concerns the person we wrote to."""
    if tie is not None and len(findings) > 1:
        theirs = queries.address_hash_of(tie.number)
        named = [each for each in findings if theirs in (_hash(each.recipient), _hash(each.final_recipient))]
        findings = named if theirs and named else findings
    return min(findings, key=lambda each: _MILDEST_FIRST.index(each.meaning))


def _hash(address: str | None) -> bytes | None:
    try:
        return addresses.parse(address).hash if address else None
    except Invalid:
        return None


def _digest(raw: bytes, report: Report) -> str:
    """The same for the same mail however it came to us: servers on the way add lines on top, its own number stays."""
    own = report.own_id.encode() if report.own_id else raw[:SIZE_LIMIT]
    return hashlib.blake2b(own, digest_size=16).hexdigest()
