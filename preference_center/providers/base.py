"""What every provider file offers, and the words in which all of them speak: `Post` in, `Event` out.

An event is a fact about one message or one address. It may end mail to somebody; none ever allows it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from preference_center.errors import DomainError


class Kind(StrEnum):
    accepted = "accepted"  # the provider took the message; says nothing of the recipient
    delivered = "delivered"  # the recipient's server took it
    deferred = "deferred"  # a try failed, the provider goes on trying
    bounced = "bounced"  # given up; see BounceClass
    rejected = "rejected"  # never tried: the provider's own suppression list, a typo guard
    complained = "complained"  # a person pressed "spam"
    unsubscribed = "unsubscribed"  # a person opted out
    provider_reactivated = "provider_reactivated"  # somebody lifted the provider's suppression; never a consent
    opened = "opened"
    clicked = "clicked"
    auto_replied = "auto_replied"
    unknown = "unknown"  # a type of event we do not know: kept, counted, without effect


class BounceClass(StrEnum):
    hard = "hard"  # the address does not exist
    soft = "soft"  # mailbox full, server trouble: counted
    block = "block"  # refused for who we are or what we sent; says nothing of the address


@dataclass(frozen=True)
class Event:
    """One fact. `key` is the same for a repeat and different for every other event of this provider (at most 200 characters)."""

    kind: Kind
    key: str
    recipient: str | None = None  # the address the event is about
    occurred_at: datetime | None = None  # aware, UTC
    mark: str | None = None  # our own mark, as it came back in the provider's metadata
    message_id: str | None = None  # our Message-ID header, without angle brackets, where the provider returns it
    provider_message_id: str | None = None
    bounce_class: BounceClass | None = None  # of a `bounced` one
    scope_all: bool = False  # of an `unsubscribed` one: everything, not the list of the message alone
    machine: bool = False  # of an `opened` or `clicked` one: the provider says that a proxy or scanner did it
    url: str | None = None  # of a `clicked` one
    status: str | None = None  # enhanced status code (RFC 3463)
    detail: str | None = None  # the remote server's words, or the provider's reason; at most 500 characters


@dataclass(frozen=True)
class Post:
    """A request as it came in. Header names are in lower case; `body` are the raw bytes; `url` is the public one, as configured."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class Forged(Exception):
    """The post does not prove that it comes from the provider. The words name the check that failed and hold nothing of the post."""


class Unreadable(Exception):
    """Proven to come from the provider, but not of the shape it promises. The words say where."""


class CannotBeMadeUp(DomainError):
    """Nobody but the provider can sign a post of this kind. The message says how to test instead."""


@dataclass(frozen=True)
class Setting:
    """A setting of one provider: `PREFERENCE_CENTER_HOOK_<PROVIDER>_<NAME>`. `many`: several values, with spaces between."""

    name: str
    help: str
    many: bool = False
    example: str = ""  # a value of the right shape; the contract tests work with it
    fault: Callable[[str], str | None] | None = None  # what is wrong with one value, in words that do not hold it


@dataclass(frozen=True)
class Secrets:
    """The values of one provider's settings, by the setting's name. A provider without values accepts nothing."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def all(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())

    def one(self, name: str) -> str:
        return next(iter(self.values.get(name, ())), "")


class Provider(ABC):
    """What a file of this folder offers under the name `provider`. What several share lies in `parts`, to begin from."""

    name: str  # as in /hooks/<name>; the file's name
    settings: tuple[Setting, ...]
    page: str  # the provider's documentation of its webhooks

    @abstractmethod
    def verify(self, post: Post, secrets: Secrets, now: datetime) -> str | None:
        """Prove where the post comes from, or raise Forged. Returns a token that is good once (Mailgun), if there is one.

        errors.Unavailable: it cannot be told now (a certificate cannot be fetched); the provider shall send it again."""

    def greet(self, post: Post, secrets: Secrets) -> str | None:
        """The answer to a set-up handshake, or None when this post is none. It proves for itself what it acts on, or raises
        Forged, so a door may ask before or after `verify`. A post that was answered here is not stored."""
        return None

    @abstractmethod
    def read(self, post: Post) -> list[Event]:
        """The events of a proven post, or Unreadable. One event that is not understood is `unknown` and never loses the others."""

    @abstractmethod
    def correlation(self, mark: str) -> list[tuple[str, str]]:
        """Header lines for a message that leaves by this provider's SMTP, so that its events bring our mark back."""

    @abstractmethod
    def sample(self, secrets: Secrets, public_url: str, mark: str, recipient: str, now: datetime) -> Post:
        """A delivered event, signed with our own secret, for `pc events test`; or CannotBeMadeUp."""
