"""The words in which a mail that came back is told: one `Finding` for each recipient it speaks of."""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from preference_center.webhooks.reports.parts import Headers


class Meaning(StrEnum):
    hard = "hard"  # the address is dead
    soft = "soft"  # it may work another day
    block = "block"  # refused for who we are or what we sent
    deferred = "deferred"  # still being tried
    complaint = "complaint"
    unsubscribe = "unsubscribe"
    auto_reply = "auto-reply"
    none = "none"  # a report without consequence
    unknown = "unknown"  # for a person to read


@dataclass(frozen=True)
class Finding:
    """What was said of one recipient. `recipient` is the address we wrote to, where the mail tells it."""

    meaning: Meaning
    recipient: str | None = None
    status: str | None = None
    action: str | None = None
    final_recipient: str | None = None  # where it went from there, if that is another address
    feedback_type: str | None = None
    detail: str = ""  # the words that decided
    hint: str | None = None


@dataclass
class Report:
    """A whole mail: what it says, whom it was sent to, and what it brings back of the message it is about."""

    findings: list[Finding]
    sent_to: list[str] = field(default_factory=list)  # addresses of ours, as its headers name them
    sender: str | None = None
    own_id: str | None = None  # its own Message-ID
    returned_ids: list[str] = field(default_factory=list)  # Message-IDs of returned messages, without angle brackets
    returned_marks: list[str] = field(default_factory=list)  # local parts in it that may hold a mark of ours


# the lengths are bounded: a line without spaces is walked once for each of its characters
_ENDS = r"\s<>\"'(),;:\[\]\\|=*：，；。、（）【】「」"
_ADDRESS = re.compile(rf"[^{_ENDS}]{{1,150}}@[^{_ENDS}]{{1,250}}[^{_ENDS}.!?]")


def addresses(text: str) -> list[str]:
    """Everything that looks like an address, in order, each once."""
    return list(dict.fromkeys(_ADDRESS.findall(text)))


def first_address(text: str) -> str | None:
    found = _ADDRESS.search(text)
    return found[0] if found else None


_BRACKETS = re.compile(r"<([^<>]{3,400})>")


def written_by(field_: str) -> str | None:
    """The address in `Name <address>`. Our own, because the standard library's recurses into nested comments without end."""
    inside = _BRACKETS.findall(field_[:4000])
    return first_address(inside[-1] if inside else field_[:4000])


_SENT_TO = ("x-original-to", "delivered-to", "envelope-to", "x-envelope-to", "apparently-to", "to", "cc")


def sent_to(headers: Headers) -> list[str]:
    """Whom the mail was sent to, the surest sign first. At most as many as a report can have."""
    found = [each for name in _SENT_TO for value in headers.all(name)[:5] for each in addresses(value[:4000])[:10]]
    return list(dict.fromkeys(found))[:30]
