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

import hmac
import json
from collections.abc import Mapping, Sequence
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

_dump = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode
_pack = Struct(">qq").pack
_number = Struct(">q").pack


def record_bytes(values: Sequence[Any]) -> bytes:
    """The bytes of a record, from its values in the order of `FIELDS`."""
    return _dump([V1, *values[:-1]] if values[-1] is None else [V2, *values]).encode()


def bytes_of(record: Mapping[str, Any]) -> bytes:
    return record_bytes([*(record[name] for name in FIELDS[:-1]), record.get("rules")])


def link_key(chain_key: bytes, seq: int) -> bytes:
    return hmac.digest(chain_key, b"pc.seal.key.v1" + _number(seq), "sha256")


def link_hash(key: bytes, seq: int, sealed_at: int, previous: bytes, record: bytes) -> bytes:
    """The hash of one link. `key` is that link's own; `sealed_at` in microseconds."""
    return hmac.digest(key, b"pc.seal.v1" + _pack(seq, sealed_at) + previous + record, "sha256")
