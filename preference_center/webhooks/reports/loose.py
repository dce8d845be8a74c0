"""Bounces that are written for people alone: qmail, old Exim and Exchange, Notes, Gmail and many more, without one program's name here.

The letter is cut where the returned message begins; each recipient named in it gets the words that stand with them; the rule book
judges those words. How a program arranges its letter hardly matters, so a new one needs no new code.
"""

import re
from collections.abc import Iterator

from preference_center.mail import refusals
from preference_center.mail.refusals import Judgement, Verdict
from preference_center.webhooks.reports import phrases
from preference_center.webhooks.reports.base import Finding, Meaning, addresses
from preference_center.webhooks.reports.parts import Headers, Mail

_LETTER = 12_000  # characters of a letter that are read
_WORDS = 1_500  # characters that stand with one recipient
_OPENING = 1_500
_RECIPIENTS = 50
_FIELD = re.compile(r"^(?:>\s?)?([A-Z][A-Za-z0-9-]{1,40}):(?:\s|$)")
_TELLING = {"received", "message-id", "return-path", "mime-version", "dkim-signature"}
_REPLY = re.compile(r"^[^\n]{0,80}\b5\d\d[ -]{1,3}\S", re.MULTILINE)  # a server's refusal, quoted
_REFUSED = re.compile(r"(?:<<<? ?)?5\d\d[ -](?:5\.\d{1,3}\.\d{1,3} )?<")
_NOBODY = re.compile(r"(?:mailer-?daemon|postmaster|mail-?daemon|abuse|hostmaster|helpdesk|support)@", re.IGNORECASE)
# An address that stands as the subject of its line: alone, in brackets, before a colon, behind "to" or a dash.
_OF = r"[^\s<>\"'(),;:\[\]|=*：，；（）]"
_HEADING = re.compile(
    rf"""^[ \t>*•-]*
    (?: (?:<<<\ ?)? [45]\d\d[ -] (?:[45]\.\d{{1,3}}\.\d{{1,3}}\ )?
      | (?:(?:final|original|recipient|e-?mail)[ -])?
        (?:recipient|address|user|failed|收件人|宛先|destinat\w+|empfänger|odbiorca) [^\S\n]{{0,9}}[:：]?\s{{0,99}} (?:rfc822;\s{{0,9}})? )?
    ["'<(\[]{{0,2}} ({_OF}{{1,150}}@{_OF}{{1,250}}?) ["'>)\]]{{0,2}} [.:,]{{0,3}} (?=\s|$|[:<(：，；（）])""",
    re.MULTILINE | re.IGNORECASE | re.VERBOSE,
)


def is_bounce(mail: Mail) -> bool:
    """Whether a program says that it could not deliver something."""
    headers = mail.headers
    if "x-failed-recipients" in headers or mail.parameters.get("report-type", "").lower() == "delivery-status":
        return True
    subject, opening = headers.words("subject"), letter(mail)[:_OPENING]
    if phrases.begins("autoreply_subjects", subject) or is_answer(mail):
        return False
    from_program, null_path = _from_program(headers), _null_path(headers)
    by_subject, by_opening = phrases.said("bounce_subjects", subject), phrases.said("bounce_openings", opening)
    if opening.lstrip().startswith("{") and phrases.said("bounce_data", opening):
        return True
    by_reply = bool(_REPLY.search(opening))
    return sum((from_program, null_path, by_subject, by_opening, by_reply)) >= 2 and (
        by_subject or by_opening or from_program
    )


def is_answer(mail: Mail) -> bool:
    """Whether a person answers, who lives, whatever bounces they quote."""
    answers = "in-reply-to" in mail.headers or phrases.begins("answers", mail.headers.words("subject"))
    return answers and not _from_program(mail.headers) and not _null_path(mail.headers)


def _from_program(headers: Headers) -> bool:
    sender = headers.one("from")
    address = (addresses(sender) or [sender.strip(' <>"')])[0]
    return phrases.said("bounce_senders", address.partition("@")[0]) or phrases.said("bounce_names", sender)


def _null_path(headers: Headers) -> bool:
    return_path = headers.one("return-path").strip()
    return return_path == "<>" or phrases.said("bounce_senders", return_path.strip("<> ").partition("@")[0])


