"""Conditions that look beyond one field: following a topic, and belonging to another segment."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, or_
from sqlalchemy.orm import aliased

from preference_center.consent.models import State, Subscription
from preference_center.contacts.models import Contact
from preference_center.segments.fields import id_of_topic
from preference_center.segments.rules import SQL, Rule, written


@dataclass(frozen=True)
class Follows(Rule):
    """Has this topic on, today. Says nothing on the topic of the campaign: there the judge speaks."""

    topic: str

    def sql(self, at: datetime) -> SQL:
        subscription = aliased(Subscription)  # the judge around it reads the same table
        return exists().where(
            subscription.contact_id == Contact.id,
            subscription.topic_id == id_of_topic(self.topic),
            subscription.state == State.given,
            or_(subscription.until.is_(None), subscription.until > at),
        )

    def __str__(self) -> str:
        return f"follows {written(self.topic)}"

    def as_json(self) -> dict[str, Any]:
        return {"follows": self.topic}

    @property
    def cost(self) -> int:
        return 3

    @property
    def profiles(self) -> bool:
        return True


@dataclass(frozen=True)
class InSegment(Rule):
    """Is in another segment, by its name. It is written out before it becomes SQL (`named.written_out`)."""

    name: str

    def sql(self, at: datetime) -> SQL:
        raise LookupError(f"the segment {self.name!r} was not written out")

    def __str__(self) -> str:
        return f"segment {written(self.name)}"

    def as_json(self) -> dict[str, Any]:
        return {"segment": self.name}
