"""The three secrets: given as settings, or, with the embedded database, made at the first start and kept in `DATA_DIR/secrets.json`."""

import json
import os
import re
import secrets
from pathlib import Path
from typing import Any


def read(
    plain: dict[str, str], other: dict[str, str], data_dir: Path, embedded: bool, faults: list[str]
) -> dict[str, Any]:
    given = {"SECRET_KEY": plain["SECRET_KEY"], "LINK_KEYS": plain["LINK_KEYS"], "ADDRESS_KEY": other["ADDRESS_KEY"]}
    if not embedded:
        for name, value in given.items():
            if not value:
                faults.append(
                    f"{_setting(name)} is missing: with a DATABASE_URL of your own, all machines must share it. "
                    "`openssl rand -hex 32` makes one."
                )
    _check_secrets(given, faults)
    if embedded and not all(given.values()) and not faults:
        kept = _kept(data_dir, faults)
        given = {name: value or found for (name, value), found in zip(given.items(), kept, strict=True)}
        _check_secrets(given, faults)
    return {
        "secret_key": given["SECRET_KEY"],
        "link_keys": parse_link_keys(given["LINK_KEYS"], []),
        "address_key": given["ADDRESS_KEY"],
    }


def _check_secrets(given: dict[str, str], faults: list[str]) -> None:
    for name, value in given.items():
        if name != "LINK_KEYS" and value and len(value) < 32:
            faults.append(f"{_setting(name)} is too short to be safe: 32 characters or more.")
    parse_link_keys(given["LINK_KEYS"], faults)


def _setting(name: str) -> str:
    return name if name != "ADDRESS_KEY" else f"PREFERENCE_CENTER_{name}"


def parse_link_keys(text: str, faults: list[str]) -> tuple[tuple[str, str], ...]:
    """`id:secret,id:secret`, oldest first. A secret alone gets the id `1`."""
    keys = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        kid, colon, secret = part.partition(":")
        keys.append((kid, secret) if colon else ("1", kid))
    if any(not re.fullmatch(r"[a-z0-9]{1,8}", kid) or len(secret) < 32 for kid, secret in keys) or len(
        {kid for kid, _ in keys}
    ) < len(keys):
        faults.append(
            "LINK_KEYS must be id:secret pairs with commas between, oldest first: each id once, of 1 to 8 small letters or "
            "digits; each secret 32 characters or more."
        )
    return tuple(keys)


def file_of(data_dir: Path) -> Path:
    return data_dir / "secrets.json"


def kept_link_keys(data_dir: Path) -> tuple[tuple[str, str], ...] | None:
    """The link keys that lie in the file, if it holds any."""
    try:
        return parse_link_keys(json.loads(file_of(data_dir).read_text(encoding="utf-8"))["LINK_KEYS"], [])
    except (OSError, ValueError, KeyError):
        return None


def write(data_dir: Path, kept: dict[str, str]) -> None:
    """Replace the file in one step, readable by its owner alone."""
    file = file_of(data_dir)
    fresh = file.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        json.dump(kept, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)


def change(data_dir: Path, name: str, value: str) -> None:
    kept = json.loads(file_of(data_dir).read_text(encoding="utf-8"))
    write(data_dir, kept | {name: value})


def _kept(data_dir: Path, faults: list[str]) -> tuple[str, str, str]:
    """The secrets of an embedded installation, made at its first start."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not file_of(data_dir).exists():
            made = {
                "SECRET_KEY": secrets.token_hex(32),
                "LINK_KEYS": f"1:{secrets.token_hex(32)}",
                "ADDRESS_KEY": secrets.token_hex(32),
            }
            write(data_dir, made)
        kept = json.loads(file_of(data_dir).read_text(encoding="utf-8"))
        return kept["SECRET_KEY"], kept["LINK_KEYS"], kept["ADDRESS_KEY"]
    except OSError as trouble:
        faults.append(
            f"DATA_DIR {data_dir} cannot be written: {trouble.strerror}. Give it to this user, or name another DATA_DIR."
        )
    except (ValueError, KeyError):
        faults.append(
            f"{file_of(data_dir)} is damaged. Restore it from your backup: without it old links stop working."
        )
    return "", "", ""
