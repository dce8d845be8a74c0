"""One written form for an address, and its keyed hash, by which people are found and suppressions outlive erasure.

Two spellings are the same address when they differ in case or in the writing of an international domain. Providers' own rules
(dots or `+tags` at Gmail) are left alone: they are not a standard, and two such addresses may be two consents.
"""

import hashlib
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email
from flask import current_app

from preference_center.errors import Invalid


@dataclass(frozen=True, slots=True)
class Address:
    email: str  # as we write it: domain in lower case, Unicode in NFC
    hash: bytes  # 16 bytes, keyed BLAKE2b of the canonical form


def parse(text: str) -> Address:
    """The address in `text`. Invalid, with words for a form, when it is not one that can be written to (RFC 5321, 5322, 6531, 5891)."""
    try:
        found = validate_email(text.strip(), check_deliverability=False, strict=True)
    except EmailNotValidError as fault:
        raise Invalid(str(fault)) from None
    canonical = f"{found.local_part}@{found.ascii_domain}".casefold()
    return Address(found.normalized, _keyed(canonical))


def _keyed(canonical: str) -> bytes:
    key: bytes = current_app.extensions["address_key"]
    return hashlib.blake2b(canonical.encode(), key=key, digest_size=16).digest()


def mask(email: str | None) -> str:
    """`a•••@example.com`: enough for its owner to know it, too little for anybody else."""
    if not email:
        return "•••"
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}•••@{domain}"
