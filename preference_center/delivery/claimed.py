"""What a claim took: messages with the judge's answers, and all that their texts need."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from preference_center.db import UTCDateTime


class Claimed(NamedTuple):
    """One message that this run may send now, with all that its text needs."""

    id: int
    attempt: int
    public_id: str
    email: str
    language: str
    link_epoch: int
    attributes: dict[str, Any]
    consent_source: str
    consent_at: datetime | None
    follow: str | None = None  # the random name of a mail whose reader agreed to be seen (tracking.py)
    variant: int = 0  # of an experiment: which content (trials.py)


class Waiting(NamedTuple):
    """A message that may be tried now."""

    id: int
    contact_id: int
    attempt: int
    record_id: int | None


class Judged(NamedTuple):
    """The judge's answer, and from `public_id` on what the text needs, in the order of Claimed."""

    contact_id: int
    record_id: int | None
    reason: str | None
    public_id: str
    email: str
    language: str
    link_epoch: int
    attributes: str  # as JSON
    consent_source: str
    consent_at: Any  # as the database keeps it


@dataclass(frozen=True)
class Taken:
    """Messages that a claim took, in the order of their ids. What their text needs is spelled out by messages(), after the commit."""

    rows: Sequence[tuple[Waiting, Judged]] = ()
    follow: Mapping[int, str] = field(default_factory=dict)  # by message
    variants: Mapping[int, int] = field(default_factory=dict)  # by message

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> list[int]:
        return [row.id for row, _ in self.rows]

    def messages(self) -> list[Claimed]:
        """Needs no transaction, and takes some microseconds each."""
        attributes = json.loads(f"[{','.join([told.attributes for _, told in self.rows])}]")  # far cheaper at once
        found = [
            Claimed(
                row.id,
                row.attempt + 1,
                *told[3:7],
                about,
                told[8],
                told[9] if told[9] is None else UTCDateTime.of(told[9]),
            )
            for (row, told), about in zip(self.rows, attributes, strict=True)
        ]
        if not self.follow and not self.variants:
            return found
        return [one._replace(follow=self.follow.get(one.id), variant=self.variants.get(one.id, 0)) for one in found]
