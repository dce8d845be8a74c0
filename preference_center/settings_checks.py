"""Whether a setting can be used, and its one written form. Each fault is a line with its remedy, and tells no password.

What checks writes the form it found right back into `plain` (DATABASE_URL, …) and `other` (PREFERENCE_CENTER_…). Hosts and the
domains of our own addresses become A-labels (RFC 5891), as contacts' do: they stand in headers, envelopes and links.
"""

import ipaddress
import os
import re
import unicodedata
from collections.abc import Iterable
from email.utils import parseaddr
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from preference_center.relay_url import RelayUrl

LANGUAGES = ("en", "pl", "es", "pt-BR")  # those of i18n.py, which is too much to load for reading settings
_WHOLE_NUMBERS = {
    "relay_connections": (1, 64), "port": (0, 65535), "workers": (1, 64), "web_workers": (1, 64), "proxies": (0, 5),
    "event_cap": (1, 10_000_000),
    "post_days": (4, 400),  # longer than a provider tries again: a token that is good once stands with its post
    "hold_seconds": (0, 3600), "ask_number_above": (0, 1_000_000_000),
    "job_memory": (0, 1_000_000),
    "forget_after_days": (0, 36500),
}  # fmt: skip
_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\u00a1-\U0010ffff-]+")  # that of mail/mime.py without quotes
_PLAIN_ADDRESS = re.compile(r"\w[\w.+-]*@.+", re.ASCII)  # what can stand in any header, and in a mailto: link
_NEEDED = {
    "PUBLIC_URL": "the address people reach this site under, such as https://mail.example.com",
    "RELAY_URL": "your mail relay, such as smtp://user:password@relay.example.com:587",
    "MAIL_FROM": "who mail comes from, such as Shop <news@example.com>",
    "ORGANISATION": "your legal name; the law wants it in each mail",
    "POSTAL_ADDRESS": "your postal address; the law wants it in each mail",
}


def check_needed(plain: dict[str, str], faults: list[str]) -> None:
    faults += [f"{name} is missing: {why}." for name, why in _NEEDED.items() if not plain[name]]


def check_words(given: dict[str, str], names: Iterable[str], faults: list[str]) -> None:
    for name in sorted(names):
        breaks = r"[\x00-\x09\x0b-\x1f\x7f]" if name == "POSTAL_ADDRESS" else r"[\x00-\x1f\x7f]"
        if re.search(breaks, given.get(name, "").strip()):
            faults.append(f"{name} holds a control character, such as a line break; write it on one line.")


def check_urls(plain: dict[str, str], faults: list[str]) -> None:
    wanted = {
        "DATABASE_URL": (
            {"sqlite", "postgresql+psycopg"},
            "sqlite:///file or postgresql+psycopg://user:password@host/name",
        ),
        "REDIS_URL": ({"redis", "rediss", "unix"}, "redis://host:6379/0"),
    }
    for name, (schemes, example) in wanted.items():
        url = _split(plain[name])
        if plain[name] and (url is None or url.scheme not in schemes or not _says_where(url)):
            faults.append(f"{name} is not understood; write it like {example}.")
            plain[name] = ""
    if plain["RELAY_URL"] and (fault := _relay_fault(plain["RELAY_URL"])):
        faults.append(f"RELAY_URL is not understood; {fault}.")
    if plain["PUBLIC_URL"]:
        plain["PUBLIC_URL"] = _public_url(plain["PUBLIC_URL"], faults)


def _public_url(text: str, faults: list[str]) -> str:
    """Scheme and host in small letters: cookies, headers and links go by how it begins."""
    url = _split(text)
    host = _host(url.hostname or "") if url else None
    if url is None or host is None or url.scheme not in {"http", "https"}:
        faults.append("PUBLIC_URL is not understood; write it like https://mail.example.com.")
        return ""
    if url.scheme == "http" and url.hostname not in _THIS_MACHINE:
        faults.append(
            "PUBLIC_URL must begin with https:// unless it is this machine: one-click unsubscribe needs it (RFC 8058)."
        )
    if url.path not in {"", "/"} or re.search(r"[?#]", text) or "@" in url.netloc:
        faults.append("PUBLIC_URL must end after the host: the site has a host name of its own.")
    return f"{url.scheme}://{host}{f':{url.port}' if url.port else ''}"


def check_relays(text: str, faults: list[str]) -> tuple[str, ...]:
    """More relays, with spaces between; how each is to be used stands in its options."""
    given = tuple(text.split())
    for number, part in enumerate(given, 1):
        if fault := _relay_fault(part):
            faults.append(
                f"PREFERENCE_CENTER_RELAYS, number {number}, is not understood; {fault}. Spaces stand between several."
            )
    return given


