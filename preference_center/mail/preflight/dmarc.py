"""DMARC (RFC 9989): the policy found by walking up the DNS tree, and whether our mail would be aligned with it."""

from collections.abc import Iterator
from dataclasses import dataclass

from preference_center.mail.preflight.findings import Finding
from preference_center.mail.preflight.keys import tags
from preference_center.mail.preflight.records import Records, Silent

MOST_QUERIES = 8
_POLICIES = {"none", "quarantine", "reject"}


@dataclass(frozen=True, slots=True)
class Walked:
    """`own` is the record at the name itself, `organisational` that of its organisational domain, if they have one."""

    organisation: str
    own: dict[str, str] | None
    organisational: dict[str, str] | None
    suffix: dict[str, str] | None

    @property
    def policy(self) -> dict[str, str] | None:
        return self.own or self.organisational or self.suffix


def walk(records: Records, domain: str) -> Walked:
    """Section 4.10: from the name upwards, until a record says that it ends here. Silent."""
    found: dict[str, dict[str, str]] = {}
    for name in _way_up(domain):
        record = _record(records, name)
        if record is not None:
            found[name] = record
            if record.get("psd") == "n" or (record.get("psd") == "y" and name != domain):
                break
    return _judged(domain, found)


def _way_up(domain: str) -> Iterator[str]:
    """The name itself, then its ends, of seven labels at most: eight questions in all."""
    labels = domain.split(".")
    yield domain
    for count in range(min(len(labels) - 1, MOST_QUERIES - 1), 0, -1):
        yield ".".join(labels[-count:])


def _record(records: Records, name: str) -> dict[str, str] | None:
    """Several are as good as none."""
    found = [
        text
        for text in records.texts(f"_dmarc.{name}")
        if text.partition(";")[0].replace(" ", "").lower() == "v=dmarc1"
    ]
    return {key: value.lower() for key, value in tags(found[0]).items()} if len(found) == 1 else None


def _judged(domain: str, found: dict[str, dict[str, str]]) -> Walked:
    own = found.get(domain)
    if not found:
        return Walked(domain, None, None, None)
    top = min(found, key=lambda name: name.count("."))  # where the walk ended, or the shortest name it came by
    if found[top].get("psd") == "y" and top != domain:
        organisation = ".".join(domain.split(".")[-(top.count(".") + 2) :])
        return Walked(organisation, own, found.get(organisation), found[top])
    return Walked(top, own, found[top], None)


def look(records: Records, domain: str, return_path: str, signing: str | None) -> list[Finding]:
    """`signing` is the domain of our DKIM signatures; None where the relay signs."""
    try:
        walked = walk(records, domain)
        return [_policy(domain, walked), _alignment(records, domain, walked, return_path, signing)]
    except Silent:
        return [Finding.not_known("DMARC", f"the DNS did not answer for {domain} and the names above it.")]


def _policy(domain: str, walked: Walked) -> Finding:
    policy = walked.policy
    remedy = f'Remedy: TXT at _dmarc.{domain}: "v=DMARC1; p=none; rua=mailto:dmarc@{domain}"'
    if policy is None:
        return Finding.failed("DMARC", f"no record here or above. {remedy}")
    if policy.get("p", "none") not in _POLICIES and not policy.get("rua"):
        return Finding.failed("DMARC", f"its p= is not one of none, quarantine, reject. {remedy}")
    where = domain if policy is walked.own else walked.organisation if policy is walked.organisational else "a suffix"
    return Finding.ok("DMARC", f"found at {where}, p={policy.get('p', 'none')}.")


def _alignment(records: Records, domain: str, walked: Walked, return_path: str, signing: str | None) -> Finding:
    """One of the two is enough for DMARC to pass."""
    policy = walked.policy or {}
    ways = [("the return path", return_path, policy.get("aspf")), ("the DKIM signature", signing, policy.get("adkim"))]
    for name, other, mode in ways:
        if other and (other == domain or (mode != "s" and walk(records, other).organisation == walked.organisation)):
            return Finding.ok("alignment", f"{name} ({other}) goes with {domain}.")
    if signing is None:
        words = f"the return path ({return_path}) does not go with {domain}, and how the relay signs is not known here."
        return Finding.not_known("alignment", words)
    words = f"neither the return path ({return_path}) nor the DKIM signature ({signing}) goes with {domain}."
    return Finding.failed(
        "alignment", f"{words} Remedy: set PREFERENCE_CENTER_DKIM_DOMAIN to {domain}, and publish the key."
    )
