"""DKIM: what is published under each selector must be the public half of the key that we sign with, and strong enough."""

import base64
import binascii
import re
from pathlib import Path

from preference_center.mail.dkim import RSA_GOOD_BITS, Signer
from preference_center.mail.preflight.findings import Finding
from preference_center.mail.preflight.records import Records, Silent


def look(records: Records, domain: str, keys: list[tuple[str, str]]) -> list[Finding]:
    """One finding for each (selector, file of the private key) that signs."""
    if not keys:
        return [Finding.not_known("DKIM", "the relay signs, with keys that are not known here.")]
    return [_look(records, domain, selector, file) for selector, file in keys]


def _look(records: Records, domain: str, selector: str, file: str) -> Finding:
    try:
        signer = Signer(domain, selector, Path(file).read_bytes())
    except (OSError, ValueError) as wrong:
        fault = wrong.strerror if isinstance(wrong, OSError) else wrong
        return Finding.failed("DKIM", f"the key of {selector} cannot be used: {fault}. Remedy: another key file.")
    if signer.warning:
        return Finding.failed(
            "DKIM", f"the key of {selector} is too short. Remedy: one of {RSA_GOOD_BITS} bits or more."
        )
    ours = signer.dns_record()
    try:
        published = records.texts(ours.name)
    except Silent:
        return Finding.not_known("DKIM", f"the DNS did not answer for {ours.name}.")
    if not published:
        return Finding.failed("DKIM", f"no key is published. Remedy: TXT at {ours.name}: {ours.value}")
    if len(published) > 1:
        return Finding.failed("DKIM", f"{len(published)} records are published. Remedy: leave one TXT at {ours.name}.")
    fault = _fault(tags(published[0]), tags(ours.value))
    if fault:
        return Finding.failed("DKIM", f"what is published {fault}. Remedy: TXT at {ours.name}: {ours.value}")
    return Finding.ok("DKIM", f"{ours.name} is the key that we sign with.")


def _fault(published: dict[str, str], ours: dict[str, str]) -> str | None:
    if published.get("v", "DKIM1") != "DKIM1" or published.get("k", "rsa").lower() != ours["k"]:
        return f"is no {ours['k']} key"
    if not published.get("p"):
        return "is a key that was taken back" if "p" in published else "holds no key"
    if _bytes(published["p"]) != _bytes(ours["p"]):
        return "is another key than the one that we sign with"
    if "sha256" not in published.get("h", "sha256").lower().split(":"):
        return "does not allow sha256"
    if not {"*", "email"} & set(published.get("s", "*").lower().split(":")):
        return "is not for mail"
    return None


def _bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def tags(text: str) -> dict[str, str]:
    """`v=DKIM1; k=rsa; p=…` by name, without white space (RFC 6376 3.2), which may stand anywhere in a key."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): re.sub(r"\s+", "", value) for name, _, value in pairs if name.strip()}
