"""Reads the settings once, from the environment or the file named by PREFERENCE_CENTER_ENV, and names all faults in one message.

Without DATABASE_URL and REDIS_URL the embedded database file and queue server in DATA_DIR serve; then missing secrets are made
and kept in `DATA_DIR/secrets.json`. With a DATABASE_URL of your own, secrets must be given, so that all machines share them.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from preference_center import failpoints, kept_secrets, wall_clock
from preference_center.wall_clock import Hours, SendingCalendar


class BadSettings(Exception):
    """One line per fault, each with the remedy."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True)
class Settings:
    data_dir: Path
    database_url: str
    redis_url: str | None  # none: the embedded queue server
    public_url: str
    secret_key: str
    link_keys: tuple[tuple[str, str], ...]  # (key id, secret), oldest first
    address_key: str
    relay_url: str
    mail_from: str  # an address, or `Name <address>`
    organisation: str
    postal_address: str
    embedded_database: bool = field(default=False)
    bounce_domain: str = ""  # default: the domain of MAIL_FROM
    unsubscribe_mailbox: str = ""  # default: unsubscribe@ that domain
    mailbox_url: str = field(default="", repr=False)  # where bounces arrive, to be fetched by IMAP
    mailbox_listen: str = ""  # host:port that takes them by LMTP or SMTP
    mailbox_addresses: str = ""  # more addresses taken there, such as those of feedback loops, with spaces between
    complaints_to: str = ""  # where mailbox providers send complaints (RFC 9477)
    privacy_url: str = ""
    contact_email: str = ""  # shown to people; default: the address of MAIL_FROM
    default_language: str = "en"
    default_jurisdiction: str = ""
    dkim_domain: str = ""
    dkim_selector: str = ""
    dkim_key_file: str = ""
    dkim_ed25519_selector: str = ""
    dkim_ed25519_key_file: str = ""
    relay_connections: int = 4
    relays: tuple[str, ...] = ()  # more of them, beside relay_url
    domain_rates: tuple[tuple[str, int], ...] = ()  # messages a minute to one recipient domain
    sending_addresses: tuple[str, ...] = ()  # the IP addresses from which mail reaches the world
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    web_workers: int = 1
    proxies: int = 0
    journal_dir: Path | None = None
    checkpoint_key_file: str = ""  # default: made in DATA_DIR at first use
    forget_after_days: int = 1095  # after the last consent of a contact has ended; 0: never
    storage_location: str = ""  # where the data lies, for records and receipts, such as: Germany
    recipients: str = ""  # who else gets data, for the same, with ; between, such as the company that carries mail
    hooks: Mapping[str, str] = field(default_factory=dict)  # PREFERENCE_CENTER_HOOK_… by what follows that
    relay_provider: str = ""  # the provider whose relay carries our mail: its events bring our marks back
    event_cap: int = 1000  # people one source may silence in an hour without our marks
    post_days: int = 30  # how long providers' posts are kept as they came
    time_zone: str = "UTC"  # of the organisation, and of contacts whose own we do not know
    quiet_hours: Hours | None = None  # in the contact's zone: no campaign mail leaves then
    sending_calendar: SendingCalendar = field(default=wall_clock.ALWAYS)
    frequency_caps: tuple[tuple[int, int], ...] = ()  # so many campaign mails in so many days, for one contact
    ask_number_above: int = 10_000  # people: whoever sends to more types how many
    hold_seconds: int = 60  # between the console's "send" and the start
    job_memory: int = 2048  # megabytes that one background job may take beyond what its worker holds; 0: any
    failpoints: str = ""  # of fault tests alone; see failpoints.py
    testing: bool = False

    @property
    def from_address(self) -> str:
        return parseaddr(self.mail_from)[1]

    @property
    def from_name(self) -> str:
        return parseaddr(self.mail_from)[0] or self.organisation

    @property
    def sending_domain(self) -> str:
        return self.from_address.rpartition("@")[2].lower()

    @property
    def journals(self) -> Path:
        return self.journal_dir or self.data_dir / "journals"


