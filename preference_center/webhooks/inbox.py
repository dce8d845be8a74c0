"""Accepts posts of providers: proves them, stores each once and encrypted, and answers. What they say is read later.

Many requests that come at the same moment share one commit (`Letterbox`): each is answered once its row is on disk. For that this
file commits by itself, outside the session of the request.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from threading import Lock
from typing import Any, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import current_app
from sqlalchemy import Table
from sqlalchemy.dialects import sqlite

from preference_center.consent import keys
from preference_center.db import db, is_postgresql, new_public_id
from preference_center.errors import Unavailable
from preference_center.providers.base import Post
from preference_center.webhooks import shapes
from preference_center.webhooks.hooks import Hook
from preference_center.webhooks.models import InboundPost, PostState

LARGEST = 1024 * 1024
_NONCE = 12
_NOT_KEPT = {"authorization", "cookie", "proxy-authorization"}
_LONGEST_HEADER = 2000
_table = cast(Table, InboundPost.__table__)


def accept(hook: Hook, post: Post, now: datetime) -> str | None:
    """Store a proven post; or the words that its provider's set-up wants to hear, and nothing is stored.

    Forged or Misshapen: it leaves no trace. A post that had come before, or whose token was used before, changes nothing.
    """
    greeting = hook.provider.greet(post, hook.secrets)
    if greeting is not None:
        return greeting
    token = hook.provider.verify(post, hook.secrets, now)
    shapes.check(post)
    keep(hook.provider.name, hook.name, post, now, once=token)
    return None


def keep(source: str, name: str, post: Post, now: datetime, *, once: str | None = None) -> None:
    """Store a post of this source, once; on disk when this returns. `once`: a token that is worth nothing a second time."""
    digest = _keyed(b"body", post.body)
    _letterbox.put(
        {
            "public_id": new_public_id(),
            "provider": source,
            "name": name,
            "digest": digest,
            "once": _keyed(b"once", once.encode()) if once else None,
            "body": seal(source, digest, post),
            "size": len(post.body),
            "state": PostState.new.value,
            "tries": 0,
            "events": 0,
            "received_at": now,
        }
    )


def seal(provider: str, digest: bytes, post: Post) -> bytes:
    """The request as it came, but for what proves who may post: compressed, then encrypted and bound to its row."""
    headers = {
        name: value for name, value in post.headers.items() if name not in _NOT_KEPT and len(value) <= _LONGEST_HEADER
    }
    head = json.dumps({"method": post.method, "url": post.url, "headers": headers}).encode()
    nonce = os.urandom(_NONCE)
    return nonce + _cipher().encrypt(nonce, zlib.compress(head + b"\n" + post.body, 1), _place(provider, digest))


def open_sealed(stored: InboundPost) -> Post:
    """The request as it came. Unavailable when the key is not the one it was locked with."""
    try:
        plain = _cipher().decrypt(stored.body[:_NONCE], stored.body[_NONCE:], _place(stored.provider, stored.digest))
    except InvalidTag:
        raise Unavailable(
            "A stored post cannot be opened: PREFERENCE_CENTER_ADDRESS_KEY is not the one it was locked with."
        )
    head, _, body = zlib.decompress(plain).partition(b"\n")
    return Post(body=body, **json.loads(head))


class Letterbox:
    """Writes what many threads bring at once by one commit: whoever has the turn writes for all who wait."""

    def __init__(self, write: Callable[[Sequence[dict[str, Any]]], None]) -> None:
        self._write = write
        self._waiting: list[_Slip] = []
        self._guard, self._turn = Lock(), Lock()

    def put(self, row: dict[str, Any]) -> None:
        """Returns once the row is committed; raises what the commit raised."""
        slip = _Slip(row)
        with self._guard:
            self._waiting.append(slip)
        with self._turn:
            if not slip.done:
                self._write_all()
        if slip.trouble is not None:
            raise slip.trouble

    def _write_all(self) -> None:
        with self._guard:
            slips, self._waiting = self._waiting, []
        trouble: Exception | None = Unavailable("Nothing is stored any more: this process ends.")
        try:
            self._write([slip.row for slip in slips])
            trouble = None
        except Exception as raised:  # each of those who wait raises it
            trouble = raised
        finally:  # also when this thread is ended: nobody may take that for stored
            for slip in slips:
                slip.trouble, slip.done = trouble, True


class _Slip:
    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row
        self.done = False
        self.trouble: Exception | None = None


def _store(rows: Sequence[dict[str, Any]]) -> None:
    if is_postgresql():
        # A statement alone is a transaction: one way to the server and back instead of three. However many rows there are, it
        # is the same prepared one.
        columns = {name: [row[name] for row in rows] for name in _TYPES}
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(_INSERT, columns)
    else:
        with db.engine.connect().execution_options(immediate=True) as connection, connection.begin():
            connection.execute(sqlite.insert(_table).on_conflict_do_nothing(), list(rows))


_TYPES = {
    "public_id": "text", "provider": "text", "name": "text", "digest": "bytea", "once": "bytea", "body": "bytea", "size": "int",
    "state": "text", "tries": "int", "events": "int", "received_at": "timestamptz",
}  # fmt: skip
_GIVEN = ", ".join(f"%({name})s::{kind}[]" for name, kind in _TYPES.items())
_INSERT = f"INSERT INTO {_table.name} ({', '.join(_TYPES)}) SELECT * FROM unnest({_GIVEN}) ON CONFLICT DO NOTHING"  # noqa: S608 (our own names)
_letterbox = Letterbox(_store)


def _keyed(use: bytes, text: bytes) -> bytes:
    """Nothing of the text can be guessed from it without our key."""
    key: bytes = current_app.extensions["address_key"]
    return hashlib.blake2b(text, key=key, digest_size=16, person=b"pc.inbox." + use).digest()


def _cipher() -> AESGCM:
    return _made(current_app.extensions["settings"].address_key)


@lru_cache(maxsize=4)
def _made(secret: str) -> AESGCM:
    return AESGCM(keys.derive(secret, "pc.inbox.v1"))


def _place(provider: str, digest: bytes) -> bytes:
    return b"pc.inbox.v1|" + provider.encode() + b"|" + digest
