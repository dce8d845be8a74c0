"""Reads the settings once, from the environment or the file named by PREFERENCE_CENTER_ENV, and names all faults in one message.

Without DATABASE_URL and REDIS_URL the embedded database file and queue server in DATA_DIR serve; then missing secrets are made
and kept in `DATA_DIR/secrets.json`. With a DATABASE_URL of your own, secrets must be given, so that all machines share them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import parseaddr
from pathlib import Path
from typing import Any

from preference_center import failpoints, kept_secrets, settings_checks, wall_clock
from preference_center.wall_clock import Hours, SendingCalendar


class BadSettings(Exception):
    """One line per fault, each with the remedy."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True)
class Settings:
    """All of them, right and in their one written form. What holds a secret or a password is left out of its repr()."""

    data_dir: Path
    database_url: str = field(repr=False)
    redis_url: str | None = field(repr=False)  # none: the embedded queue server
    public_url: str
    secret_key: str = field(repr=False)
    link_keys: tuple[tuple[str, str], ...] = field(repr=False)  # (key id, secret), oldest first
    address_key: str = field(repr=False)
    relay_url: str = field(repr=False)
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
    relays: tuple[str, ...] = field(default=(), repr=False)  # more of them, beside relay_url
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
    hooks: Mapping[str, str] = field(default_factory=dict, repr=False)  # PREFERENCE_CENTER_HOOK_… by what follows that
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


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. BadSettings names every fault at once; nothing is written before all are right."""
    faults: list[str] = []
    given = _given(environ, faults)
    _check_names(given, faults)
    plain = {name: given.get(name, "").strip() for name in _PLAIN}
    other = {name: given.get(f"PREFERENCE_CENTER_{name}", "").strip() for name in _PREFIXED}
    data_dir = Path(plain["DATA_DIR"] or "data").absolute()
    embedded = not plain["DATABASE_URL"]
    parsed = _checked(given, plain, other, faults)
    secret = kept_secrets.read(plain, other, data_dir, embedded, faults)
    if faults:
        raise BadSettings(faults)
    kept: dict[str, Any] = {
        name.lower(): value
        for name, value in other.items()
        if value and name not in {"ADDRESS_KEY", "ENV", "JOURNAL_DIR"} and name.lower() not in parsed
    }
    return Settings(
        data_dir=data_dir,
        database_url=plain["DATABASE_URL"] or f"sqlite:///{data_dir / 'preference-center.db'}",
        embedded_database=embedded,
        redis_url=plain["REDIS_URL"] or None,
        public_url=plain["PUBLIC_URL"],
        relay_url=plain["RELAY_URL"],
        mail_from=plain["MAIL_FROM"],
        organisation=plain["ORGANISATION"],
        postal_address=plain["POSTAL_ADDRESS"].replace("\\n", "\n"),
        hooks=hooks(given),
        journal_dir=Path(other["JOURNAL_DIR"]) if other["JOURNAL_DIR"] else None,
        **secret,
        **parsed,
        **kept,
    )


def _check_names(given: dict[str, str], faults: list[str]) -> None:
    for name in sorted(given):
        own = name.startswith("PREFERENCE_CENTER_") and not name.startswith(_HOOK)
        if own and name.removeprefix("PREFERENCE_CENTER_") not in _PREFIXED:
            faults.append(f"{name} is not a setting; see the list in the README.")


def _checked(given: dict[str, str], plain: dict[str, str], other: dict[str, str], faults: list[str]) -> dict[str, Any]:
    """Looks at each setting and leaves it in its one written form; those that are more than text are returned."""
    settings_checks.check_needed(plain, faults)
    settings_checks.check_words(given, _PLAIN | {f"PREFERENCE_CENTER_{name}" for name in _PREFIXED}, faults)
    settings_checks.check_urls(plain, faults)
    settings_checks.check_own_names(plain, other, faults)
    settings_checks.check_mailbox(other, faults)
    settings_checks.check_pages(other, faults)
    settings_checks.check_dkim(other, faults)
    try:
        failpoints.read(other["FAILPOINTS"])
    except ValueError as fault:
        faults.append(f"PREFERENCE_CENTER_FAILPOINTS: {fault}.")
    return {
        "relays": settings_checks.check_relays(other["RELAYS"], faults),
        "domain_rates": settings_checks.domain_rates(other["DOMAIN_RATES"], faults),
        "sending_addresses": settings_checks.sending_addresses(other["SENDING_ADDRESSES"], faults),
        **settings_checks.numbers(other, faults),
        **wall_clock.settings(other, faults),
    }


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
        lines = Path(name).read_text(encoding="utf-8-sig").splitlines()  # some editors begin it with a mark
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
        given.setdefault(key.removeprefix("export ").strip(), _unquoted(value.strip()))
    return given


def _unquoted(value: str) -> str:
    """Without the pair of quotes around the whole; quotes within belong to the words, as in: Dairy "Milk" and "Cream"."""
    quote = value[:1]
    whole = len(value) > 1 and quote in {"'", '"'} and value.find(quote, 1) == len(value) - 1
    return value[1:-1] if whole else value


def keeps_link_keys(settings: Settings) -> bool:
    """Do the link keys in use come from the secrets file, so that a new one can be added there?"""
    return settings.embedded_database and kept_secrets.kept_link_keys(settings.data_dir) == settings.link_keys


def with_(settings: Settings, **changes: object) -> Settings:
    return replace(settings, **changes)  # type: ignore[arg-type]