# what a stranger sets; everything else begins with PREFERENCE_CENTER_
_PLAIN = {
    "DATABASE_URL",
    "REDIS_URL",
    "PUBLIC_URL",
    "SECRET_KEY",
    "LINK_KEYS",
    "RELAY_URL",
    "MAIL_FROM",
    "ORGANISATION",
    "POSTAL_ADDRESS",
    "DATA_DIR",
}
_HOOK = "PREFERENCE_CENTER_HOOK_"  # of one provider each, which alone knows what they mean: `providers.settings_from`
_PREFIXED = {
    "ADDRESS_KEY", "BOUNCE_DOMAIN", "UNSUBSCRIBE_MAILBOX", "PRIVACY_URL", "CONTACT_EMAIL", "DEFAULT_LANGUAGE", "DEFAULT_JURISDICTION",
    "DKIM_DOMAIN", "DKIM_SELECTOR", "DKIM_KEY_FILE", "DKIM_ED25519_SELECTOR", "DKIM_ED25519_KEY_FILE",
    "RELAYS", "DOMAIN_RATES", "SENDING_ADDRESSES",
    "RELAY_CONNECTIONS", "HOST", "PORT", "WORKERS", "PROXIES", "JOURNAL_DIR", "CHECKPOINT_KEY_FILE",
    "FORGET_AFTER_DAYS", "STORAGE_LOCATION", "RECIPIENTS",
    "MAILBOX_URL", "MAILBOX_LISTEN", "MAILBOX_ADDRESSES", "COMPLAINTS_TO",
    "RELAY_PROVIDER", "EVENT_CAP", "POST_DAYS", "WEB_WORKERS", "ENV", "FAILPOINTS", "JOB_MEMORY",
    "TIME_ZONE", "QUIET_HOURS", "SENDING_CALENDAR", "FREQUENCY_CAPS", "HOLD_SECONDS", "ASK_NUMBER_ABOVE",
}  # fmt: skip
_LANGUAGES = ("en", "pl", "es", "pt-BR")  # those of i18n.py, which is too much to load for reading settings
_WHOLE_NUMBERS = {
    "relay_connections": (1, 64), "port": (0, 65535), "workers": (1, 64), "web_workers": (1, 64), "proxies": (0, 5),
    "event_cap": (1, 10_000_000),
    "post_days": (4, 400),  # longer than a provider tries again: a token that is good once stands with its post
    "hold_seconds": (0, 3600), "ask_number_above": (0, 1_000_000_000),
    "job_memory": (0, 1_000_000),
    "forget_after_days": (0, 36500),
}  # fmt: skip


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. BadSettings names every fault at once; nothing is written before all are right."""
    faults: list[str] = []
    given = _given(environ, faults)
    for name in sorted(given):
        own = name.startswith("PREFERENCE_CENTER_") and not name.startswith(_HOOK)
        if own and name.removeprefix("PREFERENCE_CENTER_") not in _PREFIXED:
            faults.append(f"{name} is not a setting; see the list in the README.")
    plain = {name: given.get(name, "").strip() for name in _PLAIN}
    other = {name: given.get(f"PREFERENCE_CENTER_{name}", "").strip() for name in _PREFIXED}
    data_dir = Path(plain["DATA_DIR"] or "data").absolute()
    embedded = not plain["DATABASE_URL"]
    missing = {name for name in plain if not plain[name]}
    _check_urls(plain, faults)
    _check_words(given, other, faults)
    _check_dkim(other, faults)
    _check_mailbox(other, faults)
    _check_complaints(other["COMPLAINTS_TO"], parseaddr(plain["MAIL_FROM"])[1], faults)
    for name, why in (
        ("PUBLIC_URL", "the address people reach this site under, such as https://mail.example.com"),
        ("RELAY_URL", "your mail relay, such as smtp://user:password@relay.example.com:587"),
        ("MAIL_FROM", "who mail comes from, such as Shop <news@example.com>"),
        ("ORGANISATION", "your legal name; the law wants it in each mail"),
        ("POSTAL_ADDRESS", "your postal address; the law wants it in each mail"),
    ):
        if name in missing:
            faults.append(f"{name} is missing: {why}.")
    if plain["MAIL_FROM"] and not re.fullmatch(r"[^@\s]+@[^@\s]+\.?[^@\s]+", parseaddr(plain["MAIL_FROM"])[1]):
        faults.append("MAIL_FROM holds no address; write it as: Shop <news@example.com>.")
    try:
        failpoints.read(other["FAILPOINTS"])
    except ValueError as fault:
        faults.append(f"PREFERENCE_CENTER_FAILPOINTS: {fault}.")
    numbers: dict[str, Any] = _numbers(other, faults) | wall_clock.settings(other, faults)
    more_relays, rates = _relays(other["RELAYS"], faults), _domain_rates(other["DOMAIN_RATES"], faults)
    addresses = _sending_addresses(other["SENDING_ADDRESSES"], faults)
    secret = kept_secrets.read(plain, other, data_dir, embedded, faults)
    if faults:
        raise BadSettings(faults)
    kept: dict[str, Any] = {
        name.lower(): value
        for name, value in other.items()
        if value
        and name not in {"ADDRESS_KEY", "ENV", "JOURNAL_DIR", "RELAYS", "DOMAIN_RATES", "SENDING_ADDRESSES"}
        and name.lower() not in numbers
    }
    return Settings(
        data_dir=data_dir,
        database_url=plain["DATABASE_URL"] or f"sqlite:///{data_dir / 'preference-center.db'}",
        embedded_database=embedded,
        redis_url=plain["REDIS_URL"] or None,
        public_url=plain["PUBLIC_URL"].rstrip("/"),
        relay_url=plain["RELAY_URL"],
        mail_from=plain["MAIL_FROM"],
        organisation=plain["ORGANISATION"],
        postal_address=plain["POSTAL_ADDRESS"].replace("\\n", "\n"),
        hooks=hooks(given),
        relays=more_relays,
        domain_rates=rates,
        sending_addresses=addresses,
        journal_dir=Path(other["JOURNAL_DIR"]) if other["JOURNAL_DIR"] else None,
        **secret,
        **numbers,
        **kept,
    )


def hooks(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The settings of providers' hooks, even when other settings are wrong."""
    given = _given(environ, [])
    return {name.removeprefix(_HOOK): value.strip() for name, value in given.items() if name.startswith(_HOOK)}


