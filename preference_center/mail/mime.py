"""The bytes of a message (RFC 5322, RFC 2045–2047): headers, mailboxes and quoted-printable bodies.

Written by hand because it runs once a message: the standard library's EmailMessage needs ten times as long. The output
is 7-bit, CRLF, within 76 columns, and no body line begins with a dot, so it can travel as it is.
"""

import binascii
import re
from collections.abc import Sequence

import idna

from preference_center.mail.header_lines import encode_header, encoded_words, header_text

__all__ = [
    "Frame",
    "NeedsSMTPUTF8",
    "assemble",
    "encode_header",
    "envelope_address",
    "header_text",
    "is_usual",
    "mailbox",
    "message",
    "phrase",
    "quoted_printable",
]

ADDRESS_LIMIT = 254
LOCAL_LIMIT = 64

_OURS = frozenset({"mime-version", "content-type", "content-transfer-encoding"})
_NEVER = frozenset({"bcc", "return-path", "dkim-signature", "received"})
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+\Z")
_LOCAL = re.compile(r"(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\u00a1-\U0010ffff-]+|\"(?:[^\"\\\s\x00-\x1f]|\\[!-~])+\")\Z")
# What nearly all addresses look like: right beyond doubt, so the closer look below is saved.
_USUAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]*@(?!-)(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]*[A-Za-z0-9]\Z")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[A-Fa-f0-9.:]+\]|\[IPv6:[A-Fa-f0-9.:]+\])\Z")
_BOUNDARY = re.compile(r"[A-Za-z0-9'+_,./:=-]{1,70}\Z")
# A phrase word leaves room on its line for the longest name it stands behind ("Reply-To: ").
_PHRASE_WORD = 66

# "From " at the start of a line is rewritten by old mailboxes, which would break the body hash of a signature.
_TOUCHY_LINE = re.compile(rb"^(?:\.|From ).*$|^[^\r\n]{76,}.*$", re.MULTILINE)
_OCTETS = re.compile(rb"=[0-9A-F]{2}|[^=]")


class NeedsSMTPUTF8(ValueError):
    """The local part is not ASCII: only a relay that offers SMTPUTF8 (RFC 6531) can carry this address."""


def message(headers: Sequence[tuple[str, str]], text: str, html: str | None, *, boundary: str) -> bytes:
    """A complete message: multipart/alternative with text first, or text/plain alone when `html` is None.

    `headers` are name and Unicode value, each name once; From, To and the like come from mailbox(). MIME-Version and
    Content-* are added here. ValueError says which header cannot be written.
    """
    return assemble(
        headers, quoted_printable(text), None if html is None else quoted_printable(html), boundary=boundary
    )


def assemble(
    headers: Sequence[tuple[str, str]], text: bytes, html: bytes | None, *, boundary: str, fixed: bytes = b""
) -> bytes:
    """The same as message(), of bodies that are quoted-printable already (as quoted_printable() writes it).

    `fixed`: more headers, as header_lines() wrote them once for many messages; their names must not come again.
    """
    head = header_lines(headers) + fixed
    if html is None:
        head += b"MIME-Version: 1.0\r\n"
        return b"".join((head, _part_head("plain"), text, b"" if text.endswith(b"\r\n") else b"\r\n"))
    if b"--" + boundary.encode() in text or b"--" + boundary.encode() in html:
        raise ValueError("the boundary occurs in the body")
    return Frame(boundary, fixed).around(header_lines(headers), text, html)


class Frame:
    """All that is the same in many messages of two parts: made once, put around what differs.

    The boundary begins with `=_`, which never stands in quoted-printable text, unless the bodies are searched for it.
    """

    def __init__(self, boundary: str, fixed: bytes = b"") -> None:
        if not _BOUNDARY.match(boundary):
            raise ValueError("a boundary is 1 to 70 letters, digits or '+_,-./:=")
        limit = b"--" + boundary.encode()
        content_type = f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n\r\n'.encode()
        self.rest_of_head = fixed + b"MIME-Version: 1.0\r\n" + content_type
        self._before = limit + b"\r\n" + _part_head("plain")
        self._between = b"\r\n" + limit + b"\r\n" + _part_head("html")
        self._after = b"\r\n" + limit + b"--\r\n"

    def around(self, head: bytes, text: bytes, html: bytes) -> bytes:
        """A message of these first header lines and quoted-printable parts."""
        return b"".join((head, self.rest_of_head, self._before, text, self._between, html, self._after))

    def body(self, text: bytes, html: bytes) -> bytes:
        """The body of such a message alone."""
        return b"".join((self._before, text, self._between, html, self._after))


def header_lines(headers: Sequence[tuple[str, str]]) -> bytes:
    """Headers as they stand in a message, each line with its CRLF. ValueError says which cannot be written."""
    _refuse_wrong_names(headers)
    return "".join([encode_header(name, value) + "\r\n" for name, value in headers]).encode()


