"""Which recipient domains take mail at all: one that does not exist, or says so by a null MX (RFC 7505), is not written to.

Names are asked side by side, a chunk waits a moment for them and no longer, and what is not known by then counts as fine: a DNS
server that does not answer is no reason (S91). Answers are kept for an hour in this process. The last word has the relay.
"""

import time
from collections import OrderedDict
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait
from enum import StrEnum

import dns.exception
import dns.resolver
from flask import current_app

from preference_center.consent.eligibility import Reason
from preference_center.mail.preflight.records import is_reserved

KEPT_SECONDS = 3600.0
KEPT = 20_000
PATIENCE = 0.5  # seconds that a chunk waits for names
_IMPATIENT_SECONDS = 60.0
_MOST_ASKED = 1_000  # questions under way
_LIFETIME = 5.0  # of one question, in the background


class Standing(StrEnum):
    fine = "fine"
    null_mx = "null_mx"
    unknown_domain = "unknown_domain"


REASONS = {Standing.null_mx: Reason.null_mx, Standing.unknown_domain: Reason.invalid_address}


class Domains:
    """What this process knows of domains. `resolver` is anything with `resolve(name, type)` as dnspython's."""

    def __init__(self, resolver: "dns.resolver.Resolver | None" = None) -> None:
        self._resolver = resolver
        self._known: OrderedDict[str, tuple[float, Standing]] = OrderedDict()
        self._asked: dict[str, Future[Standing]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._impatient_until = 0.0  # after a round without any answer nobody waits for a while

    def look_up(self, domains: Collection[str], patience: float = PATIENCE) -> None:
        """Ask for those that are not known, and wait a moment. Not inside a transaction."""
        now = time.monotonic()
        for domain in domains:
            known = self._known.get(domain)
            if len(self._asked) >= _MOST_ASKED:
                break
            if (known is None or known[0] < now) and domain not in self._asked and not is_reserved(domain):
                self._pool = self._pool or ThreadPoolExecutor(8, "dns")
                self._asked[domain] = self._pool.submit(self._ask, domain)
        if self._asked:
            wait(self._asked.values(), timeout=patience if now >= self._impatient_until else 0)
            answered = [domain for domain, answer in self._asked.items() if answer.done()]
            for domain in answered:
                self._keep(domain, self._asked.pop(domain).result(), now)
            if not answered and now >= self._impatient_until:
                self._impatient_until = time.monotonic() + _IMPATIENT_SECONDS

    def refused(self, domains: Collection[str]) -> dict[str, Reason]:
        """Those of them that take no mail, as far as is known now, and why."""
        standings = ((domain, self.standing(domain)) for domain in domains)
        return {domain: REASONS[standing] for domain, standing in standings if standing in REASONS}

    def standing(self, domain: str) -> Standing:
        """What is known now; fine, if nothing is."""
        known = self._known.get(domain)
        return known[1] if known is not None else Standing.fine

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
        self._asked.clear()

    def _keep(self, domain: str, standing: Standing, now: float) -> None:
        self._known[domain] = (now + KEPT_SECONDS, standing)
        self._known.move_to_end(domain)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)

    def _ask(self, domain: str) -> Standing:
        try:
            name = domain if domain.isascii() else domain.encode("idna").decode()
            if self._resolver is None:
                self._resolver = dns.resolver.Resolver()
                self._resolver.lifetime = _LIFETIME
            answer = self._resolver.resolve(name, "MX")
        except dns.resolver.NXDOMAIN:
            return Standing.unknown_domain
        except (dns.exception.DNSException, UnicodeError, OSError):  # no MX means the address itself (RFC 5321 5.1)
            return Standing.fine
        only = [(record.preference, str(record.exchange)) for record in answer]
        return Standing.null_mx if only == [(0, ".")] else Standing.fine


def of_process() -> Domains:
    """The one that all runs of this process share."""
    shared: Domains = current_app.extensions.setdefault("domains", Domains())
    return shared