def _relay_fault(text: str) -> str:
    """What is wrong with the URL of a relay; empty when nothing is."""
    url = _split(text)
    if url is None or url.scheme not in {"smtp", "smtps"} or not _says_where(url):
        return "write it like smtp://user:password@host:587"
    try:
        relay = RelayUrl.from_url(text)
    except ValueError as wrong:
        return str(wrong)
    if relay.ca_file and not _can_be_read(relay.ca_file):
        return f"its ca_file= names {relay.ca_file}, which cannot be read"
    return ""


def check_own_names(plain: dict[str, str], other: dict[str, str], faults: list[str]) -> None:
    """Our own addresses and domains: with a wrong one no message can be written, or none comes back."""
    if plain["MAIL_FROM"]:
        plain["MAIL_FROM"] = _sender(plain["MAIL_FROM"], faults)
    for name, example in (("BOUNCE_DOMAIN", "bounce.example.com"), ("DKIM_DOMAIN", "example.com")):
        if other[name] and not (domain := _domain(other[name])):
            faults.append(f"PREFERENCE_CENTER_{name} must be a domain and nothing else, such as {example}.")
        elif other[name]:
            other[name] = domain
    if other["CONTACT_EMAIL"]:
        try:
            other["CONTACT_EMAIL"] = _address(other["CONTACT_EMAIL"])
        except ValueError as wrong:
            faults.append(f"PREFERENCE_CENTER_CONTACT_EMAIL must be an address such as help@example.com: {wrong}.")
    if other["UNSUBSCRIBE_MAILBOX"]:
        if not (mailbox := _plain_address(other["UNSUBSCRIBE_MAILBOX"])):
            faults.append(
                "PREFERENCE_CENTER_UNSUBSCRIBE_MAILBOX must be an address such as unsubscribe@example.com, with letters, "
                "digits and . _ + - before the @."
            )
        other["UNSUBSCRIBE_MAILBOX"] = mailbox
    _check_complaints(other, parseaddr(plain["MAIL_FROM"])[1].rpartition("@")[2], faults)


def _sender(text: str, faults: list[str]) -> str:
    """`Name <address>` with the domain as it travels; empty when it holds no address mail can come from."""
    address = parseaddr(text)[1]
    if "@" not in address or address not in text:
        faults.append("MAIL_FROM holds no address; write it as: Shop <news@example.com>.")
        return ""
    before, _, after = text.rpartition(address)
    try:
        return f"{before}{_address(address)}{after}"
    except ValueError as wrong:
        faults.append(
            f"MAIL_FROM holds an address that mail cannot come from: {wrong}. Write it as: Shop <news@example.com>."
        )
        return ""


def _check_complaints(other: dict[str, str], domain: str, faults: list[str]) -> None:
    to = other["COMPLAINTS_TO"]
    if not to or not domain:
        return
    other["COMPLAINTS_TO"] = _plain_address(to)
    if not f".{other['COMPLAINTS_TO'].rpartition('@')[2]}".endswith(f".{domain}"):
        faults.append(f"PREFERENCE_CENTER_COMPLAINTS_TO must be an address at {domain} or below, such as fbl@{domain}.")


def _plain_address(text: str) -> str:
    try:
        return _address(text) if _PLAIN_ADDRESS.fullmatch(text) else ""
    except ValueError:
        return ""


def _address(text: str) -> str:
    """One address, as `mail/mime.py` can write it. ValueError says what is wrong with it."""
    local, _, domain = unicodedata.normalize("NFC", text).rpartition("@")
    if not _LOCAL.fullmatch(local) or not local.isprintable() or len(local.encode()) > 64:
        raise ValueError("the part before the @ is missing, too long, or holds a character that no address has")
    if local.startswith("-"):
        raise ValueError("it begins with a hyphen, which some mail software takes for an option")
    found = _domain(domain)
    if not found or len(local.encode()) + 1 + len(found) > 254:
        raise ValueError("what stands after the @ is no domain")
    return f"{local}@{found}"


def _domain(text: str) -> str:
    """As A-labels, in small letters, without a dot at its end; empty when it is none."""
    name = text.lower()
    if not name.isascii():
        import idna  # takes longer to load than all settings to be read, and few need it

        try:
            name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError:
            return ""
    name = name.removesuffix(".")
    return name if len(name) <= 253 and all(map(_LABEL.fullmatch, name.split("."))) else ""


def _host(text: str) -> str | None:
    """A domain, or an IP address as it stands in a URL."""
    try:
        return f"[{ipaddress.IPv6Address(text)}]" if ":" in text else _domain(text) or None
    except ValueError:
        return None


