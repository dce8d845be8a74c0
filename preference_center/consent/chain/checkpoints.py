"""Signed checkpoints: what the chain was at a moment, kept where whoever changes the database cannot reach.

The chain alone does not show that its end was cut off, or that somebody with its key made it anew; a checkpoint that lies
elsewhere does. One a day is added to DATA_DIR/checkpoints.jsonl: copy it to where others keep it.
"""

import json
import os
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.engine import Connection

from preference_center import clock
from preference_center.config import Settings
from preference_center.consent.chain import rows, signed
from preference_center.consent.chain.merkle import Tree
from preference_center.consent.chain.signed import Checkpoint
from preference_center.errors import Invalid, NotFound, Unavailable

_DAY = timedelta(days=1)


def file_of(settings: Settings) -> Path:
    return settings.data_dir / "checkpoints.jsonl"


def key_file(settings: Settings) -> Path:
    return (
        Path(settings.checkpoint_key_file) if settings.checkpoint_key_file else settings.data_dir / "checkpoint-key.pem"
    )


def signing_key(settings: Settings) -> Ed25519PrivateKey:
    """The key that signs checkpoints and proofs; without a setting of one's own it is made in DATA_DIR at first use."""
    file = key_file(settings)
    if not settings.checkpoint_key_file and not file.exists():
        _make_key(file)
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), None)
    except OSError as trouble:
        raise Unavailable(
            f"The key that signs checkpoints, {file}, cannot be read: {trouble.strerror}. "
            "`openssl genpkey -algorithm ed25519` makes one."
        )
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise Unavailable(f"{file} holds no Ed25519 key in PEM; `openssl genpkey -algorithm ed25519` makes one.")
    return key


def may_sign(settings: Settings) -> bool:
    """Whether this process can read the key that signs, or would make it."""
    file = key_file(settings)
    return os.access(file, os.R_OK) or not (settings.checkpoint_key_file or file.exists())


def own_key(settings: Settings) -> str | None:
    """The public key of this installation, where its file can be read; makes none."""
    if not key_file(settings).is_file() or not os.access(key_file(settings), os.R_OK):
        return None
    return signing_key(settings).public_key().public_bytes_raw().hex()


def take(connection: Connection, settings: Settings) -> Checkpoint:
    """A checkpoint of the chain as it is."""
    tree, head = Tree(), b""
    for (head,) in rows.stream(connection, "SELECT hash FROM consent_seals ORDER BY seq"):
        tree.add(head)
    return sign(settings, tree.size, head, tree.root())


def sign(settings: Settings, size: int, head: bytes, root: bytes) -> Checkpoint:
    if not size:
        raise NotFound("There is no sealed consent record yet, so there is nothing to sign.")
    data = {
        "schema": signed.CHECKPOINT,
        "seq": size,
        "hash": head.hex(),
        "root": root.hex(),
        "at": clock.now().isoformat(timespec="seconds"),
    }
    return Checkpoint.read(signed.sign(signing_key(settings), data))


def keep(checkpoint: Checkpoint, file: Path) -> None:
    """Add it to a file of checkpoints, on disk before this returns. A line cut short by a crash is taken away first."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        there = file.read_bytes()
        whole = there.rfind(b"\n") + 1
        if whole < len(there):
            os.ftruncate(handle, whole)
        os.lseek(handle, 0, os.SEEK_END)
        os.write(handle, signed.canonical(checkpoint.data) + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def keep_daily(connection: Connection, settings: Settings) -> Checkpoint | None:
    """Add today's checkpoint to the file in DATA_DIR, unless there is one less than a day old, or nothing was sealed since."""
    file = file_of(settings)
    last = read(file)[-1:] if file.exists() else []
    if last and clock.now() - datetime.fromisoformat(last[0].at) < _DAY:
        return None
    if not last and connection.exec_driver_sql("SELECT 1 FROM consent_seals LIMIT 1").first() is None:
        return None
    checkpoint = take(connection, settings)
    if last and last[0].seq == checkpoint.seq:
        return None
    keep(checkpoint, file)
    return checkpoint


def read(file: Path, keys: Collection[str] = ()) -> list[Checkpoint]:
    """The checkpoints of a file, one a line. Invalid when one was changed, or signed with a key that is not among `keys`."""
    try:
        lines = file.read_bytes().splitlines(keepends=True)
    except OSError as trouble:
        raise Unavailable(f"{file} cannot be read: {trouble.strerror}.")
    found = []
    for number, line in enumerate(lines, 1):
        try:
            checkpoint = Checkpoint.read(json.loads(line))
        except (ValueError, Invalid) as wrong:
            if isinstance(wrong, ValueError) and not line.endswith(b"\n"):
                break  # a crash cut it short; the next one takes its place
            reason = wrong.message if isinstance(wrong, Invalid) else "it is no JSON"
            raise Invalid(f"{file}, line {number} is not a checkpoint as it was written: {reason}.")
        if keys and checkpoint.key not in keys:
            raise Invalid(
                f"{file}, line {number} was signed with the key {checkpoint.key}, which is not that of this installation. "
                "Name it with --key if it once was."
            )
        found.append(checkpoint)
    return found


def _make_key(file: Path) -> None:
    """A new key, readable by its owner alone. When two processes make one at once, the first wins."""
    text = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    fresh = file.with_suffix(f".{os.getpid()}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(fresh, file)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
