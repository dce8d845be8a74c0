"""Takes a mail apart: headers, parts, text. Made for mail that anybody may have written: all loops are bounded, nothing recurses.

Our own and not the standard library's, whose parser recurses into nested parts and splits report parts each in its own way.
"""

import base64
import binascii
import html
import quopri
import re
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from functools import cached_property

SIZE_LIMIT = 1024 * 1024  # what stands behind this is a returned attachment and never a report
PARTS_LIMIT = 60
DEPTH_LIMIT = 8
TEXT_LIMIT = 64 * 1024
HEADER_LIMIT = 128 * 1024

_HEADER = re.compile(r"^([!-9;-~]+)[ \t]*:[ \t]*(.*(?:\n[ \t]+.*)*)", re.MULTILINE)
_PARAMETER = re.compile(r";\s*([!-:<-~]+?)(\*(?:\d+\*?)?)?\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;]+))")
# charsets of mail; what Python can decode besides (punycode, unicode_escape, ...) is slow or no charset
_CHARSET = re.compile(
    r"(utf|unicode-1-1-utf-7|us-ascii|ascii|iso|windows|cp|koi8|euc|shift|sjis|x-sjis|ms932|big5|gb|hz|ks|mac|latin|tis)"
)
_TAG = re.compile(r"</?[a-zA-Z!][^<>]{0,2000}>")
_UNSEEN = [
    (re.compile(begin, re.IGNORECASE), re.compile(end, re.IGNORECASE))
    for begin, end in (("<!--", "-->"), (r"<style\b", r"</style\s*>"), (r"<script\b", r"</script\s*>"))
]
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


class Headers:
    """Header fields by small name, in order, unfolded."""

    def __init__(self, raw: bytes) -> None:
        self._fields: dict[str, list[str]] = {}
        for found in _HEADER.finditer(_lenient(raw[:HEADER_LIMIT])):
            self._fields.setdefault(found[1].lower(), []).append(re.sub(r"\n[ \t]+", " ", found[2]).strip())

    def one(self, name: str) -> str:
        return self._fields.get(name, [""])[0]

    def all(self, name: str) -> list[str]:
        return self._fields.get(name, [])

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __bool__(self) -> bool:
        return bool(self._fields)

    def words(self, name: str) -> str:
        """A field that may hold encoded words (RFC 2047), readable."""
        value = self.one(name)[:2000]
        if "=?" not in value:
            return value
        try:
            return str(make_header(decode_header(value)))
        except (HeaderParseError, LookupError, ValueError):
            return value


@dataclass
class Part:
    """One part without parts of its own, or a message within the mail."""

    headers: Headers
    type: str
    parameters: dict[str, str]
    body: bytes = field(repr=False)

    @cached_property
    def content(self) -> bytes:
        """Without its transfer encoding."""
        return _decoded(self.headers.one("content-transfer-encoding").lower(), self.body)

    @cached_property
    def text(self) -> str:
        words = _in_charset(self.content[:TEXT_LIMIT], self.parameters.get("charset", ""))
        return _without_tags(words) if self.type == "text/html" else words


@dataclass
class Mail:
    """A whole mail: its own headers, and its parts in order."""

    headers: Headers
    type: str
    parameters: dict[str, str]
    parts: list[Part]

    def part(self, *types: str) -> Part | None:
        return next((part for part in self.parts if part.type in types), None)

    @cached_property
    def text(self) -> str:
        """What a person would read: the plain text, else the words of the HTML."""
        for kind in ("text/plain", "text/html"):
            texts = [part.text for part in self.parts if part.type == kind]
            if any(text.strip() for text in texts):
                return "\n".join(texts)[:TEXT_LIMIT]
        return ""