def check_mailbox(other: dict[str, str], faults: list[str]) -> None:
    """Nothing of the URL is told back: it holds a password."""
    url = _split(other["MAILBOX_URL"])
    if other["MAILBOX_URL"] and (
        url is None
        or not (url.hostname and url.username and url.password)
        or url.scheme not in {"imaps", "imap"}
        or (url.scheme == "imap" and url.hostname not in _THIS_MACHINE)
    ):
        faults.append(
            "PREFERENCE_CENTER_MAILBOX_URL is not understood; write it like imaps://user:password@host/INBOX, with special "
            "characters as %40. imap:// is only for this machine: a password does not travel in the clear."
        )
    listen = _split(f"lmtp://{other['MAILBOX_LISTEN']}")
    if other["MAILBOX_LISTEN"] and (
        listen is None or not listen.hostname or not listen.port or listen.path or listen.username
    ):
        faults.append("PREFERENCE_CENTER_MAILBOX_LISTEN is not understood; write it like 127.0.0.1:8024.")


def check_pages(other: dict[str, str], faults: list[str]) -> None:
    """What people see on our pages, and which of them."""
    notice = _split(other["PRIVACY_URL"])
    if other["PRIVACY_URL"] and (notice is None or notice.scheme not in {"http", "https"} or not _says_where(notice)):
        faults.append("PREFERENCE_CENTER_PRIVACY_URL is not understood; write it like https://example.com/privacy.")
    if other["DEFAULT_LANGUAGE"] and other["DEFAULT_LANGUAGE"] not in LANGUAGES:
        faults.append(f"PREFERENCE_CENTER_DEFAULT_LANGUAGE must be one of {', '.join(LANGUAGES)}.")
    country = other["DEFAULT_JURISDICTION"]
    if country and not re.fullmatch(r"[A-Z]{2}", country):
        faults.append("PREFERENCE_CENTER_DEFAULT_JURISDICTION must be a country of two capital letters, such as PL.")


def check_dkim(other: dict[str, str], faults: list[str]) -> None:
    """A selector and its key file belong together, and the file must be there to be read."""
    for kind in ("DKIM_", "DKIM_ED25519_"):
        selector, file = other[f"{kind}SELECTOR"], other[f"{kind}KEY_FILE"]
        if bool(selector) != bool(file):
            faults.append(
                f"PREFERENCE_CENTER_{kind}SELECTOR and PREFERENCE_CENTER_{kind}KEY_FILE belong together: set both."
            )
        if file and not _can_be_read(file):
            faults.append(f"PREFERENCE_CENTER_{kind}KEY_FILE names {file}, which cannot be read.")


def numbers(other: dict[str, str], faults: list[str]) -> dict[str, Any]:
    found = {}
    for name, (low, high) in _WHOLE_NUMBERS.items():
        value = other[name.upper()]
        if not value:
            continue
        # more digits than any limit has: Python itself reads no number of thousands
        if not re.fullmatch(r"[0-9]{1,18}", value) or not low <= int(value) <= high:
            faults.append(f"PREFERENCE_CENTER_{name.upper()} must be a whole number from {low} to {high}.")
            continue
        found[name] = int(value)
    return found


def domain_rates(text: str, faults: list[str]) -> tuple[tuple[str, int], ...]:
    """`gmail.com=600 outlook.com=300`: messages a minute."""
    rates = []
    for part in text.lower().split():
        match = re.fullmatch(r"([a-z0-9-]+(?:\.[a-z0-9-]+)+)=([1-9][0-9]{0,7})", part)
        if match is None:
            faults.append(
                "PREFERENCE_CENTER_DOMAIN_RATES must be messages a minute by domain: gmail.com=600 outlook.com=300."
            )
            break
        rates.append((match[1], int(match[2])))
    return tuple(rates)


def sending_addresses(text: str, faults: list[str]) -> tuple[str, ...]:
    try:  # a %zone means something on one machine alone
        return tuple(str(ipaddress.ip_address(part.replace("%", " "))) for part in text.split())
    except ValueError:
        faults.append("PREFERENCE_CENTER_SENDING_ADDRESSES must be IP addresses with spaces between, one by one.")
        return ()


def _can_be_read(file: str) -> bool:
    try:
        return os.access(file, os.R_OK)
    except ValueError:  # holds what no file's name can: a NUL, half a character
        return False


def _split(text: str) -> SplitResult | None:
    try:
        url = urlsplit(text)
        _ = url.port  # a port that is no number is found only when asked for
    except ValueError:
        return None
    return url


def _says_where(url: SplitResult) -> bool:
    """A host, or the path of a file or socket, and no spaces in it. PostgreSQL names its socket's folder by `?host=`."""
    by_path = url.scheme in {"sqlite", "unix"}
    by_socket = url.scheme.startswith("postgresql") and parse_qs(url.query).get("host", [""])[0].startswith("/")
    return bool(url.path.strip("/") if by_path else url.hostname or by_socket) and not re.search(r"\s", url.netloc)