def data_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Where DATA_DIR is, even when other settings are wrong."""
    return Path(_given(environ, []).get("DATA_DIR", "").strip() or "data").absolute()


def environment(own: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a child process: ours, or with `own` the same with these settings and none of the ones given to us."""
    inherited = dict(os.environ)
    if own is not None:
        inherited = {
            name: value
            for name, value in inherited.items()
            if name not in _PLAIN and not name.startswith("PREFERENCE_CENTER_")
        } | dict(own)
    root = str(Path(__file__).parent.parent)  # children are started without the present folder in their module path
    paths = [root, *(path for path in inherited.get("PYTHONPATH", "").split(os.pathsep) if path and path != root)]
    return inherited | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def _given(environ: Mapping[str, str] | None, faults: list[str]) -> dict[str, str]:
    """The environment, and KEY=value lines of the file named by PREFERENCE_CENTER_ENV; the environment itself wins."""
    given = dict(os.environ if environ is None else environ)
    name = given.get("PREFERENCE_CENTER_ENV")
    if not name:
        return given
    try:
        lines = Path(name).read_text(encoding="utf-8").splitlines()
    except OSError as trouble:
        faults.append(f"PREFERENCE_CENTER_ENV names {name}, which cannot be read: {trouble.strerror}.")
        return given
    except UnicodeDecodeError:
        faults.append(f"PREFERENCE_CENTER_ENV names {name}, which is not text in UTF-8.")
        return given
    for number, line in enumerate(lines, 1):
        key, equals, value = line.strip().partition("=")
        if not key or key.startswith("#"):
            continue
        if not equals:
            faults.append(f"{name}, line {number}: write it as NAME=value.")
        given.setdefault(key.removeprefix("export ").strip(), value.strip().strip("'\""))
    return given


def _check_urls(plain: dict[str, str], faults: list[str]) -> None:
    wanted = {
        "DATABASE_URL": (
            {"sqlite", "postgresql+psycopg"},
            "sqlite:///file or postgresql+psycopg://user:password@host/name",
        ),
        "REDIS_URL": ({"redis", "rediss", "unix"}, "redis://host:6379/0"),
        "PUBLIC_URL": ({"http", "https"}, "https://mail.example.com"),
        "RELAY_URL": ({"smtp", "smtps"}, "smtp://user:password@host:587"),
    }
    for name, (schemes, example) in wanted.items():
        url = _split(plain[name])
        if plain[name] and (url is None or url.scheme not in schemes or not _says_where(url)):
            faults.append(f"{name} is not understood; write it like {example}.")
            plain[name] = ""
    public = urlsplit(plain["PUBLIC_URL"])
    if public.scheme == "http" and public.hostname not in {"localhost", "127.0.0.1", "::1"}:
        faults.append(
            "PUBLIC_URL must begin with https:// unless it is this machine: one-click unsubscribe needs it (RFC 8058)."
        )
    if public.path not in {"", "/"} or public.query or public.fragment or public.username:
        faults.append("PUBLIC_URL must end after the host: the site has a host name of its own.")


