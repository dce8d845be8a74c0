"""Every signed link: what it may do, what it carries, how long it lives, and how its keys rotate.

A token is `<key id>.<payload>.<signature>`, made by itsdangerous with SHA-256. Each power has its own salt, so a link of one
power is worthless for another. Payloads hold public ids and never an address. (RFC 8058 section 6; `security.md` 3.2.)
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from json.encoder import encode_basestring
from typing import Any

from flask import current_app
from itsdangerous import BadData, SignatureExpired, URLSafeSerializer, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode, int_to_bytes
from itsdangerous.signer import SigningAlgorithm

_Serializer = URLSafeSerializer | URLSafeTimedSerializer
DAY = 24 * 3600


class Power(StrEnum):
    unsub = "unsub"
    manage = "manage"
    rights = "rights"
    confirm = "confirm"
    view = "view"


_LIFE: dict[Power, int | None] = {
    Power.unsub: None,  # leaving works for ever (CAN-SPAM 30 days, CASL 60 days; we: always)
    Power.manage: 180 * DAY,
    Power.rights: 15 * 60,
    Power.confirm: 7 * DAY,
    Power.view: 180 * DAY,
}


class BadLink(Exception):
    """The token was not made by us, was altered, or belongs to another power."""


class ExpiredLink(BadLink):
    """The token is genuine but too old. `payload` may be used to word the page, never to act."""

    def __init__(self, payload: list[Any]) -> None:
        super().__init__("expired")
        self.payload = payload


@dataclass(frozen=True)
class KeyRing:
    """Link keys by key id, oldest first; the newest signs, all verify. Apart from SECRET_KEY, so old mails keep working."""

    keys: Sequence[tuple[str, str]]
    _made: dict[tuple[str, Power], _Serializer] = field(default_factory=dict, compare=False, repr=False)

    def sign(self, power: Power, payload: list[Any]) -> str:
        return self.signer(power)(payload)

    def signer(self, power: Power) -> Callable[[list[Any]], str]:
        """What makes many tokens of one power, with the key that signs now."""
        kid = self.keys[-1][0]
        dumps = self._serializer(kid, power).dumps
        return lambda payload: f"{kid}.{dumps(payload)}"

    def read(self, power: Power, token: str) -> list[Any]:
        """The payload of a genuine token. BadLink when it is not; ExpiredLink when its time is over."""
        kid, _, signed = token.partition(".")
        if len(token) > 512 or kid not in dict(self.keys) or not _is_canonical(signed):
            raise BadLink("unknown")
        serializer = self._serializer(kid, power)
        try:
            if isinstance(serializer, URLSafeTimedSerializer):
                payload = serializer.loads(signed, max_age=_LIFE[power])
            else:
                payload = serializer.loads(signed)
        except SignatureExpired as expired:
            raise ExpiredLink(serializer.load_payload(expired.payload or b"")) from None
        except BadData:
            raise BadLink("unknown") from None
        if not isinstance(payload, list):
            raise BadLink("unknown")
        return payload

    def _serializer(self, kid: str, power: Power) -> _Serializer:
        made = self._made.get((kid, power))
        if made is None:
            kind: Any = _Lasting if _LIFE[power] is None else _Dated
            made = self._made[(kid, power)] = kind(
                dict(self.keys)[kid],
                salt=f"pc.{power}.v1",
                signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac", "algorithm": _Hmac()},
            )
        return made


_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_BLOCK = 64  # octets that SHA-256 takes at once


class _Hmac(SigningAlgorithm):
    """HMAC with SHA-256 (RFC 2104) whose inner and outer key are hashed once and not for each link."""

    def __init__(self) -> None:
        self._begun: dict[bytes, tuple[Any, Any]] = {}

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        begun = self._begun.get(key)
        if begun is None:
            begun = self._begun[key] = self._begin(key)
        inner, outer = begun[0].copy(), begun[1].copy()
        inner.update(value)
        outer.update(inner.digest())
        digest: bytes = outer.digest()
        return digest

    def _begin(self, key: bytes) -> tuple[Any, Any]:
        padded = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        inner, outer = (bytes(octet ^ mask for octet in padded) for mask in (0x36, 0x5C))
        return hashlib.sha256(inner), hashlib.sha256(outer)


class _Quick:
    """Of a serializer that signs two links for each mail: its signer is made once, and short payloads are not compressed.

    What it writes is what itsdangerous would write; reading is left to itsdangerous.
    """

    _signer: Any = None

    def dumps(self, obj: Any, salt: Any = None) -> str:
        signer = self.make_signer(salt)
        signed = self.dump_payload(obj) + self._stamp(signer)
        return (signed + b"." + base64_encode(signer.algorithm.get_signature(signer.derive_key(), signed))).decode()

    def _stamp(self, signer: Any) -> bytes:
        """What stands between payload and signature."""
        return b""

    def make_signer(self, salt: Any = None) -> Any:
        if self._signer is None:
            self._signer = super().make_signer(salt)  # type: ignore[misc]
            key = self._signer.derive_key()
            self._signer.derive_key = lambda secret_key=None: key  # one serializer has one key
        return self._signer

    def dump_payload(self, payload: Any) -> bytes:
        return base64_encode(_written(payload))


class _Lasting(_Quick, URLSafeSerializer):
    pass


class _Dated(_Quick, URLSafeTimedSerializer):
    _stamped: tuple[int, bytes] = 0, b""

    def _stamp(self, signer: Any) -> bytes:
        second = signer.get_timestamp()
        if self._stamped[0] != second:
            self._stamped = second, b"." + base64_encode(int_to_bytes(second))
        return self._stamped[1]


def _written(payload: list[Any]) -> str:
    """JSON; texts and numbers, as nearly all payloads are, without the encoder's detours."""
    if all(type(one) in (str, int) for one in payload):
        return "[" + ",".join([encode_basestring(one) if type(one) is str else str(one) for one in payload]) + "]"
    return _compact(payload)


def _is_canonical(signed: str) -> bool:
    """Base64 lets the last character of a signature be spelled four ways; only ours is accepted (S3)."""
    signature = signed.rpartition(".")[2]
    try:
        raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    except (binascii.Error, ValueError):
        return False
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == signature


def ring() -> KeyRing:
    keys: KeyRing = current_app.extensions["key_ring"]
    return keys


def nonce(name: str) -> str:
    """What makes a link work once: made from the name of the notice that carries it, so that only its hash need be stored."""
    key: bytes = current_app.extensions["address_key"]
    digest = hashlib.blake2b(name.encode(), key=key, digest_size=15, person=b"pc.nonce.v1")
    return base64.urlsafe_b64encode(digest.digest()).decode()


_PATHS = {Power.unsub: "/u/", Power.manage: "/p/", Power.rights: "/d/", Power.confirm: "/c/", Power.view: "/v/"}


def url(power: Power, payload: list[Any]) -> str:
    """The whole address of a signed link, under PUBLIC_URL (`contract.md` section 4)."""
    return writer(power)(payload)


def writer(power: Power) -> Callable[[list[Any]], str]:
    """What writes many links of one power: the address of each, from its payload."""
    public_url: str = current_app.extensions["settings"].public_url
    sign = ring().signer(power)
    start = f"{public_url}{_PATHS[power]}"
    return lambda payload: start + sign(payload)