def take_apart(raw: bytes) -> Mail:
    """Any bytes, however broken, are a mail of some kind."""
    raw = _with_plain_line_ends(raw[:SIZE_LIMIT])
    headers, kind, parameters, body = _opened(raw, "text/plain")
    parts: list[Part] = []
    waiting = [(headers, kind, parameters, body, 0)]
    while waiting and len(parts) < PARTS_LIMIT:
        own, of_type, given, content, depth = waiting.pop()
        pieces = _pieces(content, given.get("boundary", "")) if of_type.startswith("multipart/") else []
        if not pieces or depth >= DEPTH_LIMIT:
            parts.append(Part(own, "text/plain" if of_type.startswith("multipart/") else of_type, given, content))
            continue
        inside = "message/rfc822" if of_type == "multipart/digest" else "text/plain"
        waiting += [(*_opened(piece, inside), depth + 1) for piece in reversed(pieces)]
    return Mail(headers, kind, parameters, parts)


def _with_plain_line_ends(raw: bytes) -> bytes:
    raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n\xef\xbb\xbf")
    if raw.startswith((b"From ", b">From ")):  # as kept in an mbox
        raw = raw.partition(b"\n")[2]
    return raw


def _opened(raw: bytes, usual: str) -> tuple[Headers, str, dict[str, str], bytes]:
    if raw.startswith(b"\n"):  # a part without headers
        return Headers(b""), usual, {}, raw[1:]
    head, _, body = raw.partition(b"\n\n")
    headers = Headers(head)
    if not headers:
        return headers, usual, {}, raw
    value = headers.one("content-type")
    kind = value.partition(";")[0].strip().lower() or usual
    return headers, kind if "/" in kind else usual, _parameters(value), body


def _parameters(value: str) -> dict[str, str]:
    """Parameters by small name; pieces of a long one joined (RFC 2231)."""
    found: dict[str, str] = {}
    for name, _, quoted, plain in _PARAMETER.findall(value[:4000]):
        name = name.partition("*")[0].lower()
        found[name] = found.get(name, "") + (re.sub(r"\\(.)", r"\1", quoted) if quoted else plain)
    return found


def _pieces(body: bytes, boundary: str) -> list[bytes]:
    """What stands between the boundary lines; at most as many as parts are read."""
    if not boundary:
        return []
    line = re.compile(rb"^--" + re.escape(boundary.encode("utf-8", "replace")) + rb"(--)?[ \t]*(?:\n|\Z)", re.MULTILINE)
    pieces: list[bytes] = []
    begun: int | None = None
    for found in line.finditer(body):
        if begun is not None:
            pieces.append(body[begun : max(begun, found.start() - 1)])
        if found[1] or len(pieces) >= PARTS_LIMIT:
            return pieces
        begun = found.end()
    return [*pieces, body[begun:]] if begun is not None else pieces


def _decoded(encoding: str, body: bytes) -> bytes:
    try:
        if encoding == "base64":
            sound = body.translate(None, _NOT_BASE64)
            return base64.b64decode(
                sound[: len(sound) // 4 * 4] if len(sound) % 4 == 1 else sound + b"=" * (-len(sound) % 4)
            )
        if encoding == "quoted-printable":
            return quopri.decodestring(body)
    except (binascii.Error, ValueError):
        return body
    return body


def _in_charset(content: bytes, charset: str) -> str:
    charset = charset.strip(" '\"").lower()
    if charset == "unicode-1-1-utf-7":
        charset = "utf-7"
    if not charset or not _CHARSET.match(charset):
        charset = "iso-2022-jp" if b"\x1b$" in content else "utf-8"
    try:  # UTF-7 brings half characters, which nothing can store
        return content.decode(charset).encode("utf-8", "replace").decode()
    except (LookupError, ValueError):
        return _lenient(content)


def _lenient(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _without_tags(words: str) -> str:
    for begin, end in _UNSEEN:
        words = _without(words, begin, end)
    words = re.sub(r"<(?:br|/p|/div|/tr|/li|/h\d|p|div)\b[^<>]{0,500}>", "\n", words, flags=re.IGNORECASE)
    return html.unescape(_TAG.sub(" ", words))


def _without(words: str, begin: re.Pattern[str], end: re.Pattern[str]) -> str:
    """Without what stands between these, in one walk."""
    kept, at = [], 0
    while (opened := begin.search(words, at)) and (closed := end.search(words, opened.end())):
        kept.append(words[at : opened.start()])
        at = closed.end()
    return " ".join([*kept, words[at:]])
