"""Asks the DNS: each question once, all of them within one deadline. No answer is told apart from "there is none"."""

import ipaddress
import time
from typing import Any

import dns.exception
import dns.name
import dns.resolver
import dns.reversename

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# RFC 2606, 6761: names for examples and tests, which no DNS knows
_RESERVED = ("example", "test", "invalid", "localhost", "local", "example.com", "example.org", "example.net")
_BELOW_RESERVED = tuple(f".{name}" for name in _RESERVED)


class Silent(Exception):
    """The DNS did not say in time, or could not: neither yes nor no."""


class Records:
    """What the DNS says of names, within `seconds` from now. Of a name that does not exist, and of none such, an empty list."""

    def __init__(self, seconds: float, resolver: "dns.resolver.Resolver | None" = None) -> None:
        self._end = time.monotonic() + seconds
        self._resolver = resolver
        self._known: dict[tuple[str, str], list[Any] | None] = {}

    def texts(self, name: str) -> list[str]:
        return [b"".join(record.strings).decode("utf-8", "replace") for record in self._ask(name, "TXT")]

    def exchanges(self, name: str) -> list[str]:
        """Names of the MX records, the preferred ones first; a null MX (RFC 7505) is an empty name."""
        found = sorted(self._ask(name, "MX"), key=lambda record: int(record.preference))
        return [str(record.exchange).rstrip(".").lower() for record in found]

    def addresses(self, name: str, version: int | None = None) -> list[Address]:
        kinds = {4: ["A"], 6: ["AAAA"]}.get(version or 0, ["A", "AAAA"])
        return [ipaddress.ip_address(record.address) for kind in kinds for record in self._ask(name, kind)]

    def names_of(self, address: Address) -> list[str]:
        found = self._ask(str(dns.reversename.from_address(str(address))), "PTR")
        return [str(record.target).rstrip(".").lower() for record in found]

    def confirmed_names_of(self, address: Address) -> list[str]:
        """Names by PTR that lead back to the address; of the first ten, as RFC 7208 bounds it."""
        return [name for name in self.names_of(address)[:10] if address in self.addresses(name, address.version)]

    def _ask(self, name: str, kind: str) -> list[Any]:
        key = (name.rstrip(".").lower(), kind)
        if key not in self._known:
            self._known[key] = self._answer(*key)
        answer = self._known[key]
        if answer is None:
            raise Silent
        return answer

    def _answer(self, name: str, kind: str) -> list[Any] | None:
        left = self._end - time.monotonic()
        if left <= 0:
            return None
        try:
            whole = dns.name.from_text(name if name.isascii() else name.encode("idna").decode())
        except (dns.exception.DNSException, UnicodeError):  # no name that the DNS could hold
            return []
        try:
            resolver = self._resolver or dns.resolver.get_default_resolver()
            return list(resolver.resolve(whole, kind, lifetime=left))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError):
            return None


def is_reserved(domain: str) -> bool:
    return domain in _RESERVED or domain.endswith(_BELOW_RESERVED)
