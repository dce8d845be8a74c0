"""One written form for an address, and its keyed hash, by which people are found and suppressions outlive erasure.

Two spellings are the same address when they differ in case or in the writing of an international domain. Providers' own rules
(dots or `+tags` at Gmail) are left alone: they are not a standard, and two such addresses may be two consents.
"""

import hashlib
import re
from dataclasses import dataclass

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES
from flask import current_app

from preference_center.errors import Invalid


@dataclass(frozen=True, slots=True)
class Address:
    email: str  # as we write it: domain in lower case, Unicode in NFC
    hash: bytes  # 16 bytes, keyed BLAKE2b of the canonical form


# Plain addresses, for which email-validator's answer is known without asking it (0.15 ms each): a test holds the two together.
_PLAIN = re.compile(
    r"(?P<local>[A-Za-z0-9_+][A-Za-z0-9_+-]*(?:\.[A-Za-z0-9_+-]+)*)@"
    r"(?P<domain>(?:[A-Za-z0-9](?:-?[A-Za-z0-9])*\.)+(?P<last>[A-Za-z0-9](?:-?[A-Za-z0-9])*))",
    re.ASCII,
)
_NOT_PLAIN = {name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES}
_LOWERED = frozenset(CASE_INSENSITIVE_MAILBOX_NAMES)


def parse(text: str) -> Address:
    """The address in `text`. Invalid, with words for a form, when it is not one that can be written to (RFC 5321, 5322, 6531, 5891)."""
    text = text.strip()
    plain = _plain(text)
    if plain is not None:
        return Address(plain, _keyed(plain.lower()))
    try:
        found = validate_email(text, check_deliverability=False, strict=True)
    except EmailNotValidError as fault:
        raise Invalid(str(fault)) from None
    # The library allows two things that no message of ours can be addressed to (`mail/mime.py`).
    if found.local_part.startswith("-"):
        raise Invalid("An address that begins with a hyphen is not taken by mail software.")
    if len(found.local_part.encode()) > 64:
        raise Invalid("The part before the @ is too long.")
    canonical = f"{found.local_part}@{found.ascii_domain}".casefold()
    return Address(found.normalized, _keyed(canonical))


def _plain(text: str) -> str | None:
    """The normalised address when it is of the everyday kind; nothing when the library must look at it."""
    found = _PLAIN.fullmatch(text) if len(text) <= 254 else None
    if found is None:
        return None
    local, domain, last = found["local"], found["domain"].lower(), found["last"].lower()
    if len(local) > 64 or len(domain) > 253 or last in _NOT_PLAIN or not last[-1].isalpha():
        return None
    if max(map(len, domain.split("."))) > 63:
        return None
    return f"{local.lower() if local.lower() in _LOWERED else local}@{domain}"


def _keyed(canonical: str) -> bytes:
    key: bytes = current_app.extensions["address_key"]
    return hashlib.blake2b(canonical.encode(), key=key, digest_size=16).digest()


def mask(email: str | None) -> str:
    """`a•••@example.com`: enough for its owner to know it, too little for anybody else."""
    if not email:
        return "•••"
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}•••@{domain}"
