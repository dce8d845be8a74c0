"""A shop with three topics, and Anna, who follows two of them."""

from dataclasses import dataclass

import pytest
from flask import Flask

from preference_center.consent import standing
from preference_center.consent.models import ConsentRecord, State
from preference_center.contacts.models import Contact
from preference_center.db import db, transaction
from preference_center.notices.models import Kind, Notice, NoticeState
from preference_center.topics.models import Topic
from tests.support import shop


@dataclass
class Scene:
    topics: dict[str, Topic]
    anna: Contact

    def on(self, contact: Contact | None = None) -> set[str]:
        """Which topics are on now, as stored."""
        db.session.rollback()
        today = standing.subscriptions(contact or self.anna)
        return {key for key, topic in self.topics.items() if topic.id in today and today[topic.id].state is State.given}

    def notices(self) -> list[Notice]:
        """All service mail owed to somebody, oldest first."""
        db.session.rollback()
        return db.session.query(Notice).filter(Notice.contact_id.is_not(None)).order_by(Notice.id).all()

    def dropped(self) -> list[Kind]:
        """What was asked for and is owed to nobody, oldest first."""
        db.session.rollback()
        nobody = db.session.query(Notice).filter_by(contact_id=None, state=NoticeState.dropped)
        return [notice.kind for notice in nobody.order_by(Notice.id)]

    def records(self, contact: Contact | None = None) -> list[ConsentRecord]:
        """All consent records of the contact, oldest first, after the two of the beginning."""
        db.session.rollback()
        mine = ConsentRecord.contact_id == (contact or self.anna).id
        return db.session.query(ConsentRecord).filter(mine).order_by(ConsentRecord.id).all()[2:]


@pytest.fixture
def scene(app: Flask) -> Scene:
    with transaction():
        topics = shop.topics()
        anna = shop.customer(topics, "news", "offers")
    return Scene(topics, anna)
