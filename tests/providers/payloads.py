"""Our own payloads of each provider, and how to say in a few words what was read out of them."""

import json
from typing import Any
from urllib.parse import urlencode

from preference_center import providers
from preference_center.providers.base import Event, Kind, Post
from tests.support.sources import ROOT

MARK = "k3-0a1b2c3d4e5f60718293"
RECIPIENT = "ola@shop.example"


def payload(file: str) -> Any:
    return json.loads((ROOT / "tests" / "support" / "payloads" / f"{file}.json").read_text(encoding="utf-8"))


def read(provider: str, body: Any, **headers: str) -> list[Event]:
    data = json.dumps(body).encode()
    if provider == "mandrill":
        data = urlencode({"mandrill_events": data.decode()}).encode()
    return providers.named(provider).read(Post("POST", f"https://mail.example.com/hooks/{provider}", headers, data))


def told(event: Event) -> str:
    """Such as `bounced hard`, `unsubscribed all`, `opened by machine`."""
    words: list[str] = [event.kind]
    words += [event.bounce_class] if event.bounce_class else []
    words += ["all"] if event.scope_all else []
    words += ["by machine"] if event.machine else []
    return " ".join(words)


def all_ours(events: list[Event]) -> bool:
    """Whether each, but the unknown ones, has our mark and the address."""
    known = [event for event in events if event.kind is not Kind.unknown]
    return bool(known) and all((event.mark, (event.recipient or "").lower()) == (MARK, RECIPIENT) for event in known)
