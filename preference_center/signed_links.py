"""Every signed link: what it may do, what it carries, how long it lives, and how its keys rotate.

A token is `<key id>.<payload>.<signature>`, made by itsdangerous with SHA-256. Each power has its own salt, so a link of one
power is worthless for another. Payloads hold public ids and never an address. (RFC 8058 section 6; `security.md` 3.2.)
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from flask import current_app
from itsdangerous import BadData, TimestampSigner, URLSafeSerializer, URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode, bytes_to_int, int_to_bytes

from preference_center import clock

_Serializer = URLSafeSerializer | URLSafeTimedSerializer
DAY = 24 * 3600
_APART = 5  # seconds that the clocks of two machines may differ


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
    _pens: dict[tuple[str, Power], "_Pen"] = field(default_factory=dict, compare=False, repr=False)

    def sign(self, power: Power, payload: list[Any]) -> str:
        return self.signer(power)(payload)

    def signer(self, power: Power) -> Callable[[list[Any]], str]:
        """What makes many tokens of one power, with the key that signs now."""
        return self._pen(self.keys[-1][0], power).write

    def read(self, power: Power, token: str) -> list[Any]:
        """The payload of a genuine token. BadLink when it is not; ExpiredLink when its time is over."""
        kid, _, signed = token.partition(".")
        if len(token) > 512 or not token.isascii() or kid not in dict(self.keys):
            raise BadLink("unknown")
        pen, life = self._pen(kid, power), _LIFE[power]
        text = pen.read(signed)
        try:
            text, age = (text, 0) if life is None else pen.part(text)
            payload = self._serializer(kid, power).load_payload(text)
        except BadData:
            raise BadLink("unknown") from None
        if not isinstance(payload, list):
            raise BadLink("unknown")
        if life is not None and not -_APART <= age <= life:
            raise ExpiredLink(payload)
        return payload

    def _pen(self, kid: str, power: Power) -> "_Pen":
        pen = self._pens.get((kid, power))
        if pen is None:
            pen = self._pens[kid, power] = _Pen(kid, self._serializer(kid, power))
        return pen

    def _serializer(self, kid: str, power: Power) -> _Serializer:
        made = self._made.get((kid, power))
        if made is None:
            kind = URLSafeSerializer if _LIFE[power] is None else URLSafeTimedSerializer
            made = self._made[(kid, power)] = kind(
                dict(self.keys)[kid],
                salt=f"pc.{power}.v1",
                signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
            )
        return made


class _Pen:
    """Writes tokens of one power as itsdangerous does, for two in each mail, and knows its own hand: the key is derived once. Short
    payloads are not compressed."""

    def __init__(self, kid: str, serializer: _Serializer) -> None:
        signer = serializer.make_signer(serializer.salt)
        self._keyed = hmac.new(signer.derive_key(), digestmod="sha256")
        self._kid = kid.encode()
        self._dated = isinstance(signer, TimestampSigner)

    def write(self, payload: list[Any]) -> str:
        signed = _base64(_json(payload).encode())
        if self._dated:
            signed += _stamp(_second())
        return b".".join((self._kid, signed, self._signature(signed))).decode()

    def read(self, token: str) -> bytes:
        """What it signed. BadLink when it did not. Base64 lets the last character be spelled four ways; only ours is accepted (S3)."""
        signed, _, signature = token.encode().rpartition(b".")
        if not hmac.compare_digest(signature, self._signature(signed)):
            raise BadLink("unknown")
        return signed

    def part(self, signed: bytes) -> tuple[bytes, int]:
        """The payload, and the seconds since it was signed."""
        payload, _, stamp = signed.rpartition(b".")
        return payload, _second() - bytes_to_int(base64_decode(stamp))

    def _signature(self, signed: bytes) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(signed)
        return _base64(keyed.digest())


_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_WRITTEN: dict[type, Callable[[Any], str]] = {str: encode_basestring, int: str}


def _base64(octets: bytes) -> bytes:
    return binascii.b2a_base64(octets, newline=False).translate(_URL_SAFE).rstrip(b"=")


def _json(payload: list[Any]) -> str:
    """Texts and numbers, as nearly all payloads are, without the encoder's detours."""
    try:
        return f"[{','.join([_WRITTEN[type(one)](one) for one in payload])}]"
    except KeyError:
        return _compact(payload)


def _second() -> int:
    return int(clock.now().timestamp())


@lru_cache(maxsize=1)
def _stamp(second: int) -> bytes:
    return b"." + _base64(int_to_bytes(second))


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
