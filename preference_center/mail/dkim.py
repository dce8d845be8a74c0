"""DKIM signatures (RFC 6376, 8301, 8463), made directly with `cryptography`: RSA, and Ed25519 beside it if wanted.

c=relaxed/simple, since then the body needs one hash and nothing else; no l=; the headers that decide what a person sees
are over-signed, so that none can be added afterwards.
"""

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Literal, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

RSA_LEAST_BITS = 1024
RSA_GOOD_BITS = 2048

# Named once more than they occur (RFC 6376 8.15): a second one added on the way breaks the signature.
OVER_SIGNED = ("from", "to", "subject", "date", "reply-to", "list-unsubscribe", "list-unsubscribe-post")
SIGNED = frozenset(OVER_SIGNED) | {
    "auto-submitted",
    "cc",
    "cfbl-address",
    "cfbl-feedback-id",
    "content-language",
    "content-transfer-encoding",
    "content-type",
    "feedback-id",
    "in-reply-to",
    "list-archive",
    "list-help",
    "list-id",
    "list-owner",
    "list-post",
    "list-subscribe",
    "message-id",
    "mime-version",
    "precedence",
    "references",
    "sender",
}

_DOMAIN = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\Z")
_WHITE = re.compile(rb"[ \t]+")
_PADDING, _DIGEST = padding.PKCS1v15(), Prehashed(hashes.SHA256())


class _Form(NamedTuple):
    """How the header fields of many messages are signed: listed in the signature, and in relaxed form with `%b` for own values."""

    names: str
    lines: bytes
    order: tuple[int, ...]  # of the own values therein


class UnusableKey(ValueError):
    """The private key cannot be used for DKIM; the text says why and what to do."""


class _Hashed(NamedTuple):
    """What all signatures of one message share: its canonical header fields in signing order, and the body's hash."""

    names: str
    fields: bytes
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """The TXT record that publishes a key. `value` is the whole text; `zone_line` cuts it into strings of 255."""

    name: str
    value: str

    @property
    def zone_line(self) -> str:
        """One line for a zone file: a DNS string holds at most 255 octets, so longer texts are several strings."""
        pieces = [self.value[start : start + 255] for start in range(0, len(self.value), 255)]
        return f"{self.name}. IN TXT ( " + " ".join(f'"{piece}"' for piece in pieces) + " )"


class Signer:
    """Signs with one key. `private_key_pem` is unencrypted PEM, RSA or Ed25519. UnusableKey or ValueError otherwise.

    `warning` is None, or a sentence for the operator (an RSA key below 2048 bits, which receivers may soon refuse).
    """

    def __init__(self, domain: str, selector: str, private_key_pem: bytes) -> None:
        self.domain = domain.lower().rstrip(".")
        self.selector = selector.lower()
        if not _DOMAIN.match(self.domain):
            raise ValueError("the DKIM domain must be a full host name in ASCII (A-labels), such as example.org")
        if not _SELECTOR.match(self.selector):
            raise ValueError("the DKIM selector must be letters, digits, hyphens and dots, such as s2026")
        self._key = key = _load(private_key_pem)
        self._sign: Callable[[bytes], bytes] = (
            partial(key.sign, padding=_PADDING, algorithm=_DIGEST) if isinstance(key, RSAPrivateKey) else key.sign
        )
        self.algorithm: Literal["rsa-sha256", "ed25519-sha256"] = (
            "rsa-sha256" if isinstance(self._key, RSAPrivateKey) else "ed25519-sha256"
        )
        self.warning = _warning(self._key)

    def sign(self, message: bytes, *, at: datetime | None = None) -> bytes:
        """The message with a DKIM-Signature in front. `message` is finished CRLF bytes; `at` is written as t=."""
        return self._signature(_hashed(message), at) + message

    def dns_record(self) -> DnsRecord:
        """The TXT record that lets receivers verify what this signer signs."""
        public = self._key.public_key()
        if isinstance(self._key, RSAPrivateKey):
            der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            value = f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"
        else:
            raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            value = f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}"
        return DnsRecord(f"{self.selector}._domainkey.{self.domain}", value)

    def _signature(self, hashed: _Hashed, at: datetime | None) -> bytes:
        time = "" if at is None else f" t={int(at.timestamp())};"
        begun, relaxed = _begun(self.algorithm, self.domain, self.selector, time, hashed.names)
        digest = hashlib.sha256(b"".join((hashed.fields, relaxed, hashed.body_hash, b"; b="))).digest()
        # RFC 8463 3: Ed25519 too signs the SHA-256 of the data, not the data.
        encoded = _base64(self._sign(digest))
        folded = b"\r\n ".join(_cut(len(encoded)).unpack(encoded))
        return b"".join((begun, hashed.body_hash, b";\r\n b=", folded, b"\r\n"))


class Signers:
    """Several signatures on one message, all over the same bytes: put RSA first, it is the one everybody can check."""

    def __init__(self, signers: Sequence[Signer]) -> None:
        if not signers:
            raise ValueError("at least one signer is needed")
        self._signers = tuple(signers)

    @property
    def warnings(self) -> list[str]:
        """What the operator should know about the keys; empty when all is well."""
        return [signer.warning for signer in self._signers if signer.warning]

    def sign(self, message: bytes, *, at: datetime | None = None) -> bytes:
        """The message with one DKIM-Signature a key in front. The signatures do not cover each other."""
        return self._signatures(_hashed(message), at) + message

    def sign_parts(self, own: bytes, shared: bytes, body: bytes, *, at: datetime | None = None) -> bytes:
        """The same, of a message in parts: header lines of its own, those that many messages share (with the empty line), the body.

        The shared ones are read once.
        """
        return b"".join((self._signatures(_in_parts(own, shared, body), at), own, shared, body))

    def _signatures(self, hashed: _Hashed, at: datetime | None) -> bytes:
        return b"".join([signer._signature(hashed, at) for signer in self._signers])

    def dns_records(self) -> list[DnsRecord]:
        """One TXT record a key."""
        return [signer.dns_record() for signer in self._signers]


