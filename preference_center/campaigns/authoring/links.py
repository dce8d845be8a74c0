"""Which addresses a mail may link to: whole ones people can judge, with merge fields only where they can do no harm."""

import re
import unicodedata
from urllib.parse import urlsplit

MAX_LENGTH = 2_000

_WEB = re.compile(r"https?://[^/?#\s]+", re.IGNORECASE)
_TEL = re.compile(r"tel:\+?[0-9().;=a-z-]{2,40}\Z", re.IGNORECASE)
_MAIL = re.compile(r"mailto:[^@\s?]+@[^@\s?]+(\?\S*)?\Z", re.IGNORECASE)
_HOST = re.compile(r"[\w.-]+\Z")
# letters of other scripts that pass for Latin ones: a name made of nothing else is a disguise
_LOOK_ALIKES = frozenset("аеорсухіјѕԁһӏԛԝѵвкмнтгпοανρτυικεχγ")


def fault(address: str, *, image: bool = False) -> str | None:
    """What is wrong with an address, in words for its author; None when it can stand in a mail."""
    if len(address) > MAX_LENGTH:
        return f"This address is longer than {MAX_LENGTH} characters."
    if not address:
        return "This link leads nowhere: write its address."
    if any(char.isspace() or not char.isprintable() for char in address) or "\\" in address:
        return "An address holds no spaces, line breaks or backslashes; write a space as %20."
    lower = address.lower()
    if lower.startswith(("mailto:", "tel:")) and not image:
        right = _MAIL.match(address) if lower.startswith("mailto:") else _TEL.match(address)
        return None if right else "Write it like mailto:shop@example.com or tel:+48123456789."
    if address.startswith("#") and not image:
        return None
    found = _WEB.match(address)
    if not found:
        return "Write the whole address, beginning with https:// (or mailto: or tel: for a link)."
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return "This address cannot be read."
    if "@" in parts.netloc:
        return "An address with @ before its path hides where it leads."
    host = parts.hostname or ""
    if not _HOST.match(host) or ".." in host or host.startswith(".") or port == 0:
        return "This address names no host."
    if _is_disguised(host):
        return "The host's name mixes alphabets or imitates Latin letters."
    return None


def odd(address: str, words: str) -> str | None:
    """What an author should look at once more about a link that may stand; None when nothing is odd."""
    if address == "#":
        return f"The link “{words[:40]}” leads nowhere: its address is #."
    if not _WEB.match(address):
        return None
    host = (urlsplit(address).hostname or "").removeprefix("www.")
    if host in _NOWHERE or host.endswith(_INSIDE) or _NUMBERS.fullmatch(host):
        return f"{host} is no address that people outside can reach."
    if address.lower().startswith("http://"):
        return f"The link to {host} is not encrypted: write https://."
    if host in _SHORT:
        return f"{host} hides where the link leads; spam filters distrust it. Write the address itself."
    named = re.fullmatch(r"(?:https?://)?(?:www\.)?([\w-]+(?:\.[\w-]+)+)(?:/\S*)?", words.strip().lower())
    if named and named[1] != host and not host.endswith(f".{named[1]}"):
        return f"The link says {named[1]} and leads to {host}; mail filters take that for a trick."
    return None


_NOWHERE = frozenset({"localhost", "example.invalid"})
_INSIDE = (".local", ".localhost", ".test", ".invalid", ".internal", ".lan")
_NUMBERS = re.compile(r"[\d.]+|[0-9a-f:]*:[0-9a-f:.]*")
_SHORT = frozenset({"bit.ly", "tinyurl.com", "t.co", "goo.gl", "is.gd", "ow.ly", "cutt.ly", "rebrand.ly", "buff.ly"})


def _is_disguised(host: str) -> bool:
    for label in host.split("."):
        if label.startswith("xn--"):
            try:
                label = label.encode("ascii").decode("idna")
            except UnicodeError:
                return True
        letters = [char for char in label.lower() if char.isalpha() and not char.isascii()]
        scripts = {unicodedata.name(char, "?").split(" ")[0] for char in letters}
        if any(char.isascii() and char.isalpha() for char in label):
            scripts.add("LATIN")
        if len(scripts - {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "LATIN"}) > ("LATIN" not in scripts):
            return True
        if letters and "LATIN" not in scripts and set(letters) <= _LOOK_ALIKES:
            return True
    return False
