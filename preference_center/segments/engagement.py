"""What became of our campaigns, as conditions: got, delivered, bounced, opened, clicked.

The messages belong to a room above, which this one must not import. So it says here what it wants to know, and `app.py`, which
knows every room, joins the answer to it (`join`). The room that owns the rows says what its states mean; nothing is copied.
Opens and clicks are told only of people who agree to being counted, as they stand now: without that, a person opened nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy import ColumnElement, and_

from preference_center.consent import traits as consent
from preference_center.segments.rules import SQL, Rule, written


class Fact(StrEnum):
    got = "got"  # handed over to the relay and not returned; what may have left, or is leaving, counts
    delivered = "delivered"
    bounced = "bounced"
    opened = "opened"
    clicked = "clicked"


COUNTED = (Fact.opened, Fact.clicked)  # what only tracking can know
MAX_DAYS = 9999


@dataclass(frozen=True)
class Known:
    """A campaign, as people and programs name it."""

    public_id: str
    name: str


class Campaigns(Protocol):
    """What the rooms above answer."""

    def named(self, words: str) -> Iterable[Known]:
        """The campaigns with this public id or this name."""

    def who(self, fact: Fact, campaign: str | None, since: datetime | None) -> ColumnElement[bool]:
        """Of whom this is true, as a condition on Contact; of any campaign, or of the one with this public id."""

    def using(self, segment: str) -> Iterable[Known]:
        """Campaigns not yet sent whose rule names this segment, in whatever capitals."""


_joined: list[Campaigns] = []


def join(campaigns: Campaigns) -> None:
    """`app.py` brings the room that knows. The last one counts."""
    _joined[:] = [campaigns]


def campaigns() -> Campaigns:
    return _joined[0]


@dataclass(frozen=True)
class Engaged(Rule):
    """`got "Autumn"`, `not clicked any in the last 90 days`."""

    fact: Fact
    campaign: str | None  # the public id; none: any campaign
    days: int | None = None

    def sql(self, at: datetime) -> SQL:
        since = at - timedelta(days=self.days) if self.days else None
        found = campaigns().who(self.fact, self.campaign, since)
        return and_(found, consent.may_be_tracked(at)) if self.fact in COUNTED else found

    def __str__(self) -> str:
        when = f" in the last {self.days} days" if self.days else ""
        return f"{self.fact} {'any' if self.campaign is None else written(self.campaign)}{when}"

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {str(self.fact): self.campaign or "any"}
        return found | {"days": self.days} if self.days else found

    @property
    def cost(self) -> int:
        return 10

    @property
    def profiles(self) -> bool:
        """Opening and clicking are what a person did; what we sent and what came back is our own post book."""
        return self.fact in COUNTED