def generate_key(kind: Literal["rsa", "ed25519"] = "rsa", bits: int = RSA_GOOD_BITS) -> bytes:
    """A new private key as PEM (PKCS 8, not encrypted): RSA of `bits` bits, or Ed25519."""
    key: RSAPrivateKey | Ed25519PrivateKey
    if kind == "rsa":
        if bits < RSA_GOOD_BITS:
            raise ValueError(f"new RSA keys have at least {RSA_GOOD_BITS} bits")
        key = generate_private_key(public_exponent=65537, key_size=bits)
    else:
        key = Ed25519PrivateKey.generate()
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def dns_record(domain: str, selector: str, private_key_pem: bytes) -> DnsRecord:
    """The TXT record for a private key. Errors as Signer."""
    return Signer(domain, selector, private_key_pem).dns_record()


def _load(private_key_pem: bytes) -> RSAPrivateKey | Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(private_key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKey("the DKIM key must be an unencrypted private key in PEM form") from None
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise UnusableKey("a DKIM key is RSA or Ed25519; make a new one")
    if isinstance(key, RSAPrivateKey) and key.key_size < RSA_LEAST_BITS:
        raise UnusableKey(f"the RSA key has {key.key_size} bits; receivers ignore keys below {RSA_LEAST_BITS}")
    return key


def _warning(key: RSAPrivateKey | Ed25519PrivateKey) -> str | None:
    if isinstance(key, RSAPrivateKey) and key.key_size < RSA_GOOD_BITS:
        return f"The DKIM key has only {key.key_size} bits. Make one of {RSA_GOOD_BITS}: receivers recommend it."
    return None


def _hashed(message: bytes) -> _Hashed:
    head, gap, body = message.partition(b"\r\n\r\n")
    if not gap:
        raise ValueError("a message has an empty line between headers and body, and CRLF line endings")
    return _in_parts(head + b"\r\n", b"", body)


def _in_parts(own: bytes, shared: bytes, body: bytes) -> _Hashed:
    names, values = _fields(own)
    form = _form(names, shared)
    return _Hashed(form.names, form.lines % tuple([values[number] for number in form.order]), _body_hash(body))


def _fields(lines: bytes) -> tuple[tuple[bytes, ...], list[bytes]]:
    """The names of these header lines as they are written, and their values in relaxed form."""
    unfolded = lines.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    if b"  " in unfolded or b"\t" in unfolded:
        unfolded = _WHITE.sub(b" ", unfolded)
    names, values = [], []
    for line in unfolded.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon:
            names.append(name)
            values.append(value.strip(b" "))
    return tuple(names), values


@lru_cache(maxsize=64)
def _form(written: tuple[bytes, ...], shared: bytes) -> _Form:
    """For messages with own headers of these names, before others that are the same in all."""
    theirs, values = _fields(shared)
    values = [b"%b"] * len(written) + [value.replace(b"%", b"%%") for value in values]
    all_names = [name.rstrip(b" ").decode("ascii", "replace").lower() for name in written + theirs]
    names = [name for name in all_names if name in SIGNED]
    if "from" not in names:
        raise ValueError("a message without From cannot be signed")
    # Of a repeated header the lowest is signed first (RFC 6376 5.4.2); names beyond the last one stand for "no more".
    places: dict[str, list[int]] = {}
    for number, name in enumerate(all_names):
        places.setdefault(name, []).append(number)
    order = [places[name].pop() for name in names]
    listed = (*names, *OVER_SIGNED)
    return _Form(
        ":\r\n  ".join([":".join(listed[start : start + 4]) for start in range(0, len(listed), 4)]),
        b"".join([b"%b:%b\r\n" % (all_names[number].encode(), values[number]) for number in order]),
        tuple(number for number in order if number < len(written)),
    )


@lru_cache(maxsize=64)
def _begun(algorithm: str, domain: str, selector: str, time: str, names: str) -> tuple[bytes, bytes]:
    """A signature's header up to the hash of the body, as it is written and in relaxed form."""
    value = f"v=1; a={algorithm}; c=relaxed/simple;\r\n d={domain};\r\n s={selector};{time}\r\n h={names};\r\n bh="
    return f"DKIM-Signature: {value}".encode(), f"dkim-signature:{' '.join(value.split())}".encode()


@lru_cache(maxsize=8)
def _cut(length: int) -> struct.Struct:
    """A signature of this length, as lines of 72 characters."""
    full, rest = divmod(length, 72)
    return struct.Struct("72s" * full + (f"{rest}s" if rest else ""))


def _body_hash(body: bytes) -> bytes:
    # Simple canonical form: empty lines at the end do not count, and the body ends with one CRLF (RFC 6376 3.4.3).
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    while body.endswith(b"\r\n\r\n"):
        body = body[:-2]
    return _base64(hashlib.sha256(body).digest())


_base64 = partial(binascii.b2a_base64, newline=False)
