"""Accepts posts of providers: proves them, stores each once and encrypted, and answers. What they say is read later.

Many requests that come at the same moment share one commit (`letterbox.py`): each is answered once its row is on disk. For that this
file commits by itself, outside the session of the request.
"""

import hashlib
import json
import os
import re
import zlib
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Flask, current_app
from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import sqlite

from preference_center.consent import keys
from preference_center.db import db, new_public_ids
from preference_center.errors import Unavailable
from preference_center.providers.base import Post
from preference_center.webhooks import shapes
from preference_center.webhooks.hooks import Hook
from preference_center.webhooks.letterbox import Letterbox, Row
from preference_center.webhooks.models import InboundPost, PostState

LARGEST = 1024 * 1024
_NONCE = 12
_NOT_KEPT = {"authorization", "cookie", "proxy-authorization"}
_LONGEST_HEADER = 2000
_table = cast(Table, InboundPost.__table__)


def init(app: Flask) -> None:
    app.extensions["letterbox"] = Letterbox(lambda: _Line(db.engine))


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
    digest = keyed(b"body", post.body)
    letterbox: Letterbox = current_app.extensions["letterbox"]
    letterbox.put(
        {
            "provider": source,
            "name": name,
            "digest": digest,
            "once": keyed(b"once", once.encode()) if once else None,
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


class _Line:
    """A connection to the database, kept from one commit to the next until there is trouble with it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: Connection | None = None

    def write(self, rows: Sequence[Row]) -> None:
        rows = sorted(rows, key=itemgetter("digest"))  # so that two who store the same cannot wait for each other
        for row, public_id in zip(rows, new_public_ids(len(rows)), strict=True):
            row["public_id"] = public_id
        connection = self._kept = self._kept or self._open()
        try:
            if self._engine.dialect.name == "postgresql":
                connection.exec_driver_sql(_INSERT, rows)
            else:
                with connection.begin():
                    connection.execute(sqlite.insert(_table).on_conflict_do_nothing(), rows)
        except BaseException:
            self.close()
            raise

    def _open(self) -> Connection:
        # On PostgreSQL rows sent in one go are a transaction by themselves: one way to the server and back instead of three.
        own = {"isolation_level": "AUTOCOMMIT"} if self._engine.dialect.name == "postgresql" else {"immediate": True}
        return self._engine.connect().execution_options(**own)

    def close(self) -> None:
        """Whatever state it is in, nobody else gets it."""
        if self._kept is not None:
            self._kept.invalidate()
            self._kept.close()
            self._kept = None


_COLUMNS = "public_id, provider, name, digest, once, body, size, state, tries, events, received_at"
_GIVEN = re.sub(r"\w+", r"%(\g<0>)s", _COLUMNS)
_INSERT = f"INSERT INTO {_table.name} ({_COLUMNS}) VALUES ({_GIVEN}) ON CONFLICT DO NOTHING"  # noqa: S608 (our own names)


def keyed(use: bytes, text: bytes) -> bytes:
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
