"""Macros in SPF records (RFC 7208 section 7): `%{ir}.%{v}._spf.%{d2}` and the like, written out for one address."""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import quote

from preference_center.mail.preflight.records import Address

_MACRO = re.compile(r"%(?:\{([slodiphcrtv])([0-9]*)(r?)([.\-+,/_=]*)\}|([%_-]))", re.IGNORECASE)
_ESCAPES = {"%": "%", "_": " ", "-": "%20"}


class BadMacro(ValueError):
    """A percent sign that begins no macro."""


def written_out(text: str, domain: str, sender_domain: str, address: Address | None) -> str | None:
    """The text with its macros replaced; None when it holds one that only an address can fill. BadMacro."""
    if "%" in _MACRO.sub("", text):
        raise BadMacro(text)
    if address is None and re.search(r"%\{[ipcv]", text, re.IGNORECASE):
        return None
    values = _values(domain, sender_domain, address)
    return _MACRO.sub(lambda found: _ESCAPES[found[5]] if found[5] else _filled(found, values), text)


def _values(domain: str, sender_domain: str, address: Address | None) -> Mapping[str, str]:
    """The local part stands for all of ours: each mail has a return path of its own."""
    values = {"l": "bounce", "o": sender_domain, "s": f"bounce@{sender_domain}", "d": domain, "h": sender_domain}
    values |= {"p": "unknown", "r": "unknown", "t": "0"}
    if isinstance(address, ipaddress.IPv6Address):
        dotted = ".".join(address.exploded.replace(":", ""))
        values |= {"i": dotted, "c": str(address), "v": "ip6"}
    elif address is not None:
        values |= {"i": str(address), "c": str(address), "v": "in-addr"}
    return values


def _filled(found: re.Match[str], values: Mapping[str, str]) -> str:
    letter, digits, reverse, delimiters = found[1], found[2], found[3], found[4]
    parts = re.split(f"[{re.escape(delimiters or '.')}]", values[letter.lower()])
    if reverse:
        parts.reverse()
    text = ".".join(parts[-int(digits) :] if digits and int(digits) else parts)
    return quote(text, safe="") if letter.isupper() else text
