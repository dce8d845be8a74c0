"""The unsubscribe button of a mail program: the POST of RFC 8058, sent as a mailbox provider would, but only to our own site."""

import http.client
import re
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import urlsplit

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class Outcome:
    done: bool
    status: int = 0
    words: str = ""


def address(message: EmailMessage, public_url: str) -> str | None:
    """Where the button would post to: both headers must be there, and the address must be our own site on this machine."""
    post = str(message.get("List-Unsubscribe-Post", "")).strip()
    if post.lower() != "list-unsubscribe=one-click":
        return None
    own = urlsplit(public_url)
    for found in re.findall(r"<\s*(https?://[^>\s]+)\s*>", str(message.get("List-Unsubscribe", ""))):
        url = urlsplit(found)
        if (url.scheme, url.netloc) == (own.scheme, own.netloc) and url.hostname in _LOOPBACK:
            return str(found)
    return None


def press(message: EmailMessage, public_url: str) -> Outcome:
    """No cookie, no redirect followed, a body of one field (RFC 8058 section 3.2)."""
    found = address(message, public_url)
    if found is None:
        return Outcome(False)
    url = urlsplit(found)
    line = http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=10)
    try:
        line.request(
            "POST",
            url.path + (f"?{url.query}" if url.query else ""),
            body="List-Unsubscribe=One-Click",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        reply = line.getresponse()
        words = reply.read(500).decode("utf-8", "replace").strip()
        plain = reply.headers.get_content_type() == "text/plain"
        return Outcome(reply.status == 200, reply.status, words if plain else "")
    except (OSError, http.client.HTTPException):
        return Outcome(False)
    finally:
        line.close()
