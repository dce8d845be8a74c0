"""What a relay URL means: where the relay is, and how it is to be used. Read with the settings, so that a wrong one stops the start."""

import ipaddress
import re
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

_HELLO = re.compile(r"[A-Za-z0-9.\[\]:_-]{1,255}\Z")
_OPTIONS = ("tls", "verify", "ca_file", "hello", "in_flight", "weight", "connections", "rate", "warm_up")
_EXAMPLE = "write it as smtp://user:password@host:port or smtps://user:password@host:port"


@dataclass(frozen=True)
class WarmUp:
    """A new sending address is made known slowly: so many messages on the first day, and twice as many each day after."""

    since: date
    first: int

    @classmethod
    def read(cls, text: str) -> Self:
        """`2026-12-01:500`. ValueError says how to write it."""
        day, _, first = text.partition(":")
        try:
            return cls(date.fromisoformat(day), _number("warm_up", first, 1, 1_000_000))
        except ValueError:
            raise ValueError("warm_up= in the relay URL is a day and a number, such as 2026-12-01:500") from None

    def limit(self, day: date) -> int | None:
        """How many messages may leave on this day (UTC); None once it is over, after three weeks."""
        days = max((day - self.since).days, 0)
        return None if days > _WARM_UP_DAYS else self.first * 2**days


_WARM_UP_DAYS = 20


@dataclass(frozen=True)
class RelayUrl:
    """One relay. `hello` is the name we greet with; `ca_file` a PEM file of authorities to trust instead of the system's.

    `in_flight`: how many messages may be on their way at once on one connection, if the relay offers CHUNKING; so many are in doubt
    when it breaks. `weight` counts among several relays, `connections` are those of one run, `rate` is in messages a minute over all
    workers. With "starttls" and "implicit" nothing is ever sent in clear; there is no falling back.
    """

    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: Literal["none", "starttls", "implicit"] = "starttls"
    verify: bool = True
    ca_file: str | None = None
    hello: str = "localhost"
    in_flight: int = 1
    weight: int = 1
    connections: int | None = None
    rate: int | None = None
    warm_up: WarmUp | None = None

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read `smtp://user:password@host:port` or `smtps://…`; user and password percent-encoded.

        smtp:// means STARTTLS is required, except on this very machine; `?tls=none` switches it off, `?verify=no`,
        `?ca_file=…` and `?hello=…` do what they say. ValueError says what to write instead, never the password.
        """
        parts = _split(url)
        options = _options(parts.query)
        host = parts.hostname or ""
        tls = _tls(parts.scheme, options.get("tls"), host)
        user = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        if (user is None) != (password is None):
            raise ValueError(f"the relay URL names a user without a password, or the reverse: {_EXAMPLE}")
        hello = options.get("hello", "localhost")
        if not _HELLO.match(hello):
            raise ValueError("hello= in the relay URL must be a plain host name in ASCII")
        usual = 465 if tls == "implicit" else 587 if user else 25
        return cls(
            host=host,
            port=parts.port or usual,
            user=user,
            password=password,
            tls=tls,
            verify=_yes(options.get("verify", "yes")),
            ca_file=options.get("ca_file"),
            hello=hello,
            in_flight=_number("in_flight", options.get("in_flight", "1"), 1, 64),
            weight=_number("weight", options.get("weight", "1"), 1, 1000),
            connections=_number("connections", options["connections"], 1, 64) if "connections" in options else None,
            rate=_number("rate", options["rate"], 1, 10_000_000) if "rate" in options else None,
            warm_up=WarmUp.read(options["warm_up"]) if "warm_up" in options else None,
        )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        wrong_port = parts.port == 0
    except ValueError:
        # The library's own text may quote the URL, and with it the password.
        raise ValueError(f"the relay URL has a broken host or port: {_EXAMPLE}") from None
    if parts.scheme not in ("smtp", "smtps"):
        raise ValueError(f"the relay URL must begin with smtp:// or smtps://: {_EXAMPLE}")
    if not parts.hostname or wrong_port or re.search(r"[\s\x00-\x1f]", url):
        raise ValueError(f"the relay URL names no usable host or port: {_EXAMPLE}")
    if parts.path not in ("", "/") or parts.fragment:
        raise ValueError(
            f"the relay URL goes on after host and port (percent-encode / and # in a password): {_EXAMPLE}"
        )
    return parts


def _options(query: str) -> dict[str, str]:
    if "@" in query:  # so it is the rest of a password, which no fault may repeat
        raise ValueError(f"the relay URL has an @ after its ? (percent-encode ? in a password): {_EXAMPLE}")
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise ValueError(f"the relay URL has unknown options ({', '.join(unknown)}); known: {', '.join(_OPTIONS)}")
    return options


def _tls(scheme: str, wish: str | None, host: str) -> Literal["none", "starttls", "implicit"]:
    if scheme == "smtps":
        if wish not in (None, "implicit"):
            raise ValueError(
                "smtps:// always means TLS from the first byte; use smtp:// with ?tls=starttls or ?tls=none"
            )
        return "implicit"
    if wish is None:
        return "none" if is_loopback(host) else "starttls"
    if wish == "none":
        return "none"
    if wish == "starttls":
        return "starttls"
    if wish == "implicit":
        return "implicit"
    raise ValueError("tls= in the relay URL must be starttls, implicit or none")


def _yes(value: str) -> bool:
    if value not in ("yes", "no"):
        raise ValueError("verify= in the relay URL must be yes or no")
    return value == "yes"


def _number(name: str, value: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", value) or not least <= int(value) <= most:
        raise ValueError(f"{name}= in the relay URL must be a whole number from {least} to {most}")
    return int(value)


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
