"""Adds, rewords and retires topics. A topic's key never changes: it stands in links and in List-Id."""

import re
from collections.abc import Mapping, Sequence

from sqlalchemy import func, select

from preference_center import clock
from preference_center.db import db
from preference_center.errors import Conflict, Invalid, NotFound
from preference_center.topics.models import Topic, TopicText
from preference_center.topics.purposes import PURPOSES


def add(key: str, texts: Mapping[str, TopicText], purpose: str = "email_marketing", *, public: bool = True) -> Topic:
    """A new topic with its texts by language; at least one text is needed."""
    faults = {}
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,38}", key):
        faults["key"] = "Use small letters, digits and hyphens, 39 at most."
    if purpose not in PURPOSES:
        faults["purpose"] = f"Choose one of: {', '.join(PURPOSES)}."
    if not texts or any(not text.name.strip() for text in texts.values()):
        faults["name"] = "Give the topic a name."
    if faults:
        raise Invalid("The topic was not added. " + " ".join(faults.values()), faults)
    there = db.session.scalar(select(Topic).where(Topic.key == key))
    if there is not None and there.retired_at is not None:
        raise Conflict(
            f"The topic {key} was retired, and its key stays with what people said about it. Choose another key."
        )
    if there is not None:
        raise Conflict(f"There is a topic {key} already.")
    last = db.session.scalar(select(func.max(Topic.position))) or 0
    topic = Topic(
        key=key,
        purpose_key=purpose,
        position=last + 1,
        public=public,
        created_at=clock.now(),
        texts=list(texts.values()),
    )
    db.session.add(topic)
    db.session.flush()
    return topic


def offer_cadence(topic: Topic, offered: bool) -> None:
    """Whether people may choose how often they get this topic. What they chose holds either way."""
    topic.cadence_choice = offered


def limit_consent(topic: Topic, months: int | None) -> None:
    """How many months a consent given from now on lasts; none: until it is withdrawn. What was given keeps its end."""
    if (
        months is not None and not 2 <= months <= 120
    ):  # people are asked 30 days before the end, not as soon as they agree
        raise Invalid("A consent lasts 2 to 120 months.", {"valid_months": "2 to 120, or nothing."})
    topic.valid_months = months


def retire(topic: Topic) -> None:
    """For good: no new mail and no new consent. What people said stays, and what it was said for has ended: a topic that begins
    again is a new one, and asks anew."""
    topic.retired_at = topic.retired_at or clock.now()


def by_key(key: str) -> Topic:
    topic = db.session.scalar(select(Topic).where(Topic.key == key))
    if topic is None:
        raise NotFound(f"There is no topic {key}. `preference-center topics list` shows them all.")
    return topic


def live(*, public: bool | None = None) -> list[Topic]:
    """Topics in use, in the owner's order."""
    statement = select(Topic).where(Topic.retired_at.is_(None)).order_by(Topic.position, Topic.id)
    if public is not None:
        statement = statement.where(Topic.public.is_(public))
    return list(db.session.scalars(statement))


def everything() -> list[Topic]:
    """All topics in the owner's order, the retired ones last."""
    retired = Topic.retired_at.is_not(None)
    return list(db.session.scalars(select(Topic).order_by(retired, Topic.position, Topic.id)))


def arrange(keys: Sequence[str]) -> list[Topic]:
    """Put these topics first, in this order; the others follow in the order they had."""
    topics = {topic.key: topic for topic in everything()}
    if unknown := [key for key in keys if key not in topics]:
        raise NotFound(f"There is no topic {', '.join(unknown)}. `preference-center topics list` shows them all.")
    wanted = list(dict.fromkeys(keys))
    for position, key in enumerate([*wanted, *(key for key in topics if key not in wanted)], 1):
        topics[key].position = position
    db.session.flush()
    return everything()


def show(topic: Topic, public: bool) -> None:
    """Whether people who do not follow it see it on their preference page and on sign-up forms."""
    topic.public = public


def amend(topic: Topic, language: str, **words: str | None) -> TopicText:
    """Change only the named ones of name, description, cadence and heading in one language."""
    there = next((text for text in topic.texts if text.language == language), None)
    kept = {"name": "", "description": "", "cadence": "", "heading": ""}
    if there is not None:
        kept = {field: getattr(there, field) for field in kept}
    return reword(topic, language, **(kept | {field: word for field, word in words.items() if word is not None}))


def reword(
    topic: Topic, language: str, name: str, description: str = "", cadence: str = "", heading: str | None = None
) -> TopicText:
    """Write or rewrite the texts of one language; without a `heading` the topic stays in the group it is in."""
    if not name.strip() or len(name) > 80:
        raise Invalid("Give the topic a name of 1 to 80 characters.", {"name": "1 to 80 characters."})
    text = next((text for text in topic.texts if text.language == language), None)
    if text is None:
        text = TopicText(language=language)
        topic.texts.append(text)
    text.name, text.description, text.cadence = name.strip(), description.strip(), cadence.strip()
    if heading is not None:
        if len(heading) > 60:
            raise Invalid("Keep the heading under 60 characters.", {"heading": "60 characters at most."})
        text.heading = heading.strip()
    return text
