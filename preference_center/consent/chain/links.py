"""How a consent record becomes bytes, and a link of the chain. Knows no database, so that a proof can be checked anywhere.

The bytes are a JSON array in ASCII without spaces: the version, then the fields in the order of `FIELDS`. Version 1 ends before
`rules` and stands for records that have none: they are older than the rules. Moments are microseconds since 1970 in UTC, digests
hexadecimal. Beside the columns of the record it holds what its numbers mean: the topic's
key, and the SHA-256 of the wording's text. A new column is a new version; old links keep theirs.

    key of link n  = HMAC-SHA256(chain key, "pc.seal.key.v1" | n)
    hash of link n = HMAC-SHA256(key of link n, "pc.seal.v1" | n | sealed at | hash of link n-1 | bytes of the record)

Each link has a key of its own, so that a proof can give one away: the hash can then be made again from the record, and no other
link can be forged with it. Numbers are 8 bytes, big-endian; the first link follows 32 zero bytes.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from json import JSONEncoder, encoder
from struct import Struct
from typing import Any

V1, V2 = "pc.record.v1", "pc.record.v2"
FIELDS = (
    "id",
    "public_id",
    "contact_id",
    "purpose_key",
    "topic_id",
    "topic_key",
    "channel",
    "action",
    "legal_basis",
    "wording_id",
    "wording_sha256",
    "language",
    "source",
    "source_ref",
    "actor",
    "until",
    "happened_at",
    "recorded_at",
    "evidence_digest",
    "rules",
)
MEANINGS = ("topic_key", "wording_sha256")  # not columns: what topic_id and wording_id stand for
MOMENTS = ("until", "happened_at", "recorded_at")
START = bytes(32)

_json = JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False)
# What `_json.encode` makes anew for each array, which takes longer than writing one. Python without its C half has it not.
_make = getattr(encoder, "c_make_encoder", None)
_chunks = _make and _make(
    None,
    _json.default,
    encoder.encode_basestring_ascii,
    None,
    ":",
    ",",
    False,
    False,
    False,  # type: ignore[attr-defined]
)
_pack = Struct(">qq").pack
_number = Struct(">q").pack


def record_bytes(values: Sequence[Any]) -> bytes:
    """The bytes of a record, from its values in the order of `FIELDS`."""
    array = [V1, *values[:-1]] if values[-1] is None else [V2, *values]
    return ("".join(_chunks(array, 0)) if _chunks else _json.encode(array)).encode("ascii")


def bytes_of(record: Mapping[str, Any]) -> bytes:
    return record_bytes([*(record[name] for name in FIELDS[:-1]), record.get("rules")])


def link_key(chain_key: bytes, seq: int) -> bytes:
    return _hmac(chain_key, b"pc.seal.key.v1" + _number(seq))


def link_hash(key: bytes, seq: int, sealed_at: int, previous: bytes, record: bytes) -> bytes:
    """The hash of one link. `key` is that link's own; `sealed_at` in microseconds."""
    return _hmac(key, b"pc.seal.v1" + _pack(seq, sealed_at) + previous + record)


_INNER, _OUTER = bytes(byte ^ 0x36 for byte in range(256)), bytes(byte ^ 0x5C for byte in range(256))
_INNER_REST, _OUTER_REST = b"\x36" * 32, b"\x5c" * 32


def _hmac(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104) with a key of 32 bytes. Written out, since `hmac.digest` looks up SHA-256 anew at each call, which
    takes twice as long as all the rest."""
    inside = sha256(key.translate(_INNER) + _INNER_REST + message).digest()
    return sha256(key.translate(_OUTER) + _OUTER_REST + inside).digest()