def _check_mailbox(other: dict[str, str], faults: list[str]) -> None:
    """Nothing of the URL is told back: it holds a password."""
    url = _split(other["MAILBOX_URL"])
    if other["MAILBOX_URL"] and (
        url is None
        or not (url.hostname and url.username and url.password)
        or url.scheme not in {"imaps", "imap"}
        or (url.scheme == "imap" and url.hostname not in {"localhost", "127.0.0.1", "::1"})
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


def _check_complaints(to: str, sender: str, faults: list[str]) -> None:
    domain = sender.rpartition("@")[2].lower()
    if to and domain and not re.fullmatch(rf"[\w.+-]+@([a-z0-9-]+\.)*{re.escape(domain)}", to.lower(), re.ASCII):
        faults.append(f"PREFERENCE_CENTER_COMPLAINTS_TO must be an address at {domain} or below, such as fbl@{domain}.")


def _relays(text: str, faults: list[str]) -> tuple[str, ...]:
    """More relays, with spaces between; how each is to be used stands in its options."""
    given = tuple(text.split())
    for number, part in enumerate(given, 1):
        url = _split(part)
        if url is None or url.scheme not in {"smtp", "smtps"} or not _says_where(url):
            faults.append(
                f"PREFERENCE_CENTER_RELAYS, number {number}, is not understood; write it like "
                "smtp://user:password@host:587?weight=2, with spaces between several."
            )
    return given


def _domain_rates(text: str, faults: list[str]) -> tuple[tuple[str, int], ...]:
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


def _sending_addresses(text: str, faults: list[str]) -> tuple[str, ...]:
    try:  # a %zone means something on one machine alone
        return tuple(str(ipaddress.ip_address(part.replace("%", " "))) for part in text.split())
    except ValueError:
        faults.append("PREFERENCE_CENTER_SENDING_ADDRESSES must be IP addresses with spaces between, one by one.")
        return ()


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


def _check_words(given: dict[str, str], other: dict[str, str], faults: list[str]) -> None:
    for name in sorted(_PLAIN | {f"PREFERENCE_CENTER_{name}" for name in _PREFIXED}):
        breaks = r"[\x00-\x09\x0b-\x1f\x7f]" if name == "POSTAL_ADDRESS" else r"[\x00-\x1f\x7f]"
        if re.search(breaks, given.get(name, "").strip()):
            faults.append(f"{name} holds a control character, such as a line break; write it on one line.")
    language = other["DEFAULT_LANGUAGE"]
    if language and language not in _LANGUAGES:
        faults.append(f"PREFERENCE_CENTER_DEFAULT_LANGUAGE must be one of {', '.join(_LANGUAGES)}.")
    country = other["DEFAULT_JURISDICTION"]
    if country and not re.fullmatch(r"[A-Z]{2}", country):
        faults.append("PREFERENCE_CENTER_DEFAULT_JURISDICTION must be a country of two capital letters, such as PL.")


def _check_dkim(other: dict[str, str], faults: list[str]) -> None:
    """A selector and its key file belong together, and the file must be there to be read."""
    for kind in ("DKIM_", "DKIM_ED25519_"):
        selector, file = other[f"{kind}SELECTOR"], other[f"{kind}KEY_FILE"]
        if bool(selector) != bool(file):
            faults.append(
                f"PREFERENCE_CENTER_{kind}SELECTOR and PREFERENCE_CENTER_{kind}KEY_FILE belong together: set both."
            )
        if file and not os.access(file, os.R_OK):
            faults.append(f"PREFERENCE_CENTER_{kind}KEY_FILE names {file}, which cannot be read.")


def _numbers(other: dict[str, str], faults: list[str]) -> dict[str, Any]:
    numbers = {}
    for name, (low, high) in _WHOLE_NUMBERS.items():
        value = other[name.upper()]
        if not value:
            continue
        if not value.isdecimal() or not low <= int(value) <= high:
            faults.append(f"PREFERENCE_CENTER_{name.upper()} must be a whole number from {low} to {high}.")
            continue
        numbers[name] = int(value)
    return numbers


def keeps_link_keys(settings: Settings) -> bool:
    """Do the link keys in use come from the secrets file, so that a new one can be added there?"""
    return settings.embedded_database and kept_secrets.kept_link_keys(settings.data_dir) == settings.link_keys


def with_(settings: Settings, **changes: object) -> Settings:
    return replace(settings, **changes)  # type: ignore[arg-type]
