"""A campaign whose messages have left, to people whose events then come."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from preference_center import clock
from preference_center.campaigns.models import Campaign, CampaignState
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.delivery import marks
from preference_center.delivery.events import recording
from preference_center.delivery.events.recording import Recorded
from preference_center.delivery.marks import Place
from preference_center.delivery.models import Message, MessageState
from preference_center.providers.base import BounceClass, Event, Kind
from preference_center.topics.models import Topic
from tests.support import make


@dataclass
class Sent:
    """One campaign on one topic, and the messages it sent, by address."""

    topic: Topic
    campaign: Campaign
    people: dict[str, Contact]
    messages: dict[str, int]

    def mark(self, email: str, place: Place = Place.metadata) -> str:
        return marks.make(self.messages[email], place)

    def state(self, email: str) -> tuple[str, str | None]:
        row = db.session.get_one(Message, self.messages[email], populate_existing=True)
        return str(row.state), row.reason


@pytest.fixture
def sent(app: Flask) -> Callable[..., Sent]:
    """`sent("anna@example.org", …)`: a campaign that has left, in its own transaction."""

    def send(*emails: str, key: str = "news", state: MessageState = MessageState.sent, **campaign: Any) -> Sent:
        now = clock.now()
        with transaction():
            topic = make.topic(key)
            people = {email: make.follower(topic, email) for email in emails}
            return add_campaign(topic, people, state, **({"started_at": now - timedelta(minutes=1)} | campaign))

    return send


def add_campaign(topic: Topic, people: dict[str, Contact], state: MessageState, **values: Any) -> Sent:
    now = clock.now()
    campaign = Campaign(
        **(
            {"name": "Autumn", "topic_id": topic.id, "state": CampaignState.sending, "filled_at": now}
            | {"created_at": now, "updated_at": now}
            | values
        )
    )
    db.session.add(campaign)
    db.session.flush()
    messages = {}
    for email, person in people.items():
        message = Message(campaign_id=campaign.id, contact_id=person.id, state=state, attempt=1, changed_at=now)
        db.session.add(message)
        db.session.flush()
        messages[email] = message.id
    return Sent(topic, campaign, people, messages)


_number = iter(range(1, 1_000_000))


def event(kind: str, recipient: str | None = "anna@example.org", **values: Any) -> Event:
    """An event with a key of its own."""
    bounce_class = values.pop("bounce_class", None)
    made = Event(Kind(kind), f"key-{next(_number)}", recipient, occurred_at=clock.now())
    return replace(made, bounce_class=BounceClass(bounce_class) if bounce_class else None, **values)


def tell(*events: Event, source: str = "example", places: tuple[Place, ...] = (Place.metadata,)) -> Recorded:
    """What a source reports, recorded as a job would."""
    with transaction():
        return recording.record(source, events, clock.now(), places=places)
