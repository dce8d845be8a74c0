"""Every signed link: what it may do, what it carries, how long it lives, and how its keys rotate.

A token is `<key id>.<payload>.<signature>`, made by itsdangerous with SHA-256. Each power has its own salt, so a link of one
power is worthless for another. Payloads hold public ids and never an address. (RFC 8058 section 6; `security.md` 3.2.)
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from flask import current_app
from itsdangerous import BadData, SignatureExpired, URLSafeSerializer, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode
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
        kid = self.keys[-1][0]
        token = self._serializer(kid, power).dumps(payload)
        return f"{kid}.{token}"

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


class _Hmac(SigningAlgorithm):
    """HMAC with SHA-256 whose inner and outer key are hashed once and not for each link."""

    def __init__(self) -> None:
        self._begun: dict[bytes, hmac.HMAC] = {}

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        begun = self._begun.get(key)
        if begun is None:
            begun = self._begun[key] = hmac.new(key, digestmod=hashlib.sha256)
        made = begun.copy()
        made.update(value)
        return made.digest()


class _Quick:
    """Of a serializer that signs two links for each mail: its signer is made once, and short payloads are not compressed."""

    _signer: Any = None

    def make_signer(self, salt: Any = None) -> Any:
        if self._signer is None:
            self._signer = super().make_signer(salt)  # type: ignore[misc]
            key = self._signer.derive_key()
            self._signer.derive_key = lambda secret_key=None: key  # one serializer has one key
        return self._signer

    def dump_payload(self, payload: Any) -> bytes:
        return base64_encode(_compact(payload))


class _Lasting(_Quick, URLSafeSerializer):
    pass


class _Dated(_Quick, URLSafeTimedSerializer):
    pass


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
    public_url: str = current_app.extensions["settings"].public_url
    return f"{public_url}{_PATHS[power]}{ring().sign(power, payload)}"
