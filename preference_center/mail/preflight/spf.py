"""SPF (RFC 7208) of the return path's domain: one record that can be read, at most ten look-ups, and a pass for our addresses.

Where our addresses are named they decide. Otherwise nothing matches, so the whole record is walked, as in the worst case.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from preference_center.mail.preflight import macros
from preference_center.mail.preflight.findings import Finding
from preference_center.mail.preflight.records import Address, Records, Silent

MOST_LOOKUPS, MOST_VOID, MOST_NAMES = 10, 2, 10
_TERM = re.compile(
    r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::([^\s]+?))?(?:/(\d{1,3}))?(?://(\d{1,3}))?\Z", re.I
)
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)\Z", re.I)


class Result(StrEnum):
    passes = "pass"
    fail = "fail"
    softfail = "softfail"
    neutral = "neutral"
    none = "none"


_Found = TypeVar("_Found")
_QUALIFIERS = {"": Result.passes, "+": Result.passes, "-": Result.fail, "~": Result.softfail, "?": Result.neutral}


class Unusable(Exception):
    """A receiver gives up on this record (permerror); the text says why."""


def look(records: Records, domain: str, addresses: Sequence[Address], *, rewritten: bool) -> Finding:
    """`rewritten`: a provider carries our mail and may put a return path of its own, so that a missing record proves nothing."""
    asked: Sequence[Address | None] = addresses or [None]
    try:
        found = [(address, Walk(records, domain, address).check(domain)) for address in asked]
        if found[0][1] is Result.none:
            if rewritten:
                return Finding.not_known("SPF", f"{domain} has no record; your provider may use a domain of its own.")
            remedy = f'publish TXT at {domain}, such as "v=spf1 include:relay.example.net -all", with your relay in it.'
            return Finding.failed("SPF", f"no record. Remedy: {remedy}")
        for address, result in found:
            if address and result is not Result.passes:
                words = f"{address} is not allowed to send ({result}). Remedy: add it to the TXT record at {domain}."
                return Finding.failed("SPF", words)
    except Unusable as wrong:
        return Finding.failed("SPF", f"{wrong}. Remedy: mend the TXT record at {domain}.")
    except Silent:
        return Finding.not_known("SPF", f"the DNS did not answer for {domain}.")
    lookups = f"one record at {domain}{_worst(records, domain)}"
    if not addresses:
        unasked = "whether it allows our addresses is not known without PREFERENCE_CENTER_SENDING_ADDRESSES"
        return Finding.ok("SPF", f"{lookups}; {unasked}.")
    return Finding.ok("SPF", f"{lookups}; passes for {' '.join(map(str, addresses))}.")


def _worst(records: Records, domain: str) -> str:
    """What an address that nothing matches comes to: a note only, as receivers stop at what matches ours."""
    walk = Walk(records, domain, None)
    try:
        walk.check(domain)
    except Unusable as wrong:
        return f" (for other addresses: {wrong})"
    except Silent:
        return ""
    return f", {walk.lookups} of {MOST_LOOKUPS} look-ups"


@dataclass
class Walk:
    """One evaluation: its counts go over all records it comes to."""

    records: Records
    sender_domain: str
    address: Address | None
    lookups: int = 0
    void: int = 0
    _open: list[str] = field(default_factory=list)

    def check(self, domain: str) -> Result:
        found = [text for text in self.records.texts(domain) if re.match(r"v=spf1(?: |\Z)", text, re.I)]
        if not found:
            return Result.none
        if len(found) > 1:
            raise Unusable(f"{domain} has {len(found)} SPF records, and only one may be there")
        if domain in self._open:
            raise Unusable(f"the record of {domain} includes itself")
        self._open.append(domain)
        result = self._evaluate(domain, found[0].split()[1:])
        self._open.pop()
        return result

    def _evaluate(self, domain: str, terms: Sequence[str]) -> Result:
        redirect, mechanisms = _parsed(domain, terms)
        for mechanism in mechanisms:
            if self._matches(domain, mechanism):
                return mechanism.says
        if redirect is None:
            return Result.neutral
        self._count(redirect)
        elsewhere = self._named(redirect, domain)
        result = Result.neutral if elsewhere is None else self.check(elsewhere)
        if result is Result.none:
            raise Unusable(f"redirect={redirect} leads to no SPF record")
        return result

    def _matches(self, domain: str, mechanism: "_Mechanism") -> bool:
        name = mechanism.name
        if name == "all":
            return True
        if mechanism.network is not None:
            return self.address is not None and self.address in mechanism.network
        self._count(mechanism.target or name)
        at = self._named(mechanism.target, domain) if mechanism.target else domain
        if at is None:  # only an address could tell
            return False
        if name == "include":
            result = self.check(at)
            if result is Result.none:
                raise Unusable(f"include:{at} leads to no SPF record")
            return result is Result.passes
        if name == "exists":
            return bool(self._not_void(self.records.addresses(at, 4))) and self.address is not None
        if name == "ptr":
            return self.address is not None and any(
                one == at or one.endswith(f".{at}") for one in self.records.confirmed_names_of(self.address)
            )
        hosts = [at] if name == "a" else self._not_void(self.records.exchanges(at))
        if len(hosts) > MOST_NAMES:
            raise Unusable(f"mx:{at} leads to more than {MOST_NAMES} names")
        return any(self._is_at(host, mechanism, counts=name == "a") for host in hosts if host)

    def _is_at(self, host: str, mechanism: "_Mechanism", *, counts: bool) -> bool:
        found = self.records.addresses(host, self.address.version if self.address else None)
        if counts:
            self._not_void(found)
        if self.address is None:
            return False
        bits = mechanism.bits4 if self.address.version == 4 else mechanism.bits6
        return any(self.address in ipaddress.ip_network(f"{one}/{bits}", strict=False) for one in found)

    def _count(self, at: str) -> None:
        self.lookups += 1
        if self.lookups > MOST_LOOKUPS:
            raise Unusable(f"more than {MOST_LOOKUPS} look-ups, at {at}")

    def _not_void(self, found: list[_Found]) -> list[_Found]:
        self.void += not found
        if self.void > MOST_VOID:
            raise Unusable(f"more than {MOST_VOID} of its names lead to nothing")
        return found

    def _named(self, text: str, domain: str) -> str | None:
        try:
            return macros.written_out(text, domain, self.sender_domain, self.address)
        except macros.BadMacro:
            raise Unusable(f"{text} cannot be read") from None


@dataclass(frozen=True, slots=True)
class _Mechanism:
    says: Result
    name: str
    target: str | None
    bits4: int
    bits6: int
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None


def _parsed(domain: str, terms: Sequence[str]) -> tuple[str | None, list[_Mechanism]]:
    """The redirect, and the mechanisms in order; all are read first, as one that cannot be read spoils the record."""
    redirects, mechanisms = [], []
    for term in terms:
        if found := _TERM.match(term):
            mechanisms.append(_mechanism(domain, found))
        elif found := _MODIFIER.match(term):  # others than this one say nothing about who may send
            redirects += [found[2]] if found[1].lower() == "redirect" else []
        else:
            raise Unusable(f"the record of {domain} holds {term[:60]!r}, which cannot be read")
    if len(redirects) > 1:
        raise Unusable(f"the record of {domain} holds more than one redirect=")
    return (redirects[0] if redirects else None), mechanisms


def _mechanism(domain: str, found: re.Match[str]) -> _Mechanism:
    says, name, target, bits4, bits6 = _QUALIFIERS[found[1]], found[2].lower(), found[3], found[4], found[5]
    unreadable = Unusable(f"the record of {domain} holds {found[0][:60]!r}, which cannot be read")
    if name in ("ip4", "ip6"):
        try:
            network = ipaddress.ip_network(f"{target}/{bits4}" if bits4 else f"{target}", strict=False)
        except ValueError:
            raise unreadable from None
        if bits6 or network.version != int(name[2]):
            raise unreadable
        return _Mechanism(says, name, target, 32, 128, network)
    wide4, wide6 = int(bits4 or 32), int(bits6 or 128)
    narrowed = (bits4 or bits6) and name not in ("a", "mx")
    aimless = name in ("include", "exists") and not target
    if wide4 > 32 or wide6 > 128 or narrowed or aimless or (name == "all" and target):
        raise unreadable
    return _Mechanism(says, name, target, wide4, wide6)
