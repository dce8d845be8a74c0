"""Header lines of a message: cleaning, encoded words (RFC 2047) and folding (RFC 5322 section 2.2.3).

Whatever comes in, what goes out is one header: no value can end its line or begin another one.
"""

import binascii
import re
import unicodedata
from collections.abc import Iterator
from typing import Literal

LINE_LIMIT = 78
WORD_LIMIT = 75
HARD_LIMIT = 998

_TEXT_HEADERS = frozenset({"subject", "comments", "content-description"})
_ADDRESS_HEADERS = frozenset({"from", "to", "cc", "reply-to", "sender"})
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*\Z")

_LINE_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
_SPACES = re.compile(" {2,}")
# A joiner between two emoji makes one picture of them, and between two Arabic letters it is spelling: those stay.
_PICTURE = "\u00a9\u00ae\u2190-\u2bff\ufe0f\U0001f000-\U0001faff"
_USEFUL_JOINER = f"(?<=[{_PICTURE}])\u200d(?=[{_PICTURE}])|(?<=[\u0620-\u06ff])[\u200c\u200d](?=[\u0620-\u06ff])"
_UNWANTED = re.compile(
    f"({_USEFUL_JOINER})|"
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # zero width, bidi, annotations
    "\U000e0000-\U000e007f"  # tags: text nobody can see
    "\ud800-\udfff]"  # half characters cannot be encoded
)


def header_text(value: str, limit: int = 200) -> str:
    """One clean line of at most `limit` characters, in NFC, for subjects, display names and everything merged in.

    Line breaks become a space; control, zero-width and bidi characters go, so a name cannot reverse or hide its
    neighbours. Joiners stay where they carry meaning (emoji, Arabic script). Never raises.
    """
    if value.isascii() and value.isprintable() and "  " not in value:
        return value.strip()[:limit].rstrip()
    text = _UNWANTED.sub(r"\1", _LINE_BREAKS.sub(" ", value))
    text = _SPACES.sub(" ", unicodedata.normalize("NFC", text)).strip()
    return text[:limit].rstrip(" \u200c\u200d")


def encode_header(name: str, value: str) -> str:
    """`Name: value` as ASCII lines joined by CRLF, without the last CRLF.

    Text headers (Subject, Comments, X-…) are cleaned and, where needed, written as encoded words that never split a
    character. Address headers take finished mailboxes. All others are structured: ASCII, folded at spaces only.
    ValueError: a header name or a structured value that cannot stand in a message.
    """
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is no header name")
    kind = name.lower()
    if kind in _TEXT_HEADERS or kind.startswith("x-"):
        return _text_header(name, header_text(value, HARD_LIMIT))
    if kind in _ADDRESS_HEADERS:
        _check_addresses(name, value)
    elif not (value.isascii() and value.isprintable()):
        raise ValueError(f"{name} must be printable ASCII: it is a structured header and cannot be encoded")
    return fold(name, value)


def fold(name: str, value: str) -> str:
    """Break `value` at its spaces so that lines stay within 78 characters wherever there is a space to break at."""
    if len(name) + 2 + len(value) <= LINE_LIMIT:
        return f"{name}: {value}"
    lines: list[str] = []
    line = f"{name}:"
    for number, token in enumerate(value.split(" ")):
        # The first token stays beside the name: a line that holds only a name upsets old parsers.
        if number and len(line) + 1 + len(token) > LINE_LIMIT and line.strip():
            lines.append(line)
            line = ""
        line = f"{line} {token}"
    lines.append(line)
    if any(len(line.encode()) > HARD_LIMIT for line in lines):
        raise ValueError(f"{name} holds a piece of more than {HARD_LIMIT} characters without a space")
    return "\r\n".join(lines)


def encoded_words(text: str, *, first: int = WORD_LIMIT, rest: int = WORD_LIMIT, phrase: bool = False) -> list[str]:
    """`text` as RFC 2047 words in UTF-8, the first at most `first` characters long, the others at most `rest`.

    Quoted-printable or base64, whichever is shorter. `phrase` keeps to the few characters allowed in display names.
    """
    quoted = _quoted_phrase if phrase else _quoted_text
    costs = [len(quoted(char)) for char in text]
    encoding: Literal["q", "b"] = "q" if sum(costs) <= 4 * len(text.encode()) / 3 else "b"
    return list(_words(text, encoding, costs, first, rest, phrase))


def _words(
    text: str, encoding: Literal["q", "b"], costs: list[int], first: int, rest: int, phrase: bool
) -> Iterator[str]:
    overhead = len("=?utf-8?q??=")
    room, used, start = first - overhead, 0, 0
    for position, char in enumerate(text):
        cost = costs[position] if encoding == "q" else len(char.encode())
        total = used + cost
        if (total if encoding == "q" else 4 * ((total + 2) // 3)) > room and position > start:
            yield _word(text[start:position], encoding, phrase)
            room, total, start = rest - overhead, cost, position
        used = total
    yield _word(text[start:], encoding, phrase)


def _word(piece: str, encoding: Literal["q", "b"], phrase: bool) -> str:
    if encoding == "b":
        return f"=?utf-8?b?{binascii.b2a_base64(piece.encode(), newline=False).decode()}?="
    quoted = _quoted_phrase if phrase else _quoted_text
    return f"=?utf-8?q?{''.join(quoted(char) for char in piece)}?="


_PHRASE_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_TEXT_SAFE = frozenset(chr(code) for code in range(33, 127)) - frozenset("=?_")


def _quoted_phrase(char: str) -> str:
    return char if char in _PHRASE_SAFE else _quoted_octets(char)


def _quoted_text(char: str) -> str:
    return char if char in _TEXT_SAFE else _quoted_octets(char)


def _quoted_octets(char: str) -> str:
    return "_" if char == " " else "".join(f"={octet:02X}" for octet in char.encode())


def _text_header(name: str, text: str) -> str:
    # "=?" in plain text would be decoded as if we had encoded it, so it is encoded itself.
    if text.isascii() and "=?" not in text:
        line = fold(name, text)
        if all(len(part) <= LINE_LIMIT for part in line.split("\r\n")):
            return line
    words = encoded_words(text, first=min(WORD_LIMIT, LINE_LIMIT - len(name) - 2))
    return f"{name}: " + "\r\n ".join(words)


def _check_addresses(name: str, value: str) -> None:
    if value.isascii() and value.isprintable():
        return
    # Only an address that itself needs SMTPUTF8 (RFC 6532) may bring characters beyond ASCII; a display name may not.
    outside = re.sub(r"<[^<>]*>", "", value) if "<" in value else re.sub(r"[^,\s]+@[^,\s]+", "", value)
    if _LINE_BREAKS.search(value) or header_text(value, len(value)) != value or not outside.isascii():
        raise ValueError(f"{name} must be written by mailbox(): it holds characters that cannot stand in a header")
