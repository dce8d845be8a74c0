"""Reads one mail: the machine-readable report if it has one, else the words it is written in."""

import re

from preference_center.mail import refusals
from preference_center.mail.refusals import Judgement, Verdict
from preference_center.webhooks.reports import arf, dsn, loose, replies
from preference_center.webhooks.reports.base import Finding, Meaning, Report, addresses, sent_to
from preference_center.webhooks.reports.parts import Headers, Mail, take_apart

_RETURNED = (
    "message/rfc822", "text/rfc822-headers", "text/rfc822-header", "message/rfc822-headers", "message/global",
    "message/global-headers",
)  # fmt: skip
_ENDED_WELL = ("delivered", "relayed", "expanded", "deliverable")
_ID = re.compile(r"^(?:> ?)?Message-Id:\s*<?([^\s<>]{3,250})>?", re.IGNORECASE | re.MULTILINE)
_MARKED = ("return-path", "envelope-from", "x-envelope-from", "errors-to", "sender", "list-unsubscribe")


def read(raw: bytes) -> Report:
    """What a mail of any kind reports. Never fails: what is not understood is `unknown`, for a person to read."""
    mail = take_apart(raw)
    report = Report(_findings(mail), sent_to(mail.headers), replies.writer(mail.headers))
    report.own_id = mail.headers.one("message-id")[:250] or None
    report.returned_ids, report.returned_marks = _returned(mail)
    return report


def _findings(mail: Mail) -> list[Finding]:
    complaint = mail.part(*arf.TYPES)
    if complaint is not None:
        return arf.findings(complaint)
    found = _of_status(mail)
    if found:
        return found
    if arf.is_feedback(mail):
        return [arf.feedback(mail)]
    if loose.is_bounce(mail):
        inner = _wrapped(mail)
        if inner is not None:  # another program has packed a report into a mail of its own
            return _of_status(inner)
        return loose.findings(mail)
    return [replies.finding(mail)]


def _wrapped(mail: Mail) -> Mail | None:
    """The report that a mail carries as a message; looked for one level deep."""
    part = mail.part("message/rfc822")
    if part is None or "delivery-status" not in part.content[:8000].decode("latin-1").lower():
        return None
    inner = take_apart(part.content)
    return inner if inner.part(*dsn.TYPES) is not None else None


def _of_status(mail: Mail) -> list[Finding]:
    """From the part made for machines, or the same fields within the letter."""
    part = mail.part(*dsn.TYPES)
    letter = loose.letter(mail)
    named = dsn.recipients(part.content.decode("utf-8", "replace")) if part is not None else []
    if not named and "final-recipient:" in letter.lower() and not loose.is_answer(mail):
        named = dsn.recipients(re.sub(r"(?m)^>+ ?", "", letter))  # a person may have sent it on
    if not named:
        return []
    spelled = [each.final or each.original or "" for each in named]
    return [_of_recipient(each, spelled, letter, mail) for each in named]


def _of_recipient(told: dsn.Recipient, all_named: list[str], letter: str, mail: Mail) -> Finding:
    final = told.final if told.final and told.final != told.address else None
    if told.action in _ENDED_WELL or (told.status or "").startswith("2."):
        return Finding(Meaning.none, told.address, told.status, told.action, final, detail=told.diagnostic)
    if told.action == "delayed":
        return Finding(Meaning.deferred, told.address, told.status, told.action, final, detail=told.diagnostic)
    judged, words = _judged(told, all_named, letter)
    return Finding(
        Meaning(judged.verdict),
        told.address or _only_address(mail, letter),
        told.status or judged.status,
        told.action or "failed",
        final,
        detail=words,
    )


def _judged(told: dsn.Recipient, all_named: list[str], letter: str) -> tuple[Judgement, str]:
    """The diagnostic words decide; where they say nothing, what the letter says of this recipient."""
    judged = refusals.judge(told.status, told.diagnostic)
    if judged.by_words:
        return judged, told.diagnostic
    words = loose.words_about(told.final or told.original or "", all_named, letter)
    again = refusals.judge(told.status, f"{told.diagnostic} {words}")
    # an exact code outweighs a footer, and with words of its own beside it whatever else the letter tells
    overruled = judged.verdict is Verdict.hard and (again.verdict is Verdict.block or bool(told.diagnostic))
    if (again.by_words and not overruled) or told.status is None:
        return again, words
    return judged, told.diagnostic


def _only_address(mail: Mail, letter: str) -> str | None:
    """A status part may name its recipient in a way that is no address."""
    return next(iter(loose.recipients(mail, letter)), None)


def _returned(mail: Mail) -> tuple[list[str], list[str]]:
    """Message-IDs and local parts of the message that came back: in its own part, or within the letter's text."""
    ids: list[str] = []
    marks: list[str] = []
    for part in mail.parts:
        if part.type in _RETURNED:
            headers = Headers(part.content.lstrip(b"\n").partition(b"\n\n")[0])
            ids += [value.strip("<> ")[:250] for value in headers.all("message-id")[:3]]
            marks += [
                each for name in _MARKED for value in headers.all(name)[:3] for each in addresses(value[:1000])[:3]
            ]
        elif part.type in ("text/plain", "text/html") and "@" in part.text:
            ids += _ID.findall(part.text)[:3]
    for name in ("in-reply-to", "references", "original-message-id", "x-original-message-id"):
        ids += re.findall(r"<([^\s<>]{3,250})>", mail.headers.one(name)[:4000])[-10:]
    return list(dict.fromkeys(ids))[:20], list(dict.fromkeys(marks))[:20]