def quoted_printable(text: str) -> bytes:
    """UTF-8 as quoted-printable (RFC 2045 6.7), CRLF, within 76 columns, no line beginning with a dot or "From "."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").replace("\n", "\r\n")
    # b2a_qp takes its line ending from the first one it meets, so there must be one; it is cut off again.
    encoded = binascii.b2a_qp(plain.encode("utf-8", "replace") + b"\r\n")[:-2]
    touchy = b"\n." in encoded or b"\nFrom " in encoded or encoded.startswith((b".", b"From "))
    # b2a_qp writes white space at the end of a line as =20 without looking how long the line is by then.
    if touchy or b"=20\r\n" in encoded or b"=09\r\n" in encoded or encoded.endswith((b"=20", b"=09")):
        encoded = _TOUCHY_LINE.sub(_soothe, encoded)
    return encoded


def mailbox(display_name: str, address: str) -> str:
    """`name-addr` of RFC 5322: the name cleaned, quoted or encoded as it needs, the domain as A-labels.

    ValueError: the address cannot stand in a header. A local part beyond ASCII stays, for SMTPUTF8 (RFC 6532).
    """
    if not display_name and is_usual(address):
        return address
    local, domain = _split(address)
    name = phrase(display_name) if display_name else ""
    return f"{name} <{local}@{domain}>" if name else f"{local}@{domain}"


def phrase(text: str) -> str:
    """A phrase of RFC 5322, for display names and List-Id: plain, quoted, or as encoded words; empty for nothing."""
    # Typographic spaces go: parsers disagree on them between words of a name.
    clean = " ".join(header_text(text).split())
    longest = max((len(word) for word in clean.split(" ")), default=0)
    if not clean.isascii() or "=?" in clean or longest > _PHRASE_WORD - 2:
        return " ".join(encoded_words(clean, first=_PHRASE_WORD, rest=_PHRASE_WORD, phrase=True))
    if not clean or _ATOMS.match(clean):
        return clean
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def envelope_address(address: str) -> str:
    """The ASCII form for MAIL FROM and RCPT TO: a domain beyond ASCII becomes A-labels (RFC 5891).

    NeedsSMTPUTF8 when the local part is not ASCII; ValueError when it is no address at all.
    """
    if is_usual(address):
        return address
    local, domain = _split(address)
    if not local.isascii():
        raise NeedsSMTPUTF8("the part before the @ is not ASCII")
    return f"{local}@{domain}"


def utf8_address(address: str) -> str:
    """The form for a relay that offers SMTPUTF8: the local part as it is, the domain as A-labels. ValueError too."""
    local, domain = _split(address)
    return f"{local}@{domain}"


def _split(address: str) -> tuple[str, str]:
    if is_usual(address):
        local, _, domain = address.rpartition("@")
        return local, domain
    # The errors never repeat the address: they end up in logs.
    local, at, domain = address.rpartition("@")
    if not at or not _LOCAL.match(local) or (not local.isascii() and header_text(local, len(local)) != local):
        raise ValueError("this is no mail address: the part before the @ is missing or holds a forbidden character")
    if address.startswith("-"):
        raise ValueError("a mail address must not begin with a hyphen: some mail software takes it for an option")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode()
        except idna.IDNAError:
            raise ValueError("this is no mail address: the domain is not a valid international name") from None
    if not _DOMAIN.match(domain) or ".." in domain:
        raise ValueError("this is no mail address: the domain is missing or holds a forbidden character")
    if len(local.encode()) > LOCAL_LIMIT or len(local.encode()) + 1 + len(domain) > ADDRESS_LIMIT:
        raise ValueError(f"this mail address is too long: {LOCAL_LIMIT} before the @ and {ADDRESS_LIMIT} in all")
    return local, domain


def is_usual(address: str) -> bool:
    """Whether this is an address in ASCII beyond doubt, the same in a header and in an envelope."""
    return len(address) <= LOCAL_LIMIT and _USUAL.match(address) is not None


def _refuse_wrong_names(headers: Sequence[tuple[str, str]]) -> None:
    seen: set[str] = set()
    for name, _ in headers:
        lower = name.lower()
        if lower in seen:
            raise ValueError(f"{name} stands twice: each header is written once")
        if lower in _OURS or lower in _NEVER:
            raise ValueError(f"{name} is not a header a message may bring along")
        seen.add(lower)


def _part_head(subtype: str) -> bytes:
    content_type = f"Content-Type: text/{subtype}; charset=utf-8\r\n"
    return (content_type + "Content-Transfer-Encoding: quoted-printable\r\n\r\n").encode()


def _soothe(match: re.Match[bytes]) -> bytes:
    # `.` in a pattern matches CR, so the line's own ending is part of the match.
    line = match.group()
    ending = b"\r" if line.endswith(b"\r") else b""
    soft = line.endswith(b"=\r")
    octets = _OCTETS.findall(line[: len(line) - (2 if soft else len(ending))])
    lines: list[bytes] = []
    current = b""
    for position, octet in enumerate(octets):
        if len(current) + len(octet) > 75:
            lines.append(current + b"=")
            current = b""
        if not current and (octet == b"." or octets[position : position + 5] == [b"F", b"r", b"o", b"m", b" "]):
            octet = b"=%02X" % octet[0]
        current += octet
    lines.append(current + (b"=" if soft else b""))
    return b"\r\n".join(lines) + ending