def findings(mail: Mail) -> list[Finding]:
    text = letter(mail)
    named = recipients(mail, text)
    delayed = is_delay(f"{mail.headers.words('subject')}\n{text}")
    if not named:
        return [_finding(None, text, text, delayed)]
    return [_finding(each, words_about(each, named, text), text, delayed) for each in named]


def is_delay(text: str) -> bool:
    """Whether it is still being tried."""
    text = text[:4000]
    return phrases.said("delays", text) and not phrases.said("gave_up", text)


def letter(mail: Mail) -> str:
    """The mail's own text, up to the message that it returns."""
    lines = mail.text[:_LETTER].split("\n")
    for number, line in enumerate(lines):
        if (
            number
            and phrases.begins("returned", line[:200].strip())
            and _FIELD.search("\n".join(lines[number + 1 : number + 8]))
        ):
            return "\n".join(lines[:number])
        if _FIELD.match(line) and _is_header(lines[number : number + 40]):
            return "\n".join(lines[:number])
    return "\n".join(lines)


def returned_text(mail: Mail) -> str:
    """What the letter's text holds of the returned message."""
    return mail.text[len(letter(mail)) :][:_LETTER]


def _is_header(lines: list[str]) -> bool:
    """Whether a message's header begins here: three fields in a row, and one of them only a message has."""
    names = []
    for line in lines:
        found = _FIELD.match(line)
        if found:
            names.append(found[1].lower())
        elif not line[:1].isspace() or not line.strip():
            break
    return len(names) >= 3 and not _TELLING.isdisjoint(names)


def recipients(mail: Mail, text: str) -> list[str]:
    """Whom it could not be delivered to, as far as the letter tells."""
    headers = mail.headers
    failed = [each for value in headers.all("x-failed-recipients") for each in addresses(value)]
    if failed:
        return list(dict.fromkeys(failed))[:_RECIPIENTS]
    own = {each.lower() for name in _OWN for value in headers.all(name) for each in addresses(value)}
    own_hosts = {"mailto"}

    def fits(address: str) -> bool:
        return address.lower() not in own and not _NOBODY.match(address) and address not in own_hosts

    headings = [found[1].rstrip(".") for found in _HEADING.finditer(text)]
    strong = [address for address in dict.fromkeys(headings) if fits(address) and addresses(address) == [address]]
    if strong:
        return strong[:_RECIPIENTS]
    return [address for address in addresses(text) if fits(address)][:1]


_OWN = (
    "to",
    "from",
    "delivered-to",
    "x-original-to",
    "envelope-to",
    "reply-to",
    "return-path",
    "sender",
    "errors-to",
    "cc",
)


def words_about(recipient: str, all_named: list[str], text: str) -> str:
    """The pieces of the letter that begin with this recipient, each up to where another is named."""
    lowered = text.lower()
    others = [each.lower() for each in all_named if each != recipient]
    pieces = list(_pieces(recipient.lower(), others, lowered, text))
    return "\n".join(pieces) or text


def _pieces(recipient: str, others: list[str], lowered: str, text: str) -> Iterator[str]:
    at, total = lowered.find(recipient), 0
    while at >= 0 and total < _WORDS * 2:
        total += 1
        begin = text.rfind("\n", 0, at) + 1
        if _REFUSED.match(text, begin):  # `550 <a@example.com>... User unknown` is all there is to say
            yield text[begin : (text.find("\n", at) + 1) or len(text)]
            at = lowered.find(recipient, at + len(recipient))
            continue
        ends = [found for other in others if (found := lowered.find(other, at + len(recipient))) >= 0]
        end = min([text.rfind("\n", 0, found) for found in ends if text.rfind("\n", 0, found) > at] + [at + _WORDS])
        yield text[begin:end]
        total += end - begin
        at = lowered.find(recipient, max(end, at + 1))


def _finding(recipient: str | None, words: str, whole: str, delayed: bool) -> Finding:
    judged = refusals.judge(None, words)
    if not judged.by_words and words != whole:
        judged = _surer(judged, refusals.judge(None, whole))
    meaning = Meaning.deferred if delayed else Meaning(judged.verdict)
    return Finding(meaning, recipient, judged.status, "delayed" if delayed else "failed", detail=words)


def _surer(first: Judgement, second: Judgement) -> Judgement:
    """The whole letter speaks of several things at once, so only what it says in so many words counts beside a code."""
    if second.by_words or (first.status is None and second.status is not None):
        return second if first.verdict is not Verdict.block else first
    return first
