"""Facts out of what providers send: JSON, words, addresses, times, keys.

Whatever lies in a post, nothing here raises anything but Unreadable, and all that comes out can be stored: no NUL, no half
characters, nothing longer than its column.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from preference_center.mail import refusals
from preference_center.mail.header_lines import header_text
from preference_center.mail.outcomes import clean
from preference_center.providers.base import BounceClass, Event, Kind, Unreadable

MOST_EVENTS = 10_000
LONGEST_KEY = 200
MARK = "pc_mark"  # what our mark is called in a provider's metadata
MARK_HEADER = "X-Mail-Mark"  # and as a header of the message, where a provider gives headers back

ReadsOne = Callable[[dict[str, Any]], list[Event]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_MARK = re.compile(r"[A-Za-z0-9._-]{1,100}\Z")
_IN_BRACKETS = re.compile(r"<([^<>]+)>")
_KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}\Z")


def json_of(body: bytes | str) -> Any:
    """What the JSON says; of a name that comes twice, the last counts."""
    try:
        text = body.decode("utf-8-sig") if isinstance(body, bytes) else body
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("the body is not JSON that can be read") from None


def each(items: Any, provider: str, read: ReadsOne) -> list[Event]:
    """The events of a batch, or of one object alone. What is no object becomes `unknown` and loses nothing beside it."""
    events: list[Event] = []
    for item in items if isinstance(items, list) else [items]:
        events += read(item) if isinstance(item, dict) else [unknown(provider, item)]
        if len(events) > MOST_EVENTS:
            raise Unreadable(f"the post holds more than {MOST_EVENTS} events")
    return events


def unknown(provider: str, item: Any) -> Event:
    return Event(Kind.unknown, key(provider, "unknown", digest(item)))


def record(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; anything else in it is left out."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def words(value: Any, limit: int = 200) -> str:
    """A text or number as one clean line; nothing for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return str(value)[:limit]
        except ValueError:  # longer than Python is willing to write out
            return ""
    return header_text(value[: 2 * limit], limit) if isinstance(value, str) else ""


def yes(value: Any) -> bool:
    return value in (True, "true", "True", "1") and not isinstance(value, float)


def address(value: Any) -> str | None:
    """An address as it was written, out of `Name <address>` too; None when it cannot be one."""
    if not isinstance(value, str) or len(value) > 1000:
        return None
    named = _IN_BRACKETS.findall(value)
    found = (named[-1] if named else value).strip()
    if not 3 <= len(found) <= 320 or found != header_text(found, 320) or not re.fullmatch(r"\S+@\S+", found):
        return None
    return found


def message_id(value: Any) -> str | None:
    """A Message-ID without its angle brackets."""
    return words(value, 300).strip("<> ") or None


def mark(value: Any) -> str | None:
    return value if isinstance(value, str) and _MARK.match(value) else None


def mark_in_headers(headers: Any) -> str | None:
    """Our mark out of the message's headers, given back as a list of names and values or as an object."""
    pairs = headers.items() if isinstance(headers, dict) else [(h.get("name"), h.get("value")) for h in rows(headers)]
    return next((mark(value) for name, value in pairs if words(name).lower() == MARK_HEADER.lower()), None)


def seconds(value: Any) -> datetime | None:
    """A time given as Unix seconds: a number, or the digits of one."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if (isinstance(value, float) and not math.isfinite(value)) or not 0 <= value < 1e11:
        return None
    return _EPOCH + timedelta(seconds=value)


def milliseconds(value: Any) -> datetime | None:
    """A time given as Unix milliseconds; a number too small to be of this century is one of seconds after all."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1e14:
        return None
    return seconds(value if value < 1e11 else value / 1000)


def iso(value: Any) -> datetime | None:
    """A time as ISO 8601 writes it, with its offset: without one nobody knows when it was."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        then = datetime.fromisoformat(value)
        return then.astimezone(UTC) if then.tzinfo else None
    except (ValueError, OverflowError):
        return None


def status_in(*texts: Any) -> str | None:
    """The first enhanced status code (RFC 3463) in what the remote server said."""
    for text in texts:
        if isinstance(text, str) and (match := _STATUS.search(text[:1000])):
            return match.group()
    return None


def detail(*texts: Any) -> str | None:
    """The first of these that says anything, on one line and without the addresses in it."""
    for text in texts:
        if isinstance(text, str) and (said := clean(text[:1000])):
            return said
    return None


def classed(status: str | None, text: Any, code: Any = None, *, otherwise: BounceClass) -> BounceClass:
    """The class of a bounce whose provider does not give it: by the words of the remote server, else `otherwise`."""
    said = text[: refusals.TEXT_LIMIT] if isinstance(text, str) else ""
    if not said.strip() and not status:
        return otherwise
    reply = words(code)
    verdict = refusals.classify(status, said, int(reply) if re.fullmatch(r"[45][0-9]{2}", reply) else None)
    return otherwise if verdict is refusals.Verdict.none else BounceClass(verdict)


def key(*parts: Any, about: str | None = None) -> str:
    """A key of printable ASCII, at most 200 characters long. `about`, an address, goes in as a digest: keys outlive people."""
    texts = [part if isinstance(part, str) else words(part) for part in parts]
    if about is not None:
        salted = "\0".join([*texts, about.lower()])
        texts.append(hashlib.sha256(salted.encode("utf-8", "surrogatepass")).hexdigest()[:24])
    plain = ":".join(texts)
    if _KEY.match(plain):
        return plain
    return f"{texts[0]}:sha256:{hashlib.sha256(plain.encode('utf-8', 'surrogatepass')).hexdigest()}"


def digest(item: Any) -> str:
    """The same for the same JSON; for what names itself by no id."""
    try:
        text = json.dumps(item, sort_keys=True)
    except (ValueError, RecursionError):
        text = f"{type(item).__name__} {len(item) if isinstance(item, list | dict | str) else ''}"
    return hashlib.sha256(text.encode()).hexdigest()[:40]
