"""Delivery status notifications (RFC 3464, RFC 6533): the machine-readable part, split by hand, field by field."""

import re
from dataclasses import dataclass

TYPES = ("message/delivery-status", "message/global-delivery-status", "text/delivery-status", "message/delivery-report")
RECIPIENTS_LIMIT = 30  # our mails go to one; each takes the rule book some milliseconds, whatever its words are made of

_FIELD = re.compile(r"^([!-9;-~]+)[ \t]*:[ \t]*(.*(?:\n[ \t]+.*)*)", re.MULTILINE)
_ESCAPE = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
_COMMENT = re.compile(r"\([^()]*\)")
_OF_A_RECIPIENT = {"final-recipient", "original-recipient", "action", "status", "diagnostic-code", "remote-mta"}


@dataclass(frozen=True)
class Recipient:
    """The fields of one recipient, without address types and comments."""

    final: str | None
    original: str | None
    action: str
    status: str | None
    diagnostic: str

    @property
    def address(self) -> str | None:
        """The one that was written to."""
        return self.original or self.final


def recipients(text: str) -> list[Recipient]:
    """What the status part says of each recipient; none when it names none."""
    found: list[dict[str, str]] = []
    for block in re.split(r"\n[ \t]*\n", text)[: 2 * RECIPIENTS_LIMIT]:
        for fields in _split(block):
            known = fields.keys() & _OF_A_RECIPIENT
            if known & {"final-recipient", "original-recipient"} or (known and not found):
                found.append(fields)
            elif known:  # a blank line too many tore the block in two
                found[-1] = fields | found[-1]
    return [_recipient(fields) for fields in found[:RECIPIENTS_LIMIT] if fields.keys() - {"remote-mta"}]


def _split(block: str) -> list[dict[str, str]]:
    """The fields of a block; some programs forget the blank line between two recipients, or before the first."""
    groups: list[dict[str, str]] = [{}]
    for name, value in _FIELD.findall(block):
        name = name.lower()
        if name in groups[-1] and name in ("final-recipient", "original-recipient"):
            groups.append({})
        groups[-1].setdefault(name, re.sub(r"\s*\n[ \t]+", " ", value).strip())
    return groups


def _recipient(fields: dict[str, str]) -> Recipient:
    status = re.search(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b", fields.get("status", ""))
    action = _COMMENT.sub(" ", fields.get("action", "")).strip().lower().split(" ")[0].rstrip(";,.")
    return Recipient(
        _address(fields.get("final-recipient", "")),
        _address(fields.get("original-recipient", "")),
        action,
        ".".join(str(int(number)) for number in status.groups()) if status else None,
        re.sub(r"^[A-Za-z][\w-]*\s*;\s*", "", fields.get("diagnostic-code", "") or _own_words(fields)),
    )


def _own_words(fields: dict[str, str]) -> str:
    """What a program says in fields of its own making, where it leaves the standard one out."""
    return " ".join(value for name, value in fields.items() if name.startswith("x-") and not name.endswith("recipient"))


def _address(value: str) -> str | None:
    """`rfc822; <a@example.com> (comment)`: the address alone, its escapes (RFC 6533 section 3) resolved."""
    kind, semicolon, rest = value.partition(";")
    rest = (rest if semicolon else kind).strip()
    if kind.strip().lower() in ("utf-8", "unitext"):
        rest = _ESCAPE.sub(lambda found: _character(found[1]), rest)
    inside = re.search(r"<([^<>]*)>", rest)
    rest = (inside[1] if inside else _COMMENT.sub(" ", rest)).strip().strip("'\"")
    return rest.split()[0] if "@" in rest and rest.split() else None


def _character(number: str) -> str:
    code = int(number, 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
