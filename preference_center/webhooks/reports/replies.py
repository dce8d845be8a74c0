"""Mail that a program or a person wrote in answer: absence notes, wishes to leave, letters."""

from preference_center.webhooks.reports import phrases
from preference_center.webhooks.reports.base import Finding, Meaning, written_by
from preference_center.webhooks.reports.parts import Headers, Mail

_OPENING = 600  # characters of a text in which its sense is looked for
# RFC 3834 and what came before it; the value is what the field must begin with, if anything
_AUTOMATIC = {
    "auto-submitted": "auto-",
    "x-autoreply": "",
    "x-autorespond": "",
    "x-autoresponder": "",
    "x-auto-reply": "",
    "x-auto-response-suppress": "",
    "x-mail-autoreply": "",
    "x-autoreply-from": "",
    "x-ms-exchange-inbox-rules-loop": "",
    "x-cron-env": "",
    "feedback-id-autoreply": "",
    "precedence": "auto_reply",
    "x-precedence": "auto_reply",
}


def finding(mail: Mail) -> Finding:
    """What a mail that is no report wants. Leaving comes first: Apple marks such mails as automatic replies."""
    sender = writer(mail.headers)
    if wants_to_leave(mail):
        return Finding(Meaning.unsubscribe, sender)
    if is_automatic(mail):
        return Finding(Meaning.auto_reply, sender, hint="address retired" if _is_retired(mail) else None)
    return Finding(Meaning.unknown)


def writer(headers: Headers) -> str | None:
    """Whom an answer would reach."""
    found = (written_by(headers.one(name)) for name in ("reply-to", "from", "sender"))
    return next(filter(None, found), None)


def is_automatic(mail: Mail) -> bool:
    for name, begin in _AUTOMATIC.items():
        if any(value.lower().startswith(begin) for value in mail.headers.all(name)):
            return True
    return phrases.begins("autoreply_subjects", mail.headers.words("subject"))


def wants_to_leave(mail: Mail) -> bool:
    if mail.headers.one("x-apple-unsubscribe").lower() == "true":
        return True
    subject = mail.headers.words("subject")
    if phrases.begins("autoreply_subjects", subject):
        return False
    text = mail.text[:_OPENING].strip()
    return phrases.begins("leaving", subject) or (not subject.strip() and phrases.begins("leaving", text))


def _is_retired(mail: Mail) -> bool:
    return phrases.said("retired", f"{mail.headers.words('subject')} {mail.text[:_OPENING]}")
