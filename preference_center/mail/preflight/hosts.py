"""Where bounces go, and what our addresses are called: MX of the return path, and a name by PTR that leads back."""

from collections.abc import Sequence

from preference_center.mail.preflight.findings import Finding
from preference_center.mail.preflight.records import Address, Records, Silent


def bounces(records: Records, domain: str, *, rewritten: bool) -> Finding:
    """Without an MX the host of that very name takes the mail (RFC 5321 5.1). `rewritten`: as for SPF."""
    remedy = f"Remedy: an MX at {domain} that names the host which takes our bounces."
    try:
        hosts = records.exchanges(domain)
        if not hosts and records.addresses(domain):
            return Finding.ok("bounces", f"{domain} has no MX, and takes its mail itself.")
        if not hosts and rewritten:
            return Finding.not_known("bounces", f"{domain} has no MX; your provider may use a domain of its own.")
        if not hosts:
            return Finding.failed("bounces", f"{domain} has no MX and no address, so bounces are lost. {remedy}")
        if hosts == [""]:
            return Finding.failed("bounces", f"{domain} says that it takes no mail (null MX). {remedy}")
        if not any(records.addresses(host) for host in hosts if host):
            return Finding.failed("bounces", f"the MX of {domain} ({hosts[0]}) has no address. {remedy}")
    except Silent:
        return Finding.not_known("bounces", f"the DNS did not answer for the MX of {domain}.")
    return Finding.ok("bounces", f"{hosts[0]} takes mail for {domain}.")


def names(records: Records, addresses: Sequence[Address]) -> list[Finding]:
    if not addresses:
        unasked = "from which addresses mail leaves is not known without PREFERENCE_CENTER_SENDING_ADDRESSES."
        return [Finding.not_known("PTR", unasked)]
    return [_name(records, address) for address in addresses]


def _name(records: Records, address: Address) -> Finding:
    try:
        called = records.names_of(address)
        confirmed = records.confirmed_names_of(address)
    except Silent:
        return Finding.not_known("PTR", f"the DNS did not answer for {address}.")
    if confirmed:
        return Finding.ok("PTR", f"{address} is {confirmed[0]}, and that leads back.")
    if called:
        words = f"{address} is called {called[0]}, which does not lead back. Remedy: an A or AAAA record there."
        return Finding.failed("PTR", words)
    return Finding.failed("PTR", f"{address} has no name. Remedy: ask whoever gave you the address for a PTR record.")
